"""The screen of a run: it fits every terminal, shows what is known, and lets no name control the terminal."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.report.live.shown import HARMLESS, HOST, HOSTILE, rendered, run_through
from tests.virtual import LARGE, Virtual, make_study
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import HostActivity
from tuner.evidence.candidates import Candidate
from tuner.model.spec import ModelSpec
from tuner.phases.host_events import HostPaused, HostReading, HostResumed, PauseCause, PauseGoesOn
from tuner.phases.progress import DeploymentNote, Measuring, Status, StudyBegins
from tuner.records.locks import WaitingForHolder
from tuner.report.live.screen import Size, cut, gain_words, screen
from tuner.report.live.view import HostQuality, Leader, View, host_quality
from tuner.report.words.text import printable
from tuner.study.study import Limit

WIDE = Size(width=120, height=40)


def config(streams: int | str, batch: int = 1) -> DeploymentConfig:
    return DeploymentConfig(device="CPU", properties={"NUM_STREAMS": streams}, batch_size=batch)


def leader(streams: int | str, gain: float, sd: float = 0.02, *, is_feasible: bool = True) -> Leader:
    candidate = Candidate(key=str(streams), config=config(streams), trial=1, assignment=None)
    return Leader(candidate=candidate, gain=math.log(gain), sd=sd, is_feasible=is_feasible)


def full_view(folder: Path, name: str = "virtual") -> View:
    """A view in which everything is known."""
    study = make_study(limits=[Limit(metric="latency_p99_ms", max=20.0)])
    study = replace(study, name=name, model=ModelSpec(path=f"models/{name}.onnx", folder=Path()))
    view = View()
    view.tell(StudyBegins(state=Virtual(folder=folder, study=study).state(), host=HOST))
    for i in range(12):
        view.tell(DeploymentNote(text=f"event {i} of {name}"))
    view.tell(DeploymentNote(text=f"warning: {name} " + "something that a user should read to its end " * 4))
    measuring = Measuring(configurations=(config(name),))
    view.show(Status(phase="search", remaining_s=61.0, total_s=120.0, measuring=measuring, reference=name, noise=0.034))
    view.tried, view.failed, view.quality = 12, 1, HostQuality.NOISY
    view.leaders = [
        leader(name, 1.351),
        leader(4, 3.2, 0.03),
        leader(2, 1.1, is_feasible=False),
        leader(1, 0.8),
        leader(16, 0.7),
    ]
    return view


def test_the_screen_shows_everything_that_is_known(tmp_path: Path) -> None:
    text = "\n".join(line.rstrip() for line in rendered(screen(full_view(tmp_path), WIDE), 120))
    for words in (
        "model  virtual: models/virtual.onnx",
        "host   Made-up 9000, 8 CPUs, a quota of 2.5, OpenVINO 2026.4.1",
        "wanted maximize throughput within latency_p99_ms <= 20 on CPU, 2 min",
        "✓ preflight  ✓ baselines  ▸ search  · final  · confirm",
        "1:01 left",
        "virtual streams",
        "best so far, not confirmed",
        "gain in throughput over virtual",
        " 2  4 streams",
        "3.20 +- 0.10 times",
        "+35.1 % +- 2.0 %",
        "beyond a limit +10.0 % +- 2.0 %",
        "12 tried, 1 failed, 0 repeats",
        "host ██░░ noisy, noise 3 %",
        "event 11 of virtual",
        "warning: virtual something",
    ):
        assert words in text, words


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [1, 5, 20, 80, 300])
@pytest.mark.parametrize("height", [2, 12, 24, 50])
def test_the_screen_fits_every_terminal(tmp_path: Path, width: int, height: int, encoding: str) -> None:
    """One column and one line are left free: no terminal then wraps or scrolls."""
    size = Size(width=width, height=height, is_ascii=encoding == "ascii")
    for view in (View(), full_view(tmp_path), full_view(tmp_path, "long name " * 30)):
        lines = rendered(screen(view, size), width, encoding=encoding)
        assert len(lines) < max(height, 2)
        assert max(cell_len(line.rstrip()) for line in lines) <= max(1, width - 1)


def test_before_the_model_has_run_only_that_is_known() -> None:
    lines = rendered(screen(View(), WIDE), 120)
    assert [line.strip() for line in lines if line.strip(" ━")] == [
        "tuner  looks at the model and its device",
        "▸ preflight",
        "one inference on the device",
    ]


def test_a_command_without_a_search_has_two_phases() -> None:
    view = View()
    view.show(Status(phase="measure", remaining_s=20.0, total_s=40.0, measuring=Measuring(session=2, max_sessions=4)))
    assert "✓ preflight  ▸ measure" in "\n".join(rendered(screen(view, WIDE), 120))
    view.show(Status(phase="writing", remaining_s=None))
    assert "✓ confirm" in "\n".join(rendered(screen(view, WIDE), 120))


def test_a_low_terminal_keeps_the_bar_and_drops_the_header(tmp_path: Path) -> None:
    lines = rendered(screen(full_view(tmp_path), Size(width=80, height=8)), 80)
    assert "1:01 left" in "".join(lines)
    assert "Made-up" not in "".join(lines)


def test_no_name_controls_the_terminal(tmp_path: Path) -> None:
    view = full_view(tmp_path, HOSTILE)
    view.tell(DeploymentNote(text=HOSTILE))
    lines = rendered(screen(view, Size(width=400, height=60)), 400)
    assert all(line.isprintable() for line in lines)
    assert sum(line.count(HARMLESS[:20]) for line in lines) >= 8
    view.tell(WaitingForHolder(holder=HOSTILE))
    assert all(line.isprintable() for line in rendered(screen(view, WIDE), 120))


def test_what_is_waited_for_stands_where_the_measuring_stands(tmp_path: Path) -> None:
    view = full_view(tmp_path)
    pause = HostPaused(cause=PauseCause.OTHER, load=HostActivity(other_cpu_pct=60.0), limit_s=30.0)
    view.tell(pause)
    view.tell(PauseGoesOn(waited_s=3.2, limit_s=30.0))
    paused = "\n".join(rendered(screen(view, WIDE), 120))
    assert "paused: other processes use 60 % of the CPUs" in paused
    assert "(3 of 30 s)" in paused
    assert paused.count("paused: ") == 1
    view.tell(HostResumed(cause=PauseCause.OTHER, waited_s=5.0, is_calm=True))
    assert "(3 of 30 s)" not in "\n".join(rendered(screen(view, WIDE), 120))
    view.tell(WaitingForHolder(holder="process 12, results/a"))
    assert "waiting for process 12, results/a" in rendered(screen(view, WIDE), 120)[6]
    view.show(replace(view.status, remaining_s=60.0))
    assert not view.waiting


@pytest.mark.parametrize(
    ("status", "share"),
    [
        (Status(phase="search", remaining_s=30.0, total_s=120.0), 0.75),
        (Status(phase="search", remaining_s=-5.0, total_s=120.0), 1.0),
        (Status(phase="search", remaining_s=None, trials=3), None),
        (Status(phase="confirm", remaining_s=None, measuring=Measuring(session=3, max_sessions=8)), 0.25),
        (Status(phase="baselines", remaining_s=None), None),
    ],
)
def test_the_bar_shows_the_share_that_is_done(status: Status, share: float | None) -> None:
    view = View()
    view.show(status)
    assert view.share == share


def test_without_minutes_the_bar_counts_trials(tmp_path: Path) -> None:
    view = View()
    study = make_study(minutes=None, trials=12)
    view.tell(StudyBegins(state=Virtual(folder=tmp_path, study=study).state(), host=HOST))
    view.show(Status(phase="search", remaining_s=None, trials=3))
    assert view.share == 0.25


@pytest.mark.parametrize(
    ("disturbed", "other_pct", "steal_pct", "quality"),
    [
        (0, 1.0, 0.0, HostQuality.CALM),
        (5, 1.0, 0.0, HostQuality.FAIR),
        (0, 9.0, 0.0, HostQuality.FAIR),
        (30, 1.0, 0.0, HostQuality.NOISY),
        (0, 1.0, 3.0, HostQuality.NOISY),
        (60, 1.0, 0.0, HostQuality.BAD),
        (0, 50.0, 0.0, HostQuality.BAD),
    ],
)
def test_the_quality_of_the_host_is_a_word(
    disturbed: int, other_pct: float, steal_pct: float, quality: HostQuality
) -> None:
    load = HostActivity(other_cpu_pct=other_pct, steal_pct=steal_pct)
    assert host_quality(HostReading(windows=100, disturbed=disturbed, load=load)) is quality


@given(st.text(), st.integers(min_value=0, max_value=60))
def test_a_text_that_is_cut_fits_and_says_so(text: str, columns: int) -> None:
    short = cut(text, columns)
    assert not [c for c in short if unicodedata.category(c)[0] == "C"]
    assert cell_len(short) <= columns
    assert short == printable(text) or short.endswith("."[:columns])


def test_a_gain_is_in_per_cent_below_a_doubling_and_a_factor_from_there() -> None:
    assert gain_words(math.log(1.258), 0.031) == "+25.8 % +- 3.1 %"
    assert gain_words(math.log(0.8), 0.031) == "-20.0 % +- 3.1 %"
    assert gain_words(math.log(7.1), 0.02) == "7.10 +- 0.14 times"


@pytest.mark.slow
def test_the_screen_of_a_whole_study_ends_with_its_leaders_and_counts(tmp_path: Path) -> None:
    class Watched(View):
        def show(self, status: Status) -> None:
            View.show(self, status)
            shown.append("\n".join(rendered(screen(self, WIDE), 120)))
            shares.append(round(self.share or 0.0, 6))

    shown: list[str] = []
    shares: list[float] = []
    view = Watched()
    virtual = run_through(view, tmp_path, space=LARGE)
    best = max(virtual.state().candidates.values(), key=lambda c: (c.is_measured, c.rank if c.is_measured else 0.0))
    assert view.leaders[0].candidate.key == best.key
    assert len(view.leaders) == 5
    assert view.tried == sum(c.is_measured for c in virtual.state().candidates.values())
    assert view.quality is HostQuality.CALM
    assert "▸ preflight" in shown[0]
    assert "▸ confirm" in shown[-1]
    assert shares == sorted(shares)
    assert len(set(shares)) > 100, "the bar moves with every window"
