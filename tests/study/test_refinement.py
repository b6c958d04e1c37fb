"""The final refinement: which candidates may still be the best after the final, and when nothing is left to tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.virtual import (
    Fuse,
    Meddler,
    PhaseFuse,
    PowerCut,
    Virtual,
    by_streams,
    disturbances,
    make_study,
    parameter,
    space_of,
)
from tuner.bench.configuration import DeploymentConfig, Failure, FailureKind
from tuner.bench.measurement import Session
from tuner.bench.protocol import SessionPlan
from tuner.bench.simulated.synthetic import SyntheticBench
from tuner.evidence.candidates import Candidate, Comparison
from tuner.statistics.knowledge_gradient import knowledge_gradient
from tuner.study.study import Limit

pytestmark = pytest.mark.slow

NEAR = by_streams(s2=150.0, s3=151.0, s6=153.0, s5=120.0)
"""Half as much again as the baselines, by candidates within 2 % of each other, and one that is far behind them."""


def candidate(value: float, sd: float = 0.01) -> Candidate:
    comparison = Comparison(value=value, sd=sd, violations={}, window_s=0.4, requests_per_window=100.0)
    name = f"{value}/{sd}"
    return Candidate(
        key=name, config=DeploymentConfig(device=name), trial=None, assignment=None, comparisons=[comparison]
    )


def gradient_of(candidates: Sequence[Candidate]) -> tuple[list[Candidate], float]:
    """The candidates that may be the best, and what one more session of them is worth."""
    values, sds, last_sds = zip(*((c.value, c.sd, c.comparisons[-1].sd) for c in candidates), strict=True)
    found = knowledge_gradient(np.array(values), np.array(sds), np.array(last_sds), seed=0, most=6)
    return [candidates[i] for i in found.contenders], found.worth


def near(folder: Path, *, minutes: float = 10.0) -> Virtual:
    space = space_of(parameter("NUM_STREAMS", 2, 3, 5, 6))
    bench = SyntheticBench(surface=NEAR, effects=disturbances(3, noise=0.02, compiling=0.005))
    return Virtual(folder=folder, space=space, bench=bench, study=make_study(minutes=minutes))


def test_the_worth_of_two_equal_candidates_is_the_mean_of_the_larger_of_two_normals() -> None:
    """A second session like the first moves each mean by 1 / sqrt(2) of its sd; E[max] of two standard normals is
    1 / sqrt(pi)."""
    contenders, worth = gradient_of([candidate(0.3, 0.01), candidate(0.3, 0.01)])
    assert worth == pytest.approx(0.01 / math.sqrt(2 * math.pi), rel=0.05)
    assert len(contenders) == 2


def test_well_known_candidates_are_worth_no_session() -> None:
    known = candidate(0.3, 0.01)
    known.comparisons.extend(known.comparisons * 24)
    assert gradient_of([known, known])[1] < 0.0003


def test_a_leader_that_is_clearly_ahead_has_no_contenders_beside_it() -> None:
    leader, second = candidate(0.3), candidate(0.2)
    contenders, worth = gradient_of([leader, second])
    assert contenders == [leader]
    assert worth < 0.0003


def test_the_contenders_are_the_leader_and_the_likeliest_of_the_others() -> None:
    known = [candidate(0.30 - 0.001 * n) for n in range(10)]
    contenders, _ = gradient_of(known)
    assert len(contenders) == 6
    assert contenders[0] is known[0]
    assert known[9] not in contenders


def test_a_little_known_candidate_is_a_contender() -> None:
    unsure = candidate(0.28, 0.04)
    assert unsure in gradient_of([candidate(0.3, 0.005), unsure])[0]


def test_no_candidate_to_compare_is_an_error() -> None:
    with pytest.raises(ValueError, match="no candidate"):
        knowledge_gradient(np.array([]), np.array([]), np.array([]), seed=0, most=6)


def test_near_candidates_are_compared_in_fresh_processes_until_the_best_is_known(tmp_path: Path) -> None:
    study = near(tmp_path)
    result = study.run()
    assert result.config.properties["NUM_STREAMS"] == 6
    _, _, *later = study.sessions("final")
    assert later
    processes = [line.session.process for line in study.sessions("final", "confirm")]
    assert len(set(processes[2:])) == len(processes[2:])
    asked = {config.properties["NUM_STREAMS"] for line in later for config in line.session.configurations[1:]}
    assert 5 not in asked
    assert sum(line.session.wall_s for line in study.sessions()) < 600.0


def test_a_candidate_that_breaks_a_limit_is_not_refined(tmp_path: Path) -> None:
    """64 requests in flight are a fifth faster and wait four times as long as allowed."""
    study = near(tmp_path)
    study.space = space_of(parameter("NUM_STREAMS", 2, 3, 6), parameter("infer_requests", 8, 64))
    study.bench.surface = lambda config: NEAR(config) * (1.2 if config.infer_requests == 64 else 1.0)
    limit = Limit(metric="latency_mean_ms", max=80.0)
    study.study = make_study(minutes=10.0, limits=[limit])
    result = study.run()
    assert result.is_tuned
    _, *later = study.sessions("final")
    assert {config.infer_requests for line in later for config in line.session.configurations[1:]} <= {8}
    assert result.config.infer_requests == 8


def slow_down(place: int) -> Callable[[SessionPlan, Session], Session]:
    """The member at this place of the configurations is too slow in the first session of the refinement."""
    seen: list[Session] = []

    def change(plan: SessionPlan, session: Session) -> Session:
        if plan.phase == "final":
            seen.append(session)
        if len(seen) != 3 or plan.phase != "final":
            return session
        members = list(session.members)
        members[place] = Failure(kind=FailureKind.TIMEOUT, message="too slow")
        return replace(session, members=tuple(members))

    return change


def test_a_leader_that_timed_out_once_stays_a_finalist(tmp_path: Path) -> None:
    study = near(tmp_path)
    assert study.run(Meddler(study.bench, slow_down(1))).is_tuned
    third = study.sessions("final")[2]
    leader = third.session.configurations[1]
    later = study.sessions("final", "confirm")[3:]
    assert any(leader in line.session.configurations for line in later)


def test_the_refinement_ends_after_an_invalid_session(tmp_path: Path) -> None:
    study = near(tmp_path)
    assert study.run(Meddler(study.bench, slow_down(0))).is_tuned
    assert len(study.sessions("final")) == 3


def test_a_refinement_leaves_the_confirmation_its_time(tmp_path: Path) -> None:
    study = near(tmp_path, minutes=2.0)
    study.run()
    assert study.sessions("final")
    assert study.log().spent_s() <= 120.0 + max(line.session.wall_s for line in study.sessions())


def test_a_gain_that_is_not_clear_reserves_the_time_for_the_confirmation(tmp_path: Path) -> None:
    study = near(tmp_path)
    study.bench = SyntheticBench(surface=by_streams(s2=101.0, s3=101.5), effects=disturbances())
    study.run()
    confirmed_s = sum(line.session.wall_s for line in study.sessions("confirm"))
    plan = study.log().confirmation(1)
    assert plan is not None
    assert plan.looks[-1] * confirmed_s / len(study.sessions("confirm")) >= 0.8 * study.plan().confirm_s


@pytest.mark.parametrize("calls", [3, 4])
def test_an_interrupted_refinement_goes_on(tmp_path: Path, calls: int) -> None:
    study = near(tmp_path)
    with pytest.raises(PowerCut):
        study.run(PhaseFuse(study.bench, "final", calls))
    assert len(study.sessions("final")) == calls - 1
    result = study.run()
    assert result.is_tuned
    sessions = study.sessions("final")
    assert [line.index_in_phase for line in sessions] == list(range(len(sessions)))
    assert len(sessions) >= calls
    assert study.run(Fuse(study.bench, 1)) == result
