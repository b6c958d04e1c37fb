"""Writes what OpenVINO's benchmark_app reads: a file for `-load_config`, and the command line."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence

from tuner.deploy.best import Best, BestInput, PropertyValue
from tuner.deploy.export.exporter import (
    ON_THE_HOST,
    Exporter,
    comments,
    model_path,
    needs_file,
    plain,
    shapes_of,
    unless_reshaped,
)

PLAIN_NAME = re.compile(r"[\w.:/-]+")
"""Names of inputs that `-shape name[1,3]` tells apart from its own punctuation."""


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns load_config.json and benchmark_app.sh, which runs beside it."""
    config = {best.device: {name: plain(value) for name, value in best.properties.items()}}
    words = ["benchmark_app", "-m", model_path(best), "-d", best.device, "-load_config", "load_config.json"]
    # Without `-hint none` it would add a hint of its own, and `-b` would forbid automatic batching.
    words += ["-hint", "none", "-api", best.api, "-nireq", str(best.infer_requests)]
    shapes = {name: shape for name, shape in shapes_of(best).items() if PLAIN_NAME.fullmatch(name)}
    if shapes:
        words += [
            "-shape",
            ",".join(f"{name}{json.dumps(shape, separators=(',', ':'))}" for name, shape in shapes.items()),
        ]
        # The layout tells it which axis counts the samples.
        words += ["-layout", ",".join(f"{name}[{_layout(best.inputs[name])}]" for name in shapes)]
    lines = [
        "#!/bin/sh",
        *comments(best, unsupported),
        'cd "$(dirname "$0")" || exit',
        f'exec {shlex.join(words)} "$@"',
        "",
    ]
    return {"load_config.json": json.dumps(config, indent=2) + "\n", "benchmark_app.sh": "\n".join(lines)}


def _layout(given: BestInput) -> str:
    """Returns N on the axis of the batch, and `?` elsewhere."""
    return "".join("N" if axis == given.batch_axis else "?" for axis in range(len(given.shape)))


def _inputs(best: Best) -> str | None:
    odd = [name for name in best.inputs if not PLAIN_NAME.fullmatch(name)]
    return f"-shape cannot name {odd[0]!r}" if odd else None


def _refuse(name: str, value: PropertyValue) -> str | None:
    return "needs a structured value in load_config" if name == "DEVICE_PROPERTIES" else None


EXPORTER = Exporter(
    name="benchmark_app",
    summary="load_config JSON and the command line of OpenVINO's benchmark_app",
    build=build,
    cannot={**ON_THE_HOST, "model": needs_file, **unless_reshaped(_inputs)},
    refuse=_refuse,
)
