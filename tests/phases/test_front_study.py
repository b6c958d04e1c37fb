"""Whole studies with several objectives in virtual time: from the baselines to front.yaml and its knee."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import cycle
from pathlib import Path

import optuna
import pytest

from tests.outcome.test_best_config import HOST, INPUTS, MODEL
from tests.phases.test_resume import (
    check_parts,
    check_resumed,
    leave,
    photographed,
    resume_from,
    resume_to_the_end,
    tear_log,
)
from tests.virtual import (
    LARGE,
    NULL_SPACE,
    SMALL,
    TINY,
    Fuse,
    Meddler,
    Virtual,
    calm,
    crash,
    flat,
    make_bench,
    make_study,
    numbers_of,
    parameter,
    space_of,
    streams,
)
from tuner.bench.configuration import DeploymentConfig, Effective
from tuner.bench.measurement import Session, Windows
from tuner.bench.metrics import METRICS
from tuner.bench.protocol import SessionPlan
from tuner.bench.simulated.synthetic import hill
from tuner.decision.confirmation import limit_checks
from tuner.decision.result import Result
from tuner.deploy.best import Best
from tuner.deploy.front_file import FrontFile, load_front, write_front
from tuner.outcome.best_config import Deployed
from tuner.outcome.pareto_front import knee_of, make_front
from tuner.report.words import verdict as words
from tuner.statistics.limits import limit_alpha
from tuner.statistics.sequential_test import alpha_of
from tuner.study.space import Space
from tuner.study.study import Limit, SamplerName, Study

OTHERS = ("latency_p90_ms",)
DEPLOYED = Deployed(inputs=INPUTS, model=MODEL, precision="f32", environment=asdict(HOST))


def several(minutes: float | None = 3.0, **more: object) -> Study:
    return make_study(minutes=minutes, others=OTHERS, **more)  # type: ignore[arg-type]


def files_of(study: Virtual, result: Result) -> tuple[FrontFile, Best]:
    """As `run.py` does it, and through the file."""

    def resolve(config: DeploymentConfig) -> Effective:
        found = study.bench.resolve(config)
        assert isinstance(found, Effective)
        return found

    state = study.state()
    front = make_front(state, result, DEPLOYED, resolve, words)
    write_front(study.folder / "front.yaml", front)
    assert load_front(study.folder / "front.yaml") == front
    return front, knee_of(state, result, front, DEPLOYED, resolve)


@pytest.mark.slow
def test_a_study_ends_with_a_front_whose_knee_is_the_best_file(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=SMALL, study=several())
    result = study.run()
    front, best = files_of(study, result)
    assert result.is_tuned
    assert len(front.points) >= 3
    throughputs = [p.metrics["throughput"] for p in front.points]
    latencies = [p.metrics["latency_p90_ms"] for p in front.points]
    assert throughputs == sorted(throughputs, reverse=True)
    assert latencies == sorted(latencies, reverse=True), "no point is better in both"
    assert all({*METRICS, "requests"} >= p.metrics.keys() >= {"throughput", "latency_p99_ms"} for p in front.points)
    knee = next(p for p in front.points if p.name == front.knee)
    assert best.properties == knee.best.properties
    assert best.infer_requests == knee.best.infer_requests
    assert best.verdict == front.verdict == "tuned"
    assert best.reason == front.reason
    assert best.gain is not None
    assert best.gain.low_pct > 0
    assert best.gain == best.gains[best.gain.metric or ""]
    assert [o.metric for o in best.objectives] == ["throughput", "latency_p90_ms"]
    reference = next(p for p in front.points if p.name == front.reference)
    assert best.objectives[1].reference == reference.metrics["latency_p90_ms"]
    assert reference.best.gains == {}
    assert reference.best.verdict == "baseline"


@pytest.mark.slow
def test_the_confirmation_has_fresh_sessions_of_all_points_and_its_size_is_fixed_before(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=SMALL, study=several())
    study.run()
    log = study.log()
    head = log.confirmation(1)
    assert head is not None
    lines = log.sessions("confirm")
    assert len(lines) == head.looks[-1]
    assert {line.session.configurations for line in lines} == {(study.reference().configuration, *head.members)}
    assert len({line.session.process for line in lines}) == len(lines)
    assert all(len(line.session.configurations) <= 7 for line in study.sessions())
    kinds = [line.kind for line in log]
    assert kinds.index("front") < kinds.index("session", kinds.index("front"))
    longest_s = max(line.session.wall_s for line in lines)
    assert log.spent_s() <= 180 + longest_s


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["auto", "tpe", "random", "grid", "race"])
def test_every_sampler_searches_on_several_objectives(tmp_path: Path, sampler: SamplerName) -> None:
    study = Virtual(folder=tmp_path, space=LARGE, study=several(None, trials=9, sampler=sampler))
    result = study.run()
    assert result.front is not None
    assert len(set(numbers_of(study.sessions("race", "search")))) == 9
    trials = study.trials()
    assert all(len(t.others) == 1 for t in trials if t.state == "complete")


@pytest.mark.slow
def test_study_db_opens_as_a_study_of_several_named_objectives(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=TINY, study=several(2.0), has_database=True)
    study.run()
    found = optuna.load_study(study_name="search", storage=f"sqlite:///{study.db_path}")
    assert [d.name for d in found.directions] == ["MAXIMIZE", "MAXIMIZE"]
    assert found.metric_names == ["throughput", "latency_p90_ms"]
    assert found.best_trials


@pytest.mark.slow
@pytest.mark.slow
def test_the_gaussian_process_looks_at_both_ends_of_the_front(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=LARGE, study=several(None, trials=25), bench=calm())
    result = study.run()
    values = [(t.value or 0.0, t.others[0]) for t in study.trials() if t.state == "complete"]
    assert max(v for v, _ in values) > 0.3, "what suits throughput"
    assert max(o for _, o in values) > 0.0, "what suits latency: the reference is among the quickest of this space"
    assert result.front is not None
    assert len(result.front.points) >= 3


@pytest.mark.slow
def test_where_nothing_is_beyond_the_baselines_they_are_the_front(tmp_path: Path) -> None:
    """Whatever is tried is slower, and a larger batch takes longer."""
    space = space_of(parameter("NUM_STREAMS", 1), parameter("infer_requests", 2), parameter("batch_size", 1, 2))
    study = Virtual(folder=tmp_path, space=space, study=several(2.0))
    study.bench = calm(lambda config: 40.0 if streams(config) else 100.0)
    result = study.run()
    assert (result.line.verdict, result.line.reason) == ("baseline", "futile")
    assert "the baselines are the front" in result.line.detail
    assert study.sessions("confirm") == []
    front, best = files_of(study, result)
    assert front.sessions == 0
    assert {p.name for p in front.points} <= {"default", "LATENCY", "THROUGHPUT"}
    assert best.verdict == "baseline"
    assert best.gain is None
    assert result.is_answer


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))])
def test_where_everything_is_alike_nothing_is_claimed(tmp_path: Path, seed: int) -> None:
    bench = make_bench(seed, surface=flat)
    study = Virtual(folder=tmp_path, bench=bench, space=NULL_SPACE, study=several(3.0, seed=seed))
    result = study.run()
    assert result.front is not None
    assert not any(p.is_proven for p in result.front.points)
    front, _ = files_of(study, result)
    assert not any(p.best.gain for p in front.points)
    assert {p.best.verdict for p in front.points} == {"baseline"}, "also of points that are none"
    for point in front.points:
        assert point.best.reason is not None
        assert point.best.reason.startswith("one of the baselines" if point.is_baseline else "no gain is claimed: ")


@pytest.mark.slow
def test_points_that_break_a_limit_are_not_on_the_front(tmp_path: Path) -> None:
    limit = Limit(metric="latency_p99_ms", max=60.0)
    study = Virtual(folder=tmp_path, space=SMALL, study=several(limits=[limit]), bench=calm())
    result = study.run()
    front, best = files_of(study, result)
    assert all(p.metrics["latency_p99_ms"] <= 60.0 for p in front.points)
    assert all(p.best.constraints[0].max == 60.0 for p in front.points)
    assert best.constraints[0].measured <= 60.0
    found = result.confirmation
    assert found is not None
    assert result.front is not None
    checks = [check for p in result.front.points for check in limit_checks(study.state(), found, p.position)]
    assert {check.alpha for check in checks} == {limit_alpha(len(found.plan.names), 1)}, "all points share it"
    assert len(found.plan.names) > 1


def make_baseline(hint: str) -> DeploymentConfig:
    return DeploymentConfig(device="CPU", properties={"PERFORMANCE_HINT": hint})


@pytest.mark.slow
def test_where_no_baseline_keeps_the_limit_no_gain_is_claimed(tmp_path: Path) -> None:
    limit = Limit(metric="throughput", min=1.2 * hill(make_baseline("THROUGHPUT")))
    space = space_of(parameter("NUM_STREAMS", 8), parameter("infer_requests", 16, 32), parameter("batch_size", 1, 4))
    study = Virtual(folder=tmp_path, space=space, study=several(limits=[limit]), bench=calm())
    result = study.run()
    front, best = files_of(study, result)
    assert (result.line.verdict, result.line.reason) == ("tuned", "first_feasible")
    assert best.gain is None
    assert all(not p.name.isupper() and p.best.gain is None for p in front.points)
    assert {p.best.verdict for p in front.points} == {"tuned"}, "each is an answer: it keeps the limit"


@pytest.mark.slow
def test_a_point_that_keeps_crashing_leaves_and_the_others_stay(tmp_path: Path) -> None:
    def meddle(plan: SessionPlan, session: Session) -> Session:
        """The last point crashes in every confirmation session."""
        if plan.phase != "confirm":
            return session
        crashing.add(session.configurations[-1])
        members = tuple(
            crash() if config in crashing else member
            for config, member in zip(session.configurations, session.members, strict=True)
        )
        return replace(session, members=members)

    crashing: set[DeploymentConfig] = set()
    study = Virtual(folder=tmp_path, space=SMALL, study=several())
    result = study.run(Meddler(study.bench, meddle))
    assert result.front is not None
    front, _ = files_of(study, result)
    assert any("it failed in" in why for why in front.removed.values())
    assert not any(p.config in crashing for p in result.front.points)
    assert result.is_tuned


@pytest.mark.slow
def test_where_the_reference_keeps_failing_nothing_is_claimed(tmp_path: Path) -> None:
    def meddle(plan: SessionPlan, session: Session) -> Session:
        return replace(session, members=(crash(), *session.members[1:])) if plan.phase == "confirm" else session

    study = Virtual(folder=tmp_path, space=TINY, study=several(2.0))
    result = study.run(Meddler(study.bench, meddle))
    assert (result.line.verdict, result.line.reason) == ("baseline", "not_significant")
    front, best = files_of(study, result)
    assert front.knee == result.reference
    assert set(front.removed.values()) == {"the reference failed: crash: boom"}
    assert best.gain is None
    assert best.verdict == "baseline"


@pytest.mark.slow
def test_a_finished_front_measures_nothing_and_a_larger_budget_spends_what_is_left(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=SMALL, study=several())
    first = study.run()
    again = study.run(Fuse(study.bench, 1))
    assert again.line == first.line
    assert files_of(study, again) == files_of(study, first)
    study.study = several(7.0)
    second = study.run()
    heads = [study.log().confirmation(round) for round in (1, 2)]
    assert heads[0] is not None
    assert heads[1] is not None
    assert (heads[0].alpha, heads[1].alpha) == (alpha_of(0), alpha_of(1))
    assert second.line.attempt == 2
    assert second.is_tuned


@pytest.mark.slow
def test_three_objectives_are_searched_and_confirmed(tmp_path: Path) -> None:
    plan = make_study(minutes=4.0, others=("latency_p50_ms", "latency_p99_ms"))
    study = Virtual(folder=tmp_path, space=SMALL, study=plan)
    result = study.run()
    assert result.front is not None
    assert all(len(p.values) == 3 for p in result.front.points)
    files_of(study, result)


# Interrupted

FRONTS: dict[str, tuple[Space, Study]] = {
    "front straight": (TINY, several(2.0)),
    "front raced": (SMALL, several(4.0)),
    "front sampled": (SMALL, several(None, trials=6, sampler="gp")),
}


@pytest.mark.parametrize(
    ("name", "damage", "calls"),
    [
        ("front straight", leave, 2),
        pytest.param("front raced", tear_log, 3, marks=pytest.mark.slow),
    ],
)
def test_a_study_of_several_objectives_interrupted_before_every_session_still_ends(
    tmp_path: Path, name: str, damage: Callable[[Virtual], None], calls: int
) -> None:
    space, plan = FRONTS[name]
    study = Virtual(folder=tmp_path, space=space, study=plan)
    assert resume_to_the_end(study, calls=calls, damage=damage) > 4
    check_front(study)


@pytest.mark.slow
@pytest.mark.parametrize("name", FRONTS)
def test_a_kill_before_any_session_of_a_front_changes_nothing_that_matters(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.phases.test_resume.RESUMED", FRONTS)
    _, camera = photographed(tmp_path, name, has_database=False)
    assert len(camera.hosts) >= 6
    # Each with one damage: every one at every session is what test_resume.py does with a single objective.
    for number, damage in zip(range(len(camera.hosts)), cycle((leave, tear_log)), strict=False):
        resume_from(camera, number, damage)
        check_front(replace(camera.study, folder=camera.album / f"{number}-{damage.__name__}"))


@pytest.mark.slow
@pytest.mark.slow
def test_an_interrupted_front_measures_what_an_uninterrupted_one_measures(tmp_path: Path) -> None:
    check_parts(tmp_path, *FRONTS["front raced"])


def check_front(study: Virtual) -> None:
    """Beside what holds of every record: all the sessions that were fixed, and trials with all their values."""
    check_resumed(study)
    log = study.log()
    head = log.confirmation(1)
    assert len(log.sessions("confirm")) == (head.looks[-1] if head else 0)
    assert all(len(t.others) == 1 for t in study.trials() if t.state == "complete")


def test_windows_of_a_front_are_those_of_its_sessions(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=TINY, study=several(2.0))
    result = study.run()
    assert result.confirmation is not None
    reference = result.confirmation.pooled(0)
    assert reference is not None
    found = [line.session.members[0] for line in study.sessions("confirm")]
    assert reference.windows == tuple(w for m in found if isinstance(m, Windows) for w in m.windows)
    check_resumed(study)
