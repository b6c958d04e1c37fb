"""Audits: what a device takes for one configuration is measured as two, in long finals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import Meddler, Virtual, calm, make_study, parameter, space_of
from tuner.bench.measurement import Session, Windows
from tuner.bench.protocol import SessionPlan
from tuner.evidence.candidates import ranked
from tuner.phases.audit import equal_requests

pytestmark = pytest.mark.slow

SPACE = space_of(
    parameter("NUM_STREAMS", 1, 2, 4, 8, 16),
    parameter("INFERENCE_NUM_THREADS", 4, 8),
    parameter("infer_requests", 4, 8, 16, 32),
)
"""Streams beyond the threads are cut down to them."""


def long_study(folder: Path, minutes: float = 10.0) -> Virtual:
    return Virtual(folder=folder, space=SPACE, bench=calm(), study=make_study(minutes=minutes))


def test_a_long_final_measures_two_requests_for_one_configuration_and_says_how_they_differ(tmp_path: Path) -> None:
    study = long_study(tmp_path)
    study.run()
    last, *_ = study.sessions("final")
    equals = [i for i, number in enumerate(last.trials) if number is None and last.assignments[i] is not None]
    assert 0 < len(equals) <= 2
    keys = [m.effective.key for m in last.session.members if isinstance(m, Windows)]
    assert all(keys.count(keys[i]) == 2 for i in equals)
    assert len(last.session.configurations) <= 7
    audits = [line for line in study.listener.lines if line.startswith("audit: two requests")]
    assert len(audits) == len(equals)
    assert not any("warning: audit" in line for line in study.listener.lines)


def test_a_short_final_has_no_time_for_audits(tmp_path: Path) -> None:
    study = long_study(tmp_path, minutes=2.0)
    study.run()
    assert study.sessions("final")
    assert not any("audit" in line for line in study.listener.lines)


def test_a_pair_that_is_not_equal_is_a_warning(tmp_path: Path) -> None:
    """The device reports the same of both, and one is a third slower."""

    def meddle(plan: SessionPlan, session: Session) -> Session:
        def slow(i: int) -> bool:
            config = session.configurations[i]
            return int(config.properties.get("NUM_STREAMS", 0)) > int(
                config.properties.get("INFERENCE_NUM_THREADS", 99)
            )

        members = tuple(
            replace(m, windows=tuple(replace(w, duration_s=1.5 * w.duration_s) for w in m.windows))
            if isinstance(m, Windows) and slow(i) and plan.phase == "final"
            else m
            for i, m in enumerate(session.members)
        )
        return replace(session, members=members)

    study = long_study(tmp_path)
    study.run(Meddler(study.bench, meddle))
    warnings = [line for line in study.listener.lines if line.startswith("warning: audit")]
    assert warnings
    assert "the device may not report all that matters" in warnings[0]


def test_what_has_no_equal_has_no_audit(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, bench=calm())
    study.run()
    runner = study.runner()
    field = ranked(runner.state.candidates.values())
    assert field
    assert equal_requests(runner, field, 7) == []
