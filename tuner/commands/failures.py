"""Turns the errors that end a command into one message, its advice and an exit code.

Responsible for expected failures. Must not run a command.
"""

from __future__ import annotations

import sys
import traceback

import typer

from tuner.errors import HostError, InputError, OutputError, SignalError, TunerError
from tuner.report.stream import visible


def explain(error: BaseException, flags: set[str]) -> int:
    """Prints what went wrong and what to do about it on stderr, and returns the exit code.

    `flags` are the names of the flags that were set: `debug` shows the traceback of an expected failure too.
    """
    failure = expected_failure(error, flags)
    if failure is None or "debug" in flags:
        traceback.print_exception(error)
    if failure is None:
        return HostError.exit_code  # not 1, which is an answer
    print(f"tuner: {visible(str(failure))}", file=sys.stderr)
    if failure.advice:
        print(f"       {visible(failure.advice)}", file=sys.stderr)
    return failure.exit_code


def expected_failure(error: BaseException, flags: set[str]) -> TunerError | None:
    """Returns an error as one of this project's, with its advice; None for an error that nothing expects."""
    if isinstance(error, SignalError) and error.advice:
        return error
    if isinstance(error, KeyboardInterrupt | typer.Abort | SignalError):
        # With --fresh once more, the sessions of this run would be moved aside.
        command = "the same command without --fresh" if "fresh" in flags else "the same command"
        what = str(error) if isinstance(error, SignalError) else "interrupted"
        return SignalError(what, advice=f"{command} continues where it stopped")
    if isinstance(error, TunerError):
        return error
    if isinstance(error, OSError):
        return OutputError(f"{error.filename or 'the system'}: {error.strerror or error}")
    if (message := getattr(error, "format_message", None)) is not None:  # of click's or typer's own, by version
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "tuner"
        return InputError(message(), advice=f"try: {path} --help")
    return None
