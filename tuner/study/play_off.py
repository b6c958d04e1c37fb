"""The play-off, after the final: who of those still in question is best, on time that the confirmation will not need.

Knows what is believed of candidates and how sure that is; the verdict belongs to the confirmation.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.study.budget import PAIRS, StudyPlan
from tuner.study.confirmation_size import confirmation_s, sessions_to_keep
from tuner.study.evidence import Candidate
from tuner.study.runner import SessionRunner
from tuner.study.session_plan import LINEUP, WARM_UP_WINDOWS, longer_s, plan_session
from tuner.study.state import Reference, StudyState

Floats = npt.NDArray[np.float64]

FIELD = LINEUP - 1
"""Beside the reference."""
DRAWS = 4000
"""Puts what a session is worth within some per cent of itself."""
WORTH_A_SESSION = 0.0003
"""A session that is expected to improve what is deployed by less (log-ratio) is not run: two that are equal, and differ
by 1 % from session to session, end after some twenty, however much time there is."""
UNLIKELY = 0.02
"""Who is the best with a smaller probability takes no time of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Which candidates may be the best, and what one more session of them is worth."""

    meeting: Sequence[int]
    """Indices of the candidates that may be the best, the leader first, then the likeliest, `FIELD` at most."""
    worth: float
    """Expected improvement of the best by one more session of them (log-ratio)."""


def contest(values: Floats, sds: Floats, last_sds: Floats, *, seed: int) -> Contest:
    """Returns which of several normal, independent values is worth another session (the knowledge gradient).

    By `DRAWS` seeded draws of what each is worth, and of what one more session like its last one would make of it
    (Frazier, Powell & Dayanik, 2008). `values` (log-ratios), best first, their standard errors and those of their last
    sessions alone have one entry a candidate. Raises ValueError where there are none.
    """
    count = len(values)
    if count == 0:
        raise ValueError("there is no candidate to compare")
    normal = np.random.default_rng(seed).standard_normal((DRAWS, count))
    chances = np.bincount((values + sds * normal).argmax(axis=1), minlength=count) / DRAWS
    rivals = [i for i in np.argsort(-chances, kind="stable").tolist() if i and chances[i] >= UNLIKELY]
    meeting = [0, *rivals[: FIELD - 1]]
    moves = np.zeros(count)
    moves[meeting] = [float(sds[i]) ** 2 / math.hypot(sds[i], last_sds[i]) for i in meeting]
    after = values + moves * normal
    worth = float((after.max(axis=1) - after[:, values.argmax()]).mean())
    return Contest(meeting=meeting, worth=worth)


def next_field(state: StudyState, plan: StudyPlan, known: Sequence[Candidate]) -> Sequence[Candidate]:
    """Returns the candidates that meet in one more session, of those that may win (`known`, best first).

    Empty where a session would tell nothing, or where the leader's confirmation may need the time.
    """
    remaining_s, reference = state.remaining_s(), state.reference
    if remaining_s is None or len(known) < 2 or (kept := sessions_to_keep(reference, known[0])) is None:
        return []
    seed = zlib.crc32(f"{state.study.seed}/{state.attempt}/{state.steps('final')}".encode())
    found = contest(
        np.array([c.value for c in known]),
        np.array([c.sd for c in known]),
        np.array([c.comparisons[-1].sd for c in known]),
        seed=seed,
    )
    if found.worth < WORTH_A_SESSION:
        return []
    field = [known[i] for i in found.meeting]
    spare_s = remaining_s - confirmation_s(state, plan, known[0], kept)
    sizes = range(len(field), 1, -1)
    return next((field[:n] for n in sizes if _session_s(reference, field[:n]) <= spare_s), [])


def measure_field(runner: SessionRunner, field: Sequence[Candidate]) -> bool:
    """Measures one session beside the reference; True if it told anything, which it does not where the reference fails.

    The process is a fresh one: only several of those average out what differs between two compiles.
    """
    state = runner.state
    before = _comparison_count(state)
    runner.show("final", f"{len(field)} candidates, the best from the second best")
    runner.measure(
        [state.reference.configuration, *(c.config for c in field)],
        plan_session(state, state.reference, "final", blocks=PAIRS, is_fresh=True),
        trials=[None, *(c.trial for c in field)],
        assignments=[None, *(c.assignment for c in field)],
    )
    return _comparison_count(state) > before


def _comparison_count(state: StudyState) -> int:
    return sum(len(candidate.comparisons) for candidate in state.candidates.values())


def _session_s(reference: Reference, field: Sequence[Candidate]) -> float:
    cost = reference.noise.cost
    longer = sum(longer_s(reference, c) for c in field)
    return cost.of(PAIRS, reference.window_s, 1 + len(field)) + (PAIRS + WARM_UP_WINDOWS) * longer
