"""Studies in virtual time under limits: the reference, the winner, and the verdict without a winner."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import (
    SMALL,
    Meddler,
    Virtual,
    by_streams,
    calm,
    configs_of,
    make_study,
    parameter,
    space_of,
    streams,
)
from tuner.bench.configuration import DeploymentConfig, Failure
from tuner.bench.measurement import Session, Windows
from tuner.bench.metrics import METRICS
from tuner.bench.protocol import SessionPlan
from tuner.bench.simulated.synthetic import hill
from tuner.study.study import Limit

pytestmark = pytest.mark.slow


def test_under_a_limit_the_strongest_baseline_that_keeps_it_is_the_reference(tmp_path: Path) -> None:
    """The THROUGHPUT hint is the fastest, but its four requests take 6.8 ms each."""
    limit = Limit(metric="latency_p90_ms", max=5.0)
    study = Virtual(folder=tmp_path, bench=calm(), study=make_study(limits=[limit]))
    study.run()
    ranking = study.reference().ranking
    assert ranking.is_feasible
    assert ranking.reference in ("default", "LATENCY")
    assert max(ranking.values, key=ranking.values.__getitem__) == "THROUGHPUT"


def test_the_winner_keeps_an_absolute_limit_on_fresh_data(tmp_path: Path) -> None:
    limit = Limit(metric="latency_p90_ms", max=24.8)
    study = Virtual(folder=tmp_path, space=SMALL, bench=calm(), study=make_study(limits=[limit], minutes=4.0))
    result = study.run()
    assert result.is_tuned
    assert result.confirmation is not None
    (check,) = result.confirmation.checks
    assert check.is_kept
    assert check.measured is not None
    assert check.measured <= 24.8
    assert max(hill(c) for c in configs_of(SMALL)) > hill(result.config), "the fastest of all breaks the limit"


def test_a_ratio_is_to_the_best_baseline(tmp_path: Path) -> None:
    """Eight streams are 20 % slower a request than four of the hint would allow at 110 %."""
    limit = Limit(metric="latency_mean_ms", max_ratio=2.0)
    study = Virtual(folder=tmp_path, space=SMALL, bench=calm(), study=make_study(limits=[limit], minutes=4.0))
    result = study.run()
    best_ms = 1e3 / hill(study.setup.baselines["LATENCY"])
    for line in study.sessions("confirm"):
        winner = line.session.members[1]
        assert isinstance(winner, Windows)
        assert METRICS["latency_mean_ms"].read(winner.windows) <= 2.0 * best_ms * 1.02
    assert result.is_reference_feasible
    assert result.reference in ("default", "LATENCY")


def test_throughput_may_be_limited_under_a_latency_objective(tmp_path: Path) -> None:
    """Half the threads are 10 % quicker here and have 40 % less throughput: not allowed."""

    def surface(config: DeploymentConfig) -> float:
        return {2: 120.0, 4: 95.0}.get(int(config.properties.get("INFERENCE_NUM_THREADS", 0)), 100.0)

    space = space_of(parameter("INFERENCE_NUM_THREADS", 2, 4))
    kept = Limit(metric="throughput", min_ratio=0.9)
    broken = Limit(metric="throughput", min_ratio=1.5)
    for limit, is_tuned in ((kept, True), (broken, False)):
        folder = tmp_path / f"{limit.min_ratio}"
        folder.mkdir()
        plan = make_study(metric="latency_mean_ms", limits=[limit])
        result = Virtual(folder=folder, space=space, bench=calm(surface), study=plan).run()
        assert result.is_tuned == is_tuned


def test_the_first_configuration_that_keeps_the_limit_claims_no_gain(tmp_path: Path) -> None:
    limit = Limit(metric="latency_mean_ms", max=8.0)
    study = Virtual(
        folder=tmp_path,
        space=space_of(parameter("NUM_STREAMS", 2, 3, 5)),
        bench=calm(by_streams(s2=150.0, s3=400.0, s5=700.0)),
        study=make_study(limits=[limit]),
    )
    result = study.run()
    assert (result.line.verdict, result.line.reason) == ("tuned", "first_feasible")
    assert result.is_answer
    assert not result.is_reference_feasible
    assert streams(result.config) in (3, 5)
    assert any("no baseline keeps the limits" in line for line in study.listener.lines)


def shifted(member: Windows | Failure, buckets: int) -> Windows:
    """With every latency so many buckets of half a per cent larger."""
    assert isinstance(member, Windows)
    windows = tuple(
        replace(w, latency_counts={b + buckets: n for b, n in w.latency_counts.items()}) for w in member.windows
    )
    return replace(member, windows=windows)


@pytest.mark.parametrize(("max_ms", "buckets", "is_feasible"), [(25.0, 300, False), (9.0, -300, True)])
def test_the_confirmations_data_decide_if_the_reference_keeps_the_limit(
    tmp_path: Path, max_ms: float, buckets: int, is_feasible: bool
) -> None:
    """What the baselines' few windows said of it is not the last word."""

    def meddle(plan: SessionPlan, session: Session) -> Session:
        if plan.phase != "confirm":
            return session
        return replace(session, members=(shifted(session.members[0], buckets), *session.members[1:]))

    study = Virtual(
        folder=tmp_path,
        space=space_of(parameter("NUM_STREAMS", 2, 5)),
        bench=calm(by_streams(s2=150.0, s5=700.0)),
        study=make_study(limits=[Limit(metric="latency_p90_ms", max=max_ms)]),
    )
    result = study.run(Meddler(study.bench, meddle))
    assert study.reference().ranking.is_feasible != is_feasible
    assert result.is_tuned
    assert result.is_reference_feasible == is_feasible
    assert result.line.reason == ("" if is_feasible else "first_feasible")


def test_a_study_without_a_feasible_configuration_has_no_answer(tmp_path: Path) -> None:
    limit = Limit(metric="latency_mean_ms", max=1e-3)
    study = Virtual(folder=tmp_path, bench=calm(), study=make_study(limits=[limit]))
    result = study.run()
    assert (result.line.verdict, result.line.reason) == ("baseline", "constraint")
    assert not result.is_answer
    assert not study.sessions("confirm"), "what breaks a limit by far is not confirmed"


def test_a_winner_that_breaks_its_limit_on_fresh_data_is_rejected_with_the_reason(tmp_path: Path) -> None:
    limit = Limit(metric="latency_p90_ms", max=25.0)

    def meddle(plan: SessionPlan, session: Session) -> Session:
        if plan.phase != "confirm":
            return session
        return replace(session, members=(session.members[0], shifted(session.members[1], 200), *session.members[2:]))

    study = Virtual(folder=tmp_path, bench=calm(), study=make_study(limits=[limit]))
    result = study.run(Meddler(study.bench, meddle))
    assert (result.line.verdict, result.line.reason) == ("baseline", "constraint")
    assert "latency_p90_ms" in result.line.detail
    assert result.is_answer
