"""Writes the `docker run` commands that give each replica the CPUs, the quota and the memory of the measurement."""

from __future__ import annotations

import csv
import io
import os
import shlex
from collections.abc import Mapping, Sequence

from tuner.deploy.best import Best
from tuner.deploy.best_file import format_best
from tuner.deploy.conditions import decimal, host_conditions
from tuner.deploy.export.exporter import (
    APPLICATION,
    Exporter,
    Refusal,
    application_environment,
    comments,
    has_file,
    model_path,
)
from tuner.deploy.quoting import comment_lines, slug

IN_CONTAINERS: Mapping[str, Refusal] = {
    "environment.cpu_quota": "each replica gets an equal part of it instead",
    "deployment.background": "nothing here starts the load that ran beside",
}
"""Refusals of docker and compose, which state everything else, or mount best.yaml, in which it is."""


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns docker.sh, and the best.yaml that it mounts."""
    lines = [
        "#!/bin/sh",
        *comments(best, unsupported),
        *comment_lines(APPLICATION),
        'cd "$(dirname "$0")" || exit',
        "image=${IMAGE:-your-application:latest}",
        *(_run(best, replica) for replica in range(best.replicas)),
        "",
    ]
    return {"docker.sh": "\n".join(lines), "best.yaml": format_best(best)}


def _run(best: Best, replica: int) -> str:
    """Returns the command that starts one replica."""
    host = host_conditions(best)
    words = ["docker", "run", "--detach", "--name", f"{slug(best.study)}-{replica}"]
    if host.quota is not None:
        words += ["--cpus", decimal(host.quota)]
    if host.cpuset is not None:
        words += ["--cpuset-cpus", host.cpuset]
    if host.memory_bytes is not None:
        words += ["--memory", str(host.memory_bytes)]
    if has_file(best):
        folder = os.path.dirname(model_path(best))
        words += ["--mount", _csv("type=bind", f"source={folder}", "target=/models", "readonly")]
    for name, value in {**application_environment(best, "/models"), "REPLICA": str(replica)}.items():
        words += ["--env", f"{name}={value}"]
    file = '--mount "type=bind,\\"source=$(pwd)/best.yaml\\",target=/etc/tuner/best.yaml,readonly"'
    return f'{shlex.join(words)} {file} "$image" "$@"'


def _csv(*fields: str) -> str:
    """Returns fields as `--mount` reads them: one line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


EXPORTER = Exporter(
    name="docker",
    summary="docker run commands with the CPUs, quota and memory of the measurement",
    build=build,
    cannot=IN_CONTAINERS,
)
