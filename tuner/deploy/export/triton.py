"""Writes config.pbtxt for Triton's OpenVINO backend, which says nothing of parameters that it does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from tuner.deploy.best import Best, PropertyValue
from tuner.deploy.export.exporter import ON_THE_HOST, Exporter, comments, model_path, needs_file, plain
from tuner.deploy.quoting import c_string, slug

KNOWN = ("PERFORMANCE_HINT", "INFERENCE_NUM_THREADS", "NUM_STREAMS")
"""Properties that the backend passes on by their own name."""
PRECISION = "INFERENCE_PRECISION_HINT"


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns config.pbtxt."""
    parameters = {"TARGET_DEVICE": best.device}
    parameters |= {name: plain(best.properties[name]) for name in KNOWN if name in best.properties}
    if best.properties.get(PRECISION) == "bf16":
        parameters["HINT_BF16"] = "YES"
    if best.batch_size > 1:
        # The model keeps one static batch; the backend fills up requests that have fewer samples.
        parameters |= {"SKIP_OV_DYNAMIC_BATCHSIZE": "YES", "ENABLE_BATCH_PADDING": "YES"}
    lines = [
        *comments(best, unsupported),
        f"name: {c_string(slug(best.study))}",
        'backend: "openvino"',
        f"default_model_filename: {c_string(PurePath(model_path(best)).name or 'model.xml')}",
        f"max_batch_size: {best.batch_size if _batches(best) else 0}",
        f"instance_group [ {{ count: {best.infer_requests} kind: KIND_CPU }} ]",
        "parameters: [",
        ",\n".join(
            f"  {{ key: {c_string(name)} value: {{ string_value: {c_string(value)} }} }}"
            for name, value in parameters.items()
        ),
        "]",
        "",
    ]
    return {"config.pbtxt": "\n".join(lines)}


def _batches(best: Best) -> bool:
    """Returns True if Triton can batch: more than one sample, always on the first axis."""
    axes = {given.batch_axis for given in best.inputs.values()}
    return best.batch_size > 1 and axes <= {0}


def _batch(best: Best) -> str | None:
    return None if _batches(best) else "Triton batches on the first axis of every input"


def _refuse(name: str, value: PropertyValue) -> str | None:
    if name in KNOWN:
        return None
    if name == PRECISION:
        return None if value == "bf16" else "the backend can ask for bf16 only"
    return "the backend has no such parameter"


EXPORTER = Exporter(
    name="triton",
    summary="config.pbtxt of Triton's OpenVINO backend",
    build=build,
    cannot={
        **ON_THE_HOST,
        "model": needs_file,
        "inputs": "only as in the model's file: the configuration would need data types, which best.yaml lacks",
        "batch_size": _batch,
        "api": "a server has as many requests in flight as its clients send, here at most the instances",
    },
    refuse=_refuse,
)
