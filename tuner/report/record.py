"""Shows the record of studies as lines and as JSON. Must not read it."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.table import Table

from tuner.bench.configuration import DeploymentConfig
from tuner.bench.own_parameters import OWN_PARAMETERS, own_values
from tuner.records.past.past_study import PastStudy
from tuner.records.past.study_record import Cleared, Recorded
from tuner.report.terminal import plain
from tuner.report.words.configuration import short_name
from tuner.report.words.record import day
from tuner.report.words.text import printable


def record_lines(recorded: Recorded) -> list[RenderableType]:
    """Returns a table of the studies, the newest first, and what cannot be read."""
    where = printable(str(recorded.folder))
    lines: list[RenderableType] = []
    if recorded.studies:
        lines += [_table(recorded.studies), ""]
    count = len(recorded.studies)
    lines.append(f"{'no study' if not count else '1 study' if count == 1 else f'{count} studies'} on record in {where}")
    lines += [f"cannot be read: {printable(path.name)}" for path in recorded.unread]
    return lines


def cleared_line(cleared: Cleared) -> str:
    """Returns what was removed."""
    where = printable(str(cleared.folder))
    if not cleared.files:
        return f"no study was on record in {where}"
    return f"{'1 study is' if cleared.files == 1 else f'{cleared.files} studies are'} removed from {where}"


def record_json(recorded: Recorded) -> dict[str, Any]:
    """Returns the record as plain values for JSON."""
    return {
        "folder": str(recorded.folder),
        "studies": [study.to_json() for study in recorded.studies],
        "unread": [path.name for path in recorded.unread],
    }


def _table(studies: tuple[PastStudy, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("ended", "study", "model", "host", "objective", "gain", "best"):
        table.add_column(title, justify="right" if title == "gain" else "left", overflow="fold")
    for study in studies:
        about = study.about
        host = f"{about.cpus:g} CPUs, {about.cpu_model}"
        gain, best = "-", "no candidate was better"
        if study.best:
            first = study.best[0]
            gain, best = f"{first.gain_pct:+.3g} %{'' if first.is_proved else ' ?'}", short_name(_config(study))
        cells = (day(study.ended_unix_s), study.name, about.model.name, host, ", ".join(about.metrics), gain, best)
        table.add_row(*(plain(printable(cell)) for cell in cells))
    return table


def _config(study: PastStudy) -> DeploymentConfig:
    """Returns the best configuration of a study."""
    settings = study.best[0].settings
    properties = {name: value for name, value in settings.items() if name not in OWN_PARAMETERS and value is not None}
    return DeploymentConfig(device=study.about.device, properties=properties, **own_values(settings))
