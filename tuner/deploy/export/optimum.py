"""Writes Python for optimum-intel, whose models take the properties as `ov_config`."""

from __future__ import annotations

import pprint
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from tuner.deploy.best import Best
from tuner.deploy.export.exporter import (
    ON_THE_HOST,
    Exporter,
    comments,
    model_path,
    needs_file,
    settled_properties,
    shapes_of,
    unless_reshaped,
)

RANKS = {2: "batch, sequence length", 4: "batch, channels, height, width"}
"""Numbers of dimensions that `reshape` of optimum's models for text and for pictures takes."""
CODE = '''\
def load(model_class, folder=FOLDER):
    """Returns a compiled model: `model_class` is one of optimum.intel, such as OVModelForSequenceClassification."""
    model = model_class.from_pretrained(folder, compile=False, device=DEVICE, ov_config=OV_CONFIG)
    if SHAPE:
        model.reshape(*SHAPE)
    model.compile()
    return model
'''


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns optimum_model.py."""
    lines = [
        *comments(best, unsupported),
        "# pip install optimum-intel[openvino]",
        f"FOLDER = {str(PurePath(model_path(best)).parent)!r}",
        f"DEVICE = {best.device!r}",
        "# The folder holds openvino_model.xml. Without streams here, optimum would add PERFORMANCE_HINT=LATENCY",
        f"OV_CONFIG = {pprint.pformat(settled_properties(best), sort_dicts=False)}",
        f"SHAPE = {_shape(best)!r}",
        "",
        "",
        CODE,
    ]
    return {"optimum_model.py": "\n".join(lines)}


def _shape(best: Best) -> list[int]:
    """Returns the shape of all inputs where they have one of a known rank; empty otherwise."""
    shapes = list(shapes_of(best).values())
    is_one = bool(shapes) and all(shape == shapes[0] for shape in shapes) and len(shapes[0]) in RANKS
    return shapes[0] if is_one else []


def _inputs(best: Best) -> str | None:
    if _shape(best) or not best.inputs:
        return None
    return f"reshape takes one shape for all inputs: {' or '.join(RANKS.values())}"


EXPORTER = Exporter(
    name="optimum",
    summary="Python for optimum-intel's models, with ov_config",
    build=build,
    cannot={
        **ON_THE_HOST,
        "model": needs_file,
        **unless_reshaped(_inputs),
        "infer_requests": "an optimum model has one request in flight",
    },
)
