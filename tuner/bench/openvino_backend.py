"""What a worker process does with OpenVINO: inspect the model, compile a configuration, read back, take turns.

Runs only inside a worker. Every failure leaves as an exception that `worker.py` turns into a `Failure`.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np
import openvino as ov

from tuner.bench import histogram, openvino_device
from tuner.bench.cost import read_peak_memory_bytes
from tuner.bench.energy import EnergyReader, joules_between
from tuner.bench.load import HostReader, load_between
from tuner.bench.loop import TooSlow, count
from tuner.bench.open_loop import NothingServed, SleepUntil, serve_window
from tuner.bench.openvino_member import Member, fill, open_member, read_effective, read_property, settle
from tuner.bench.protocol import Arrivals, Clock, DeploymentConfig, Effective
from tuner.bench.timer import exact_timers, sleep_until
from tuner.errors import DeviceError, ModelError
from tuner.model.batching import prove_batch
from tuner.model.read import batch_axes, find_faults, read
from tuner.model.spec import ModelSpec

T = TypeVar("T")


class OpenVinoBackend:
    """One model on one core object; members are compiled and released by number."""

    def __init__(
        self,
        spec: ModelSpec,
        seed: int = 0,
        *,
        clock: Clock = time.perf_counter,
        sleep_until: SleepUntil = sleep_until,
    ) -> None:
        self.spec = spec
        self.seed = seed
        self.clock = clock
        self.sleep_until = sleep_until
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
        openvino_device.check_device(self.core, device)
        model = self._model(1)
        axes = batch_axes(model, self.spec)
        self.compiles += 1
        compiled = self.core.compile_model(model, device, {})
        request = compiled.create_infer_request()
        fill(request, compiled, model, self.spec, self.seed)
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
            "precision": read_property(compiled, "INFERENCE_PRECISION_HINT"),
            "device_properties": openvino_device.listed_properties(self.core, device),
            "device_name": openvino_device.full_name(self.core, device),
            "batch_legal": proof.is_legal if proof else False,
            "batch_reason": proof.reason if proof else "",
        }

    def find_faults(self, device: str) -> list[dict[str, Any]]:
        """What keeps the model from being read and the device from being used, `at` the key of a study file."""
        faults = [{**asdict(fault), "at": ["model", *fault.at]} for fault in find_faults(self.core, self.spec)]
        try:
            openvino_device.check_device(self.core, device)
        except DeviceError as error:
            faults.append({"at": ["device"], "message": str(error), "advice": error.advice})
        return faults

    def unknown_properties(self, device: str, names: list[str]) -> list[str]:
        return openvino_device.unknown_properties(self.core, device, names)

    def refused_values(self, device: str, settings: list[tuple[str, Any]]) -> list[str]:
        return openvino_device.refused_values(self.core, device, settings)

    def compile(self, config: DeploymentConfig) -> tuple[int, Effective]:
        """Compiles, reads back, creates and fills every request. Returns the member's number."""
        self.compiles += 1
        model = self._model(config.batch_size)
        compiled = self.core.compile_model(model, config.device, dict(config.properties))
        return self._add(config, model, compiled)

    def start_up(self, config: DeploymentConfig, cache: str | None) -> tuple[int, Effective, dict[str, Any]]:
        """As `compile`, with the seconds that each step takes and its first inference; meant for a new process.

        `cache`: the folder of a model cache. Filling the request is not timed: an application has its own data."""
        clock = self.clock
        self.compiles += 1
        properties = {**config.properties, **({} if cache is None else {"CACHE_DIR": cache})}
        begin = clock()
        model = self._model(config.batch_size)
        read = clock()
        compiled = self.core.compile_model(model, config.device, properties)
        compiled_at = clock()
        request = compiled.create_infer_request()
        ready = clock()
        fill(request, compiled, model, self.spec, self.seed)
        before = clock()
        request.infer()
        first_s = clock() - before
        times = {"compile_s": compiled_at - read, "load_s": ready - begin, "first_inference_s": first_s}
        is_from_cache = cache is not None and read_property(compiled, "LOADED_FROM_CACHE").lower() in ("true", "yes")
        return *self._add(config, model, compiled), {**times, "is_from_cache": is_from_cache}

    def _add(self, config: DeploymentConfig, model: ov.Model, compiled: ov.CompiledModel) -> tuple[int, Effective]:
        member = open_member(compiled, model, config, self.spec, seed=self.seed, clock=self.clock)
        number, self.next_id = self.next_id, self.next_id + 1
        self.members[number] = member
        return number, member.effective

    def resolve(self, config: DeploymentConfig) -> Effective:
        self.compiles += 1
        model = self._model(config.batch_size)
        return read_effective(self.core.compile_model(model, config.device, dict(config.properties)), config)

    def release_others(self, keep: int | None) -> None:
        """Lets every member go but one."""
        self.members = {number: member for number, member in self.members.items() if number == keep}
        gc.collect()

    def settle(self, number: int) -> None:
        """The first inference of every request, and AUTO's decision for its final device."""
        settle(self.members[number], self.clock)

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
                    clock=self.clock,
                    sleep_until=self.sleep_until,
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
