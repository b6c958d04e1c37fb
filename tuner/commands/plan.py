"""What `tuner run` would do, in words: baselines, the listed space, the parts of the budget and what they can prove.

Knows the plan of a budget; measures nothing and writes nothing.
"""

from __future__ import annotations

from tuner.decision.result import is_finished
from tuner.evidence.noise import PRIOR_SD
from tuner.phases.runner import SessionRunner
from tuner.planning.description import plan_lines
from tuner.planning.study_plan import study_plan, usual_plan
from tuner.report.words.space import enumeration_lines, given_up_line
from tuner.search.enumeration import enumerate_space
from tuner.statistics.power import smallest_provable_gain_pct
from tuner.statistics.sequential_test import gain_log


def describe_plan(runner: SessionRunner) -> list[str]:
    """Returns what a run would do, in lines. Resolves the whole space.

    Noise and costs are the usual ones until the baselines of this study are on record.
    """
    state = runner.state
    setup, known = state.setup, state.setup.known_noise
    names = [f"{name}: {config}" for name, config in setup.baselines.items()]
    lines = [f"baselines: {'; '.join(names)}"]
    enumeration = enumerate_space(
        setup, runner.resolve, clock=runner.clock, tell=lambda found: runner.say(given_up_line(found))
    )
    if enumeration is not None:
        lines += enumeration_lines(enumeration)
    if is_finished(state):
        return [*lines, "finished: `tuner run` prints the verdict; a larger budget searches on"]
    if state.has_reference:
        return [*lines, *plan_lines(state, study_plan(state))]
    plan = usual_plan(setup)
    sd = known.session_sd if known else PRIOR_SD
    noise = "the noise that an earlier study of today found" if known else "the usual noise"
    provable = smallest_provable_gain_pct(sd, plan.max_sessions, min_gain_log=gain_log(state.study.min_gain_pct))
    search = "until the trials are done" if plan.search_s is None else f"{plan.search_s:.0f} s"
    lines.append(
        f"plan, before the baselines have run: baselines {plan.baselines_s:.0f} s, search {search}, "
        f"final {plan.final_s:.0f} s, confirmation {plan.confirm_s:.0f} s (at most {plan.max_sessions} sessions)"
    )
    return [
        *lines,
        f"provable with {noise} ({100 * sd:.1f} %): a gain of {provable:.1f} % or more",
        *plan.notes,
    ]
