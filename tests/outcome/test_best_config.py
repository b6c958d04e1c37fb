"""best.yaml of whole studies in virtual time: complete, and every figure the one that the record supports."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from tests.virtual import (
    ARRIVING,
    Fuse,
    Meddler,
    PowerCut,
    Virtual,
    by_streams,
    calm,
    crash,
    make_study,
    numbers_of,
    parameter,
    slowed,
    space_of,
)
from tuner import __version__
from tuner.bench.configuration import DeploymentConfig, Effective
from tuner.bench.measurement import Session, Windows
from tuner.bench.metrics import METRICS, Requirement
from tuner.bench.protocol import SessionPlan
from tuner.bench.simulated.synthetic import effective_of
from tuner.decision.result import Result
from tuner.deploy.best import Best, BestInput, BestModel
from tuner.deploy.best_file import format_best, load_best, parse_best, write_best
from tuner.evidence.pooled_metrics import pool
from tuner.model.host import HostFacts
from tuner.outcome.best_config import Deployed, make_best
from tuner.outcome.metrics_table import final_metrics
from tuner.statistics.sequential_test import alpha_per_look, gain_pct, interval, winner_alpha
from tuner.statistics.session_effect import session_value
from tuner.study.study import BaselineSpec, Limit

USUAL = {name for name, row in METRICS.items() if Requirement.COLD_START not in row.requires and name not in ARRIVING}
"""What every window tells, without starts."""
pytestmark = pytest.mark.slow

HOST = HostFacts(
    cpu_model="Made-up",
    cpus_allowed=8,
    cpu_quota=None,
    openvino="2026.4.1",
    system="Linux",
    kernel="6.1",
    machine="x86_64",
)
MODEL = BestModel(path="builtin:mlp", sha256="0" * 64)
INPUTS = {"x": BestInput(shape=(1, 64), batch_axis=0)}


def best_of(study: Virtual, result: Result, *, precision: str = "f32") -> Best:
    """As `run.py` does it, and through the file."""
    effective = study.bench.resolve(result.config)
    assert isinstance(effective, Effective)
    best = make_best(
        study.state(),
        result,
        Deployed(inputs=INPUTS, model=MODEL, precision=precision, environment=asdict(HOST)),
        effective,
    )
    write_best(study.folder / "best.yaml", best)
    read = load_best(study.folder / "best.yaml")
    assert read == best
    return read


def pairs_of(study: Virtual, *, round: int = 1) -> list[tuple[Windows, Windows]]:
    """(winner, reference) of every confirmation session on disk."""
    pairs = []
    for line in study.log().sessions("confirm", attempt=round):
        reference, winner = line.session.members[:2]
        assert isinstance(reference, Windows)
        assert isinstance(winner, Windows)
        pairs.append((winner, reference))
    return pairs


def alpha_of_winner(result: Result, alpha: float) -> float:
    found = result.confirmation
    assert found is not None
    proved = found.baselines is not None and found.baselines.is_proved
    return winner_alpha(alpha, claims_baseline=found.plan.claims_baseline, is_baseline_proved=proved)


def throughput(members: Sequence[Windows]) -> float:
    return METRICS["throughput"].read(pool(members).windows)


def test_a_tuned_study_emits_the_winner_with_the_gain_that_its_fresh_sessions_show(tmp_path: Path) -> None:
    own = {"today": BaselineSpec(properties={"INFERENCE_NUM_THREADS": 7})}
    study = Virtual(folder=tmp_path, study=make_study(minutes=6.0, baselines=own, seed=5))
    result = study.run()
    best = best_of(study, result)
    pairs, head = pairs_of(study), study.log().confirmation(1)
    assert head is not None
    values = [v for w, r in pairs if (v := session_value(METRICS["throughput"], w, r)) is not None]
    alpha = alpha_per_look(head.looks[-1], alpha_of_winner(result, head.alpha))
    expected = interval(values, alpha, sd_floor=head.sd_floor)

    assert (best.study, best.verdict, best.reason, best.device) == ("virtual", "tuned", None, "CPU")
    assert best.properties == {**head.members[0].properties, "INFERENCE_PRECISION_HINT": "f32"}
    assert (best.batch_size, best.infer_requests, best.api) == (1, head.members[0].infer_requests, "async")
    assert best.effective == pairs[0][0].effective.properties
    assert best.gain is not None
    assert best.gain.estimate_pct == round(gain_pct(expected.estimate), 2)
    assert best.gain.low_pct == round(gain_pct(expected.low), 2) > 0
    assert best.gain.high_pct == round(gain_pct(expected.high), 2)
    assert best.gain.confidence == round(1 - 2 * alpha, 4)
    assert best.gain.sessions == len(pairs)
    assert best.gain.pairs == sum(len(winner.windows) for winner, _ in pairs)
    assert best.objective.metric == "throughput"
    assert best.objective.unit == "samples/s"
    assert best.objective.value == pytest.approx(throughput([w for w, _ in pairs]), rel=1e-5)
    assert best.baseline.name == result.reference
    assert best.baseline.value == pytest.approx(throughput([r for _, r in pairs]), rel=1e-5)
    assert best.baseline.properties == study.setup.baselines[result.reference].properties
    assert set(best.baselines) == {"default", "LATENCY", "THROUGHPUT", "today"}
    assert best.baselines[best.baseline.name] == best.baseline.value == max(best.baselines.values())
    assert best.constraints == ()
    assert best.environment == asdict(HOST)
    assert best.provenance == {
        "tuner": __version__,
        "study_sha256": sha256(study.study.text.encode()).hexdigest(),
        "seed": 5,
        "trials": len(set(numbers_of(study.sessions("race", "search")))),
        "duplicates": 0,
        "created": datetime.fromtimestamp(study.clock(), UTC).isoformat(timespec="seconds"),
    }


def test_baselines_stand_beside_the_reference_at_its_confirmed_level(tmp_path: Path) -> None:
    """They were last measured in the final, perhaps on a slower host: their ratio counts, not their number there."""

    def meddle(plan: SessionPlan, session: Session) -> Session:
        """The host is half as fast until the confirmation."""
        if plan.phase == "confirm":
            return session
        members = tuple(
            replace(m, windows=tuple(replace(w, duration_s=2 * w.duration_s) for w in m.windows))
            for m in session.members
            if isinstance(m, Windows)
        )
        return replace(session, members=members)

    study = Virtual(folder=tmp_path, bench=calm(), study=make_study(minutes=6.0))
    result = study.run(Meddler(study.bench, meddle))
    metrics = final_metrics(study.state(), result)
    baselines = metrics.named(result.reference)
    assert set(baselines) == {"default", "LATENCY", "THROUGHPUT"}
    for name, one in baselines.items():
        true = study.bench.surface(study.setup.baselines[name])
        assert one.values["throughput"] == pytest.approx(true, rel=0.03)
    assert metrics.winner is not None
    assert metrics.winner.values["throughput"] == pytest.approx(study.bench.surface(result.config), rel=0.03)
    for one in (metrics.winner, *baselines.values()):
        assert set(one.values) == USUAL
        assert one.requests > 0


def test_percentiles_of_a_baseline_stay_in_order_though_the_references_tail_was_another_beside_it(
    tmp_path: Path,
) -> None:
    def with_tail(counts: Mapping[int, int]) -> dict[int, int]:
        """A fifth of the requests take four times as long."""
        bucket, n = max(counts.items(), key=lambda item: item[1])
        return {**counts, bucket: n - n // 5, bucket + 278: n // 5}

    def meddle(plan: SessionPlan, session: Session) -> Session:
        if plan.phase == "confirm":
            return session
        members = tuple(
            replace(m, windows=tuple(replace(w, latency_counts=with_tail(w.latency_counts)) for w in m.windows))
            if isinstance(m, Windows) and config.properties.get("PERFORMANCE_HINT") == "THROUGHPUT"
            else m
            for config, m in zip(session.configurations, session.members, strict=True)
        )
        return replace(session, members=members)

    study = Virtual(folder=tmp_path, bench=calm())
    result = study.run(Meddler(study.bench, meddle))
    assert result.reference == "THROUGHPUT"
    values = final_metrics(study.state(), result).baselines["LATENCY"].values
    percentiles = [values[f"latency_{name}_ms"] for name in ("p50", "p90", "p95", "p99")]
    assert percentiles == sorted(percentiles)


def test_a_baseline_that_failed_is_not_listed(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    study.bench.failure_of = lambda c: crash() if c.properties.get("PERFORMANCE_HINT") == "THROUGHPUT" else None
    best = best_of(study, study.run())
    assert set(best.baselines) == {"default", "LATENCY"}


def test_a_study_without_a_gain_emits_what_runs_today_and_says_why(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, bench=calm(by_streams(s1=90.0, s4=80.0, s8=70.0)))
    result = study.run()
    best = best_of(study, result)
    assert (best.verdict, best.gain) == ("baseline", None)
    assert best.reason == "futile: none of 6 candidates tried was better than the reference"
    assert best.answer == "nothing"
    kept = study.setup.baselines["default"]
    assert best.properties == {**kept.properties, "INFERENCE_PRECISION_HINT": "f32"}
    assert best.today is not None
    assert best.objective.value == best.today.value == best.baselines["default"]


def test_a_candidate_that_was_not_confirmed_is_shown_but_not_deployed(tmp_path: Path) -> None:
    def meddle(plan: SessionPlan, session: Session) -> Session:
        return slowed(session, "NUM_STREAMS", 0.5) if plan.phase == "confirm" else session

    study = Virtual(folder=tmp_path)
    result = study.run(Meddler(study.bench, meddle))
    best = best_of(study, result)
    assert (best.verdict, best.gain) == ("baseline", None)
    assert "NUM_STREAMS" not in best.properties
    metrics = final_metrics(study.state(), result)
    assert metrics.winner is not None
    assert metrics.winner.values["throughput"] < metrics.reference.values["throughput"]
    assert set(best.baselines) == {"default", "LATENCY", "THROUGHPUT"}


def test_limits_are_written_with_what_the_confirmation_measured(tmp_path: Path) -> None:
    limits = [Limit(metric="latency_p90_ms", max=30.0), Limit(metric="throughput", min_ratio=0.5, min=10.0)]
    study = Virtual(folder=tmp_path, bench=calm(), study=make_study(minutes=6.0, limits=limits))
    result = study.run()
    best = best_of(study, result)
    assert result.is_tuned
    winners = [w for w, _ in pairs_of(study)]
    p90, least, ratio = best.constraints
    assert (p90.metric, p90.max, least.min, ratio.min_ratio) == ("latency_p90_ms", 30.0, 10.0, 0.5)
    assert p90.measured == pytest.approx(METRICS["latency_p90_ms"].read(pool(winners).windows), rel=1e-5)
    assert p90.requests == sum(sum(w.latency_counts.values()) for member in winners for w in member.windows)
    assert least.measured == pytest.approx(best.objective.value, rel=0.02)
    assert best.gain is not None
    assert ratio.measured == pytest.approx(1 + best.gain.estimate_pct / 100, rel=0.02)


def test_limits_of_a_baseline_are_written_with_its_own_level(tmp_path: Path) -> None:
    limits = [Limit(metric="latency_mean_ms", max=5.0, max_ratio=3.0)]
    bench = calm(by_streams(s1=90.0, s4=80.0, s8=70.0))
    bench.surface = lambda config: 300.0 if not config.properties else by_streams(s1=90.0, s4=80.0, s8=70.0)(config)
    study = Virtual(folder=tmp_path, bench=bench, study=make_study(limits=limits))
    result = study.run()
    best = best_of(study, result)
    assert not result.is_tuned
    absolute, ratio = best.constraints
    assert absolute.measured == pytest.approx(1e3 / 300.0, rel=0.02)
    assert ratio.max_ratio == 3.0
    assert ratio.measured == pytest.approx(1.0, abs=0.02)


def test_the_first_configuration_that_keeps_the_limits_claims_no_gain(tmp_path: Path) -> None:
    study = Virtual(
        folder=tmp_path,
        space=space_of(parameter("NUM_STREAMS", 2, 3, 5)),
        bench=calm(by_streams(s2=150.0, s3=400.0, s5=700.0)),
        study=make_study(limits=[Limit(metric="latency_mean_ms", max=8.0)]),
    )
    best = best_of(study, study.run())
    assert (best.verdict, best.gain) == ("tuned", None)
    assert best.reason is not None
    assert best.reason.startswith("first_feasible: ")
    assert best.properties["NUM_STREAMS"] in (3, 5)


def test_a_servers_file_says_how_its_winner_and_its_reference_were_called(tmp_path: Path) -> None:
    """One request that is waited for, where the hint with one is too slow and the other has several in flight."""

    def speed(config: DeploymentConfig) -> float:
        if effective_of(config).infer_requests > 1:
            return 310.0
        return 300.0 if "INFERENCE_NUM_THREADS" in config.properties else 200.0

    study = Virtual(
        folder=tmp_path,
        space=space_of(parameter("INFERENCE_NUM_THREADS", 2), parameter("infer_requests", 1, 4)),
        bench=calm(speed),
        study=make_study(metric="latency_mean_ms", limits=[Limit(metric="throughput", min_ratio=0.9)]),
    )
    with pytest.raises(PowerCut):
        study.run(Fuse(study.bench, 3))
    best = best_of(study, study.run())
    assert (best.verdict, best.infer_requests, best.api) == ("tuned", 1, "sync")
    assert (best.baseline.name, best.baseline.infer_requests, best.baseline.api) == ("THROUGHPUT", None, "async")
    sessions = [line.session for line in study.sessions()]
    assert {config.api for s in sessions for config in s.configurations} == {"by_requests", "sync", "async"}
    called = {
        (m.effective.infer_requests == 1, m.effective.api)
        for s in sessions
        for m in s.members
        if isinstance(m, Windows)
    }
    assert called == {(True, "sync"), (False, "async")}


@pytest.mark.parametrize(
    ("properties", "precision", "expected"),
    [
        ({}, "bf16", {"INFERENCE_PRECISION_HINT": "bf16"}),
        ({}, "", {}),
        ({"INFERENCE_PRECISION_HINT": "f32"}, "bf16", {"INFERENCE_PRECISION_HINT": "f32"}),
        ({"EXECUTION_MODE_HINT": "ACCURACY"}, "bf16", {"EXECUTION_MODE_HINT": "ACCURACY"}),
    ],
)
def test_the_precision_that_was_measured_is_pinned_unless_the_configuration_decides(
    tmp_path: Path, properties: dict[str, str], precision: str, expected: dict[str, str]
) -> None:
    study = Virtual(folder=tmp_path)
    result = study.run()
    config = DeploymentConfig(device="CPU", properties=properties)
    assert best_of(study, replace(result, config=config), precision=precision).properties == expected


def test_an_earlier_gain_that_stands_is_written_with_its_own_evidence(tmp_path: Path) -> None:
    space = space_of(parameter("NUM_STREAMS", 2, 3, 5), parameter("infer_requests", 8))
    study = Virtual(
        folder=tmp_path,
        space=space,
        bench=calm(by_streams(s2=160.0, s3=90.0, s5=120.0)),
        study=make_study(minutes=None, trials=2, sampler="grid"),
    )
    first = best_of(study, study.run())
    study.study = make_study(minutes=None, trials=3, sampler="grid")
    result = study.run()
    second = best_of(study, result)
    assert study.log().verdicts()[1].verdict == "tuned"
    assert second.gain == first.gain
    assert second.properties == first.properties
    assert second.objective == first.objective
    assert second.provenance["trials"] == 3
    assert math.log(1.6) == pytest.approx(math.log1p(second.gain.estimate_pct / 100), abs=0.02) if second.gain else 0


def test_where_nothing_keeps_the_limits_the_file_says_which_are_broken(tmp_path: Path) -> None:
    limits = [Limit(metric="latency_mean_ms", max=1e-3), Limit(metric="throughput", min=1.0)]
    study = Virtual(folder=tmp_path, bench=calm(), study=make_study(limits=limits))
    best = best_of(study, study.run())
    assert [constraint.kept for constraint in best.constraints] == [False, True]
    assert best.broken.startswith("latency_mean_ms max 0.001, measured ")
    assert parse_best(format_best(best), "best.yaml").broken == best.broken
