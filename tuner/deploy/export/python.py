"""Writes Python that deploys a configuration: with this package, and with OpenVINO alone."""

from __future__ import annotations

import pprint
from collections.abc import Mapping, Sequence

from tuner.deploy.best import Best
from tuner.deploy.best_file import format_best
from tuner.deploy.export.exporter import ON_THE_HOST, Exporter, comments, model_path, shapes_of
from tuner.deploy.quoting import comment_lines
from tuner.model.locate import BUILTIN


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns deploy.py, and best.yaml where there is no file of this configuration yet."""
    text = "\n".join([*comments(best, unsupported), "", *code_lines(best, best, None), ""])
    return {"deploy.py": text, **({} if best.source else {"best.yaml": format_best(best)})}


def code_lines(best: Best, used: Best, keys: Mapping[str, str | int] | None) -> list[str]:
    """Returns the lines of Python.

    `used` is the configuration that runs here, which after a fallback is another. `keys` address inputs of the compiled
    model that have no name of their own; None says that the model was not read, so that the code itself looks for them.
    """
    return [*_with_tuner(best, used, keys), "", *_without_tuner(used, keys)]


def _with_tuner(best: Best, used: Best, keys: Mapping[str, str | int] | None) -> list[str]:
    file = "best.yaml" if best.source is None else str(best.source)
    name, shape = next(iter(shapes_of(used).items()), ("input", []))
    key = (keys or {}).get(name, name)
    lines = [
        "# With tuner installed: warns where the host differs, falls back where it must",
        "import tuner",
        "",
        *([f"# replica: {best.replicas} processes, each with a number of its own"] if best.affinity == "split" else []),
        f"deployment = tuner.load_best({file!r}).compile({'replica=0' if best.affinity == 'split' else ''})",
    ]
    return [
        *lines,
        f"# deployment.infer({{{key!r}: array}})  # from any thread; an array of shape {shape}",
        f"# with deployment.predictor() as predictor: predictor.submit({{{key!r}: array}})  # a server, with batches",
    ]


def _without_tuner(best: Best, keys: Mapping[str, str | int] | None) -> list[str]:
    if best.model.path.startswith(BUILTIN):
        return comment_lines([f"{best.model.path} is built by tuner: OpenVINO alone cannot read it"])
    properties = pprint.pformat(dict(best.properties), width=100, sort_dicts=False)
    run = (
        "request = compiled.create_infer_request()"
        if best.api == "sync"
        else f"queue = openvino.AsyncInferQueue(compiled, {best.infer_requests})"
    )
    return [
        "# With OpenVINO alone",
        *_take_cpus(best),
        "import openvino",
        "",
        "core = openvino.Core()",
        f"model = core.read_model({model_path(best)!r})",
        *_reshape(shapes_of(best), keys),
        f"properties = {properties}",
        f"compiled = core.compile_model(model, {best.device!r}, properties)",
        run,
    ]


def _reshape(shapes: Mapping[str, Sequence[int]], keys: Mapping[str, str | int] | None) -> list[str]:
    """Returns code that gives the inputs their shapes, by the name of the node where a tensor has none."""
    if not shapes:
        return []
    if keys is not None:
        return [f"model.reshape({ {keys.get(name, name): shape for name, shape in shapes.items()}!r})"]
    return [
        f"shapes = {dict(shapes)!r}",
        "ports = dict((name, port) for port in model.inputs for name in (port.node.friendly_name, *port.names))",
        "model.reshape({ports[name]: shape for name, shape in shapes.items()})",
    ]


def _take_cpus(best: Best) -> list[str]:
    """Returns code that binds a replica to its CPUs, if the replicas split them: `cpu_share` of tuner/model/host.py."""
    if best.affinity != "split":
        return []
    return [
        "import os",
        "",
        f"replica, replicas = 0, {best.replicas}  # in each process its own",
        "cpus = sorted(os.sched_getaffinity(0))",
        "part = slice(replica * len(cpus) // replicas, (replica + 1) * len(cpus) // replicas)",
        "os.sched_setaffinity(0, cpus[part])",
        "",
    ]


BY_THE_PROCESS: Mapping[str, str] = {
    name: why for name, why in ON_THE_HOST.items() if name not in ("replicas", "affinity")
}
"""Refusals of code: a process takes its part of the CPUs itself, and the comment says how many to start."""

EXPORTER = Exporter(
    name="python",
    summary="Python, with this package and with OpenVINO alone",
    build=build,
    cannot=BY_THE_PROCESS,
)
