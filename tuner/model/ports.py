"""Names of a model's inputs: in messages, in a study file, and where OpenVINO is called.

Responsible for names and aliases. Must not read models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tuner.model.spec import InputSpec, ModelSpec

if TYPE_CHECKING:
    import openvino

PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
"""Names that YAML takes for text without quotes, in a flow mapping too; `WORDS` are the exceptions."""
WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""Words that YAML 1.1 or 1.2 takes for something else than text, in small letters."""


def input_name(port: openvino.Output) -> str:
    """Returns the name of an input in files and messages: the alphabetically first of its names, else its node's."""
    names: set[str] = port.get_names()
    return min(names) if names else str(port.node.get_friendly_name())


def input_aliases(port: openvino.Output) -> set[str]:
    """Returns every name under which a study file may speak of an input."""
    return {*port.get_names(), port.node.get_friendly_name()}


def given_name(port: openvino.Output, spec: ModelSpec) -> str:
    """Returns the name of an input in the study file, or `input_name` if the file says nothing of the input."""
    return next(iter(given_names(port, spec)), input_name(port))


def given_names(port: openvino.Output, spec: ModelSpec) -> list[str]:
    """Returns the names under which the study file speaks of an input; more than one is a fault."""
    return [name for name in sorted(input_aliases(port)) if name in spec.inputs]


def input_spec(port: openvino.Output, spec: ModelSpec) -> InputSpec:
    """Returns the section of the study file for an input, under any of the input's names."""
    return spec.inputs.get(given_name(port, spec), InputSpec())


def call_keys(ports: Iterable[openvino.Output], names: Iterable[str]) -> dict[str, str | int]:
    """Returns for each of `names` the key by which OpenVINO's `reshape` and `infer` find that input.

    The key is the name itself where a tensor has it. A node's name is not enough for OpenVINO: there it is the index.
    """
    known = list(ports)
    keys: dict[str, str | int] = {}
    for name in names:
        index = next((i for i, port in enumerate(known) if name in input_aliases(port)), None)
        is_index = index is not None and name not in known[index].get_names()
        keys[name] = index if is_index and index is not None else name
    return keys


def yaml_key(name: str) -> str:
    """Returns a name as the key of a YAML mapping, in double quotes where YAML needs them."""
    is_plain = PLAIN_KEY.fullmatch(name) is not None and name.lower() not in WORDS
    return name if is_plain else json.dumps(name, ensure_ascii=False)
