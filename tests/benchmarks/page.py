"""Writes the published page: targets, A/A studies, side by side, strategies and audit, as Markdown.

Knows the files that the other scripts leave; measures nothing.
"""

from __future__ import annotations

import io
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from figures import draw, pick, read_all

from tuner.model.host import host_facts
from tuner.statistics.distributions import upper_bound

RESULTS = Path(__file__).resolve().parents[2] / "results"
TABLES = ("ocr-angle", "squeezenet", "voice-activity", "mlp")
NOISY, QUIET = "noisy: tables of the 2-core VM, and noisy servers", "quiet servers"
SAMPLE = 48
"""Rows of a small server table: what is raced."""
STRATEGIES = "auto,tpe,random,grid,plain"


def over(found: Sequence[dict[str, Any]], key: str, *, worst: bool = True) -> str:
    """Returns the median over tables, and the worst table."""
    values = [one[key] for one in found if one[key] is not None]
    if not values:
        return "-"
    return f"{statistics.median(values):.2f}" + (
        f" (worst table {max(values):.2f})" if worst and len(values) > 1 else ""
    )


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(headings) + " |",
        "|" + "---|" * len(headings),
        *("| " + " | ".join(r) + " |" for r in rows),
        "",
    ]


def verdict(values: Sequence[float | None], limit: float) -> str:
    known = [v for v in values if v is not None]
    if not known:
        return "not measured"
    return "met" if statistics.median(known) <= limit else "**missed**"


def false_positives(found: Sequence[dict[str, Any]]) -> tuple[int, int, float]:
    wrong, studies = sum(one["false_positives"] for one in found), sum(one["studies"] for one in found)
    return wrong, studies, 100.0 * upper_bound(wrong, studies) if studies else math.nan


def coverage(held: int, shown: int) -> tuple[str, str]:
    """In words, and whether it is met; an interval for the coverage says how much of it is luck."""
    if not shown:
        return "-", "not measured"
    low, high = 100.0 * (1.0 - upper_bound(shown - held, shown)), 100.0 * upper_bound(held, shown)
    word = "met" if held >= 0.96 * shown else "**missed**" if high < 96.0 else "**missed**, within the luck of so few"
    return f"{held} of {shown}: {100 * held / shown:.1f} % ({low:.1f} to {high:.1f} %)", word


def bias(found: Sequence[dict[str, Any]], limit: float) -> tuple[str, str]:
    """Returns the bias of all claims with equal weights, in % of the speed, and whether the limit is met.

    Logarithms are averaged: a point of gain means nothing on a table on which 62 times as much is gained.
    """
    known = [one for one in found if one["bias_se_points"] is not None]
    count = sum(one["large_claims"] for one in known)
    if not count:
        return "-", "not measured"
    mean = sum(one["large_claims"] * one["bias_points"] for one in known) / count
    se = math.sqrt(sum((one["large_claims"] * one["bias_se_points"]) ** 2 for one in known)) / count
    word = "met" if abs(mean) <= limit else "**missed**"
    if abs(mean) > limit and abs(mean) <= limit + 2.0 * se:
        word = "**missed**, within the luck of so few"
    worst = max(known, key=lambda one: abs(one["bias_points"]))
    words = f"{mean:+.2f} +- {se:.2f} % of the speed, {count} claims"
    extreme = f"; most {worst['bias_points']:+.2f} +- {worst['bias_se_points']:.2f} on {worst['table']}"
    return words + extreme, word


def targets(folder: Path) -> list[str]:
    """Returns the table of targets (tuner/README.md) with the measured figures."""
    replays = read_all(folder, "replay-*.json", "evaluations")
    null_studies = read_all(folder, "null-studies-*.json", "null_studies")
    ours = pick(replays, strategy="auto", minutes=10.0)
    small = f"-{SAMPLE}"
    vm = [one for one in ours if one["noise"] == "recorded"]
    vm_small = pick(vm, table="voice-activity")
    noisy_small = [one for one in ours if one["noise"] == "noisy" and one["table"].endswith(small)]
    noisy_large = [one for one in ours if one["noise"] == "noisy" and not one["table"].endswith(small)]
    quiet_small = [one for one in ours if one["noise"] == "quiet" and one["table"].endswith(small)]
    quiet_large = [one for one in ours if one["noise"] == "quiet" and not one["table"].endswith(small)]
    quiet = quiet_small + quiet_large
    noisy = vm + noisy_small + noisy_large
    rows: list[list[str]] = []

    def row(what: str, host: str, target: str, measured: str, word: str) -> None:
        rows.append([what, host, target, measured, word])

    for host, here in (
        (NOISY, [e for e in null_studies if e["noise"] != "quiet"]),
        (QUIET, pick(null_studies, noise="quiet")),
    ):
        if here:
            wrong, studies, bound = false_positives(here)
            text = f"{wrong} of {studies}: {100 * wrong / studies:.2f} %, upper bound {bound:.2f} %"
            row(
                "false positives where nothing can be gained",
                host,
                "<= 2.5 %",
                text,
                "met" if bound <= 2.5 else "**missed**",
            )
    every = pick(replays, strategy="auto")
    noisy_every, quiet_every = [o for o in every if o["noise"] != "quiet"], pick(every, noise="quiet")
    for host, here, limit in ((NOISY, noisy_every, 0.2), (QUIET, quiet_every, 0.1)):
        studies = sum(one["studies"] for one in here)
        harmed = sum(round(one["harmed_pct"] * one["studies"] / 100) for one in here)
        bound = 100 * upper_bound(harmed, studies) if studies else math.nan
        few = "none seen, too few to show it" if not harmed else "**missed**"
        word = "met" if studies and bound <= limit else few
        row(
            "emitted configuration worse by > 1 %, after 2, 5 or 10 min", host, f"<= {limit} %",
            f"{harmed} of {studies}, upper bound {bound:.2f} %", word,
        )  # fmt: skip
    for host, here in ((NOISY, noisy), (QUIET, quiet)):
        held, shown = sum(one["held"] for one in here), sum(one["intervals"] for one in here)
        row("coverage of the interval shown", host, ">= its level (96 to 98.7 %)", *coverage(held, shown))
    for host, here, limit in ((NOISY, noisy, 0.3), (QUIET, quiet, 0.15)):
        row("bias of the claimed gain (5 % or more)", host, f"<= {limit} points", *bias(here, limit))
    for what, host, here, median, p90 in (
        ("regret, <= 50 configurations, 10 min", "2-core VM (voice activity)", vm_small, 0.7, 2.5),
        ("the same", "simulated 48 rows, noisy", noisy_small, 0.7, 2.5),
        ("the same", "quiet server, 48 rows", quiet_small, 0.2, 0.6),
        ("regret, about 1500, 10 min", "noisy server", noisy_large, 1.5, 3.5),
        ("the same", "quiet server", quiet_large, 0.5, 1.5),
    ):
        medians, p90s = [o["regret_median_pct"] for o in here], [o["regret_p90_pct"] for o in here]
        word = f"{verdict(medians, median)} / {verdict(p90s, p90)}"
        row(
            what,
            host,
            f"{median} / {p90} %",
            f"{over(here, 'regret_median_pct')} / {over(here, 'regret_p90_pct')} %",
            word,
        )
    for host, here, limit in (("noisy server", noisy_large, 40), ("quiet server", quiet_large, 30)):
        values = [one["trials_to_near_median"] for one in here]
        near = statistics.fmean(one["near_pct"] for one in here) if here else 0.0
        row("trials to within 2 % of the best of 1500", host, f"<= {limit}",
            f"{over(here, 'trials_to_near_median')}; reached in {near:.0f} % of studies",
            verdict(values, limit))  # fmt: skip
    provable = folder / "provable.json"
    for name, one in json.loads(provable.read_text()).items() if provable.exists() else ():
        gain, model = one["gain_pct"], name.split("-")[0]
        said = f"{one['sessions']} A/A sessions of {one['pairs']} pairs, {one['seconds']:.0f} s, differ by"
        row(f"gain provable with 80 % power in 4 min, {model}", "2-core VM", "3 %",
            f"{gain:.1f} % ({said} {100 * one['sd']:.1f} %)", "met" if gain <= 3 else "**missed**")  # fmt: skip
    return markdown(["figure", "host", "target", "measured", ""], rows)


def replay_tables(folder: Path) -> list[str]:
    replays = read_all(folder, "replay-*.json", "evaluations")
    lines = []
    for title, here in (
        ("Recorded on the 2-core VM, its own noise", pick(replays, noise="recorded")),
        ("64-core servers, quiet", [o for o in pick(replays, noise="quiet") if not o["table"].endswith(f"-{SAMPLE}")]),
        ("64-core servers, noisy", [o for o in pick(replays, noise="noisy") if not o["table"].endswith(f"-{SAMPLE}")]),
    ):
        if not here:
            continue
        rows = []
        for name in dict.fromkeys(o["table"] for o in here):
            for o in pick(here, table=name):
                near = "-" if o["trials_to_near_median"] is None else f"{o['trials_to_near_median']:.0f}"
                claimed = "-" if o["claimed_pct"] is None else f"{o['claimed_pct']:+.1f} / {o['true_pct']:+.1f} %"
                covered = "-" if o["coverage_pct"] is None else f"{o['coverage_pct']:.0f} %"
                rows.append([
                    name, o["strategy"], f"{o['minutes']:g} min", str(o["studies"]),
                    f"{o['regret_median_pct']:.2f} / {o['regret_p90_pct']:.2f} %", near, f"{o['near_pct']:.0f} %",
                    claimed, covered,
                ])  # fmt: skip
        head = ["table", "strategy", "budget", "studies", "regret median / p90", "trials to 2 %", "reached",
                "claimed / true gain", "coverage"]  # fmt: skip
        lines += [f"### {title}", "", *markdown(head, rows)]
    return lines


def null_studies_section(folder: Path) -> list[str]:
    null_studies = read_all(folder, "null-studies-*.json", "null_studies")
    rows = [
        [e["table"] if e["noise"] == "recorded" else f"{e['noise']} server", str(e["studies"]), str(e["confirmed"]),
         str(e["false_positives"]), f"{e['upper_95_pct']:.2f} %"]
        for e in null_studies
    ]  # fmt: skip
    wrong, studies, bound = false_positives(null_studies)
    lines = markdown(["noise of", "studies", "reached the confirmation", "false positives", "upper 95 % bound"], rows)
    lines.append(f"All together {wrong} of {studies}, upper 95 % bound {bound:.2f} %.")
    real = folder / "null-studies.json"
    if real.exists():
        found = json.loads(real.read_text())
        won = sum(one["verdict"] == "tuned" for one in found)
        confirmed = len(list(folder.glob("null-study-*/sessions.jsonl")))
        on_record = f" ({confirmed} are on record with their windows)" if confirmed else ""
        said = f"Real studies on the 2-core VM, two minutes each: {won} of {len(found)} claimed a gain{on_record}."
        lines += ["", f"{said} Reasons: {'; '.join(one['reason'] for one in found)}."]
    return [*lines, ""]


def side_section(folder: Path) -> list[str]:
    path = folder / "side" / "side_by_side.json"
    if not path.exists():
        return ["Not measured.", ""]
    content = json.loads(path.read_text())
    lines = []
    for name, model in content["models"].items():
        rows = []
        for contender, c in model["contenders"].items():
            choices = [("own", c["own"]), *((f"at the clock of {clock}", one) for clock, one in c["equal"].items())]
            for when, choice in choices:
                claimed, gain = choice["claimed"], choice["gain"]
                said = "nothing yet" if claimed is None else f"{claimed['gain_pct']:+.1f} %"
                if claimed is not None and claimed["low_pct"] is not None:
                    said += f" ({claimed['low_pct']:+.1f} to {claimed['high_pct']:+.1f})"
                true = "not measured"
                if gain is not None:
                    true = f"{gain['median_pct']:+.1f} % ({gain['low_pct']:+.1f} to {gain['high_pct']:+.1f})"
                held = (choice["claim"] or {}).get("estimate") or "-"
                rows.append([contender, when, f"{choice['clock_s']:.0f} s", said, true, held])
        head = ["contender", "", "wall clock", "claimed gain over THROUGHPUT", "true gain", "claim"]
        lines += [f"### {name}", "", *markdown(head, rows), *time_lines(model["time_to_grid"])]
    return lines


def time_lines(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    lines = [f"The grid took {found['grid_wall_s']:.0f} s. Until a configuration truly as good as its winner:", ""]
    for contender in ("ours", "optuna"):
        for reading in ("by_median", "by_interval"):
            one = found.get(contender, {}).get(reading)
            if one:
                at_s = "never" if one["first_s"] is None else f"{one['first_s']:.0f} s"
                times = "" if one["times_less"] is None else f", {one['times_less']:.1f} times less than the grid"
                lines.append(f"- {contender}, {reading.replace('_', ' ')}: {at_s}{times}")
    confirmation = found.get("ours", {}).get("confirmation_s")
    lines += [f"- our confirmation, apart: {confirmation:.0f} s" if confirmation else "", ""]
    return lines


def write_page(folder: Path) -> None:
    draw(folder, RESULTS / "benchmarks", STRATEGIES.split(","))
    host = asdict(host_facts())
    out = io.StringIO()
    remarks = folder / "notes.md"  # what a reader must know of how these figures came about
    notes = [remarks.read_text().strip(), ""] if remarks.exists() else []

    def say(*lines: str) -> None:
        print(*lines, sep="\n", file=out)

    def picture(name: str, words: str) -> None:
        if (RESULTS / "benchmarks" / name).exists():
            say(f"![{words}](benchmarks/{name})", "")

    say(
        "# Benchmarks", "",
        "What the tool claims about itself, measured. Figures that miss their target stand here as missed.", "",
        "Remade with `python tests/benchmarks/publish.py FOLDER --landscapes DIR` (about four hours on a host that "
        "does nothing else; `--page` only remakes this page from FOLDER).", "",
        f"Environment: {host['cpu_model']}, {host['cpus_allowed']} CPUs, {host['system']} {host['kernel']}, OpenVINO "
        f"{host['openvino']}; a shared virtual machine with its usual neighbours. Server figures are replays of "
        "simulated tables: they compare strategies and say nothing of hardware.", "",
        *notes, "## Targets", "", *targets(folder),
        "## Nothing to gain (A/A)", "",
        "Twenty copies of one configuration, told apart by a property without effect. Every claim is false.", "",
        *null_studies_section(folder),
    )  # fmt: skip
    picture("null-studies.svg", "Intervals of the real A/A studies that came to one")
    say("## Side by side", "", *side_section(folder))
    picture("side-by-side.svg", "Claimed and true gains of four ways to tune")
    say(
        "## Strategies on tables", "",
        "`auto` is what a study does unless told otherwise; `tpe`, `random` and `grid` replace its sampler and keep "
        "the rest; `plain` is Optuna over single measurements, the best number wins.", "",
    )  # fmt: skip
    picture("regret.svg", "Regret by strategy and table")
    say(*replay_tables(folder))
    audit = folder / "audit.json"
    if audit.exists():
        say("## Do members of a session disturb each other?", "")
        rows = [
            [
                name,
                f"{one['estimate_pct']:+.1f} % ({one['low_pct']:+.1f} to {one['high_pct']:+.1f})",
                str(one["sessions"]),
            ]
            for name, one in json.loads(audit.read_text()).items()
        ]
        say(*markdown(["what is changed", "effect, 95 % interval", "sessions"], rows))
    (RESULTS / "benchmarks.md").write_text(out.getvalue().rstrip() + "\n")
