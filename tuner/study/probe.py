"""What a device says of the properties and values in a study file, asked in a worker process on a tiny model.

Knows names and values; where they stand in the file is the reader's affair (`file.Probe`).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tuner.bench.worker_bench import WorkerBench
from tuner.model.spec import ModelSpec
from tuner.study.file import setting_of
from tuner.study.space import Value

MOST_VALUES_ASKED = 48
"""What compiles takes 0.05 s, so that all of these take two or three; what is left out fails while it is listed."""


def probe_properties(device: str, values: Mapping[str, Sequence[Value]]) -> Mapping[str, str]:
    """What is wrong with the properties that the device does not know, and with the values it refuses: words before
    numbers, which rarely are (openvino.md). See `file.Probe`."""
    if not values:
        return {}
    tiny = ModelSpec(path="builtin:mlp", folder=Path())
    with WorkerBench(tiny) as bench:
        facts = bench.inspect(device, [])
        unknown = bench.unknown_properties(device, list(values))
        settings = [(name, value) for name, found in values.items() if name not in unknown for value in found]
        settings.sort(key=lambda one: not isinstance(one[1], str))
        settings = settings[:MOST_VALUES_ASKED]
        refused = bench.refused_values(device, settings)
    messages = {
        setting_of(*one): f"{device} refuses this value: {words}"
        for one, words in zip(settings, refused, strict=True)
        if words
    }
    for name in unknown:
        close = difflib.get_close_matches(name, facts.device_properties, n=1)
        messages[name] = f"unknown property {name} on {device}" + (f"; did you mean {close[0]}?" if close else "")
    return messages
