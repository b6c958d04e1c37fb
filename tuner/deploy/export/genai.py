"""Writes Python for the pipelines of OpenVINO GenAI, and the file of llm_bench's `-lc`."""

from __future__ import annotations

import json
import pprint
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from tuner.deploy.best import Best
from tuner.deploy.export.exporter import ON_THE_HOST, Exporter, comments, model_path, needs_file, plain

CODE = '''\
def create_pipeline(pipeline_class=None, folder=FOLDER):
    """Returns a pipeline over the folder of a model; of a class of openvino_genai, by default LLMPipeline."""
    if pipeline_class is None:
        from openvino_genai import LLMPipeline as pipeline_class
    return pipeline_class(folder, DEVICE, **PROPERTIES)
'''
OF_THE_PIPELINE = "the pipeline decides"


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns genai_pipeline.py and llm_bench.json."""
    lines = [
        *comments(best, unsupported),
        "# pip install openvino-genai; a property that the device does not know raises an error",
        f"FOLDER = {str(PurePath(model_path(best)).parent)!r}",
        f"DEVICE = {best.device!r}",
        f"PROPERTIES = {pprint.pformat(dict(best.properties), sort_dicts=False)}",
        "",
        "",
        CODE,
    ]
    flat = {name: plain(value) if isinstance(value, bool) else value for name, value in best.properties.items()}
    return {"genai_pipeline.py": "\n".join(lines), "llm_bench.json": json.dumps(flat, indent=2) + "\n"}


EXPORTER = Exporter(
    name="genai",
    summary="Python for OpenVINO GenAI's pipelines, and llm_bench's -lc JSON",
    build=build,
    cannot={
        **ON_THE_HOST,
        "model": needs_file,
        **dict.fromkeys(("inputs", "batch_size", "infer_requests", "api"), OF_THE_PIPELINE),
    },
)
