"""Audits the effective key: two requests that have the same one are measured beside each other.

Knows the space, effective keys and a final's session; decides nothing, and tells what it found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.evidence.candidates import Candidate
from tuner.evidence.state import StudyState
from tuner.phases.progress import AuditRead
from tuner.phases.runner import SessionRunner
from tuner.records.session_log import SessionLine
from tuner.statistics.session_effect import session_value
from tuner.study.space import Assignment

PAIRS_AT_MOST = 2
"""Number of audited requests in a session: each takes the place of a candidate."""

SUSPICIOUS_SDS = 3.0
"""Standard deviations of a session's value beyond which two requests differ by more than noise."""


def equal_requests(runner: SessionRunner, candidates: Sequence[Candidate], room: int) -> list[Assignment]:
    """Returns, for each of the first candidates, another request that has its effective configuration.

    There are at most `room` of them, and none if the space was not enumerated: looking for them would compile it.
    """
    state = runner.state
    if state.distinct is None:
        return []
    wanted = {c.key: c.config for c in candidates[: min(room, PAIRS_AT_MOST)]}
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


def read_audits(state: StudyState, line: SessionLine) -> list[AuditRead]:
    """Returns what a session of a final found of its audited requests.

    A member without a trial that has an assignment is such a request.
    """
    session, noise = line.session, state.reference.noise
    ran = [(c, m) for c, m in zip(session.configurations, session.members, strict=True) if isinstance(m, Windows)]
    audited = [
        session.configurations[i]
        for i, (number, assignment) in enumerate(zip(line.trials, line.assignments, strict=True))
        if number is None and assignment is not None
    ]
    found = []
    for config, member in ran:
        if config not in audited:
            continue
        sd = math.hypot(noise.window_sd / math.sqrt(len(member.windows)), noise.session_sd)
        for other, theirs in ran:
            gain = session_value(state.study.objective.row, member, theirs, min_requests=1)
            if other in audited or theirs.effective.key != member.effective.key or gain is None:
                continue
            is_suspicious = abs(gain) > SUSPICIOUS_SDS * sd
            found.append(AuditRead(gain=gain, is_suspicious=is_suspicious, configurations=(config, other)))
    return found
