"""Compares the tuner with what a user would do otherwise; a neutral runner measures the winners of all again.

    python tests/benchmarks/side_by_side.py [--results DIR] [--minutes M] [--rounds R] [--short] [model ...]

Models: ocr-angle, squeezenet. Objective: samples/s. Contenders:
  hints   benchmark_app -hint throughput, then latency; the best number wins
  ours    `tuner run` with M minutes (5), in a subprocess
  grid    benchmark_app with batch 1, 2, 4, 8, 16 x streams 1, 2 x requests 1, 2, 4 per stream, after its hint
  optuna  forty trials of `plain_optuna.py`, after its hint; they go on until our wall clock, for equal clocks

What a contender claims is its best number over its own number for the THROUGHPUT hint, which counts as one of its
numbers; for ours it is the gain of best.yaml over the reference named there. The wall clock is that of whole commands.
Every step is one line of DIR/steps.jsonl once it is done, and the same command continues where it stopped; what an
interruption cut off is not counted. A finished DIR is only reported again. At the end DIR/side_by_side.json:

  schema_version, date, machine {cpu_model, cpus_allowed, cpu_quota, openvino, optuna, tuner, python, ...}, settings
  models.NAME
    model          path, input, shape
    members.ID     what the neutral runner measured: label, config {properties, batch, requests}, aliases (labels of
                   configurations that the device makes the same), configs (their keys), effective, bare_per_s and
                   app_per_s {round: samples/s}, gain (bare loop) and app_gain (benchmark_app) over THROUGHPUT,
                   gain_over_grid (over the grid's winner, the rounds of both)
    contenders.C   wall_s, steps, own, equal {whose clock: ...}; each of these a choice:
                     clock_s, member, config, number_per_s (its own figure),
                     claimed {gain_pct, low_pct, high_pct, over}: null where nothing was confirmed yet, over is the
                     member that it is relative to;
                     gain, app_gain (true, over THROUGHPUT), gain_over_claimed (true, over `over`),
                     claim {estimate, low, held, excess_points}: the words of `claim_held`
                   ours also: verdict, reference, phases_s {phase: seconds of its sessions}; its steps are sessions
    trajectories.C [{elapsed_s, phase, member, config, number_per_s}], best so far by time; member is null where it was
                   not measured again
    time_to_grid   tolerance_pct, grid_wall_s, grid_first_s (when the grid met its winner, without knowing),
                   ours and optuna, by_median (not slower than the grid's winner by more than the tolerance) and
                   by_interval (not shown to be slower): first_s, settled_s, times_less and settled_times_less
                   (grid_wall_s over these), unmeasured (points, counted as slower); ours: confirmation_s apart
  A gain: median_pct, low_pct, high_pct (95 % t-interval), min_pct, max_pct, rounds, values_pct; paired by round.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import platform
import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import neutral_runner as neutral
from contenders import (
    GRID,
    HINT,
    LATENCY,
    MODELS,
    OursLog,
    Record,
    Result,
    Run,
    Settings,
    at,
    attempt,
    best_number,
    best_so_far,
    grid,
    hints,
    optuna,
    ours,
    trajectory,
)
from neutral_runner import Config, config_from, paired_gain

from tuner.model.host import host_facts

SHORT = {"minutes": 0.75, "app_s": 2, "trials": 6, "trial_s": 1.0, "bare_s": 1.0, "neutral_app_s": 1, "rounds": 2}
MEMBERS = 9
"""Number of members of the neutral runner: the winners, and incumbents of our search if there is room."""
TOLERANCE_PCT = 2.0
"""Largest loss (median of paired rounds) of a configuration that counts as good as the grid's winner."""
RULES = {"by_median": f"within {TOLERANCE_PCT:g} %", "by_interval": "not shown to be slower"}
NEUTRAL_S = 300.0
ROUNDS = (6, 12)
APP_EVERY = 2
START_S = {"app": 1.2, "bare": 1.5, "trial": 0.5, "ours": 15.0}
"""Seconds that starting and compiling take, for the estimate only."""


Choices = dict[str, dict[str, tuple[Config, Result | None, float]]]
"""Contender -> whose clock (its own: `own`) -> configuration, what is claimed for it if anything, the clock in s."""


def choices(run: Run, results: Mapping[str, Result]) -> Choices:
    """Every contender at its own clock; the others at ours, ours at theirs."""
    found: Choices = {name: {"own": (one.config, one, one.wall_s)} for name, one in results.items()}
    for name in ("hints", "grid", "optuna"):
        steps, clock_s = run.steps(name), results["ours"].wall_s
        if best_so_far(steps)[0].elapsed_s <= clock_s:
            one = best_number(name, steps, clock_s)
            found[name]["ours"] = (one.config, one, clock_s)
        point = at(trajectory(run, "ours"), results[name].wall_s)
        if point is not None:
            is_done = results["ours"].wall_s <= results[name].wall_s
            found["ours"][name] = (point.config, results["ours"] if is_done else None, results[name].wall_s)
    return found


def members(run: Run, results: Mapping[str, Result]) -> dict[str, Any]:
    """Returns the line with members and rounds of the neutral runner, which is fixed before the first round."""
    lines = run.record.of("members", run.name)
    if lines:
        return lines[-1]
    labelled = [("THROUGHPUT", HINT), ("LATENCY", LATENCY)]
    for name, clocks in choices(run, results).items():
        labelled += [(f"{name} at {clock} clock", config) for clock, (config, _, _) in clocks.items()]
    labelled.append((f"our reference {results['ours'].reference}", results["ours"].over))
    needed = len(labelled)
    on_the_way = reversed(trajectory(run, "ours"))
    labelled += [(f"ours after {point.elapsed_s:.0f} s ({point.phase})", point.config) for point in on_the_way]
    effective = neutral.resolve(run.model, [config for _, config in labelled])
    found: dict[str, dict[str, Any]] = {}
    for i, ((label, config), device) in enumerate(zip(labelled, effective, strict=True)):
        same = next((one for one in found.values() if one["effective"] == device), None)
        if same is not None:
            same["configs"].append(config.key)
            same["aliases"].append(label)
        elif i < needed or len(found) < MEMBERS:
            one = {"label": label, "config": asdict(config), "configs": [config.key], "aliases": []}
            found[f"m{len(found)}"] = {**one, "effective": device}
    s = run.settings
    round_s = len(found) * (s.bare_s + START_S["bare"] + (s.neutral_app_s + START_S["app"]) / APP_EVERY)
    rounds = s.rounds or min(max(round(NEUTRAL_S / round_s), ROUNDS[0]), ROUNDS[1])
    run.record.append({"kind": "members", "model": run.name, "members": found, "rounds": rounds})
    return run.record.of("members", run.name)[-1]


def measure_again(run: Run, line: Mapping[str, Any]) -> None:
    """Measures rounds in shuffled order: a bare loop of each member, and benchmark_app in every second round."""
    s, rounds = run.settings, line["rounds"]
    done = {(one["round"], one["instrument"], one["member"]) for one in run.record.of("neutral", run.name)}
    for i in range(rounds):
        for instrument in ("bare", "app") if i % APP_EVERY == 0 else ("bare",):
            order = list(line["members"])
            random.Random(f"{run.name}/{i}/{instrument}").shuffle(order)
            for member in order:
                if (i, instrument, member) in done:
                    continue
                config = config_from(line["members"][member]["config"])
                measure = partial(neutral.app_config_per_s, run.model, config, s.neutral_app_s)
                if instrument == "bare":
                    measure = partial(neutral.bare_per_s, run.model, config, s.bare_s)
                number, wall_s, error = attempt(measure)
                facts = {"round": i, "instrument": instrument, "member": member, "number_per_s": number}
                run.record.append(
                    {"kind": "neutral", "model": run.name, **facts, "wall_s": wall_s, "error": error},
                )
        print(f"{run.name} neutral: round {i + 1} of {rounds}", flush=True)


def report(run: Run, results: Mapping[str, Result], line: Mapping[str, Any]) -> dict[str, Any]:
    """`models.NAME` of the JSON, from the record alone."""
    numbers: dict[tuple[str, str], dict[str, float]] = {}
    for one in run.record.of("neutral", run.name):
        if one["number_per_s"]:
            names = (one["instrument"], str(one["round"])), ("both", f"{one['instrument']} {one['round']}")
            for instrument, taken in names:
                numbers.setdefault((instrument, one["member"]), {})[taken] = one["number_per_s"]
    ids = {key: name for name, member in line["members"].items() for key in member["configs"]}

    def gain(member: str, over: str, instrument: str = "bare") -> dict[str, Any] | None:
        found = paired_gain(numbers.get((instrument, member), {}), numbers.get((instrument, over), {}))
        return asdict(found) if found else None

    hint, grid_winner = ids[HINT.key], ids[results["grid"].config.key]

    def choice(config: Config, claim: Result | None, clock_s: float) -> dict[str, Any]:
        member = ids[config.key]
        over = ids[claim.over.key] if claim else hint
        claimed = (
            None
            if claim is None
            else {
                "gain_pct": claim.claimed_gain_pct,
                "low_pct": claim.low_pct,
                "high_pct": claim.high_pct,
                "over": over,
            }
        )
        return {
            "clock_s": clock_s,
            "member": member,
            "config": asdict(config),
            "number_per_s": claim.number_per_s if claim else None,
            "claimed": claimed,
            "gain": gain(member, hint),
            "app_gain": gain(member, hint, "app"),
            "gain_over_claimed": gain(member, over),
            "claim": claim_held(claimed, gain(member, over)),
        }

    contenders: dict[str, Any] = {}
    for name, clocks in choices(run, results).items():
        contenders[name] = {
            "wall_s": results[name].wall_s,
            "steps": len(run.steps(name)),
            "own": choice(*clocks["own"]),
            "equal": {clock: choice(*one) for clock, one in clocks.items() if clock != "own"},
        }
    log = OursLog.read(run)
    contenders["ours"] |= {
        "verdict": results["ours"].verdict,
        "reference": results["ours"].reference,
        "steps": sum(one.kind == "session" for one in log.sessions),
        "phases_s": log.phases_s,
    }
    paths = {name: trajectory(run, name) for name in results}
    over_grid = {name: gain(name, grid_winner, "both") for name in line["members"]}
    as_good = {
        "by_median": {name for name, one in over_grid.items() if one and one["median_pct"] >= -TOLERANCE_PCT},
        "by_interval": {name for name, one in over_grid.items() if one and (one["high_pct"] or one["max_pct"]) >= 0.0},
    }
    wall_s = results["grid"].wall_s
    to_grid: dict[str, Any] = {"tolerance_pct": TOLERANCE_PCT, "grid_wall_s": wall_s}
    to_grid["grid_first_s"] = next(p.elapsed_s for p in paths["grid"] if p.config == results["grid"].config)
    for name in ("ours", "optuna"):
        path = [(p.elapsed_s, ids.get(p.config.key)) for p in paths[name]]
        to_grid[name] = {rule: reached(path, good, wall_s) for rule, good in as_good.items()}
    to_grid["ours"]["confirmation_s"] = log.phases_s.get("confirm", 0.0)
    return {
        "model": {"path": run.model.path, "input": run.model.input, "shape": list(run.model.shape)},
        "members": {
            name: {
                **{part: member[part] for part in ("label", "config", "aliases", "configs", "effective")},
                "bare_per_s": numbers.get(("bare", name), {}),
                "app_per_s": numbers.get(("app", name), {}),
                "gain": gain(name, hint),
                "app_gain": gain(name, hint, "app"),
                "gain_over_grid": over_grid[name],
            }
            for name, member in line["members"].items()
        },
        "contenders": contenders,
        "trajectories": {name: [{**asdict(p), "member": ids.get(p.config.key)} for p in paths[name]] for name in paths},
        "time_to_grid": to_grid,
    }


def claim_held(claimed: Mapping[str, Any] | None, true: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns whether a claim held.

    `held`: not above the median of the rounds; `held within the noise`: above the median, inside the interval; `did not
    hold`: above the interval. `excess_points` is the claimed gain minus the median. For ours both the estimate and the
    low bound have to hold.
    """

    def word(value_pct: float | None) -> str:
        if value_pct is None or value_pct <= 0.0:
            return "nothing claimed"
        if true is None:
            return "not measured"
        if value_pct <= true["median_pct"]:
            return "held"
        high = true["high_pct"]
        return "held within the noise" if high is not None and value_pct <= high else "did not hold"

    given = claimed or {"gain_pct": None, "low_pct": None}
    estimate, low = word(given["gain_pct"]), word(given["low_pct"])
    is_claim = estimate not in ("nothing claimed", "not measured")
    return {
        "estimate": estimate,
        "low": low if given["low_pct"] is not None else None,
        "held": "did not hold" not in (estimate, low) if is_claim else None,
        "excess_points": round(given["gain_pct"] - true["median_pct"], 2) if is_claim and true else None,
    }


def reached(path: Sequence[tuple[float, str | None]], as_good: set[str], grid_s: float) -> dict[str, Any]:
    """Returns when a trajectory of (elapsed_s, member) was first in `as_good`, and from when on it stayed there."""
    flags = [member in as_good for _, member in path]
    first_s = next((elapsed_s for (elapsed_s, _), is_good in zip(path, flags, strict=True) if is_good), None)
    bad = max((i for i, is_good in enumerate(flags) if not is_good), default=-1)
    settled_s = path[bad + 1][0] if bad + 1 < len(path) else None
    return {
        "first_s": first_s,
        "settled_s": settled_s,
        "times_less": grid_s / first_s if first_s else None,
        "settled_times_less": grid_s / settled_s if settled_s else None,
        "unmeasured": sum(member is None for _, member in path),
    }


def machine() -> dict[str, Any]:
    versions = {name: importlib.metadata.version(name) for name in ("optuna", "tuner")}
    return {**asdict(host_facts()), **versions, "python": platform.python_version()}


def print_table(name: str, found: Mapping[str, Any]) -> None:
    def shown(gain: Mapping[str, Any] | None) -> str:
        if gain is None:
            return "-"
        low, high = gain["low_pct"], gain["high_pct"]
        return f"{gain['median_pct']:+.1f}" + ("" if low is None else f" ({low:+.1f} to {high:+.1f})")

    print(f"\n{name}: gains over THROUGHPUT in %, with 95 % intervals: true by the bare loop, and by benchmark_app")
    for member, one in found["members"].items():
        config = config_from(one["config"])
        print(f"{member:3} {shown(one['gain']):24} {shown(one['app_gain']):24} {one['label']}: {config}")
    hint = found["contenders"]["grid"]["own"]["claimed"]["over"]
    print(f"{'':7} {'clock':7} {'wall s':>6}  {'claimed':24} {'member':6} claim")
    for contender, one in found["contenders"].items():
        for clock, choice in [("own", one["own"]), *one["equal"].items()]:
            claimed, words = "-", choice["claim"]["estimate"]
            if choice["claimed"] is not None and choice["claimed"]["gain_pct"] is not None:
                low, high = choice["claimed"]["low_pct"], choice["claimed"]["high_pct"]
                claimed = f"{choice['claimed']['gain_pct']:+.1f}"
                if low is not None:
                    claimed += f" ({low:+.1f} to {high:+.1f})"
                    words += f"; its low bound {choice['claim']['low']}"
                if choice["claimed"]["over"] != hint:
                    words += f"; over {choice['claimed']['over']}, truly {shown(choice['gain_over_claimed'])}"
            print(f"{contender:7} {clock:7} {choice['clock_s']:6.0f}  {claimed:24} {choice['member']:6} {words}")
    to_grid = found["time_to_grid"]
    print(f"time to a configuration truly as good as the grid's winner; the grid took {to_grid['grid_wall_s']:.0f} s")
    for contender, (rule, meaning) in itertools.product(("ours", "optuna"), RULES.items()):
        one = to_grid[contender][rule]
        words = "never"
        if one["first_s"] is not None:
            words = f"{one['first_s']:.0f} s, {one['times_less']:.1f} times less"
        if one["settled_s"] is not None:
            words += f"; for good after {one['settled_s']:.0f} s, {one['settled_times_less']:.1f} times less"
        print(f"  {contender}, {meaning}: {words}")
    print(
        f"  the target of ours is 5 times less; its confirmation took {to_grid['ours']['confirmation_s']:.0f} s apart"
    )


def estimate_s(s: Settings) -> dict[str, float]:
    ours_s = 60 * s.minutes + START_S["ours"]
    member_s = s.bare_s + START_S["bare"] + (s.neutral_app_s + START_S["app"]) / APP_EVERY
    return {
        "hints": 2 * (s.app_s + START_S["app"]),
        "ours": ours_s,
        "grid": (1 + len(GRID)) * (s.app_s + START_S["app"]),
        "optuna": max(ours_s, s.trials * (s.trial_s + START_S["trial"])),
        "neutral": s.rounds * MEMBERS * member_s if s.rounds else max(NEUTRAL_S, ROUNDS[0] * MEMBERS * member_s),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="model", help=", ".join(MODELS))
    parser.add_argument("--results", type=Path, default=None, metavar="DIR", help="where to go on (a new folder)")
    parser.add_argument("--minutes", type=float, default=None, help="for ours (5)")
    parser.add_argument("--rounds", type=int, default=None, help="of the neutral runner; as many as fit into 5 min")
    parser.add_argument("--short", action="store_true", help="everything as short as it goes, to try this script out")
    given = parser.parse_args()
    if unknown := sorted(set(given.models) - set(MODELS)):
        parser.error(f"unknown model {', '.join(unknown)}; there are: {', '.join(MODELS)}")
    asked = {name: value for name in ("minutes", "rounds") if (value := getattr(given, name)) is not None}
    settings = Settings(**{**(SHORT if given.short else {}), **asked})
    folder = given.results or Path(tempfile.mkdtemp(prefix="side-by-side-"))
    folder.mkdir(parents=True, exist_ok=True)
    record = Record(folder / "steps.jsonl")
    record.open(settings)
    parts = estimate_s(settings)
    words = ", ".join(f"{name} {seconds / 60:.1f}" for name, seconds in parts.items())
    print(
        f"{folder}: about {sum(parts.values()) / 60:.0f} min for each of {', '.join(given.models)} ({words})",
        flush=True,
    )
    neutral.app_path()
    found = {}
    for name in given.models:
        run = Run(name=name, model=MODELS[name], folder=folder, settings=settings, record=record)
        results = {"hints": hints(run), "ours": ours(run), "grid": grid(run)}
        results["optuna"] = optuna(run, results["ours"].wall_s)
        line = members(run, results)
        measure_again(run, line)
        found[name] = report(run, results, line)
    date = datetime.fromtimestamp(max(line["unix_s"] for line in record.lines), UTC).isoformat(timespec="seconds")
    content = {"schema_version": 1, "date": date, "machine": machine(), "settings": asdict(settings), "models": found}
    written = folder / "side_by_side.json"
    temporary = written.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(written)
    for name, one in found.items():
        print_table(name, one)
    print(f"\nwritten: {written}")


if __name__ == "__main__":
    main()
