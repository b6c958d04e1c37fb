"""What a worker process does with OpenVINO: inspect the model, compile a configuration, read back, take turns.

Runs only inside a worker. Every failure leaves as an exception that `worker.py` turns into a `Failure`.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import openvino as ov

from tuner.bench import histogram
from tuner.bench.cost import read_peak_memory_bytes
from tuner.bench.energy import EnergyReader, joules_between
from tuner.bench.load import HostReader, load_between
from tuner.bench.loop import Turn, count, run_async, run_sync
from tuner.bench.open_loop import NothingServed, serve_window
from tuner.bench.protocol import SETTLE_CAP_S, Arrivals, DeploymentConfig, Effective
from tuner.bench.timer import exact_timers
from tuner.errors import DeviceError, ModelError
from tuner.model.batching import prove_batch
from tuner.model.inputs import random_inputs
from tuner.model.openvino_error import first_line
from tuner.model.property_text import as_text
from tuner.model.read import batch_axes, read
from tuner.model.spec import ModelSpec

REPORTING = {
    "SUPPORTED_PROPERTIES",
    "NETWORK_NAME",
    "OPTIMAL_NUMBER_OF_INFER_REQUESTS",
    "EXECUTION_DEVICES",
    "RUNTIME_REQUIREMENTS",
    "LOADED_FROM_CACHE",
    "PERFORMANCE_HINT",
    "PERFORMANCE_HINT_NUM_REQUESTS",
    "PERF_COUNT",
    "LOG_LEVEL",
    "MULTI_DEVICE_PRIORITIES",
    "DEVICE_PROPERTIES",
    "MODEL_PRIORITY",
}
"""Read back but no part of what the device does: reporting, and hints whose effect shows in other properties."""
PASSING_DOWN = ("AUTO", "MULTI", "HETERO", "BATCH")
"""Devices that hand properties down and cannot report them (openvino.md): there the request is the identity."""


T = TypeVar("T")


class TooSlow(Exception):
    """A member that could not complete four rounds of its requests in the longest window allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A compiled configuration with its requests filled; `run(window_s, drop_s, max_s, tail_s)` takes one turn."""

    config: DeploymentConfig
    effective: Effective
    compiled: ov.CompiledModel
    run: Callable[[float, float, float, float], Turn]
    queue: ov.AsyncInferQueue | None = None
    """None where calls are synchronous."""
    requests: Sequence[ov.InferRequest] = ()


class OpenVinoBackend:
    """One model on one core object; members are compiled and released by number."""

    def __init__(self, spec: ModelSpec, seed: int = 0) -> None:
        self.spec = spec
        self.seed = seed
        self.host = HostReader()
        self.energy = EnergyReader()
        self.core = ov.Core()
        self.models: dict[int, ov.Model] = {}
        self.members: dict[int, Member] = {}
        self.next_id = 0
        self.compiles = 0
        """Of all kinds: with one, what this process has in memory is its member's."""
        # What was imported stays: collecting before a turn takes 15 ms with it and microseconds without (measured).
        gc.collect()
        gc.freeze()

    def inspect(self, device: str, batch_sizes: list[int]) -> dict[str, Any]:
        """Facts of the model and the device, after one real inference: inputs, default precision, which properties
        the device lists as writable, and the proof of batching for the largest of `batch_sizes` that matters."""
        check_device(self.core, device)
        model = self._model(1)
        axes = batch_axes(model, self.spec)
        self.compiles += 1
        compiled = self.core.compile_model(model, device, {})
        request = compiled.create_infer_request()
        for port, array in zip(compiled.inputs, random_inputs(model, self.spec, self.seed), strict=True):
            request.set_tensor(port, ov.Tensor(array))
        request.infer()
        proofs = [prove_batch(self.core, self.spec, size, device=device) for size in batch_sizes]
        illegal = next((p for p in proofs if not p.is_legal), None)
        proof = illegal or (proofs[0] if proofs else None)
        return {
            "inputs": [
                {
                    "name": port.get_any_name(),
                    "shape": list(port.shape),
                    "dtype": port.element_type.get_type_name(),
                    "batch_axis": axes.get(port.get_any_name()),
                }
                for port in model.inputs
            ],
            "precision": self._read(compiled, "INFERENCE_PRECISION_HINT"),
            "device_properties": sorted(_writable(self.core, device)),
            "device_name": str(self.core.get_property(device, "FULL_DEVICE_NAME")) if ":" not in device else device,
            "batch_legal": proof.is_legal if proof else False,
            "batch_reason": proof.reason if proof else "",
        }

    def unknown_properties(self, device: str, names: list[str]) -> list[str]:
        """The names that the device calls unsupported when a tiny model is compiled with each alone (openvino.md: its
        own SUPPORTED_PROPERTIES is no oracle). Empty values switch nothing on."""
        errors = self._refusals(device, [(name, "") for name in names])
        return [name for name, error in zip(names, errors, strict=True) if "Unsupported property" in str(error)]

    def refused_values(self, device: str, settings: list[tuple[str, Any]]) -> list[str]:
        """For each name and value what the device says against it when a tiny model is compiled with that alone; ""
        where it compiles, or fails for a reason that names neither."""
        found = []
        for (name, value), error in zip(settings, self._refusals(device, settings), strict=True):
            text = first_line(error) if error else ""
            words = (name, "YES" if value else "NO") if isinstance(value, bool) else (name, str(value))
            is_about = any(word and word in text for word in words) and "Unsupported property" not in str(error)
            found.append(text if is_about else "")
        return found

    def _refusals(self, device: str, settings: Sequence[tuple[str, Any]]) -> list[RuntimeError | None]:
        ops: Any = ov.opset13
        x = ops.parameter([1], np.float32)
        tiny = ov.Model([ops.relu(x)], [x], "tiny")
        found: list[RuntimeError | None] = []
        for name, value in settings:
            try:
                self.core.compile_model(tiny, device, {name: value})
                found.append(None)
            except RuntimeError as error:
                found.append(error)
        return found

    def compile(self, config: DeploymentConfig) -> tuple[int, Effective]:
        """Compiles, reads back, creates and fills every request. Returns the member's number."""
        self.compiles += 1
        model = self._model(config.batch_size)
        compiled = self.core.compile_model(model, config.device, dict(config.properties))
        return self._add(config, model, compiled)

    def start_up(self, config: DeploymentConfig, cache: str | None) -> tuple[int, Effective, dict[str, Any]]:
        """As `compile`, with the seconds that each step takes and its first inference; meant for a new process.

        `cache`: the folder of a model cache. Filling the request is not timed: an application has its own data."""
        clock = time.perf_counter
        self.compiles += 1
        properties = {**config.properties, **({} if cache is None else {"CACHE_DIR": cache})}
        begin = clock()
        model = self._model(config.batch_size)
        read = clock()
        compiled = self.core.compile_model(model, config.device, properties)
        compiled_at = clock()
        request = compiled.create_infer_request()
        ready = clock()
        self._fill(request, compiled, model, self.seed)
        before = clock()
        request.infer()
        first_s = clock() - before
        times = {"compile_s": compiled_at - read, "load_s": ready - begin, "first_inference_s": first_s}
        is_from_cache = cache is not None and self._read(compiled, "LOADED_FROM_CACHE").lower() in ("true", "yes")
        return *self._add(config, model, compiled), {**times, "is_from_cache": is_from_cache}

    def _add(self, config: DeploymentConfig, model: ov.Model, compiled: ov.CompiledModel) -> tuple[int, Effective]:
        effective = self.effective(compiled, config)
        member = self._member(compiled, model, config, effective)
        number, self.next_id = self.next_id, self.next_id + 1
        self.members[number] = member
        return number, effective

    def resolve(self, config: DeploymentConfig) -> Effective:
        self.compiles += 1
        model = self._model(config.batch_size)
        return self.effective(self.core.compile_model(model, config.device, dict(config.properties)), config)

    def release_others(self, keep: int | None) -> None:
        """Lets every member go but one."""
        self.members = {number: member for number, member in self.members.items() if number == keep}
        gc.collect()

    def settle(self, number: int) -> None:
        """The first inference of every request, and AUTO's decision for its final device."""
        member = self.members[number]
        member.run(0.0, 0.0, 0.0, 0.0)
        if member.config.device.split(":")[0] == "AUTO":
            self._wait_for_device(member)

    def turn(self, number: int, *, window_s: float, drop_s: float, max_s: float, tail_s: float = 0.0) -> dict[str, Any]:
        """One turn; everything but the loop itself happens outside the timed stretch."""
        member = self.members[number]
        turn, cost = self._with_cost(lambda: member.run(window_s, drop_s, max_s, tail_s))
        counted = count(turn)
        if counted is None:
            raise TooSlow(
                f"too slow for this budget: {turn.requests} requests in flight did not complete four rounds "
                f"in {max_s:.1f} s"
            )
        return {
            "duration_s": counted.duration_s,
            "samples": counted.completions * member.effective.batch_size,
            "latency_counts": histogram.count(counted.latencies_ms),
            "latency_sum_ms": float(np.sum(counted.latencies_ms)),
            **cost(counted.completions / turn.completed),
        }

    def serve(
        self, number: int, *, arrivals: Arrivals, window_s: float, drop_s: float, drain_s: float
    ) -> dict[str, Any]:
        """One window of requests that arrive by themselves; as `turn` otherwise."""
        member = self.members[number]
        if member.queue is None:
            raise RuntimeError("requests that arrive by themselves need asynchronous requests")
        queue = member.queue

        def work() -> tuple[dict[str, Any], float]:
            with exact_timers():
                return serve_window(
                    queue,
                    member.requests,
                    arrivals,
                    window_s=window_s,
                    drop_s=drop_s,
                    drain_s=drain_s,
                    clock=time.perf_counter,
                    sleep_until=_sleep_until,
                )

        try:
            (found, share), cost = self._with_cost(work)
        except NothingServed as error:
            raise TooSlow(str(error)) from error
        return {**found, **cost(share)}

    def _with_cost(self, work: Callable[[], T]) -> tuple[T, Callable[[float], dict[str, Any]]]:
        """What `work` returns, and what it cost and what the host did meanwhile, as fields of a window that counts the
        given share of it: ramp and drain do the same work, and each completion has its equal part."""
        gc.collect()
        gc.disable()
        try:
            before = self.host.read()
            energy_before = self.energy.read()
            cpu_before_s = time.process_time()
            result = work()
            cpu_s = time.process_time() - cpu_before_s
            energy_j = joules_between(energy_before, self.energy.read())
            after = self.host.read()
        finally:
            gc.enable()
        load = load_between(before, after, frequency_mhz=self.host.frequency_mhz())

        def fields(share: float) -> dict[str, Any]:
            return {
                "cpu_s": cpu_s * share,
                "energy_j": None if energy_j is None else energy_j * share,
                "peak_memory_bytes": read_peak_memory_bytes() if self.compiles == 1 else None,
                **asdict(load),
            }

        return result, fields

    def effective(self, compiled: ov.CompiledModel, config: DeploymentConfig) -> Effective:
        """What came back, as strings. What cannot be read back counts with the value asked for."""
        if config.device.startswith(PASSING_DOWN):
            properties = {name: str(value) for name, value in config.properties.items()}
        else:
            names = {str(name) for name in compiled.get_property("SUPPORTED_PROPERTIES")} - REPORTING
            properties = {name: self._read(compiled, name) for name in sorted(names)}
            unread = config.properties.keys() - properties.keys() - REPORTING
            properties |= {name: str(config.properties[name]) for name in sorted(unread)}
        optimal = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        return Effective.of(config, properties, suggested=optimal)

    def _model(self, batch_size: int) -> ov.Model:
        """Read once for each batch size: compiling leaves a model as it is."""
        if batch_size not in self.models:
            try:
                self.models[batch_size] = read(self.core, self.spec, batch_size=batch_size)
            except ModelError as error:
                if batch_size == 1:
                    raise
                # The model is fine: it is the configuration that fails.
                raise RuntimeError(str(error)) from error
        return self.models[batch_size]

    @staticmethod
    def _read(compiled: ov.CompiledModel, name: str) -> str:
        try:
            return as_text(compiled.get_property(name))
        except RuntimeError:
            return "unreadable"

    def _member(
        self, compiled: ov.CompiledModel, model: ov.Model, config: DeploymentConfig, effective: Effective
    ) -> Member:
        clock = time.perf_counter
        if config.api == "sync":
            request = compiled.create_infer_request()
            self._fill(request, compiled, model, self.seed)
            return Member(
                config=config,
                effective=effective,
                compiled=compiled,
                run=lambda window_s, drop_s, max_s, tail_s: run_sync(
                    request, window_s=window_s, drop_s=drop_s, max_s=max_s, clock=clock, tail_s=tail_s
                ),
            )
        queue = ov.AsyncInferQueue(compiled, effective.infer_requests)
        requests = [queue[i] for i in range(len(queue))]
        for i, request in enumerate(requests):
            self._fill(request, compiled, model, self.seed + i)
        return Member(
            config=config,
            effective=effective,
            compiled=compiled,
            run=lambda window_s, drop_s, max_s, tail_s: run_async(
                queue, requests, window_s=window_s, drop_s=drop_s, max_s=max_s, clock=clock, tail_s=tail_s
            ),
            queue=queue,
            requests=requests,
        )

    def _fill(self, request: ov.InferRequest, compiled: ov.CompiledModel, model: ov.Model, seed: int) -> None:
        """Each request gets tensors of its own: shared inputs may be cached and flatter the figures (openvino.md)."""
        for port, array in zip(compiled.inputs, random_inputs(model, self.spec, seed), strict=True):
            request.set_tensor(port, ov.Tensor(array))

    def _wait_for_device(self, member: Member) -> None:
        seen: list[str] = []
        deadline = time.perf_counter() + SETTLE_CAP_S
        while time.perf_counter() < deadline:
            member.run(0.1, 0.0, 1.0, 0.0)
            seen.append(as_text(member.compiled.get_property("EXECUTION_DEVICES")))
            if len(seen) >= 3 and len(set(seen[-3:])) == 1 and "(CPU)" not in seen[-1]:
                return
        raise RuntimeError(f"{member.config.device} did not settle on a device within {SETTLE_CAP_S:.0f} s")


def _sleep_until(at_s: float) -> None:
    """perf_counter is CLOCK_MONOTONIC, which time.sleep counts on; a deadline that has passed costs nothing."""
    left_s = at_s - time.perf_counter()
    if left_s > 0.0:
        time.sleep(left_s)


def check_device(core: ov.Core, device: str) -> None:
    """Raises DeviceError when the device, or one that AUTO, MULTI, HETERO or BATCH is told to use, is not there."""
    available = core.available_devices
    here = {name for found in available for name in (found, found.split(".")[0])}
    first, _, rest = device.partition(":")
    wanted = [part.split("(")[0] for part in rest.split(",") if part and not part.startswith("-")]
    if first not in PASSING_DOWN:
        wanted.append(first)
    missing = [name for name in wanted if name not in here]
    if missing:
        raise DeviceError(
            f"device {', '.join(missing)} is not available here",
            advice=f"available: {', '.join(available)}; a GPU or NPU also needs its driver",
        )


def _writable(core: ov.Core, device: str) -> set[str]:
    try:
        listed = core.get_property(device.split(":")[0], "SUPPORTED_PROPERTIES")
    except RuntimeError:
        return set()
    return {str(name) for name in listed}
