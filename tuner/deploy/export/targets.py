"""Lists every program that a configuration can be exported to; each has a module of its own beside this one."""

from __future__ import annotations

from tuner.deploy.export import (
    benchmark_app,
    compose,
    cpp,
    dlstreamer,
    docker,
    genai,
    kubernetes,
    onnxruntime,
    optimum,
    ovms,
    python,
    systemd,
    triton,
)
from tuner.deploy.export.exporter import Exporter

EXPORTERS: dict[str, Exporter] = {
    module.EXPORTER.name: module.EXPORTER
    for module in (
        benchmark_app,
        ovms,
        triton,
        onnxruntime,
        optimum,
        genai,
        dlstreamer,
        docker,
        compose,
        kubernetes,
        systemd,
        python,
        cpp,
    )
}
"""Exporter of each target, by its name, in the order of `tuner export --list`."""
