"""Whether what the device reports really is all that matters: requests that it takes for one configuration, measured.

Knows the space, effective keys and a final's session; decides nothing, and says what it found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.evidence.candidates import Candidate
from tuner.evidence.state import StudyState
from tuner.phases.runner import SessionRunner
from tuner.records.session_log import SessionLine
from tuner.statistics.sequential_test import gain_pct
from tuner.statistics.session_effect import session_value
from tuner.study.space import Assignment

PAIRS_AT_MOST = 2

SUSPICIOUS_SDS = 3.0


def equal_requests(runner: SessionRunner, field: Sequence[Candidate], room: int) -> list[Assignment]:
    """Of each of the first candidates another request that has its effective configuration, as many as there is room
    for. None where the space was not listed: looking for them would compile it."""
    state = runner.state
    if state.distinct is None:
        return []
    wanted = {c.key: c.config for c in field[: min(room, PAIRS_AT_MOST)]}
    found: dict[str, Assignment] = {}
    for assignment in state.setup.space.assignments():
        if len(found) == len(wanted):
            break
        config = state.setup.configuration(assignment)
        effective = runner.resolve(config)
        if isinstance(effective, Failure) or effective.key in found or effective.key not in wanted:
            continue
        if config != wanted[effective.key]:
            found[effective.key] = assignment
    return list(found.values())


def audit_lines(state: StudyState, line: SessionLine) -> list[str]:
    """What a final's session says of its equal pairs: a member that is no trial and has an assignment is one."""
    session, noise = line.session, state.reference.noise
    ran = [(c, m) for c, m in zip(session.configurations, session.members, strict=True) if isinstance(m, Windows)]
    twins = [
        session.configurations[i]
        for i, (number, assignment) in enumerate(zip(line.trials, line.assignments, strict=True))
        if number is None and assignment is not None
    ]
    lines = []
    for config, member in ran:
        if config not in twins:
            continue
        for other, twin in ran:
            value = session_value(state.study.objective.row, member, twin, min_requests=1)
            if other in twins or twin.effective.key != member.effective.key or value is None:
                continue
            sd = math.hypot(noise.window_sd / math.sqrt(len(member.windows)), noise.session_sd)
            words = f"audit: two requests for one effective configuration differ by {gain_pct(value):+.1f} %"
            if abs(value) > SUSPICIOUS_SDS * sd:
                words = (
                    f"warning: {words}, more than noise: the device may not report all that matters ({config} and "
                    f"{other})"
                )
            lines.append(words)
    return lines
