"""The words of a page beside its figures: equal, changed, refused and failed configurations, and the host.

Responsible for reading a StudyReport. Must not draw.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass

from tuner.evidence.candidates import Candidate
from tuner.outcome.study_report import StudyReport
from tuner.report.html.time_figures import gaps_of, reference_values
from tuner.report.outcome import searched_parameters
from tuner.report.words.configuration import name_by
from tuner.report.words.host import disturbed_words
from tuner.statistics.disturbance import mean_load, windows_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One sentence about configurations, with those that it is about."""

    title: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number about the host with its name."""

    value: str
    name: str


def remarks_of(report: StudyReport) -> list[Remark]:
    """Returns what was equal, changed, refused and failed, each with its reason; empty if nothing was."""
    found = [*_space_remarks(report), *_equal(report), *_changed(report)]
    failed = failed_configurations(report)
    if failed:
        words = "configuration" if len(failed) == 1 else "configurations"
        found.append(Remark(title=f"{len(failed)} {words} failed", details=tuple(": ".join(one) for one in failed)))
    return found


def failed_configurations(report: StudyReport) -> list[tuple[str, str]]:
    """Returns the name and the failure of each baseline and candidate that failed."""
    names = searched_parameters(report)
    ranking = report.reference.ranking.failures if report.reference else {}
    found = [(f"baseline {name}", str(failure)) for name, failure in ranking.items()]
    return [*found, *((_numbered(c, names), str(c.failure)) for c in report.failures)]


def host_tiles(report: StudyReport) -> list[Tile]:
    """Returns numbers that say how calm the host was."""
    lines = report.state.log.all_sessions()
    if not lines:
        return []
    load = mean_load(windows_of(line.session for line in lines))
    found = [value for value in reference_values(report) if value]
    tiles = []
    if len(found) > 1:
        middle = statistics.median(found)
        low, high = 100 * (min(found) / middle - 1), 100 * (max(found) / middle - 1)
        tiles.append(Tile(value=f"{low:+.0f} to {high:+.0f} %", name="drift: the reference around its median"))
    tiles.append(Tile(value=f"{load.steal_pct:.1f} %", name="of the CPUs stolen by other guests"))
    tiles.append(Tile(value=f"{load.other_cpu_pct:.1f} %", name="of the CPUs used by other processes"))
    tiles.append(Tile(value=f"{report.disturbed} of {report.windows}", name="windows disturbed"))
    if load.thermal_throttles:
        tiles.append(Tile(value=f"{load.thermal_throttles} x", name="slowed down by heat"))
    tiles.append(Tile(value=f"{max(gaps_of(lines)):.0f} s", name="longest gap between two sessions"))
    return tiles


def host_words(report: StudyReport) -> str:
    """Returns what became of the disturbed windows, in one sentence."""
    words = disturbed_words(report.disturbed, report.windows)
    return f"{words[:1].upper()}{words[1:]}." if words else "No window was disturbed by the host."


def _space_remarks(report: StudyReport) -> list[Remark]:
    """Returns what the device made of the space as a whole, and how often the search met what it knew."""
    found, seen = [], report.space
    if seen is not None:
        title = f"{seen.distinct} of {seen.requested} configurations of the space are distinct on this device"
        details = [f"{name} changes nothing here" for name in seen.without_effect]
        found.append(Remark(title=title, details=tuple(details)))
        if seen.refused:
            title = f"{len(seen.refused)} sets of properties were refused: they do not compile"
            found.append(Remark(title=title, details=seen.refused))
    if duplicates := report.state.log.duplicates():
        found.append(
            Remark(title=f"{duplicates} proposals were answered without measuring: their configuration was known")
        )
    return found


def _equal(report: StudyReport) -> list[Remark]:
    """Returns the candidates that were asked for in several ways, and the baselines that are one configuration."""
    reference = report.reference
    if reference is None:
        return []
    groups, names = defaultdict[str, list[str]](list), searched_parameters(report)
    for name, key in reference.baseline_keys.items():
        groups[key].append(f"baseline {name}")
    for config, candidate in report.state.evidence.requests.items():
        groups[candidate.key].append(name_by(config, names))
    equal = tuple(" = ".join(dict.fromkeys(every)) for every in groups.values() if len(set(every)) > 1)
    return [Remark(title="The device makes one configuration of", details=equal)] if equal else []


def _changed(report: StudyReport) -> list[Remark]:
    """Returns each number that was asked for and that the device changed to another one."""
    found: dict[str, None] = {}
    for line in report.state.log.all_sessions():
        for config, member in line.session.ran():
            for name, value in config.properties.items():
                made = member.effective.properties.get(name, "")
                if type(value) is int and made.isdigit() and int(made) != value:
                    found[f"{name}={value} became {made}"] = None
    seen = dict.fromkeys(report.space.changed) if report.space else {}
    changed = tuple({**found, **seen})
    return [Remark(title="The device changed values", details=changed)] if changed else []


def _numbered(candidate: Candidate, names: frozenset[str]) -> str:
    return f"trial {candidate.trial}: {name_by(candidate.config, names)}"
