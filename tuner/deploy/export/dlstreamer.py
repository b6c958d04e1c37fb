"""Writes a pipeline of DL Streamer, whose elements take the properties as `ie-config=NAME=VALUE,NAME=VALUE`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from tuner.deploy.best import Best, PropertyValue
from tuner.deploy.export.exporter import ON_THE_HOST, Exporter, comments, model_path, needs_file, plain

NAME = re.compile(r"[A-Z0-9_]+")
VALUE = re.compile(r"[A-Za-z0-9_.:-]+")
"""Values that need no quotes; neither `,` nor `=` can be part of one."""


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns dlstreamer.sh."""
    config = ",".join(f"{name}={plain(value)}" for name, value in best.properties.items() if not _refuse(name, value))
    element = ["gvainference", f"model={_quoted(model_path(best))}", f"device={_quoted(best.device)}"]
    element += [f"batch-size={best.batch_size}", f"nireq={best.infer_requests}"]
    element += [f"ie-config={config}"] if config else []
    lines = [
        "#!/bin/sh",
        *comments(best, unsupported),
        "# gvainference may be gvadetect or gvaclassify; source and sink are yours. Usage: dlstreamer.sh VIDEO",
        f'exec gst-launch-1.0 filesrc location="$1" ! decodebin3 ! {shlex.join(element)} ! queue ! fakesink sync=false',
        "",
    ]
    return {"dlstreamer.sh": "\n".join(lines)}


def _quoted(text: str) -> str:
    r"""Returns a value as gst-launch reads it: within quotes where it is not plain, `\` and `"` escaped."""
    if VALUE.fullmatch(text.replace("/", "")):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _refuse(name: str, value: PropertyValue) -> str | None:
    if NAME.fullmatch(name) and VALUE.fullmatch(plain(value)):
        return None
    return "ie-config has no quotes for it"


EXPORTER = Exporter(
    name="dlstreamer",
    summary="a gst-launch pipeline with DL Streamer's element",
    build=build,
    cannot={
        **ON_THE_HOST,
        "model": needs_file,
        "inputs": "gvainference takes the shapes from the model's file",
        "api": "the pipeline decides",
    },
    refuse=_refuse,
)
