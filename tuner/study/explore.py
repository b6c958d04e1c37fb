"""Phase 3, the search: which candidates are measured against the reference, and when that ends.

Knows strategies and their stop rules; proposals come from `search.py`, values from `evidence.py`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuner.bench.protocol import Failure, Phase
from tuner.study.campaign import Campaign, Ground, candidates_of, plan_session
from tuner.study.evidence import Candidate, ranked
from tuner.study.listing import GIVE_UP_AFTER, Listing, config_of, list_space
from tuner.study.search import Proposal, Search
from tuner.study.space import Assignment
from tuner.study.trial_session import PERCENTILE_CAP_S, answer_of, enough_rule, finished_trials, trials_of

STRAIGHT_UP_TO = 12
"""So few candidates all go to one race stage and from there to the final (measurement.md)."""
RACE_UP_TO = 50
RACE_KEEP = 0.4
RACE_BLOCKS = 3
GROUP = 6
"""Beside the reference: seven members a lineup (measurement.md)."""
ALL_FAILED = "every configuration failed"
REPEATS = 20
"""Known answers in a row after which the sampler is handed a point that nobody has measured."""


def explore(campaign: Campaign, ground: Ground, search: Search) -> str:
    """Measures candidates until the budget of the phase, the trials or the space are used up. Returns why it ended."""
    search.reconcile(finished_trials(campaign, ground))
    run = _Exploration(campaign=campaign, ground=ground, search=search, begin_s=campaign.clock())
    listing = list_space(campaign)
    sampler = campaign.study.sampler
    if listing is not None:
        for line in listing.lines():
            campaign.reporter.say(line)
        if listing.is_hopeless:
            return f"{ALL_FAILED}: {listing.refused[-1]}"
        count = len(listing.distinct)
        if sampler == "race" or (sampler == "auto" and count <= RACE_UP_TO):
            return run.race(listing, stages=1 if sampler == "auto" and count <= STRAIGHT_UP_TO else None)
    elif sampler == "race":
        campaign.reporter.say("the space is too large to race: it is sampled")
    return run.sample(listing)


@dataclass(slots=True, kw_only=True)
class _Exploration:
    """One run of the search phase."""

    campaign: Campaign
    ground: Ground
    search: Search
    begin_s: float
    measured_s: float = 0.0
    duplicates: int = 0
    refused: dict[str, Failure] = field(default_factory=dict)

    def sample(self, listing: Listing | None) -> str:
        """Seeds first, then the sampler; what is known is answered, not measured."""
        seeds = iter(self.campaign.setting.seeds)
        repeats = 0
        while (stop := self.stop_reason()) is None:
            known = self.known()
            if listing is not None and all(key in known for key in listing.distinct):
                return "every distinct configuration has been measured"
            wanted = next((seed for seed in seeds if self.is_new(seed, known)), None)
            if wanted is None and repeats >= REPEATS:
                wanted = self.unmeasured(listing, known)
                repeats = 0
            proposal = self.search.propose(wanted)
            config = config_of(self.campaign, proposal.assignment)
            effective = self.campaign.bench.resolve(config)
            if isinstance(effective, Failure):
                self.refused[config.key] = effective
                self.search.tell(proposal.number, value=None, failure=str(effective))
                repeats += 1
            elif effective.key in known:
                self.answer(proposal, known[effective.key])
                repeats += 1
            else:
                repeats = 0
                self.measure([proposal], "search")
        return stop

    def race(self, listing: Listing, *, stages: int | None) -> str:
        """Interleaved successive halving: all of them in groups beside the reference, then the best 40 %, until a
        final's field is left. Each stage wants one session more of each candidate than the one before."""
        numbers: dict[str, int] = {}
        baselines = set(self.ground.baseline_keys.values())
        field_keys = [key for key in listing.distinct if key not in baselines]
        random.Random(self.campaign.study.seed).shuffle(field_keys)
        field_keys.sort(key=lambda key: listing.distinct[key] not in self.campaign.setting.seeds)
        for stage in itertools.count():
            while True:
                known = candidates_of(self.campaign, self.ground)
                numbers |= {key: c.trial for key, c in known.items() if c.trial is not None}
                waiting = [k for k in field_keys if self.sessions_of(known.get(k), listing.distinct[k]) <= stage]
                if not waiting:
                    break
                if (stop := self.stop_reason()) is not None:
                    return stop
                group = [
                    Proposal(number=numbers[key], assignment=dict(listing.distinct[key]))
                    if key in numbers
                    else self.search.propose(listing.distinct[key])
                    for key in waiting[:GROUP]
                ]
                self.measure(group, "race", told=set(numbers.values()))
            alive = [c for c in ranked(known.values()) if c.key in set(field_keys)]
            if len(alive) <= GROUP or stage + 1 == stages:
                return "every distinct configuration has been measured"
            field_keys = [c.key for c in alive[: max(GROUP, round(RACE_KEEP * len(alive)))]]
        raise AssertionError("a race ends in its loop")

    def measure(self, group: Sequence[Proposal], phase: Phase, *, told: set[int] | None = None) -> None:
        """One session of the reference and the group; Optuna hears of those it does not know yet."""
        campaign, ground = self.campaign, self.ground
        self.show(
            phase, note=str(config_of(campaign, group[0].assignment)) if len(group) == 1 else f"{len(group)} at once"
        )
        is_single = phase == "search"
        plan = plan_session(
            campaign,
            ground,
            phase,
            blocks=1000 if is_single else max(RACE_BLOCKS, self.percentile_blocks()),
            enough=enough_rule(campaign, ground, self.incumbent_gain()) if is_single else None,
        )
        configs = [config_of(campaign, p.assignment) for p in group]
        line = campaign.measure(
            [ground.reference, *configs],
            plan,
            trials=[None, *(p.number for p in group)],
            assignments=[None, *(p.assignment for p in group)],
        )
        self.measured_s += line.session.wall_s
        for number, _, i in trials_of(line):
            if not told or number not in told:
                answer = answer_of(campaign, ground, line, i)
                self.search.tell(
                    number,
                    value=answer.value,
                    failure=answer.failure,
                    constraints=answer.constraints,
                    record=answer.record,
                )

    def percentile_blocks(self) -> int:
        metric = self.campaign.study.objective.row
        if metric.quantile is None:
            return 1
        per_window = max(1.0, self.ground.calibration.requests_per_window)
        return min(
            int(metric.min_requests / per_window) + 1, int(PERCENTILE_CAP_S / self.campaign.setting.window_s / 2)
        )

    def stop_reason(self) -> str | None:
        campaign, plan = self.campaign, self.ground.plan
        lines = campaign.log.sessions("search", "race")
        candidates = self.known().values()
        measured = [c for c in candidates if isinstance(c, Candidate) and c.is_measured]
        failed = [c for c in candidates if isinstance(c, Candidate) and c.failure is not None]
        causes = [str(c.failure) for c in failed] + [str(f) for f in self.refused.values()]
        if not measured and len(causes) >= GIVE_UP_AFTER:
            return f"{ALL_FAILED}: {causes[-1]}"
        tried = len({number for line in lines for number in line.trials if number is not None})
        if campaign.study.budget.trials is not None and tried >= campaign.study.budget.trials:
            return f"{tried} trials done"
        if plan.search_s is None or not tried:
            return None
        recorded_s = sum(line.session.wall_s for line in lines)
        spent_s = recorded_s + (campaign.clock() - self.begin_s - self.measured_s)
        typical_s = recorded_s / len(lines) if lines else 0.0
        return "the time for the search is used up" if spent_s + typical_s / 2 >= plan.search_s else None

    def known(self) -> dict[str, Candidate | str]:
        """Effective key -> what is known: a candidate, or the name of a baseline."""
        names = {key: name for name, key in self.ground.baseline_keys.items()}
        found = candidates_of(self.campaign, self.ground)
        failed = {
            effective.key: c
            for c in found.values()
            if c.failure is not None and not isinstance(effective := self.campaign.bench.resolve(c.config), Failure)
        }
        return {**names, **found, **failed}

    def answer(self, proposal: Proposal, known: Candidate | str) -> None:
        """A duplicate is told what is known of its effective configuration, and does not count as a trial."""
        self.duplicates += 1
        if isinstance(known, str):
            value = self.ground.standing.values[known]
            self.search.tell(proposal.number, value=value, record={"same_as": f"baseline {known}"})
        elif known.failure is not None:
            self.search.tell(proposal.number, value=None, failure=str(known.failure))
        else:
            constraints = {name: x for j in known.judgements[-1:] for name, x in j.violations.items()}
            record = {"same_as": f"trial {known.trial}"}
            self.search.tell(proposal.number, value=known.value, constraints=constraints, record=record)

    def is_new(self, assignment: Assignment, known: Mapping[str, object]) -> bool:
        effective = self.campaign.bench.resolve(config_of(self.campaign, assignment))
        return isinstance(effective, Failure) or effective.key not in known

    def unmeasured(self, listing: Listing | None, known: Mapping[str, object]) -> Assignment | None:
        if listing is None:
            return None
        return next((a for key, a in listing.distinct.items() if key not in known), None)

    def sessions_of(self, candidate: Candidate | None, assignment: Assignment) -> float:
        """How often a race candidate was measured; one that failed needs no more."""
        if config_of(self.campaign, assignment).key in self.refused:
            return float("inf")
        if candidate is None:
            failed = {c.config for c in candidates_of(self.campaign, self.ground).values() if c.failure is not None}
            return float("inf") if config_of(self.campaign, assignment) in failed else 0
        return float("inf") if candidate.failure is not None else len(candidate.judgements)

    def incumbent(self) -> Candidate | None:
        best = ranked(candidates_of(self.campaign, self.ground).values())
        return best[0] if best and best[0].is_feasible else None

    def incumbent_gain(self) -> float:
        best = self.incumbent()
        return best.value if best else 0.0

    def show(self, phase: Phase, *, note: str) -> None:
        incumbent = self.incumbent()
        candidates = candidates_of(self.campaign, self.ground).values()
        self.campaign.show(
            replace(
                self.campaign.status,
                phase="search",
                left_s=self.campaign.left_s(),
                reference=self.ground.standing.reference,
                incumbent=str(incumbent.config) if incumbent else "",
                incumbent_gain=incumbent.value if incumbent else None,
                trials=sum(1 for c in candidates if c.is_measured),
                failures=sum(1 for c in candidates if c.failure is not None) + len(self.refused),
                duplicates=self.duplicates,
                noise=self.ground.calibration.window_sd,
                note=note,
            )
        )
