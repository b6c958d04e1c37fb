"""Writes compose.yaml, a service for each replica with the CPUs, the quota and the memory of the measurement."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tuner.deploy.best import Best
from tuner.deploy.best_file import format_best
from tuner.deploy.conditions import decimal, host_conditions
from tuner.deploy.export.docker import IN_CONTAINERS
from tuner.deploy.export.exporter import APPLICATION, Exporter, application_environment, comments, has_file, model_path
from tuner.deploy.quoting import comment_lines, slug


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns compose.yaml, and the best.yaml that it mounts."""
    name = slug(best.study)
    content = {"name": name, "services": {f"{name}-{i}": _service(best, i) for i in range(best.replicas)}}
    lines = [*comments(best, unsupported), *comment_lines(APPLICATION), yaml.safe_dump(content, sort_keys=False)]
    return {"compose.yaml": "\n".join(lines), "best.yaml": format_best(best)}


def _service(best: Best, replica: int) -> dict[str, Any]:
    host = host_conditions(best)
    service: dict[str, Any] = {"image": "your-application:latest"}
    if host.quota is not None:
        service["cpus"] = decimal(host.quota)
    if host.cpuset is not None:
        service["cpuset"] = host.cpuset
    if host.memory_bytes is not None:
        service["mem_limit"] = host.memory_bytes
    variables = {**application_environment(best, "/models"), "REPLICA": str(replica)}
    service["environment"] = {name: _literal(value) for name, value in variables.items()}
    volumes = {"./best.yaml": "/etc/tuner/best.yaml"}
    if has_file(best):
        volumes[os.path.dirname(model_path(best))] = "/models"
    service["volumes"] = [
        {"type": "bind", "source": _literal(source), "target": target, "read_only": True}
        for source, target in volumes.items()
    ]
    return service


def _literal(text: str) -> str:
    """Returns text in which compose replaces no variable."""
    return text.replace("$", "$$")


EXPORTER = Exporter(
    name="compose",
    summary="compose.yaml with the CPUs, quota and memory of the measurement",
    build=build,
    cannot=IN_CONTAINERS,
)
