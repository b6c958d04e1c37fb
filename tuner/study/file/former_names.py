"""Names of settings in older OpenVINO versions and other tools, with the names of today.

Responsible for words that no close match finds. Must not know what a device supports.
"""

from __future__ import annotations

FORMER_NAMES = {
    "CPU_THREADS_NUM": "INFERENCE_NUM_THREADS",
    "CPU_THROUGHPUT_STREAMS": "NUM_STREAMS",
    "GPU_THROUGHPUT_STREAMS": "NUM_STREAMS",
    "CPU_BIND_THREAD": "ENABLE_CPU_PINNING",
    "AFFINITY": "ENABLE_CPU_PINNING",
    "ENFORCE_BF16": "INFERENCE_PRECISION_HINT: bf16",
    "NIREQ": "infer_requests",
    "NSTREAMS": "NUM_STREAMS",
    "NTHREADS": "INFERENCE_NUM_THREADS",
    "INFER_PRECISION": "INFERENCE_PRECISION_HINT",
    "HINT": "PERFORMANCE_HINT",
    "BATCH": "batch_size",
}
"""Name in capitals -> name of today: OpenVINO before 2022.1 and 2024.0, its servers, and benchmark_app."""
COMMON_PROPERTIES = frozenset(
    {
        "NUM_STREAMS",
        "INFERENCE_NUM_THREADS",
        "PERFORMANCE_HINT",
        "PERFORMANCE_HINT_NUM_REQUESTS",
        "ENABLE_CPU_PINNING",
        "ENABLE_HYPER_THREADING",
        "SCHEDULING_CORE_TYPE",
        "INFERENCE_PRECISION_HINT",
        "EXECUTION_MODE_HINT",
    }
)
"""Names of properties that people also write in small letters."""
FORMER_VALUES = {
    "CPU_THROUGHPUT_AUTO": "AUTO",
    "GPU_THROUGHPUT_AUTO": "AUTO",
    "CPU_THROUGHPUT_NUMA": "NUMA",
}
"""Value of a former name -> value of today."""


def name_of_today(name: str) -> str:
    """Returns the name that a former one has today; empty for a name that never was one."""
    return FORMER_NAMES.get(name.upper(), "")


def value_of_today(value: object, refusal: str) -> str:
    """Returns the value that a former one has today, or a word of the `refusal` in its capitals; else empty."""
    if not isinstance(value, str):
        return ""
    is_word = value.isalpha() and value != value.upper() and value.upper() in refusal
    return FORMER_VALUES.get(value.upper(), value.upper() if is_word else "")
