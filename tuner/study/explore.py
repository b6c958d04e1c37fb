"""Phase 3, the search: which candidates are measured against the reference, and when that ends.

Knows strategies and their stop rules; proposals come from `search.py`, values from `evidence.py`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tuner.bench.protocol import Failure, Phase
from tuner.study.budget import StudyPlan
from tuner.study.confirmation_size import beyond_plan_s
from tuner.study.evidence import Candidate, ranked
from tuner.study.expected_improvement import Model
from tuner.study.final import finalists
from tuner.study.front import ranked_for
from tuner.study.front_final import front_beyond_plan_s
from tuner.study.listing import GIVE_UP_AFTER, Listing
from tuner.study.observation import fast_enough, observations
from tuner.study.runner import SessionRunner
from tuner.study.search import Proposal, Search
from tuner.study.session_plan import LINEUP, PROBES, RACE_UP_TO, plan_session
from tuner.study.space import Assignment
from tuner.study.state import StudyState
from tuner.study.trial_session import PERCENTILE_CAP_S, SHORT_SEARCH_S, answer_of, enough_rule, trials_of

STRAIGHT_UP_TO = 12
"""So few candidates all go to one race stage and from there to the final (measurement.md)."""
RACE_KEEP = 0.4
RACE_BLOCKS = 3
SEARCH_BLOCKS = 1000
"""Number of blocks that no trial reaches: its stop rule ends it."""
GROUP = LINEUP - 1
"""Race candidates at once, beside the reference."""
SEARCH_AT_LEAST = 0.5
"""Of its time, where the best candidates' windows are so long that final and confirmation need more than planned."""
ALL_FAILED = "every configuration failed"
ALL_MEASURED = "every distinct configuration has been measured"
TOO_SLOW = "what is left is too slow for a window of this budget"
NOTHING_LEFT = "no configuration is expected to be better than the best found"
DIRECTIONS = 8
"""With several objectives the search is over when in so many random directions nothing better is expected."""
REPEATS = 20
"""Known answers in a row after which the sampler is handed a point that nobody has measured."""


def explore(runner: SessionRunner, plan: StudyPlan, search: Search, listing: Listing | None) -> str:
    """Measures candidates until the budget of the phase, the trials or the space are used up. Returns why it ended:
    `ALL_FAILED` and the cause where not one of them ran. The search agrees with the record already;
    `listing` is the space as the device sees it, None where it is too large to list."""
    state = runner.state
    names = {key: name for name, key in state.reference.baseline_keys.items()}
    run = _Exploration(runner=runner, plan=plan, search=search, baselines=names, begin_s=runner.clock())
    sampler = state.study.sampler
    if listing is None:
        if sampler in ("race", "gp"):
            runner.say(f"the space is too large to list, which {sampler} needs: it is sampled by TPE")
        why = run.sample(None)
    else:
        for line in listing.lines():
            runner.say(line)
        count = len(listing.distinct)
        if listing.is_hopeless:
            why = f"{ALL_FAILED}: {listing.refused[-1]}"
        elif sampler == "race" or (sampler == "auto" and count <= RACE_UP_TO):
            why = run.race(listing, stages=1 if sampler == "auto" and count <= STRAIGHT_UP_TO else None)
        else:
            why = run.sample(listing)
    return run.failure() or why


@dataclass(slots=True, kw_only=True)
class _Exploration:
    """One run of the search phase."""

    runner: SessionRunner
    plan: StudyPlan
    search: Search
    baselines: Mapping[str, str]
    """Effective key -> name, of those that ran."""
    begin_s: float
    measured_s: float = 0.0
    refused: dict[str, Failure] = field(default_factory=dict)
    """Sets of properties that do not compile, met while sampling."""
    asked: dict[str, Candidate] = field(default_factory=dict)
    """Effective key, as it resolves, of every configuration ever measured."""
    asked_count: int = 0

    @property
    def state(self) -> StudyState:
        """What is on record."""
        return self.runner.state

    def sample(self, listing: Listing | None) -> str:
        """Seeds first, then the sampler; what is known is answered, not measured."""
        state = self.state
        seeds = iter(state.setup.seeds)
        left = dict(listing.distinct) if listing else {}
        model = self.model(listing)
        repeats = 0
        while (stop := self.stop_reason(is_new=True)) is None:
            left = {key: assignment for key, assignment in left.items() if self.known(key) is None}
            if listing is not None and not left:
                return ALL_MEASURED
            wanted = next((seed for seed in seeds if self.is_new(seed)), None)
            if wanted is None and model is not None:
                candidates = list(state.candidates.values())
                in_time = fast_enough(state, left, self.incumbent())
                if not in_time:
                    return TOO_SLOW
                seen = (observations(state.reference, candidates, model.points, u) for u in self.directions())
                promising = (model.most_promising(observed, in_time) for observed in seen)
                wanted = next((point for point in promising if point is not None), None)
                if wanted is None:
                    return NOTHING_LEFT
            if wanted is None and repeats >= REPEATS:
                wanted = next(iter(left.values()), None) or self.unmeasured()
                if wanted is None:
                    return "the sampler finds nothing that is not known"
            proposal = self.search.propose(wanted)
            config = state.setup.configuration(proposal.assignment)
            effective = self.runner.resolve(config)
            repeats += 1
            if isinstance(effective, Failure):
                self.refused[config.properties_key] = effective
                self.search.tell(proposal.number, value=None, failure=str(effective))
            elif (known := self.known(effective.key)) is not None:
                self.answer(proposal, known)
            else:
                repeats = 0
                self.measure([proposal], "search")
        return stop

    def model(self, listing: Listing | None) -> Model | None:
        """What proposes in place of Optuna's samplers; None where those do."""
        if self.state.study.sampler not in ("auto", "gp") or listing is None:
            return None
        return Model(self.state.setup.space, listing.distinct, seed=self.state.study.seed)

    def directions(self) -> Iterator[Sequence[float]]:
        """What weighs several objectives in the next proposal: drawn anew for each, and again where in that direction
        nothing is left. With one objective there is nothing to weigh."""
        objective, study = self.state.study.objective, self.state.study
        if not objective.has_several:
            yield ()
            return
        rng = random.Random(f"{study.seed}/{len(self.search.trials())}")
        for _ in range(DIRECTIONS):
            yield [1.0 - rng.random() for _ in objective.metrics]

    def race(self, listing: Listing, *, stages: int | None) -> str:
        """Interleaved successive halving: all of them in groups beside the reference, then the best 40 %, until a
        final's field is left. Each stage wants one session more of each candidate than the one before."""
        keys = [key for key in listing.distinct if key not in self.baselines]
        random.Random(self.state.study.seed).shuffle(keys)
        seeds = self.seed_keys()
        keys.sort(key=lambda key: key not in seeds)
        room = self.trials_left()
        left_out = set() if room is None else set([key for key in keys if self.known(key) is None][room:])
        keys = [key for key in keys if key not in left_out]
        for stage in itertools.count():
            while waiting := [key for key in keys if self.sessions_of(key) <= stage]:
                if (stop := self.stop_reason(is_new=False)) is not None:
                    return stop
                group = waiting[: self.group_size()]
                self.measure([self.proposal(key, listing.distinct[key]) for key in group], "race")
            found = {c.key: key for key in keys if isinstance(c := self.known(key), Candidate)}
            known = self.state.candidates.values()
            alive = ranked_for(self.state.study.objective, [c for c in known if c.key in found])
            if len(alive) <= GROUP or stage + 1 == stages:
                break
            keys = [found[c.key] for c in alive[: max(GROUP, round(RACE_KEEP * len(alive)))]]
        return f"{self.state.study.budget.trials} trials done" if left_out else ALL_MEASURED

    def seed_keys(self) -> set[str]:
        """What the seeds are to the device."""
        configs = (self.state.setup.configuration(seed) for seed in self.state.setup.seeds)
        found = (self.runner.resolve(config) for config in configs)
        return {effective.key for effective in found if not isinstance(effective, Failure)}

    def proposal(self, key: str, assignment: Assignment) -> Proposal:
        """The trial of a member of a race: the one it has had since the first stage, or a new one."""
        known = self.known(key)
        if isinstance(known, Candidate) and known.trial is not None:
            return Proposal(number=known.trial, assignment=dict(known.assignment or assignment))
        return self.search.propose(assignment)

    def measure(self, group: Sequence[Proposal], phase: Phase) -> None:
        """Measures one session of the reference and the group; Optuna hears of those it does not know yet."""
        state, reference = self.state, self.state.reference
        configs = [state.setup.configuration(p.assignment) for p in group]
        is_single = phase == "search"
        best = self.incumbent()
        self.show(best, note=str(configs[0]) if is_single else f"{len(group)} at once")
        search_s = self.plan.search_s
        rule = enough_rule(
            state.study.objective,
            window_sd=reference.noise.window_sd,
            window_s=reference.window_s,
            is_short=search_s is not None and search_s < SHORT_SEARCH_S,
            incumbent_gain=best.value if best else 0.0,
        )
        blocks = SEARCH_BLOCKS if is_single else self.race_blocks()
        plan = plan_session(state, reference, phase, blocks=blocks, enough=rule if is_single else None)
        told = {c.trial for c in state.candidates.values()}
        line = self.runner.measure(
            [reference.configuration, *configs],
            plan,
            trials=[None, *(p.number for p in group)],
            assignments=[None, *(p.assignment for p in group)],
            duplicates=self.search.duplicates,
        )
        self.measured_s += line.session.wall_s
        for number, _, i in trials_of(line):
            if number not in told:
                answer = answer_of(state, line, i)
                self.search.tell(
                    number,
                    value=answer.value,
                    others=answer.others,
                    failure=answer.failure,
                    constraints=answer.constraints,
                    record=answer.record,
                )

    def race_blocks(self) -> int:
        is_whole = self.state.study.objective.row.is_whole
        return max(RACE_BLOCKS, self.percentile_blocks(), PROBES if is_whole else 1)

    def percentile_blocks(self) -> int:
        rows = [row for row in self.state.study.objective.rows if row.quantile is not None]
        if not rows:
            return 1
        per_window = max(1.0, self.state.reference.noise.requests_per_window)
        needed = max(row.min_requests for row in rows)
        return min(int(needed / per_window) + 1, int(PERCENTILE_CAP_S / self.state.reference.window_s / 2))

    def stop_reason(self, *, is_new: bool) -> str | None:
        """Why there is not to be another session; `is_new` where it would be another trial."""
        state = self.state
        if (failure := self.failure()) is not None and len(self.causes()) >= GIVE_UP_AFTER:
            return failure
        if is_new and self.trials_left() == 0:
            return f"{state.study.budget.trials} trials done"
        remaining_s = self.remaining_s()
        is_begun = bool(state.log.sessions("search", "race"))
        is_over = is_begun and remaining_s is not None and remaining_s < 2 * self.member_s()
        return "the time for the search is used up" if is_over else None

    def remaining_s(self) -> float | None:
        """Returns what is left of the search's time (s); None where it has no end."""
        state, plan = self.state, self.plan
        if plan.search_s is None:
            return None
        recorded_s = sum(line.session.wall_s for line in state.log.sessions("search", "race"))
        spent_s = recorded_s + (self.runner.clock() - self.begin_s - self.measured_s)
        if state.study.objective.has_several:
            reserve_s = front_beyond_plan_s(state, plan)
        else:
            reserve_s = beyond_plan_s(state, plan, finalists(state, plan))
        return max(SEARCH_AT_LEAST * plan.search_s, plan.search_s - reserve_s) - spent_s

    def member_s(self) -> float:
        """What one member of a session has taken so far, on average; before the first, what a race's would by the
        baselines."""
        sessions = [line.session for line in self.state.log.sessions("search", "race")]
        if not sessions:
            reference = self.state.reference
            noise, cost = reference.noise, reference.noise.cost
            is_whole = self.state.study.objective.row.is_whole
            window_s = noise.longest_window_s if is_whole else reference.window_s
            return cost.fixed_s / 2 + self.race_blocks() * (window_s + cost.turn_s)
        return sum(s.wall_s for s in sessions) / sum(len(s.lineup) for s in sessions)

    def group_size(self) -> int:
        """How many race candidates fit into the time that is left, beside the reference."""
        remaining_s, member_s = self.remaining_s(), self.member_s()
        return GROUP if remaining_s is None else max(1, min(GROUP, int(remaining_s / member_s) - 1))

    def trials_left(self) -> int | None:
        """None where they are not budgeted. A trial counts once it has been measured, however often that is."""
        total = self.state.study.budget.trials
        if total is None:
            return None
        lines = self.state.log.sessions("search", "race")
        return max(0, total - len({number for line in lines for number in line.trials if number is not None}))

    def failure(self) -> str | None:
        """Why nothing of the space ran, so far; None where something did, or nothing was tried."""
        causes = self.causes()
        is_any_measured = any(c.is_measured for c in self.state.candidates.values())
        return None if is_any_measured or not causes else f"{ALL_FAILED}: {causes[-1]}"

    def causes(self) -> list[str]:
        failures = [c.failure for c in self.state.candidates.values() if c.failure]
        return [str(failure) for failure in (*self.refused.values(), *failures)]

    def known(self, key: str) -> Candidate | str | None:
        """What is known of an effective configuration: a candidate that ran or failed, or the name of a baseline.

        Looked for by what resolves to it: what a device reports of a compiled model may differ in a detail.
        """
        evidence = self.state.evidence
        for config in itertools.islice(evidence.requests, self.asked_count, None):
            effective = self.runner.resolve(config)
            if not isinstance(effective, Failure):
                self.asked[effective.key] = evidence.requests[config]
        self.asked_count = len(evidence.requests)
        found = self.asked.get(key) or evidence.candidates.get(key)
        return found if found is not None and found.is_known else self.baselines.get(key)

    def answer(self, proposal: Proposal, known: Candidate | str) -> None:
        """A duplicate is told what is known of its effective configuration, and does not count as a trial."""
        self.search.duplicates += 1
        if isinstance(known, str):
            ranking = self.state.reference.ranking
            value, constraints, same_as = ranking.values[known], ranking.violations[known], f"baseline {known}"
            others = [values[known] for values in ranking.others.values()]
        elif known.failure is not None:
            self.search.tell(proposal.number, value=None, failure=str(known.failure))
            return
        else:
            value, constraints, same_as = known.value, known.comparisons[-1].violations, f"trial {known.trial}"
            others = [estimate.value for estimate in known.others.values()]
        record = {"same_as": same_as}
        self.search.tell(proposal.number, value=value, others=others, constraints=constraints, record=record)

    def is_new(self, assignment: Assignment) -> bool:
        config = self.state.setup.configuration(assignment)
        effective = self.runner.resolve(config)
        if isinstance(effective, Failure):
            return config.properties_key not in self.refused
        return self.known(effective.key) is None

    def unmeasured(self) -> Assignment | None:
        """A point of a space too large to list, drawn blindly; None where that finds nothing new either."""
        rng = random.Random(f"{self.state.study.seed}/{len(self.search.trials())}")
        space = self.state.setup.space
        drawn = (space.nearest({p.name: rng.choice(p.values) for p in space.parameters}) for _ in range(REPEATS))
        return next((point for point in drawn if self.is_new(point)), None)

    def sessions_of(self, key: str) -> float:
        """How often a race candidate was measured; one that failed needs no more."""
        candidate = self.known(key)
        if not isinstance(candidate, Candidate):
            return 0
        return float("inf") if candidate.failure is not None else len(candidate.comparisons) + candidate.lost

    def incumbent(self) -> Candidate | None:
        best = ranked(self.state.candidates.values())
        return best[0] if best and best[0].is_feasible else None

    def show(self, incumbent: Candidate | None, *, note: str) -> None:
        candidates, reference = self.state.candidates.values(), self.state.reference
        self.runner.show(
            "search",
            note,
            reference=reference.name,
            incumbent=str(incumbent.config) if incumbent else "",
            incumbent_gain=incumbent.value if incumbent else None,
            trials=sum(1 for c in candidates if c.is_measured),
            failures=sum(1 for c in candidates if c.failure is not None) + len(self.refused),
            duplicates=self.search.duplicates,
            noise=reference.noise.window_sd,
        )
