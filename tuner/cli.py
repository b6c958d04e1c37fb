"""Parses the command line, calls one function for a command, prints its answer and turns errors into exit codes.

Exit codes: 0 done; 1 the answer is no; 2 the input is wrong; 3 the environment is broken; 4 `verify` cannot tell; 130
interrupted, resumable.
Results go to stdout, everything else to stderr. A command imports its modules itself, since some take long to import.
Must not decide anything.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tuner import __version__
from tuner.commands import study_flags as flags_of
from tuner.commands.failures import explain
from tuner.commands.record.command_line import record
from tuner.errors import SignalError
from tuner.report.printing import print_events, print_json, print_result
from tuner.report.stream import pass_on, say, unbroken

app = typer.Typer(
    name="tuner",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Finds, by honest measurement, the OpenVINO settings to deploy a model with on this machine.",
)


def note_flag(context: typer.Context, parameter: typer.CallbackParam, value: bool) -> bool:
    """Adds the name of a set flag to the names in the context, which `main` looks at in the end."""
    if value:
        context.ensure_object(set).add(parameter.name)
    return value


Results = Annotated[Path, typer.Option("--results", metavar="DIR", help="Where the study folders are.")]
StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.yaml", show_default=False)]
StudyOrModel = Annotated[str, typer.Argument(metavar="STUDY.yaml|MODEL", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait while another study measures on this host.")]
Fresh = Annotated[bool, typer.Option("--fresh", callback=note_flag, help="Move earlier results aside and start anew.")]
Folders = Annotated[list[Path], typer.Argument(metavar="RESULTS...", show_default=False)]
RESULTS = Path("results")


@app.command()
def run(
    context: typer.Context,
    study: StudyOrModel,
    results: Results = RESULTS,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Total budget, instead of the file's.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Total of trials, instead of the file's.")] = None,
    fresh: Fresh = False,
    wait: Wait = False,
    warm_start: flags_of.WarmStart = None,
    no_record: flags_of.NoRecord = False,
    plan: Annotated[bool, typer.Option("--plan", help="Print what would be done, and stop.")] = False,
    as_json: Json = False,
    verbose: flags_of.Verbose = None,
    minimize: flags_of.Minimize = None,
    maximize: flags_of.Maximize = None,
    limits: flags_of.Limits = None,
    inputs: flags_of.Inputs = None,
    layouts: flags_of.Layouts = None,
    cpus: flags_of.Cpus = None,
    replicas: flags_of.Replicas = None,
    rate: flags_of.Rate = None,
    device: flags_of.Device = None,
) -> None:
    """Start or resume a study, of a study file or of a model alone; Ctrl-C is safe."""
    from tuner.commands.init import study_of, written_file
    from tuner.commands.run import RunOptions, plan_study, run_study
    from tuner.report.live.ending import ending
    from tuner.report.live.reporters import reporter as reporter_for
    from tuner.report.study_json import study_json

    text = study_of(study, flags_of.StudyFlags.of(context.params), results, minutes, is_fresh=fresh)
    path = Path(study) if text is None else written_file(study, results)
    options = RunOptions(
        results=results,
        minutes=minutes,
        trials=trials,
        is_fresh=fresh,
        wait=wait,
        text=text,
        warm_start=warm_start,
        has_record=not no_record,
    )
    with reporter_for(sys.stderr, is_verbose=verbose) as reporter:
        done = plan_study(path, options, reporter) if plan else run_study(path, options, reporter)
    if isinstance(done, list):
        print_events(done)
        return
    print_result(done, as_json, study_json, lambda found: ending(found, sys.stdout, is_verbose=verbose))
    if done.result is None or not done.result.is_answer:
        raise typer.Exit(1)


@app.command()
def init(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="MODEL", show_default=False)] = None,
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="A question that is often asked.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The study file.  [default: MODEL.yaml]")] = None,
    list_all: Annotated[bool, typer.Option("--list", help="Print every recipe, and stop.")] = False,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Total budget.")] = None,
    minimize: flags_of.Minimize = None,
    maximize: flags_of.Maximize = None,
    limits: flags_of.Limits = None,
    inputs: flags_of.Inputs = None,
    layouts: flags_of.Layouts = None,
    cpus: flags_of.Cpus = None,
    replicas: flags_of.Replicas = None,
    rate: flags_of.Rate = None,
    device: flags_of.Device = None,
) -> None:
    """Write a commented study file for a model, to be edited and run."""
    from tuner.commands.init import InitOptions, init_study, list_recipes

    if list_all:
        print(list_recipes(), end="")
        return
    options = InitOptions(recipe=recipe, minutes=minutes, out=out)
    say(*init_study(model, flags_of.StudyFlags.of(context.params), options), stream=sys.stdout)


@app.command()
def show(
    folders: Folders,
    picks: Annotated[
        list[str] | None,
        typer.Option("--pick", metavar="'METRIC<=NUMBER'", help="Write the point of the front that keeps this."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write it.  [default: in RESULTS]")] = None,
    as_json: Json = False,
) -> None:
    """Baselines, best, trials and noise of a study, from its folder; or several studies side by side.

    With --pick, write another point of a front.
    """
    from tuner.commands.show import Picked, show_folders
    from tuner.report.comparison import comparison_json, comparison_lines
    from tuner.report.front import picked_json, picked_lines
    from tuner.report.study import study_lines
    from tuner.report.study_json import study_json

    shown = show_folders(folders, picks or (), out)
    if isinstance(shown, Picked):
        print_result(shown, as_json, picked_json, picked_lines)
    elif len(shown) > 1:
        print_result(shown, as_json, comparison_json, comparison_lines)
    else:
        print_result(shown[0], as_json, study_json, study_lines)


@app.command()
def report(
    folders: Folders,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write it.  [default: in or beside it]")] = None,
) -> None:
    """Write a study as one page with figures that opens offline; or several studies side by side."""
    from tuner.commands.report import write_report

    say(f"written: {write_report(folders, out)}", stream=sys.stdout)


@app.command()
def measure(
    study: StudyFile,
    sets: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="One property.")] = None,
    results: Results = RESULTS,
    wait: Wait = False,
    as_json: Json = False,
    verbose: flags_of.Verbose = None,
) -> None:
    """One configuration against the baselines, or the baselines alone; without a search."""
    from tuner.commands.measure import measure_study
    from tuner.commands.run import RunOptions
    from tuner.report.live.reporters import reporter as reporter_for
    from tuner.report.measured import measured_json, measured_lines, measured_verdict

    with reporter_for(sys.stderr, is_verbose=verbose) as reporter:
        measured = measure_study(study, sets or [], RunOptions(results=results, wait=wait), reporter)
    print_result(measured, as_json, measured_json, measured_lines if verbose is not False else measured_verdict)


@app.command()
def verify(
    best: Annotated[Path, typer.Argument(metavar="BEST.yaml", show_default=False)],
    against: Annotated[
        Path | None, typer.Option("--against", metavar="OTHER.yaml", help="Instead of the file's baseline.")
    ] = None,
    min_gain: Annotated[float | None, typer.Option(help="Per cent to show, instead of what is promised.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Longest time; it ends sooner where it can.")] = 4.0,
    wait: Wait = False,
    as_json: Json = False,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit report.")] = None,
) -> None:
    """Does the promise of a best.yaml hold here, today? Exit code 0 it holds, 1 it does not, 4 cannot tell."""
    from tuner.commands.verify import VerifyOptions, verify_best
    from tuner.report import verified
    from tuner.report.live.reporters import reporter as reporter_for

    if junit is not None:
        verified.check_junit(junit)
    options = VerifyOptions(against=against, min_gain_pct=min_gain, minutes=minutes, wait=wait)
    with reporter_for(sys.stderr) as reporter:
        report = verify_best(best, options, reporter)
    if junit is not None:
        verified.write_junit(junit, report)
    print_result(report, as_json, verified.verified_json, verified.verified_lines)
    if code := verified.EXIT_CODES[report.answer]:
        raise typer.Exit(code)


@app.command()
def apply(
    best: Annotated[Path, typer.Argument(metavar="BEST.yaml", show_default=False)],
    strict: Annotated[bool, typer.Option("--strict", help="Fail where this host or model differs.")] = False,
) -> None:
    """Check that a best.yaml runs here, and print the code that uses it."""
    from tuner.commands.apply import apply_file

    applied = apply_file(best, strict=strict)
    say(*applied.notes, stream=sys.stderr)
    pass_on(applied.code, sys.stdout)


@app.command()
def export(
    best: Annotated[Path | None, typer.Argument(metavar="BEST.yaml", show_default=False)] = None,
    target: Annotated[str | None, typer.Option("--to", metavar="TARGET", help="What is to read it.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write files, do not print them.")] = None,
    point: Annotated[str | None, typer.Option("--point", metavar="NAME", help="A point of front.yaml.")] = None,
    picks: Annotated[
        list[str] | None, typer.Option("--pick", metavar="'METRIC<=NUMBER'", help="The point that keeps this.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail where something cannot be said, or is wrong.")] = False,
    list_all: Annotated[bool, typer.Option("--list", help="Print every target, and stop.")] = False,
) -> None:
    """Write a best.yaml as another program reads it: a server, a container, an application."""
    from tuner.commands.export import ExportOptions, export_best, list_targets

    if list_all:
        print(list_targets(), end="")
        return
    options = ExportOptions(target=target, out=out, point=point, picks=picks or (), strict=strict)
    answer = export_best(best, options)
    say(*answer.notes, stream=sys.stderr)
    pass_on(answer.text, sys.stdout)


@app.command()
def replay(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", show_default=False)],
    minutes: Annotated[
        list[float] | None, typer.Option(min=0.5, help="Budgets to replay.  [default: 2, 5, 10]")
    ] = None,
    studies: Annotated[int, typer.Option(min=1, help="Studies of each strategy on each table and budget.")] = 20,
    strategies: Annotated[str, typer.Option(help="Comma-separated.")] = "auto,tpe,random,grid,plain",
    noise: Annotated[str, typer.Option(help="quiet, noisy, or recorded: what the table says.")] = "recorded",
    null_studies: Annotated[int, typer.Option(min=0, help="A/A studies on its noise: nothing can be gained.")] = 100,
    rows: Annotated[int | None, typer.Option(min=2, help="Only so many rows of each table, at random.")] = None,
    seed: Annotated[int, typer.Option(help="Of the first study.")] = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes.  [default: the CPUs there are]")] = None,
    as_json: Json = False,
) -> None:
    """Evaluate search strategies on recorded spaces, without hardware: results folders, or tables as CSV files."""
    from tuner.commands.replay import ReplayOptions, replay_results
    from tuner.report import replay as words

    options = ReplayOptions(
        minutes=tuple(minutes or (2.0, 5.0, 10.0)),
        studies=studies,
        strategies=strategies,
        noise=noise,
        null_studies=null_studies,
        rows=rows,
        seed=seed,
        jobs=jobs,
    )
    print_result(replay_results(results, options), as_json, words.replay_json, words.replay_lines)


app.add_typer(record, name="record")


@app.command()
def schema() -> None:
    """Print the JSON schema of study files, for editors."""
    from tuner.commands.schema import study_schema

    print_json(study_schema())


def show_version(value: bool) -> None:
    """Prints the version and ends the command if `value`."""
    if value:
        print(f"tuner {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", callback=note_flag, help="Show tracebacks of expected failures.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True)] = False,
) -> None:
    """Takes the options that come before a command, and makes signals end it in order."""
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)


def interrupt(signum: int, frame: object) -> NoReturn:
    """Raises SignalError: SIGTERM ends a run as Ctrl-C does, without workers left and with a record to resume from."""
    raise SignalError("terminated" if signum == signal.SIGTERM else "interrupted")


def main() -> None:
    """Runs the command line: every expected failure becomes one message, its advice and an exit code."""
    sys.stdout, sys.stderr = unbroken(sys.stdout), unbroken(sys.stderr)
    flags: set[str] = set()
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], prog_name="tuner", standalone_mode=False, obj=flags) or 0)
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(explain(error, flags))
