"""Calibration: what the baselines, and the reference beside itself, tell of the host."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import TINY, Virtual, calm, disturbances, make_study
from tuner.bench.configuration import DeploymentConfig, Failure
from tuner.bench.measurement import Session, Windows
from tuner.bench.protocol import SessionPlan
from tuner.bench.simulated.synthetic import CompileEffect, Drift, Noise, SyntheticBench
from tuner.evidence.baseline_ranking import rank_baselines
from tuner.evidence.noise import PRIOR_SD, PRIOR_SD_TINY, PRIOR_WINDOW_SD, Calibration, best_window, calibrate
from tuner.model.host import host_facts
from tuner.records.noise_cache import CACHED_DF, NoiseCache, noise_cache
from tuner.study.baselines import baseline_configs
from tuner.study.setup import KnownNoise
from tuner.study.study import Study

pytestmark = pytest.mark.usefixtures("quick_disk")


def calibration_of(
    bench: SyntheticBench, study: Study, *, blocks: int = 8, twins: int = 0, known: KnownNoise | None = None
) -> Calibration:
    configs = baseline_configs(study)
    session = bench.measure(
        list(configs.values()), SessionPlan(phase="baselines", seed=1, blocks=blocks, is_fresh=True)
    )
    members: dict[str, Windows | Failure] = dict(zip(configs, session.members, strict=True))
    reference = rank_baselines(study.objective, members).reference
    pairs = [twin(bench, configs[reference], i) for i in range(twins)]
    return calibrate(study.objective, session, members, reference, 0.4, twins=pairs, known=known)


def twin(bench: SyntheticBench, config: DeploymentConfig, seed: int) -> Session:
    return bench.measure([config, config], SessionPlan(phase="calibration", seed=seed, blocks=6, is_fresh=True))


def test_the_spread_of_pairs_is_that_of_the_noise() -> None:
    spreads = [
        calibration_of(SyntheticBench(effects=disturbances(i, noise=0.02, compiling=0.0)), make_study()).window_sd
        for i in range(20)
    ]
    expected = 0.02 / math.sqrt(0.4) * math.sqrt(2)
    assert sum(spreads) / len(spreads) == pytest.approx(expected, rel=0.3)


def test_the_reference_beside_itself_shows_how_much_compiles_differ() -> None:
    effects = [CompileEffect(0.05, seed=1), Noise(0.001)]
    found = calibration_of(SyntheticBench(effects=effects), make_study(), twins=60)
    assert found.session_sd == pytest.approx(0.05 * math.sqrt(2), rel=0.25)
    assert found.session_df == 61


@pytest.mark.parametrize(
    ("session_sd", "window_sd", "compile_sd"), [(0.018, 0.02, 0.01655), (0.02, 0.0565, 0.007), (0.05, 0.02, 0.02)]
)
def test_two_compiles_differ_by_what_windows_do_not_explain(
    session_sd: float, window_sd: float, compile_sd: float
) -> None:
    """Of 0.018 eight pairs of 0.02 explain 0.0071; no less than 0.7 % is left, and no more than 2 %."""
    found = calibration_of(SyntheticBench(), make_study())
    known = replace(found, session_sd=session_sd, window_sd=window_sd)
    assert known.compile_sd == pytest.approx(compile_sd, rel=1e-3)


def test_what_an_earlier_study_knew_weighs_as_many_sessions_as_it_had() -> None:
    quiet = SyntheticBench(effects=[Noise(1e-6)])
    known = KnownNoise(session_sd=0.06, df=11)
    found = calibration_of(quiet, make_study(), known=known)
    assert found.session_sd == pytest.approx(0.06 * math.sqrt(15 / 16), rel=1e-3)
    assert found.session_df == 1, "the eleven are the earlier study's"


def test_moods_that_outlast_a_window_show_as_correlation_and_drift() -> None:
    moody = calibration_of(SyntheticBench(effects=[Drift(0.2, time_constant_s=10.0, seed=2)]), make_study(), twins=8)
    noisy = calibration_of(SyntheticBench(effects=[Noise(0.1, seed=3)]), make_study(), twins=8)
    assert moody.lag_correlation > 0.5 > 0.3 > abs(noisy.lag_correlation)
    assert moody.drift_sd > 0.05


@pytest.mark.parametrize(("drift_sd", "mood_s", "window_s"), [(0.0, 1.0, 0.6), (0.2, 2.0, 0.3)], ids=str)
def test_windows_are_long_under_quick_noise_and_short_under_slow_moods(
    drift_sd: float, mood_s: float, window_s: float
) -> None:
    moved = 2 * drift_sd**2 * (1 - math.exp(-0.5 / mood_s))
    assert best_window(math.sqrt(0.05**2 + moved), drift_sd, mood_s, 0.1, measured_s=0.4)[0] == window_s


def test_the_sd_of_pairs_is_that_of_the_windows_to_come() -> None:
    """Quick noise alone: windows half as long again have a pair sd smaller by the root."""
    assert best_window(0.06, 0.0, 1.0, 0.1, measured_s=0.4) == (0.6, pytest.approx(0.06 * math.sqrt(0.4 / 0.6)))


@pytest.mark.slow
def test_the_window_that_is_chosen_wins_in_simulation() -> None:
    """By brute force over windows as they are drawn: independent noise, and a mood that forgets within 2 s."""
    rng = random.Random(5)

    def sd_of_mean(window_s: float, noise: float, drift: float) -> float:
        step, pairs = window_s + 0.1, int(24.0 / (window_s + 0.1) / 2)
        keep = math.exp(-step / 2.0)
        means = []
        for _ in range(800):
            mood, total = rng.gauss(0, drift), 0.0
            for _ in range(pairs):
                levels = []
                for _ in range(2):
                    levels.append(mood + rng.gauss(0, noise / math.sqrt(window_s)))
                    mood = keep * mood + rng.gauss(0, drift * math.sqrt(1 - keep * keep))
                total += levels[0] - levels[1]
            means.append(total / pairs)
        return math.sqrt(sum(m * m for m in means) / len(means))

    for noise, drift in ((0.05, 0.0), (0.002, 0.2)):
        moved = 2 * drift**2 * (1 - math.exp(-0.5 / 2.0))
        pair_sd = math.sqrt(2 * noise**2 / 0.4 + moved)
        chosen, _ = best_window(pair_sd, drift, 2.0, 0.1, measured_s=0.4)
        other = 0.3 if chosen == 0.6 else 0.6
        assert sd_of_mean(chosen, noise, drift) < sd_of_mean(other, noise, drift)


def test_with_too_few_pairs_the_spread_is_the_usual_one() -> None:
    assert calibration_of(calm(), make_study(), blocks=2).window_sd == pytest.approx(
        PRIOR_WINDOW_SD * math.sqrt(0.4 / 0.6)
    )


def test_a_host_without_noise_still_has_a_spread() -> None:
    assert calibration_of(SyntheticBench(), make_study()).window_sd > 0.0


def test_equal_baselines_are_a_free_comparison_of_equals() -> None:
    """Default and LATENCY are one effective configuration here: how much they differ is the sd between sessions."""
    quiet = calibration_of(SyntheticBench(effects=[Noise(1e-6)]), make_study())
    assert quiet.session_sd == pytest.approx(PRIOR_SD * math.sqrt(4 / 5), rel=1e-3)


def test_models_below_a_millisecond_are_expected_to_scatter_more() -> None:
    tiny = calibration_of(SyntheticBench(surface=lambda config: 1e4), make_study(metric="latency_mean_ms"))
    assert tiny.session_sd == pytest.approx(PRIOR_SD_TINY * math.sqrt(4 / 5), rel=1e-3)


def test_the_cost_of_a_session_is_what_a_confirmation_then_takes() -> None:
    bench, study = calm(), make_study()
    calibration = calibration_of(bench, study)
    configs = list(baseline_configs(study).values())[:2]
    session = bench.measure(configs, SessionPlan(phase="confirm", seed=2, blocks=8, is_fresh=True))
    assert session.wall_s == pytest.approx(calibration.cost.of(8, 0.4), rel=0.1)


def test_the_hosts_other_load_and_unsteady_baselines_are_reported() -> None:
    def loaded(member: Windows, steal: float) -> Windows:
        windows = tuple(replace(w, steal_pct=steal, other_cpu_pct=2 * steal) for w in member.windows)
        return replace(member, windows=windows, is_steady=steal < 5)

    study = make_study()
    session = calm().measure(
        list(baseline_configs(study).values()), SessionPlan(phase="baselines", seed=1, blocks=4, is_fresh=True)
    )
    members: dict[str, Windows | Failure] = {
        name: loaded(member, steal)
        for name, member, steal in zip(("a", "b"), session.members, (3.0, 6.0), strict=False)
        if isinstance(member, Windows)
    }
    found = calibrate(study.objective, session, members, "a", 0.4)
    assert found.steal_pct == pytest.approx(4.5)
    assert found.other_cpu_pct == pytest.approx(9.0)
    assert found.unsteady == ("b",)


def test_the_reference_gives_requests_and_length_of_a_window() -> None:
    found = calibration_of(SyntheticBench(surface=lambda config: 5.0), make_study())
    assert found.longest_window_s >= 0.8
    assert found.requests_per_window == pytest.approx(4.0, abs=4.0)


# The phase


@pytest.mark.parametrize(("minutes", "twins"), [(1.0, 0), (2.0, 0), (5.0, 2), (10.0, 4)])
def test_a_longer_budget_measures_the_reference_beside_itself(tmp_path: Path, minutes: float, twins: int) -> None:
    study = Virtual(folder=tmp_path, study=make_study(minutes=minutes), space=TINY)
    study.run()
    lines = study.sessions("calibration")
    assert len(lines) == twins
    assert all(line.session.configurations[0] == line.session.configurations[1] for line in lines)
    spent_s = sum(line.session.wall_s for line in study.sessions("baselines", "calibration"))
    assert spent_s < 0.1 * 60 * minutes or twins == 0
    fixed = study.log().calibration()
    assert fixed is not None
    assert fixed.session_df == twins + 1  # default and LATENCY are one
    assert any(f"a gain of {fixed.provable_gain_pct:.1f} %" in words for words in study.listener.lines)


def test_a_study_of_today_spares_the_next_one_the_comparison_with_itself(tmp_path: Path) -> None:
    told: list[Calibration] = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = Virtual(folder=tmp_path / "a", study=make_study(minutes=10.0), space=TINY, remember=told.append)
    first.run()
    known = KnownNoise(session_sd=told[0].session_sd, df=told[0].session_df)
    second = Virtual(folder=tmp_path / "b", study=make_study(minutes=10.0), space=TINY, known_noise=known)
    second.run()
    assert not second.sessions("calibration")
    fixed = second.log().calibration()
    assert fixed is not None
    assert fixed.known == known


def test_a_resumed_study_stays_with_what_was_known_when_it_began(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, study=make_study(minutes=5.0), space=TINY)
    study.run()
    before = study.reference()
    study.known_noise = KnownNoise(session_sd=0.5, df=12)
    assert study.reference() == before


# What is kept for the next study


def test_the_cache_gives_back_what_was_written_within_a_day(tmp_path: Path) -> None:
    cache = NoiseCache(path=tmp_path / "deep" / "noise.json", fingerprint="host")
    assert cache.read(0.0) is None
    cache.write(KnownNoise(session_sd=0.02, df=5), 1000.0)
    assert cache.read(2000.0) == KnownNoise(session_sd=0.02, df=5)
    assert cache.read(1000.0 + 86_401) is None
    assert cache.read(999.0) is None  # from the future: a clock that was set back
    assert NoiseCache(path=cache.path, fingerprint="other").read(2000.0) is None
    NoiseCache(path=cache.path, fingerprint="other").write(KnownNoise(session_sd=0.03, df=99), 1500.0)
    assert cache.read(2000.0) == KnownNoise(session_sd=0.02, df=5)
    assert NoiseCache(path=cache.path, fingerprint="other").read(2000.0) == KnownNoise(session_sd=0.03, df=CACHED_DF)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"host": 3}', '{"host": {"at_unix_s": "x", "session_sd": 1, "df": 1}}',
     json.dumps({"host": {"at_unix_s": 1.0, "session_sd": -1.0, "df": 4}}),
     json.dumps({"host": {"at_unix_s": 1.0, "session_sd": float("nan"), "df": 4}})],
)  # fmt: skip
def test_a_damaged_cache_is_no_cache_and_is_replaced(tmp_path: Path, content: str) -> None:
    cache = NoiseCache(path=tmp_path / "noise.json", fingerprint="host")
    cache.path.write_text(content)
    assert cache.read(2.0) is None
    cache.write(KnownNoise(session_sd=0.02, df=5), 1.0)
    assert cache.read(2.0) == KnownNoise(session_sd=0.02, df=5)


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    NoiseCache(path=tmp_path / "file" / "noise.json", fingerprint="host").write(KnownNoise(session_sd=0.1, df=1), 0.0)


def test_another_model_or_metric_is_another_noise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one = noise_cache(host_facts(), "abc", "CPU", "throughput")
    assert one.path.is_relative_to(tmp_path)
    others = [("abd", "CPU", "throughput"), ("abc", "GPU", "throughput"), ("abc", "CPU", "latency_p99_ms")]
    assert len({one.fingerprint, *(noise_cache(host_facts(), *other).fingerprint for other in others)}) == 4
