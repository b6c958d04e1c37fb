"""The public API: one list, in the code and in the documents; typed, described, and imported when it is used."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from plotly.graph_objects import Figure

import tuner
from tests.documents import ROOT, tables
from tests.virtual import Listener
from tuner.commands import api
from tuner.commands import run as run_command
from tuner.commands.run import RunOptions
from tuner.errors import InputError
from tuner.outcome.study_report import StudyReport
from tuner.phases.progress import Reporter, Status, StudyFinished

GOLDEN = ROOT / "tests/golden/results-0.1"
NAMES = [
    "StudyReport",
    "__version__",
    "comparison_figure",
    "host_figure",
    "intervals_figure",
    "load_best",
    "load_study",
    "progress_figure",
    "reference_figure",
    "run_study",
    "settings_figures",
    "tradeoff_figure",
]
"""A name that leaves this list breaks the programs of others."""
each_callable = pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])


def test_the_list_is_this_one_and_that_of_the_document() -> None:
    assert tuner.__all__ == NAMES
    (table,) = [rows for rows in tables("results/README.md") if rows[0] == ["name", "what it does"]]
    documented = {name for row in table[1:] for name in re.findall(r"`(\w+)`", row[0])}
    assert documented == set(NAMES) - {"__version__"}
    assert set(NAMES) <= set(dir(tuner))


@each_callable
def test_every_name_is_there_with_types_and_a_docstring(name: str) -> None:
    found = getattr(tuner, name)
    assert found.__doc__
    if inspect.isclass(found):
        return
    signature = inspect.signature(found)
    kinds = [p for p in signature.parameters.values() if p.annotation is inspect.Parameter.empty]
    assert kinds == []
    assert signature.return_annotation is not inspect.Signature.empty


def test_the_package_says_that_it_has_types() -> None:
    assert (Path(tuner.__file__).parent / "py.typed").exists()


@pytest.mark.slow
@each_callable
def test_each_name_can_be_imported_by_itself(name: str) -> None:
    code = f"from tuner import {name}; import sys; print('plotly' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("_figure") and name != "comparison_figure"])
def test_a_figure_is_made_of_a_report_alone(name: str) -> None:
    figure = getattr(tuner, name)(StudyReport.read(str(GOLDEN)))
    assert isinstance(figure, Figure)
    assert figure.data


def test_figures_of_settings_and_of_several_reports() -> None:
    report = StudyReport.read(GOLDEN)
    searched = {parameter.name for parameter in report.study.space.parameters}
    assert set(tuner.settings_figures(report)) == searched
    assert tuner.comparison_figure([report, report]).data


def test_a_study_file_may_be_named_as_text() -> None:
    assert tuner.load_study(str(ROOT / "configs/quickstart.yaml")).objective.metric == "throughput"
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        tuner.load_study("nowhere.yaml")


def test_a_run_has_the_options_of_the_command_and_tells_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path, RunOptions]] = []

    def run(path: Path, options: RunOptions, reporter: Reporter) -> StudyReport:
        asked.append((path, options))
        reporter.show(Status(phase="baselines", remaining_s=None))
        reporter.tell(StudyFinished())
        return StudyReport.read(GOLDEN)

    monkeypatch.setattr(run_command, "run_study", run)
    lines: list[str] = []
    report = api.run_study("a.yaml", results="there", minutes=2, fresh=True, wait=True, tell=lines.append)
    assert report.study.name == "results-0.1"
    expected = RunOptions(results=Path("there"), minutes=2, trials=None, is_fresh=True, wait=True)
    assert asked == [(Path("a.yaml"), expected)]
    listener = Listener()
    listener.tell(StudyFinished())
    assert lines == listener.lines
