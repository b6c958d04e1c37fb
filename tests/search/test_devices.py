"""What `space: auto` offers and tries first on each kind of device: one table, without any of the hardware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.virtual import make_study
from tuner.bench.configuration import DeploymentConfig, Effective
from tuner.bench.protocol import ModelFacts
from tuner.bench.value import Value
from tuner.model.device import is_composed
from tuner.model.host import HostFacts
from tuner.search.search_space import make_setup
from tuner.study.setup import StudySetup

HOST = HostFacts(cpu_model="any", cpus_allowed=8, cpu_quota=None, openvino="", system="Linux", kernel="", machine="")
COUNTS = (1, 2, 4, 8)
BATCHES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One row: a device and the files of its host, what is expected of the space, and the first seed."""

    device: str
    files: Mapping[str, str] = field(default_factory=dict)
    properties: tuple[str, ...] = ()
    space: Mapping[str, tuple[Value, ...]]
    first: Mapping[str, Value]


SMT = {"sys/devices/system/cpu/smt/active": "1\n"}
HYBRID = {"sys/devices/cpu_core/type": "4\n", "sys/devices/cpu_atom/type": "10\n"}
PLAIN: Mapping[str, tuple[Value, ...]] = {
    "NUM_STREAMS": COUNTS,
    "INFERENCE_NUM_THREADS": COUNTS,
    "ENABLE_CPU_PINNING": (True, False),
    "batch_size": BATCHES,
    "infer_requests": (1, 2, 4, 8, 16, 32, 64),
}
STREAMS: Mapping[str, Value] = {"NUM_STREAMS": 8, "batch_size": 1, "infer_requests": 32}
HINT: Mapping[str, Value] = {"PERFORMANCE_HINT": "THROUGHPUT", "batch_size": 1, "infer_requests": 32}
KINDS = {
    "CPU": Kind(device="CPU", space=PLAIN, first=STREAMS),
    "CPU with hyper-threads": Kind(
        device="CPU", files=SMT, space={**PLAIN, "ENABLE_HYPER_THREADING": (True, False)}, first=STREAMS
    ),
    "CPU of performance and efficiency cores": Kind(
        device="CPU",
        files=SMT | HYBRID,
        space={
            **PLAIN,
            "ENABLE_HYPER_THREADING": (True, False),
            "SCHEDULING_CORE_TYPE": ("ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"),
        },
        first=STREAMS,
    ),
    "GPU": Kind(
        device="GPU.1",
        files=SMT | HYBRID,
        properties=("NUM_STREAMS", "PERFORMANCE_HINT"),
        space={"NUM_STREAMS": COUNTS, "batch_size": BATCHES, "infer_requests": (1, 2, 4, 8, 16, 32, 64)},
        first=STREAMS,
    ),
    "GPU without streams": Kind(
        device="GPU",
        space={"batch_size": BATCHES, "infer_requests": (1, 2, 4, 8, 16, 32, 64)},
        first={"batch_size": 1, "infer_requests": 32},
    ),
    "NPU": Kind(
        device="NPU",
        properties=("NUM_STREAMS",),
        space={"batch_size": BATCHES, "infer_requests": (1, 2, 4, 8, 16, 32)},
        first={"batch_size": 1, "infer_requests": 32},
    ),
    "AUTO": Kind(
        device="AUTO:GPU,CPU",
        properties=("NUM_STREAMS",),
        space={
            "PERFORMANCE_HINT": ("LATENCY", "THROUGHPUT", "CUMULATIVE_THROUGHPUT"),
            "batch_size": BATCHES,
            "infer_requests": (1, 2, 4, 8, 16, 32, 64),
        },
        first=HINT,
    ),
    "MULTI": Kind(
        device="MULTI:CPU",
        space={
            "PERFORMANCE_HINT": ("LATENCY", "THROUGHPUT"),
            "batch_size": BATCHES,
            "infer_requests": (1, 2, 4, 8, 16, 32, 64),
        },
        first=HINT,
    ),
}


def effective_of(config: DeploymentConfig) -> Effective:
    """Returns what a device of eight lanes makes of a configuration."""
    return Effective(
        properties={"NUM_STREAMS": "8"},
        infer_requests=8,
        batch_size=config.batch_size,
        api=config.api,
    )


def setup_of(kind: Kind, root: Path) -> StudySetup:
    for name, text in kind.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    facts = ModelFacts(
        inputs=(),
        precision="unreadable" if is_composed(kind.device) else "f16",
        device_properties=kind.properties,
        device_name="",
        batch_legal=True,
        batch_reason="",
    )
    return make_setup(replace(make_study(), device=kind.device), facts, HOST, effective_of, lambda _: None, root=root)


@pytest.mark.parametrize("name", KINDS)
def test_the_automatic_space_offers_what_the_device_has(name: str, tmp_path: Path) -> None:
    space = setup_of(KINDS[name], tmp_path).space
    assert {p.name: p.values for p in space.parameters} == KINDS[name].space


@pytest.mark.parametrize("name", KINDS)
def test_the_first_seed_is_what_throughput_amounts_to_with_four_times_its_requests(name: str, tmp_path: Path) -> None:
    first = setup_of(KINDS[name], tmp_path).seeds[0]
    assert first.items() >= KINDS[name].first.items()
    assert first.keys() == KINDS[name].space.keys()


@pytest.mark.parametrize("name", KINDS)
def test_the_precision_is_pinned_where_the_device_tells_it(name: str, tmp_path: Path) -> None:
    is_told = not is_composed(KINDS[name].device)
    assert setup_of(KINDS[name], tmp_path).fixed == ({"INFERENCE_PRECISION_HINT": "f16"} if is_told else {})
