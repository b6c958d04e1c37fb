"""Writes what OpenVINO Model Server reads: config.json, and the command line for one model.

The server fills in streams, threads and pinning where they are left out, from the quota and the CPUs that it sees, so
these three are always written.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.deploy.best import Best
from tuner.deploy.export.exporter import (
    ON_THE_HOST,
    Exporter,
    comments,
    model_path,
    needs_file,
    settled_properties,
    shapes_of,
)
from tuner.deploy.quoting import slug


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns config.json and ovms.sh; each says the same."""
    config = _config(best)
    words = ["ovms", "--model_name", config["name"], "--model_path", config["base_path"]]
    words += ["--target_device", config["target_device"], "--nireq", str(config["nireq"])]
    for name in ("shape", "plugin_config"):
        if name in config:
            words += [f"--{name}", json.dumps(config[name])]
    if "batch_size" in config:
        words += ["--batch_size", config["batch_size"]]
    lines = [
        "#!/bin/sh",
        *comments(best, unsupported),
        "# The same from a file: ovms --config_path config.json --port 9000",
        f'exec {shlex.join(words)} --port 9000 "$@"',
        "",
    ]
    content = {"model_config_list": [{"config": config}]}
    return {"config.json": json.dumps(content, indent=2) + "\n", "ovms.sh": "\n".join(lines)}


def _config(best: Best) -> dict[str, Any]:
    properties = settled_properties(best)
    streams = properties.get("NUM_STREAMS", 0)
    streams = streams if isinstance(streams, int) else 0
    config: dict[str, Any] = {"name": slug(best.study), "base_path": model_path(best), "target_device": best.device}
    # A shape takes precedence over a batch size, and the server warns where there are both.
    if best.inputs:
        config["shape"] = {name: f"({','.join(map(str, shape))})" for name, shape in shapes_of(best).items()}
    else:
        config["batch_size"] = str(best.batch_size)
    config["nireq"] = max(best.infer_requests, streams)
    if properties:
        config["plugin_config"] = properties
    return config


def _requests(best: Best) -> str | None:
    streams = settled_properties(best).get("NUM_STREAMS", 0)
    if isinstance(streams, int) and streams > best.infer_requests:
        return f"raised to the {streams} streams, of which nireq must not be less"
    return None


EXPORTER = Exporter(
    name="ovms",
    summary="config.json and the command line of OpenVINO Model Server",
    build=build,
    cannot={
        **ON_THE_HOST,
        "model": needs_file,
        "infer_requests": _requests,
        "api": "a server has as many requests in flight as its clients send, here at most nireq",
    },
)
