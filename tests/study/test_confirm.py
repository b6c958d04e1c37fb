"""When a confirmation is over: at its looks only, and what each end is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.study.virtual import Meddler, Virtual, by_streams, calm, make_study, parameter, space_of
from tuner.bench.protocol import DeploymentConfig, Session, SessionPlan, Windows
from tuner.study.campaign import Ground
from tuner.study.confirm import Confirmation, is_decided, judge_round
from tuner.study.constraint import ConstraintCheck
from tuner.study.decision import SESSIONS, look, looks
from tuner.study.records import ConfirmationLine
from tuner.study.study import Limit

pytestmark = pytest.mark.usefixtures("quick_disk")

GAIN = [0.20, 0.21, 0.19, 0.20, 0.21, 0.19, 0.20, 0.21, 0.19, 0.20, 0.21, 0.19]
NOTHING = [0.001, -0.001] * 6
NOISE = [0.3, -0.2] * 6


def state(
    values: Sequence[float], *, kept: bool = True, k_max: int = 12, failures: int = 0, lost: int = 0
) -> Confirmation:
    """A confirmation after so many sessions, under one limit."""
    due = [n for n in looks(k_max) if n <= len(values)]
    check = ConstraintCheck(
        metric="latency_p90_ms",
        bound="max",
        limit=1.0,
        measured=2.0,
        confidence_bound=2.0,
        requests=100,
        is_kept=kept,
        reason="" if kept else "too slow",
    )
    return Confirmation(
        head=ConfirmationLine(
            round=1,
            winner=DeploymentConfig(device="CPU"),
            reference="default",
            k_max=k_max,
            share=0.02,
            pairs=8,
            window_s=0.4,
        ),
        pairs=(),
        values=values,
        failures=["crash: boom"] * failures,
        lost=["the reference failed"] * lost,
        look=look(values[: due[-1]], k_max=k_max, share=0.02, min_gain_log=0.01) if due else None,
        checks=(check,) if due else (),
    )


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Ground]:
    """With a reference that keeps the limits, and with one that does not."""
    found = {}
    for is_feasible, max_ms in ((True, 1e6), (False, 1e-6)):
        limit = Limit(metric="latency_p90_ms", max=max_ms)
        study = Virtual(folder=tmp_path_factory.mktemp("ground"), study=make_study(limits=[limit]))
        study.run()
        found[is_feasible] = study.ground()
        assert study.ground().standing.is_feasible == is_feasible
    return found


@pytest.mark.parametrize("k_max", SESSIONS)
@pytest.mark.parametrize("values", [GAIN, NOTHING, NOISE])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("is_feasible", [True, False])
def test_a_confirmation_ends_at_a_look_and_at_the_last_one_at_the_latest(
    grounds: dict[bool, Ground], k_max: int, values: Sequence[float], kept: bool, is_feasible: bool
) -> None:
    decided = [
        n for n in range(k_max + 1) if is_decided(state(values[:n], kept=kept, k_max=k_max), grounds[is_feasible])
    ]
    assert set(decided) <= set(looks(k_max))
    assert k_max in decided


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
def test_it_ends_as_soon_as_more_sessions_cannot_help(
    grounds: dict[bool, Ground], values: Sequence[float], kept: bool, is_feasible: bool, first: int
) -> None:
    """A winner that does not keep its limits yet goes on, and where no baseline keeps them only they matter."""
    assert first == next(n for n in looks(12) if is_decided(state(values[:n], kept=kept), grounds[is_feasible]))


@pytest.mark.parametrize(("failures", "lost", "is_over"), [(1, 0, False), (2, 0, True), (0, 2, False), (0, 3, True)])
def test_failures_and_lost_sessions_end_it_between_looks(
    grounds: dict[bool, Ground], failures: int, lost: int, is_over: bool
) -> None:
    assert is_decided(state(GAIN[:2], failures=failures, lost=lost), grounds[True]) == is_over


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
def test_every_end_has_its_word(
    tmp_path: Path,
    grounds: dict[bool, Ground],
    values: Sequence[float],
    kept: bool,
    is_feasible: bool,
    verdict: str,
    reason: str,
) -> None:
    line = judge_round(Virtual(folder=tmp_path).campaign(), grounds[is_feasible], state(values, kept=kept), "")
    assert (line.verdict, line.reason) == (verdict, reason)


def test_a_limit_that_takes_more_sessions_gets_them(tmp_path: Path) -> None:
    """The gain is plain after four sessions; the first is slow to answer, and the mean needs more of the others."""
    slow = [True]

    def meddle(plan: SessionPlan, session: Session) -> Session:
        if plan.phase != "confirm" or not slow:
            return session
        slow.clear()
        winner = session.members[1]
        assert isinstance(winner, Windows)
        windows = tuple(replace(w, latency_sum_ms=1.4 * w.latency_sum_ms) for w in winner.windows)
        return replace(session, members=(session.members[0], replace(winner, windows=windows)))

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
    assert SESSIONS[0] < sessions == result.confirmation.interval.sessions
