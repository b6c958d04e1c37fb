"""The command line: parses, calls one function, prints, and turns errors into exit codes. Makes no decisions.

Exit codes: 0 done; 1 the answer is no; 2 the input is wrong; 3 the environment is broken; 130 interrupted, resumable.
Results go to stdout, everything else to stderr. Whatever is slow to import is imported by the command that needs it.
"""

from __future__ import annotations

import io
import json
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from tuner import __version__
from tuner.errors import HostError, InputError, Interrupted, OutputError, TunerError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

app = typer.Typer(
    name="tuner",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Finds, by honest measurement, the OpenVINO settings to deploy a model with on this machine.",
)
Results = Annotated[Path, typer.Option("--results", metavar="DIR", help="Where the study folders are.")]
StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.yaml", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait while another study measures on this host.")]
RESULTS = Path("results")


@app.command()
def run(
    study: StudyFile,
    results: Results = RESULTS,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Total budget, instead of the file's.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Total of trials, instead of the file's.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Move earlier results aside and start anew.")] = False,
    wait: Wait = False,
    plan: Annotated[bool, typer.Option("--plan", help="Print what would be done, and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Start or resume a study; Ctrl-C is safe."""
    from tuner.report import summary
    from tuner.report.terminal import TerminalReporter, print_lines
    from tuner.study.run import RunOptions, plan_study, run_study

    options = RunOptions(results=results, minutes=minutes, trials=trials, is_fresh=fresh, wait=wait)
    with TerminalReporter(sys.stderr) as reporter:
        if plan:
            lines = plan_study(study, options, reporter)
        else:
            outcome = run_study(study, options, reporter)
    if plan:
        print_lines(lines, sys.stdout)
    elif as_json:
        print_json(summary.outcome_json(outcome))
    else:
        print_lines(summary.outcome_lines(outcome), sys.stdout)
    if not plan and not outcome.result.is_answer:
        raise typer.Exit(1)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="RESULTS", show_default=False)],
    picks: Annotated[
        list[str] | None,
        typer.Option("--pick", metavar="'METRIC<=NUMBER'", help="Write the point of the front that keeps this."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write it.  [default: in RESULTS]")] = None,
    as_json: Json = False,
) -> None:
    """Baselines, best, trials and noise of a study, from its folder; or, with --pick, another point of its front."""
    from tuner.report import summary
    from tuner.report.front import picked_lines, point_json
    from tuner.report.terminal import print_lines
    from tuner.study.show import pick_point, read_study

    if picks:
        picked = pick_point(folder, picks, out)
        if as_json:
            print_json({**point_json(picked.point), "written": str(picked.path)})
        else:
            print_lines(picked_lines(picked.front, picked.point, picked.bounds, picked.path), sys.stdout)
        return
    if out is not None:
        raise InputError("--out goes with --pick", advice="--pick 'latency_p90_ms<=8' says which point is written")
    found = read_study(folder)
    if as_json:
        print_json(summary.study_json(found))
    else:
        print_lines(summary.study_lines(found), sys.stdout)


@app.command()
def measure(
    study: StudyFile,
    sets: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="One property.")] = None,
    results: Results = RESULTS,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """One configuration against the baselines, without a search."""
    from tuner.report import summary
    from tuner.report.terminal import TerminalReporter, print_lines
    from tuner.study.measure import measure_study
    from tuner.study.run import RunOptions

    with TerminalReporter(sys.stderr) as reporter:
        measured = measure_study(study, sets or [], RunOptions(results=results, wait=wait), reporter)
    if as_json:
        print_json(summary.measured_json(measured))
    else:
        print_lines(summary.measured_lines(measured), sys.stdout)


@app.command()
def apply(
    best: Annotated[Path, typer.Argument(metavar="BEST.yaml", show_default=False)],
    strict: Annotated[bool, typer.Option("--strict", help="Fail where this host or model differs.")] = False,
) -> None:
    """Check that a best.yaml runs here, and print the code that uses it."""
    from tuner.deploy.apply import apply_best

    applied = apply_best(best, strict=strict)
    print(*applied.notes, sep="\n", file=sys.stderr)
    print(applied.code, end="")


@app.command()
def replay(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", show_default=False)],
    minutes: Annotated[
        list[float] | None, typer.Option(min=0.5, help="Budgets to replay.  [default: 2, 5, 10]")
    ] = None,
    studies: Annotated[int, typer.Option(min=1, help="Studies of each strategy on each table and budget.")] = 20,
    strategies: Annotated[str, typer.Option(help="Comma-separated.")] = "auto,tpe,random,grid,plain",
    noise: Annotated[str, typer.Option(help="quiet, noisy, or recorded: what the table says.")] = "recorded",
    equals: Annotated[int, typer.Option(min=0, help="Studies on its noise in which nothing is to be gained.")] = 100,
    rows: Annotated[int | None, typer.Option(min=2, help="Only so many rows of each table, at random.")] = None,
    seed: Annotated[int, typer.Option(help="Of the first study.")] = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes.  [default: the CPUs there are]")] = None,
    as_json: Json = False,
) -> None:
    """Evaluate search strategies on recorded spaces, without hardware: results folders, or tables as CSV files."""
    from tuner.report import replay as words
    from tuner.report.terminal import print_lines
    from tuner.study.replay import ReplayOptions, replay_tables

    options = ReplayOptions(
        minutes=tuple(minutes or (2.0, 5.0, 10.0)),
        studies=studies,
        strategies=strategies,
        noise=noise,
        equals=equals,
        rows=rows,
        seed=seed,
        jobs=jobs,
    )
    found = replay_tables(results, options)
    if as_json:
        print_json(words.replay_json(found))
    else:
        print_lines(words.replay_lines(found), sys.stdout)


@app.command()
def schema() -> None:
    """Print the JSON schema of study files, for editors."""
    from tuner.study.schema import json_schema

    print_json(json_schema())


def print_json(content: Any) -> None:
    print(json.dumps(content, indent=2))


def show_version(value: bool) -> None:
    if value:
        print(f"tuner {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of expected failures.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True)] = False,
) -> None:
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)


def interrupt(signum: int, frame: object) -> NoReturn:
    """SIGTERM ends a run as Ctrl-C does: workers gone, record whole, resumable, and a word about it."""
    what = "terminated" if signum == signal.SIGTERM else "interrupted"
    raise Interrupted(what, advice=how_to_go_on())


def how_to_go_on() -> str:
    """With --fresh once more, what was measured would be moved aside."""
    command = "the same command without --fresh" if "--fresh" in sys.argv else "the same command"
    return f"{command} continues where it stopped"


class Unread(io.FileIO):
    """A stream whose reader may leave, as `head` does: what it no longer wants is dropped, and is no error."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def unbroken(stream: TextIO) -> TextIO:
    """A stream of this process that takes no notice when its reader leaves. What stands in for one stays, and so does
    the None of one that was closed from the start."""
    is_own = stream is sys.__stdout__ or stream is sys.__stderr__
    if not is_own or not isinstance(stream, io.TextIOWrapper):
        return stream
    raw = Unread(stream.fileno(), "w", closefd=False)
    is_line_wise = stream.line_buffering or stream.write_through
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=is_line_wise)


def main() -> None:
    """The entry point: every expected failure is one message, its advice, and an exit code."""
    sys.stdout, sys.stderr = unbroken(sys.stdout), unbroken(sys.stderr)
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], prog_name="tuner", standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        fail(Interrupted("interrupted", advice=how_to_go_on()))
    except TunerError as error:
        fail(error)
    except OSError as error:
        fail(OutputError(f"{error.filename or 'the system'}: {error.strerror or error}"))
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "tuner"
        fail(InputError(error.format_message(), advice=f"try: {path} --help"))
    except Exception:
        traceback.print_exc()
        sys.exit(HostError.exit_code)  # not 1, which is an answer


def fail(error: TunerError) -> NoReturn:
    if "--debug" in sys.argv:
        traceback.print_exc()
    print(f"tuner: {error}", file=sys.stderr)
    if error.advice:
        print(f"       {error.advice}", file=sys.stderr)
    sys.exit(error.exit_code)
