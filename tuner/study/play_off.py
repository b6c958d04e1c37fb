"""The play-off, after the final: who of those still in question is best, on time that the confirmation will not need.

Knows what is believed of candidates and how sure that is; the verdict belongs to the confirmation.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tuner.study.budget import PAIRS
from tuner.study.campaign import LINEUP, WARM_UP_WINDOWS, Campaign, Ground, candidates_of, longer_s, plan_session
from tuner.study.confirmation_size import confirmation_s, sessions_to_keep
from tuner.study.evidence import Candidate

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
    """`field`: those who may be the best, the leader first, then the likeliest, `FIELD` at most. `worth`: by how much
    one more session of them is expected to improve the best (log-ratio)."""

    field: Sequence[Candidate]
    worth: float


def contest(known: Sequence[Candidate], *, seed: int) -> Contest:
    """Among candidates, best first, taken for normal and independent: by `DRAWS` seeded draws of what each is worth,
    and of what one more session like its last one would make of it (the knowledge gradient of Frazier, Powell &
    Dayanik, 2008). Raises ValueError where there are none."""
    if not known:
        raise ValueError("nobody to compare")
    values, sds = np.array([c.value for c in known]), np.array([c.sd for c in known])
    normal = np.random.default_rng(seed).standard_normal((DRAWS, len(known)))
    chances = np.bincount((values + sds * normal).argmax(axis=1), minlength=len(known)) / DRAWS
    rivals = [i for i in np.argsort(-chances, kind="stable").tolist() if i and chances[i] >= UNLIKELY]
    meeting = [0, *rivals[: FIELD - 1]]
    moves = np.zeros(len(known))
    moves[meeting] = [known[i].sd ** 2 / math.hypot(known[i].sd, known[i].judgements[-1].sd) for i in meeting]
    after = values + moves * normal
    worth = float((after.max(axis=1) - after[:, values.argmax()]).mean())
    return Contest(field=[known[i] for i in meeting], worth=worth)


def next_field(campaign: Campaign, ground: Ground, known: Sequence[Candidate]) -> Sequence[Candidate]:
    """Who meets in one more session; empty where it would tell nothing, or where the leader's confirmation may need the
    time. `known`: who may win, best first."""
    left_s = campaign.left_s()
    if left_s is None or len(known) < 2 or (kept := sessions_to_keep(ground, known[0])) is None:
        return []
    seed = zlib.crc32(f"{campaign.study.seed}/{campaign.round}/{campaign.steps('final')}".encode())
    found = contest(known, seed=seed)
    if found.worth < WORTH_A_SESSION:
        return []
    spare_s = left_s - confirmation_s(campaign, ground, known[0], kept)
    sizes = range(len(found.field), 1, -1)
    return next((found.field[:n] for n in sizes if _session_s(ground, found.field[:n]) <= spare_s), [])


def measure_field(campaign: Campaign, ground: Ground, field: Sequence[Candidate]) -> bool:
    """One session beside the reference, in a fresh process: only several of those average out what differs between two
    compiles. Whether it told anything: not where the reference failed."""
    before = _judgement_count(campaign, ground)
    note = f"{len(field)} candidates, the best from the second best"
    campaign.show(replace(campaign.status, phase="final", left_s=campaign.left_s(), note=note))
    campaign.measure(
        [ground.reference, *(c.config for c in field)],
        plan_session(campaign, ground, "final", blocks=PAIRS, is_fresh=True),
        trials=[None, *(c.trial for c in field)],
        assignments=[None, *(c.assignment for c in field)],
    )
    return _judgement_count(campaign, ground) > before


def _judgement_count(campaign: Campaign, ground: Ground) -> int:
    return sum(len(candidate.judgements) for candidate in candidates_of(campaign, ground).values())


def _session_s(ground: Ground, field: Sequence[Candidate]) -> float:
    cost = ground.calibration.cost
    longer = sum(longer_s(ground, c) for c in field)
    return cost.of(PAIRS, ground.window_s, 1 + len(field)) + (PAIRS + WARM_UP_WINDOWS) * longer
