"""Calibration: the noise of the host, from the baselines and from A/A sessions."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.conftest import request_of
from tests.virtual import TINY, Virtual, calm, disturbances, make_study
from tuner.bench.configuration import DeploymentConfig, Failure
from tuner.bench.measurement import Session, Windows
from tuner.bench.protocol import SessionPlan
from tuner.bench.simulated.synthetic import CompileEffect, Drift, Noise, SyntheticBench
from tuner.evidence.baseline_ranking import rank_baselines
from tuner.evidence.noise import (
    Calibration,
    CalibrationSessions,
    best_window,
    calibrate,
)
from tuner.model.host import host_facts
from tuner.records.noise_cache import NoiseCache, noise_cache
from tuner.study.baselines import baseline_configs
from tuner.study.setup import KnownNoise
from tuner.study.study import Study

pytestmark = pytest.mark.slow


def calibration_of(
    bench: SyntheticBench, study: Study, *, blocks: int = 8, aa_sessions: int = 0, known: KnownNoise | None = None
) -> Calibration:
    configs = baseline_configs(study)
    session = bench.measure(
        request_of(list(configs.values()), SessionPlan(phase="baselines", seed=1, blocks=blocks, is_fresh=True))
    )
    members: dict[str, Windows | Failure] = dict(zip(configs, session.members, strict=True))
    reference = rank_baselines(study.objective, members).reference
    found = sessions_of(study, session, members, reference)
    repeated = [aa_session(bench, configs[reference], i) for i in range(aa_sessions)]
    return calibrate(replace(found, aa_sessions=repeated), known=known)


def sessions_of(
    study: Study, session: Session, members: dict[str, Windows | Failure], reference: str
) -> CalibrationSessions:
    baselines = {name: member for name, member in members.items() if isinstance(member, Windows)}
    return CalibrationSessions(
        metric=study.objective.row, session=session, baselines=baselines, reference=reference, window_s=0.4
    )


def aa_session(bench: SyntheticBench, config: DeploymentConfig, seed: int) -> Session:
    plan = SessionPlan(phase="calibration", seed=seed, blocks=6, is_fresh=True)
    return bench.measure(request_of([config, config], plan))


def test_window_sd_of_a_synthetic_host_is_the_noise_of_its_pairs() -> None:
    spreads = [
        calibration_of(SyntheticBench(effects=disturbances(i, noise=0.02, compiling=0.0)), make_study()).window_sd
        for i in range(20)
    ]
    expected = 0.02 / math.sqrt(0.4) * math.sqrt(2)
    assert sum(spreads) / len(spreads) == pytest.approx(expected, rel=0.3)


def test_session_sd_of_aa_sessions_is_the_difference_between_compiles() -> None:
    effects = [CompileEffect(0.05, seed=1), Noise(0.001)]
    found = calibration_of(SyntheticBench(effects=effects), make_study(), aa_sessions=60)
    assert found.session_sd == pytest.approx(0.05 * math.sqrt(2), rel=0.25)
    assert found.session_df == 61


@pytest.mark.parametrize(
    ("session_sd", "window_sd", "compile_sd"), [(0.018, 0.02, 0.01655), (0.02, 0.0565, 0.007), (0.05, 0.02, 0.02)]
)
def test_compile_sd_is_the_part_of_session_sd_that_windows_do_not_explain(
    session_sd: float, window_sd: float, compile_sd: float
) -> None:
    """Eight pairs of 0.02 explain 0.0071 of 0.018; the remainder is at least 0.7 % and at most 2 %."""
    found = calibration_of(SyntheticBench(), make_study())
    known = replace(found, session_sd=session_sd, window_sd=window_sd)
    assert known.compile_sd == pytest.approx(compile_sd, rel=1e-3)


def test_known_noise_weighs_as_many_sessions_as_the_earlier_study_had() -> None:
    quiet = SyntheticBench(effects=[Noise(1e-6)])
    known = KnownNoise(session_sd=0.06, df=11)
    found = calibration_of(quiet, make_study(), known=known)
    assert found.session_sd == pytest.approx(0.06 * math.sqrt(15 / 16), rel=1e-3)
    assert found.session_df == 1, "the eleven are the earlier study's"


def test_drift_that_outlasts_a_window_is_found_as_correlation_and_drift_sd() -> None:
    drifting = calibration_of(
        SyntheticBench(effects=[Drift(0.2, time_constant_s=10.0, seed=2)]), make_study(), aa_sessions=8
    )
    noisy = calibration_of(SyntheticBench(effects=[Noise(0.1, seed=3)]), make_study(), aa_sessions=8)
    assert drifting.lag_correlation > 0.5 > 0.3 > abs(noisy.lag_correlation)
    assert drifting.drift_sd > 0.05


@pytest.mark.parametrize(("drift_sd", "drift_s", "window_s"), [(0.0, 1.0, 0.6), (0.2, 2.0, 0.3)], ids=str)
def test_the_best_window_is_long_under_quick_noise_and_short_under_slow_drift(
    drift_sd: float, drift_s: float, window_s: float
) -> None:
    moved = 2 * drift_sd**2 * (1 - math.exp(-0.5 / drift_s))
    assert best_window(math.sqrt(0.05**2 + moved), drift_sd, drift_s, 0.1, measured_s=0.4)[0] == window_s


def test_the_best_windows_sd_is_that_of_pairs_of_its_length() -> None:
    """Quick noise alone: windows half as long again have a pair sd smaller by the root."""
    assert best_window(0.06, 0.0, 1.0, 0.1, measured_s=0.4) == (0.6, pytest.approx(0.06 * math.sqrt(0.4 / 0.6)))


@pytest.mark.slow
def test_the_best_window_wins_in_simulation() -> None:
    """Brute force over drawn windows: independent noise, and a drift with a time constant of 2 s."""
    rng = random.Random(5)

    def sd_of_mean(window_s: float, noise: float, drift: float) -> float:
        step, pairs = window_s + 0.1, int(24.0 / (window_s + 0.1) / 2)
        keep = math.exp(-step / 2.0)
        means = []
        for _ in range(800):
            offset, total = rng.gauss(0, drift), 0.0
            for _ in range(pairs):
                values = []
                for _ in range(2):
                    values.append(offset + rng.gauss(0, noise / math.sqrt(window_s)))
                    offset = keep * offset + rng.gauss(0, drift * math.sqrt(1 - keep * keep))
                total += values[0] - values[1]
            means.append(total / pairs)
        return math.sqrt(sum(m * m for m in means) / len(means))

    for noise, drift in ((0.05, 0.0), (0.002, 0.2)):
        moved = 2 * drift**2 * (1 - math.exp(-0.5 / 2.0))
        pair_sd = math.sqrt(2 * noise**2 / 0.4 + moved)
        chosen, _ = best_window(pair_sd, drift, 2.0, 0.1, measured_s=0.4)
        other = 0.3 if chosen == 0.6 else 0.6
        assert sd_of_mean(chosen, noise, drift) < sd_of_mean(other, noise, drift)


def test_window_sd_of_too_few_pairs_is_the_prior() -> None:
    assert calibration_of(calm(), make_study(), blocks=2).window_sd == pytest.approx(0.08 * math.sqrt(0.4 / 0.6))


def test_window_sd_of_a_host_without_noise_is_above_zero() -> None:
    assert calibration_of(SyntheticBench(), make_study()).window_sd > 0.0


def test_baselines_with_one_effective_configuration_are_an_aa_pair() -> None:
    """Default and LATENCY are one effective configuration here: how much they differ is the sd between sessions."""
    quiet = calibration_of(SyntheticBench(effects=[Noise(1e-6)]), make_study())
    assert quiet.session_sd == pytest.approx(0.015 * math.sqrt(4 / 5), rel=1e-3)


def test_models_below_a_millisecond_have_a_larger_prior() -> None:
    tiny = calibration_of(SyntheticBench(surface=lambda config: 1e4), make_study(metric="latency_mean_ms"))
    assert tiny.session_sd == pytest.approx(0.04 * math.sqrt(4 / 5), rel=1e-3)


def test_the_measured_cost_predicts_the_time_of_a_confirmation_session() -> None:
    bench, study = calm(), make_study()
    calibration = calibration_of(bench, study)
    configs = list(baseline_configs(study).values())[:2]
    session = bench.measure(request_of(configs, SessionPlan(phase="confirm", seed=2, blocks=8, is_fresh=True)))
    assert session.wall_s == pytest.approx(calibration.cost.of(8, 0.4), rel=0.1)


def test_calibration_reports_other_load_and_unsteady_baselines() -> None:
    def loaded(member: Windows, steal: float) -> Windows:
        windows = tuple(replace(w, steal_pct=steal, other_cpu_pct=2 * steal) for w in member.windows)
        return replace(member, windows=windows, is_steady=steal < 5)

    study = make_study()
    session = calm().measure(
        request_of(
            list(baseline_configs(study).values()), SessionPlan(phase="baselines", seed=1, blocks=4, is_fresh=True)
        )
    )
    members: dict[str, Windows | Failure] = {
        name: loaded(member, steal)
        for name, member, steal in zip(("a", "b"), session.members, (3.0, 6.0), strict=False)
        if isinstance(member, Windows)
    }
    found = calibrate(sessions_of(study, session, members, "a"))
    assert found.steal_pct == pytest.approx(4.5)
    assert found.other_cpu_pct == pytest.approx(9.0)
    assert found.unsteady == ("b",)


def test_calibration_reports_requests_and_length_of_the_references_windows() -> None:
    found = calibration_of(SyntheticBench(surface=lambda config: 5.0), make_study())
    assert found.longest_window_s >= 0.8
    assert found.requests_per_window == pytest.approx(4.0, abs=4.0)


# The phase


@pytest.mark.parametrize(("minutes", "aa_sessions"), [(1.0, 0), (2.0, 0), (5.0, 2), (10.0, 4)])
def test_a_longer_budget_has_aa_sessions(tmp_path: Path, minutes: float, aa_sessions: int) -> None:
    study = Virtual(folder=tmp_path, study=make_study(minutes=minutes), space=TINY)
    study.run()
    lines = study.sessions("calibration")
    assert len(lines) == aa_sessions
    assert all(line.session.configurations[0] == line.session.configurations[1] for line in lines)
    spent_s = sum(line.session.wall_s for line in study.sessions("baselines", "calibration"))
    assert spent_s < 0.1 * 60 * minutes or aa_sessions == 0
    fixed = study.log().calibration()
    assert fixed is not None
    assert fixed.session_df == aa_sessions + 1  # default and LATENCY are one
    assert any(f"a gain of {fixed.provable_gain_pct:.1f} %" in words for words in study.listener.lines)


def test_a_study_that_knows_todays_noise_has_no_aa_sessions(tmp_path: Path) -> None:
    remembered: list[Calibration] = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = Virtual(folder=tmp_path / "a", study=make_study(minutes=10.0), space=TINY, remember=remembered.append)
    first.run()
    known = KnownNoise(session_sd=remembered[0].session_sd, df=remembered[0].session_df)
    second = Virtual(folder=tmp_path / "b", study=make_study(minutes=10.0), space=TINY, known_noise=known)
    second.run()
    assert not second.sessions("calibration")
    fixed = second.log().calibration()
    assert fixed is not None
    assert fixed.known == known


def test_a_resumed_study_keeps_the_known_noise_of_its_beginning(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, study=make_study(minutes=5.0), space=TINY)
    study.run()
    before = study.reference()
    study.known_noise = KnownNoise(session_sd=0.5, df=12)
    assert study.reference() == before


# The noise cache


def test_the_cache_returns_noise_for_a_day(tmp_path: Path) -> None:
    cache = NoiseCache(path=tmp_path / "deep" / "noise.json", fingerprint="host")
    assert cache.read(0.0) is None
    cache.write(KnownNoise(session_sd=0.02, df=5), 1000.0)
    assert cache.read(2000.0) == KnownNoise(session_sd=0.02, df=5)
    assert cache.read(1000.0 + 86_401) is None
    assert cache.read(999.0) is None  # from the future: a clock that was set back
    assert NoiseCache(path=cache.path, fingerprint="other").read(2000.0) is None
    NoiseCache(path=cache.path, fingerprint="other").write(KnownNoise(session_sd=0.03, df=99), 1500.0)
    assert cache.read(2000.0) == KnownNoise(session_sd=0.02, df=5)
    assert NoiseCache(path=cache.path, fingerprint="other").read(2000.0) == KnownNoise(session_sd=0.03, df=12)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"host": 3}', '{"host": {"at_unix_s": "x", "session_sd": 1, "df": 1}}',
     json.dumps({"host": {"at_unix_s": 1.0, "session_sd": -1.0, "df": 4}}),
     json.dumps({"host": {"at_unix_s": 1.0, "session_sd": float("nan"), "df": 4}})],
)  # fmt: skip
def test_a_damaged_cache_is_empty_and_is_replaced(tmp_path: Path, content: str) -> None:
    cache = NoiseCache(path=tmp_path / "noise.json", fingerprint="host")
    cache.path.write_text(content)
    assert cache.read(2.0) is None
    cache.write(KnownNoise(session_sd=0.02, df=5), 1.0)
    assert cache.read(2.0) == KnownNoise(session_sd=0.02, df=5)


def test_writing_an_unwritable_cache_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    NoiseCache(path=tmp_path / "file" / "noise.json", fingerprint="host").write(KnownNoise(session_sd=0.1, df=1), 0.0)


def test_the_fingerprint_differs_for_another_model_device_or_metric(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one = noise_cache(host_facts(), "abc", "CPU", "throughput")
    assert one.path.is_relative_to(tmp_path)
    others = [("abd", "CPU", "throughput"), ("abc", "GPU", "throughput"), ("abc", "CPU", "latency_p99_ms")]
    assert len({one.fingerprint, *(noise_cache(host_facts(), *other).fingerprint for other in others)}) == 4


def test_two_versions_of_openvino_on_one_host_never_share_noise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    old, new = (replace(host_facts(), openvino=version) for version in ("2025.0.0", "2026.4.1"))
    noise_cache(old, "abc", "CPU", "throughput").write(KnownNoise(session_sd=0.1, df=6), 1000.0)
    assert noise_cache(old, "abc", "CPU", "throughput").read(1001.0) is not None
    assert noise_cache(new, "abc", "CPU", "throughput").read(1001.0) is None
