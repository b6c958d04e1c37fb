"""Writes Python for ONNX Runtime's OpenVINO execution provider, which falls back to another one in silence."""

from __future__ import annotations

import pprint
from collections.abc import Mapping, Sequence

from tuner.deploy.best import Best, PropertyValue
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

CODE = '''\
def create_session(model: str = MODEL) -> ort.InferenceSession:
    """Returns a session in which OpenVINO runs the whole model, and never another provider."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # OpenVINO has its own
    options.intra_op_num_threads = 1  # OpenVINO has its own; those of ONNX Runtime would be pinned, and spin
    # A name of a file in load_config would be an error in the log and another provider, without an exception.
    provider = {"device_type": DEVICE, "load_config": json.dumps({DEVICE: PROPERTIES})}
    if SHAPES:
        provider["reshape_input"] = ",".join(f"{name}{shape}".replace(" ", "") for name, shape in SHAPES.items())
    session = ort.InferenceSession(model, options, providers=[("OpenVINOExecutionProvider", provider)])
    if session.get_providers()[0] != "OpenVINOExecutionProvider":
        raise RuntimeError(f"OpenVINO does not run the model, but {session.get_providers()[0]}")
    return session


def run(session: ort.InferenceSession, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Runs one request. Raises ValueError for another shape, with which a reshaped model would read foreign memory."""
    for name, shape in SHAPES.items():
        if list(inputs[name].shape) != shape:
            raise ValueError(f"{name} has the shape {list(inputs[name].shape)}, not {shape}")
    return session.run(None, inputs)


def start_requests() -> ThreadPoolExecutor:
    """Returns the threads that keep the requests in flight: one of them for each. Call `run` once before."""
    return ThreadPoolExecutor(max_workers=INFER_REQUESTS)
'''


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns onnxruntime_session.py."""
    shapes = {} if _inputs(best) else shapes_of(best)
    properties = {name: plain(value) for name, value in best.properties.items()}
    lines = [
        *comments(best, unsupported),
        "# pip install onnxruntime-openvino, which takes the place of onnxruntime",
        "from __future__ import annotations",
        "",
        "import json",
        "from concurrent.futures import ThreadPoolExecutor",
        "",
        "import numpy as np",
        "import onnxruntime as ort",
        "",
        f"MODEL = {model_path(best)!r}",
        f"DEVICE = {best.device!r}",
        f"PROPERTIES = {pprint.pformat(properties, sort_dicts=False)}",
        f"SHAPES = {shapes!r}",
        f"INFER_REQUESTS = {best.infer_requests}",
        "",
        "",
        CODE,
    ]
    return {"onnxruntime_session.py": "\n".join(lines)}


def _model(best: Best) -> str | None:
    return needs_file(best) or (None if best.model.path.endswith(".onnx") else "ONNX Runtime reads ONNX files only")


def _inputs(best: Best) -> str | None:
    odd = [name for name in best.inputs if not name or set(name) & set("[], \t\n")]
    return f"reshape_input cannot name {odd[0]!r}" if odd else None


def _refuse(name: str, value: PropertyValue) -> str | None:
    return "load_config takes no structured value" if name == "DEVICE_PROPERTIES" else None


EXPORTER = Exporter(
    name="onnxruntime",
    summary="Python for ONNX Runtime's OpenVINO execution provider",
    build=build,
    cannot={**ON_THE_HOST, "model": _model, **unless_reshaped(_inputs)},
    refuse=_refuse,
)
