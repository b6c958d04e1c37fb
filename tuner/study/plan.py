"""What `tuner run` would do, in words: baselines, the listed space, the parts of the budget and what they can prove.

Knows the plan of a budget; measures nothing and writes nothing.
"""

from __future__ import annotations

from tuner.study.budget import SHORT_WINDOW_S, plan_budget, smallest_provable_gain_pct, usual_cost
from tuner.study.calibration import PRIOR_SD
from tuner.study.campaign import Campaign, read_ground
from tuner.study.decision import gain_log
from tuner.study.listing import list_space
from tuner.study.phases import is_finished, plan_lines


def describe_plan(campaign: Campaign) -> list[str]:
    """In lines. Noise and costs are the usual ones until the baselines of this study are on record. Resolves the whole
    space."""
    names = [f"{name}: {config}" for name, config in campaign.setting.baselines.items()]
    lines = [f"baselines: {'; '.join(names)}"]
    listing = list_space(campaign)
    if listing is not None:
        lines += listing.lines()
    min_gain_pct = campaign.study.min_gain_pct
    ground = read_ground(campaign.setting, campaign.log, round=campaign.round)
    if is_finished(campaign):
        return [*lines, "finished: `tuner run` prints the verdict; a larger budget searches on"]
    if ground is not None:
        return [*lines, *plan_lines(campaign, ground)]
    study, setting = campaign.study, campaign.setting
    minutes = study.budget.minutes
    plan = plan_budget(
        None if minutes is None else 60 * minutes,
        usual_cost(replicas=study.conditions.replicas, is_apart=study.is_apart),
        baselines=len(names),
        wanted_window_s=setting.window_s,
        min_window_s=setting.window_s if setting.is_fixed else SHORT_WINDOW_S,
        has_several=campaign.study.objective.has_several,
    )
    known = setting.known_noise
    sd = known.session_sd if known else PRIOR_SD
    noise = "the noise that an earlier study of today found" if known else "the usual noise"
    provable = smallest_provable_gain_pct(sd, plan.k_max, min_gain_log=gain_log(min_gain_pct))
    search = "until the trials are done" if plan.search_s is None else f"{plan.search_s:.0f} s"
    lines.append(
        f"plan, before the baselines have run: baselines {plan.baselines_s:.0f} s, search {search}, "
        f"final {plan.final_s:.0f} s, confirmation {plan.confirm_s:.0f} s (at most {plan.k_max} sessions)"
    )
    return [
        *lines,
        f"provable with {noise} ({100 * sd:.1f} %): a gain of {provable:.1f} % or more",
        *plan.notes,
    ]
