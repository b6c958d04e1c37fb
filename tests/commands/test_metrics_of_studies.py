"""Studies that decide by what a configuration costs, or by rare requests: whole ones in virtual time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import SMALL, Meddler, Virtual, by_streams, calm, make_study, parameter, space_of
from tuner.bench.configuration import Conditions
from tuner.bench.host.energy import EnergyReader
from tuner.bench.measurement import Session, Window, Windows
from tuner.bench.metrics import METRICS, Requirement
from tuner.bench.simulated.synthetic import cpu_ms_of, effective_of, load_s_of, memory_mb_of
from tuner.errors import HostError, InputError
from tuner.outcome.metrics_table import final_metrics
from tuner.outcome.study_report import StudyReport
from tuner.planning.feasibility import check_host
from tuner.report.study import study_lines
from tuner.report.terminal import figure
from tuner.study.study import BaselineSpec, Limit, SpaceSpec

pytestmark = pytest.mark.slow


def changed(session: Session, **fields: object) -> Session:
    """With these fields of every window, as another host or an older tuner would have written them."""

    def change(window: Window) -> Window:
        return replace(window, **fields)  # type: ignore[arg-type]

    members = tuple(
        replace(m, windows=tuple(map(change, m.windows))) if isinstance(m, Windows) else m for m in session.members
    )
    return replace(session, members=members)


def test_as_little_cpu_as_possible_at_a_throughput_is_a_study(tmp_path: Path) -> None:
    """Batches spare the most here; one stream of eight threads spends a third on keeping them in step."""
    limit = Limit(metric="throughput", min=400.0)
    plan = make_study(metric="cpu_ms_per_sample", limits=[limit], minutes=4.0)
    study = Virtual(folder=tmp_path, space=SMALL, bench=calm(), study=plan)
    result = study.run()
    assert result.is_tuned
    cost_ms = cpu_ms_of(effective_of(result.config))
    reference_ms = cpu_ms_of(effective_of(study.setup.baselines[result.reference]))
    assert cost_ms < 0.95 * reference_ms
    assert study.bench.surface(result.config) >= 400.0
    winner = final_metrics(study.state(), result).winner
    assert winner is not None
    assert winner.values["cpu_ms_per_sample"] == pytest.approx(cost_ms, rel=0.02)


def test_memory_decides_where_it_is_the_objective(tmp_path: Path) -> None:
    space = space_of(parameter("NUM_STREAMS", 1, 2, 8), parameter("infer_requests", 1, 16))
    limit = Limit(metric="throughput", min_ratio=0.9)
    surface = by_streams(s1=100.0, s2=100.0, s8=100.0)
    plan = make_study(metric="peak_memory_mb", limits=[limit])
    study = Virtual(folder=tmp_path, space=space, bench=calm(surface), study=plan)
    result = study.run()
    small = memory_mb_of(effective_of(study.setup.baselines["LATENCY"]))
    assert memory_mb_of(effective_of(result.config)) <= small
    assert plan.objective.needs(Requirement.OWN_PROCESS)
    assert not make_study().objective.needs(Requirement.OWN_PROCESS)


def test_a_maximum_is_a_limit_with_its_requests_and_a_row_of_what_was_seen(tmp_path: Path) -> None:
    plan = make_study(limits=[Limit(metric="latency_max_ms", max=40.0)])
    study = Virtual(folder=tmp_path, bench=calm(), study=plan)
    result = study.run()
    assert result.is_tuned
    assert result.confirmation is not None
    (check,) = result.confirmation.checks
    windows = [w for winner, _ in result.confirmation.pairs() for w in winner.windows]
    assert check.measured == METRICS["latency_max_ms"].read(windows)
    assert check.confidence_bound is None
    assert check.requests == sum(sum(w.latency_counts.values()) for w in windows)


def test_records_without_the_new_fields_are_shown_and_end_in_the_same_verdict(tmp_path: Path) -> None:
    """As sessions.jsonl was before, or where a host does not tell."""
    verdicts = []
    for name, fields in (("new", {}), ("old", {"cpu_s": None, "peak_memory_bytes": None})):
        folder = tmp_path / name
        folder.mkdir()
        study = Virtual(folder=folder, bench=calm())
        result = study.run(Meddler(study.bench, lambda plan, session, fields=fields: changed(session, **fields)))
        verdicts.append((result.line, result.config))
        winner = final_metrics(study.state(), result).winner
        assert winner is not None
        assert ("cpu_ms_per_sample" in winner.values) == (name == "new")
        (folder / "study.yaml").write_text(
            "schema_version: 1\nmodel: builtin:mlp\ndevice: CPU\n"
            "objective: {maximize: throughput}\nspace: auto\nbudget: {minutes: 2}\n"
        )
        (folder / "environment.json").write_text('{"schema_version": 1, "identity": {}, "host": {}}')
        assert study_lines(StudyReport.read(folder))
    assert verdicts[0] == verdicts[1]


@pytest.mark.parametrize("fields", [{"cpu_s": None}, {"cpu_s": 0.0}])
@pytest.mark.parametrize("is_limit", [True, False])
def test_a_study_by_a_metric_that_the_host_does_not_tell_ends_before_the_search(
    tmp_path: Path, fields: dict[str, object], is_limit: bool
) -> None:
    limits = [Limit(metric="cpu_ms_per_sample", max=5.0)] if is_limit else []
    plan = make_study(metric="throughput" if is_limit else "cpu_ms_per_sample", limits=limits)
    study = Virtual(folder=tmp_path, bench=calm(), study=plan)
    with pytest.raises(HostError, match="cpu_ms_per_sample was not measured"):
        study.run(Meddler(study.bench, lambda plan, session: changed(session, **fields)))
    assert study.phases() == ["baselines"]


# Starts


def test_the_quickest_start_wins_and_what_it_costs_stands_beside_it(tmp_path: Path) -> None:
    space = space_of(parameter("NUM_STREAMS", 1, 8), parameter("INFERENCE_NUM_THREADS", 8))
    today = {"today": BaselineSpec(properties={"NUM_STREAMS": 8})}
    plan = make_study(metric="load_ms", baselines=today, limits=[Limit(metric="latency_p50_ms", max_ratio=2.0)])
    study = Virtual(folder=tmp_path, space=space, bench=calm(lambda config: 100.0), study=plan)
    study.bench.start_up = True
    assert plan.objective.needs(Requirement.COLD_START)
    assert not plan.objective.needs(Requirement.MODEL_CACHE)
    result = study.run()
    assert result.reference in ("default", "LATENCY"), "one stream is set up sooner than eight"
    assert all(config.api == "sync" for line in study.sessions() for config in line.session.configurations)
    assert all(line.session.costs.warm_up_s == 0.0 for line in study.sessions())
    levels = {n: m.values for n, m in final_metrics(study.state(), result).named(result.reference).items()}
    assert levels["today"]["load_ms"] == pytest.approx(210.0, rel=0.03)
    assert levels[result.reference]["load_ms"] == pytest.approx(70.0, rel=0.03)
    assert levels["today"]["throughput"] == pytest.approx(100.0, rel=0.03)


def test_the_start_may_be_a_limit_beside_a_throughput(tmp_path: Path) -> None:
    """Eight streams are the fastest here and take 210 ms to set up, four take 130."""
    limit = Limit(metric="load_cached_ms", max=60.0)
    plan = make_study(limits=[limit])
    study = Virtual(folder=tmp_path, bench=calm(), study=plan)
    study.bench.start_up = True
    assert plan.objective.needs(Requirement.COLD_START)
    assert plan.objective.needs(Requirement.MODEL_CACHE)
    result = study.run()
    assert result.is_tuned
    assert load_s_of(effective_of(result.config)) / 3 <= 0.06
    assert any(config.api == "async" for line in study.sessions() for config in line.session.configurations)


# Energy


def test_energy_is_asked_of_a_host_that_has_none_before_anything_is_measured(tmp_path: Path) -> None:
    limit = Limit(metric="energy_mj_per_sample", max=5.0)
    for study in (make_study(metric="energy_mj_per_sample"), make_study(limits=[limit])):
        with pytest.raises(HostError, match="energy_mj_per_sample: RAPL cannot be read here: there is no package"):
            check_host(study, EnergyReader(tmp_path).refusal)
    check_host(make_study(), EnergyReader(tmp_path).refusal)


def test_a_start_of_replicas_is_refused_wherever_they_are_asked_for(tmp_path: Path) -> None:
    plan = make_study(metric="load_ms")
    check_host(plan, EnergyReader(tmp_path).refusal)
    both = SpaceSpec(is_auto=True, parameters=(parameter("replicas", 1, 2),))
    today = {"today": BaselineSpec(properties={}, replicas=2)}
    for study in (
        replace(plan, conditions=Conditions(replicas=2)),
        replace(plan, space=both),
        replace(plan, baselines=today),
    ):
        with pytest.raises(InputError, match="load_ms: a start is measured of one process"):
            check_host(study, EnergyReader(tmp_path).refusal)
    check_host(make_study(baselines=today), EnergyReader(tmp_path).refusal)


# Percentiles and the requests they need


def test_a_budget_that_cannot_hold_the_requests_of_a_percentile_is_refused_with_one_that_can(tmp_path: Path) -> None:
    """100 requests of 10 ms a second: 6636 on each side are two minutes a session, and four of them nine."""
    slow = calm(by_streams(s4=120.0))
    study = Virtual(folder=tmp_path, bench=slow, study=make_study(metric="latency_p999_ms"))
    with pytest.raises(InputError, match="too short: a claim about latency_p999_ms needs 6636 requests") as no:
        study.run()
    assert study.phases() == ["baselines"]
    assert "latency_p99_ms 662" in no.value.advice
    minutes = float(no.value.advice.split()[1])
    enough = replace(study, study=make_study(metric="latency_p999_ms", minutes=minutes))
    result = enough.run()
    assert result.is_answer
    assert enough.phases()[0] == "baselines"
    assert any("latency_p999_ms needs 6636 requests: sessions have" in line for line in enough.listener.lines)


def test_a_percentile_that_fits_is_measured_with_its_requests_in_every_session(tmp_path: Path) -> None:
    fast = calm(by_streams(s4=60_000.0, s8=50_000.0))
    fast.surface = lambda config, slow=fast.surface: max(40_000.0, slow(config))  # type: ignore[misc]
    study = Virtual(folder=tmp_path, bench=fast, study=make_study(metric="latency_p999_ms"))
    study.run()
    for line in study.sessions("confirm"):
        for member in line.session.members:
            assert isinstance(member, Windows)
            assert (
                sum(sum(w.latency_counts.values()) for w in member.windows) >= METRICS["latency_p999_ms"].min_requests
            )


def test_no_budget_of_time_is_never_too_short(tmp_path: Path) -> None:
    plan = make_study(limits=[Limit(metric="latency_p999_ms", max_ratio=3.0)], minutes=None, trials=2)
    study = Virtual(folder=tmp_path, bench=calm(), study=plan)
    assert study.run().is_answer
    assert figure(METRICS["latency_p999_ms"].min_requests) == "6636"
