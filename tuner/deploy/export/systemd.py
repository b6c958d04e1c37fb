"""Writes one systemd unit for each replica, with the CPUs, the quota and the memory of the measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuner.deploy.best import Best
from tuner.deploy.best_file import format_best
from tuner.deploy.conditions import decimal, host_conditions
from tuner.deploy.export.docker import IN_CONTAINERS
from tuner.deploy.export.exporter import APPLICATION, Exporter, application_environment, comments
from tuner.deploy.quoting import comment_lines, slug


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns NAME-0.service and so on, and the best.yaml that they read from /etc/tuner."""
    name = slug(best.study)
    units = {f"{name}-{replica}.service": _unit(best, unsupported, replica) for replica in range(best.replicas)}
    return {**units, "best.yaml": format_best(best)}


def _unit(best: Best, unsupported: Sequence[str], replica: int) -> str:
    host = host_conditions(best)
    settings: dict[str, str] = {}
    if host.quota is not None:
        settings["CPUQuota"] = f"{decimal(100 * host.quota)}%"
    if host.cpuset is not None:
        settings["AllowedCPUs"] = host.cpuset
    if host.memory_bytes is not None:
        settings["MemoryMax"] = str(host.memory_bytes)
    variables = {**application_environment(best, None), "REPLICA": str(replica)}
    lines = [
        *comments(best, unsupported),
        *comment_lines((*APPLICATION, "Copy best.yaml to /etc/tuner, and name your application in ExecStart.")),
        "[Unit]",
        f"Description=Replica {replica} of {slug(best.study)}",
        "",
        "[Service]",
        *(f"Environment={quoted(f'{name}={value}')}" for name, value in variables.items()),
        "ExecStart=/usr/local/bin/your-application",
        *(f"{name}={value}" for name, value in settings.items()),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
        "",
    ]
    return "\n".join(lines)


def quoted(text: str) -> str:
    r"""Returns a word of a unit within quotes: `\` and `"` escaped, `%` doubled, control characters as `\xHH`."""
    plain = (
        {"\\": "\\\\", '"': '\\"', "%": "%%"}.get(c, c) if c.isprintable() else c.encode("unicode_escape").decode()
        for c in text
    )
    return f'"{"".join(plain)}"'


EXPORTER = Exporter(
    name="systemd",
    summary="systemd units with the CPUs, quota and memory of the measurement",
    build=build,
    cannot=IN_CONTAINERS,
)
