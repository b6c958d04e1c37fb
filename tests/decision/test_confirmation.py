"""When a confirmation is over: at its looks only, and what each end is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import (
    Fuse,
    Meddler,
    PowerCut,
    Virtual,
    by_streams,
    calm,
    crash,
    make_study,
    parameter,
    space_of,
    streams,
)
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Session, Windows
from tuner.bench.protocol import SessionPlan
from tuner.decision.confirmation import Confirmation, is_decided
from tuner.decision.verdict import decide
from tuner.records.confirmation_plan import ConfirmationLine
from tuner.report.words.verdict import verdict_words
from tuner.statistics.limits import Bound, ConstraintCheck, LimitOutcome
from tuner.statistics.sequential_test import look, looks
from tuner.study.study import Budget, Limit

pytestmark = pytest.mark.slow

GAIN = [0.20, 0.21, 0.19, 0.20, 0.21, 0.19, 0.20, 0.21, 0.19, 0.20, 0.21, 0.19]
NOTHING = [0.001, -0.001] * 6
NOISE = [0.3, -0.2] * 6


def state(
    values: Sequence[float],
    *,
    kept: bool = True,
    max_sessions: int = 12,
    failures: int = 0,
    invalid: int = 0,
    is_feasible: bool = True,
) -> Confirmation:
    """A confirmation after so many sessions, under one limit."""
    due = [n for n in looks(max_sessions) if n <= len(values)]
    check = ConstraintCheck(
        bound=Bound(metric="latency_p90_ms", kind="max", limit=1.0),
        outcome=LimitOutcome.PROVED if kept else LimitOutcome.BROKEN,
        alpha=0.025,
        requests=100,
        measured=2.0,
        confidence_bound=2.0,
    )
    return Confirmation(
        plan=ConfirmationLine(
            attempt=1,
            winner=DeploymentConfig(device="CPU"),
            reference="default",
            max_sessions=max_sessions,
            alpha=0.02,
            pairs=8,
            window_s=0.4,
        ),
        sessions=[()] * len(values),
        failures=[[crash()] * failures],
        invalid=[crash()] * invalid,
        look=look(values[: due[-1]], max_sessions=max_sessions, alpha=0.02, min_gain_log=0.01) if due else None,
        checks=(check,) if due else (),
        is_reference_feasible=is_feasible,
    )


@pytest.mark.parametrize("max_sessions", [4, 6, 9, 12])
@pytest.mark.parametrize("values", [GAIN, NOTHING, NOISE])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("is_feasible", [True, False])
def test_a_confirmation_ends_at_a_look_and_at_the_last_one_at_the_latest(
    max_sessions: int, values: Sequence[float], kept: bool, is_feasible: bool
) -> None:
    decided = [
        n
        for n in range(max_sessions + 1)
        if is_decided(state(values[:n], kept=kept, max_sessions=max_sessions, is_feasible=is_feasible))
    ]
    assert set(decided) <= set(looks(max_sessions))
    assert max_sessions in decided


@pytest.mark.parametrize(
    ("values", "kept", "is_feasible", "first"),
    [
        (GAIN, True, True, 4),
        (GAIN, False, True, 12),
        (NOTHING, True, True, 4),
        (NOISE, True, True, 12),
        (NOISE, True, False, 4),
        (NOISE, False, False, 12),
    ],
)
def test_a_confirmation_ends_as_soon_as_more_sessions_cannot_help(
    values: Sequence[float], kept: bool, is_feasible: bool, first: int
) -> None:
    """A winner that does not keep its limits yet goes on, and where no baseline keeps them only they matter."""
    assert first == next(n for n in looks(12) if is_decided(state(values[:n], kept=kept, is_feasible=is_feasible)))


@pytest.mark.parametrize(("failures", "invalid", "is_over"), [(1, 0, False), (2, 0, True), (0, 2, False), (0, 3, True)])
def test_failures_and_invalid_sessions_end_a_confirmation_between_looks(
    failures: int, invalid: int, is_over: bool
) -> None:
    assert is_decided(state(GAIN[:2], failures=failures, invalid=invalid)) == is_over


@pytest.mark.parametrize(
    ("values", "kept", "is_feasible", "verdict", "reason"),
    [
        (GAIN, True, True, "tuned", ""),
        (GAIN, False, True, "baseline", "constraint"),
        (NOTHING, True, True, "baseline", "futile"),
        (NOISE, True, True, "baseline", "not_significant"),
        (GAIN, True, False, "tuned", "first_feasible"),
        (NOISE, True, False, "tuned", "first_feasible"),
        (GAIN, False, False, "baseline", "constraint"),
    ],
)
def test_every_end_of_a_confirmation_has_its_cause(
    tmp_path: Path,
    values: Sequence[float],
    kept: bool,
    is_feasible: bool,
    verdict: str,
    reason: str,
) -> None:
    found = state(values, kept=kept, is_feasible=is_feasible)
    study = Virtual(folder=tmp_path)
    with pytest.raises(PowerCut):
        study.run(Fuse(study.bench, 2))
    ended = decide(study.state(), found)
    assert ended.cause.reason == reason
    assert ended.cause.reason.is_tuned == (verdict == "tuned")
    assert verdict_words(ended)


def test_a_limit_that_needs_more_sessions_has_them(tmp_path: Path) -> None:
    """The gain is plain after four sessions; the first is slow to answer, and the mean needs more of the others."""
    slow = [True]

    def meddle(plan: SessionPlan, session: Session) -> Session:
        if plan.phase != "confirm" or not slow:
            return session
        slow.clear()
        winner = session.members[1]
        assert isinstance(winner, Windows)
        windows = tuple(replace(w, latency_sum_ms=1.4 * w.latency_sum_ms) for w in winner.windows)
        return replace(session, members=(session.members[0], replace(winner, windows=windows), *session.members[2:]))

    limit = Limit(metric="latency_mean_ms", max=1.3 * 1e3 * 8 / 150)
    study = Virtual(
        folder=tmp_path,
        space=space_of(parameter("NUM_STREAMS", 5), parameter("infer_requests", 8)),
        bench=calm(by_streams(s5=150.0)),
        study=make_study(minutes=30.0, limits=[limit]),
    )
    result = study.run(Meddler(study.bench, meddle))
    assert result.is_tuned
    assert result.confirmation is not None
    assert result.confirmation.interval is not None
    sessions = len(study.sessions("confirm"))
    assert 4 < sessions == result.confirmation.interval.sessions


# The runner-up


def half_as_fast_when_fresh(plan: SessionPlan, session: Session) -> Session:
    """Doubles the latency of five streams in the confirmation alone."""
    if plan.phase != "confirm" or streams(session.configurations[1]) != 5:
        return session
    winner = session.members[1]
    assert isinstance(winner, Windows)
    windows = tuple(replace(w, latency_sum_ms=2.0 * w.latency_sum_ms) for w in winner.windows)
    return replace(session, members=(session.members[0], replace(winner, windows=windows), *session.members[2:]))


def limited(folder: Path, minutes: float = 10.0) -> Virtual:
    """Five streams are faster than three; the limit holds for both, as the search sees it."""
    return Virtual(
        folder=folder,
        space=space_of(parameter("NUM_STREAMS", 3, 5), parameter("infer_requests", 8)),
        bench=calm(by_streams(s3=160.0, s5=180.0)),
        study=make_study(minutes=minutes, limits=[Limit(metric="latency_mean_ms", max=60.0)]),
    )


def test_after_a_winner_that_breaks_its_limit_the_runner_up_is_confirmed(tmp_path: Path) -> None:
    study = limited(tmp_path)
    result = study.run(Meddler(study.bench, half_as_fast_when_fresh))
    first, second = study.log().verdicts()
    assert (first.verdict, first.reason) == ("baseline", "constraint")
    assert (second.verdict, streams(result.config)) == ("tuned", 3)
    shares = [study.log().confirmation(i).alpha for i in (1, 2)]  # type: ignore[union-attr]
    assert shares == [0.02, 0.0025]
    assert study.log().spent_s() <= 600.0 + max(line.session.wall_s for line in study.sessions())
    assert any("the runner-up is" in line for line in study.listener.lines)


def test_a_budget_without_remaining_time_has_no_runner_up(tmp_path: Path) -> None:
    study = limited(tmp_path, minutes=1.0)
    result = study.run(Meddler(study.bench, half_as_fast_when_fresh))
    assert [line.reason for line in study.log().verdicts()] == ["constraint"]
    assert not result.is_tuned


@pytest.mark.parametrize("sessions", [0, 1, 3])
@pytest.mark.parametrize("minutes", [4.0, 10.0])
def test_a_study_killed_in_the_runner_ups_confirmation_goes_on_with_it(
    tmp_path: Path, sessions: int, minutes: float
) -> None:
    """Where four sessions were all there was time for, the rest of them is not taken away."""
    whole = limited(tmp_path / "whole", minutes=minutes)
    study = limited(tmp_path / "cut", minutes=minutes)
    for one in (whole, study):
        one.folder.mkdir()
    expected = whole.run(Meddler(whole.bench, half_as_fast_when_fresh))
    measured = 0

    def cut(plan: SessionPlan, session: Session) -> Session:
        nonlocal measured
        if plan.phase == "confirm" and streams(session.configurations[1]) == 3:
            measured += 1
            if measured > sessions:
                raise PowerCut
        return half_as_fast_when_fresh(plan, session)

    with pytest.raises(PowerCut):
        study.run(Meddler(study.bench, cut))
    assert [line.reason for line in study.log().verdicts()] == ["constraint"]
    finals = len(study.sessions("final"))
    result = study.run(Meddler(study.bench, half_as_fast_when_fresh))
    assert (result.is_tuned, streams(result.config)) == (expected.is_tuned, 3) == (True, 3)
    assert study.log().confirmation(2).looks == whole.log().confirmation(2).looks  # type: ignore[union-attr]
    assert len(study.sessions("final")) == finals, "neither search nor final ran again"


def test_a_budget_of_trials_has_time_for_a_runner_up(tmp_path: Path) -> None:
    study = limited(tmp_path)
    study.study = replace(study.study, budget=Budget(trials=5))
    assert study.run(Meddler(study.bench, half_as_fast_when_fresh)).is_tuned
