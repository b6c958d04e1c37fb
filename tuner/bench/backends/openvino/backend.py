"""The backend for OpenVINO: inspects the model, compiles configurations, reads them back and takes turns.

Responsible for OpenVINO inside a worker. `worker.py` turns every exception into a `Failure`.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import numpy as np
import openvino as ov

from tuner.bench import histogram
from tuner.bench.backends.openvino import device as openvino_device
from tuner.bench.backends.openvino.first_look import look, weight_bytes
from tuner.bench.backends.openvino.member import Member, fill, open_member, read_effective, read_property, settle
from tuner.bench.backends.protocol import CompiledMember, StartTimes
from tuner.bench.backends.step import announce_step
from tuner.bench.configuration import DeploymentConfig, Effective
from tuner.bench.host.activity import HostReader, load_between
from tuner.bench.host.energy import EnergyReader, joules_between
from tuner.bench.host.memory import read_peak_memory_bytes
from tuner.bench.loadgen.closed_loop import Turn, count, fewest_cycles
from tuner.bench.loadgen.open_loop import SleepUntil, serve_window
from tuner.bench.loadgen.timer import exact_timers, sleep_until
from tuner.bench.protocol import Clock
from tuner.bench.turn import TooSlow, TurnPlan, TurnResult
from tuner.errors import DeviceError, ModelError
from tuner.model.batching import prove_batch
from tuner.model.data_faults import table_faults
from tuner.model.device import check_device
from tuner.model.files.description import describe_inputs
from tuner.model.ports import given_name, input_name
from tuner.model.read import batch_axes, find_faults, read, read_file
from tuner.model.spec import Fault, ModelSpec
from tuner.model.state import state_variables, steps_between_resets

T = TypeVar("T")


class OpenVinoBackend:
    """Backend on one core object, see `backend.Backend` for what its methods do."""

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
        """Number of compiles of any kind; after a single one, the memory of this process is that of its member."""
        # Imported modules stay: a collection before a turn takes 15 ms with them and microseconds without.
        gc.collect()
        gc.freeze()

    def inspect(self, device: str, batch_sizes: list[int]) -> dict[str, Any]:
        """Returns the fields of `ModelFacts` after one real inference.

        The proof of batching is that of the first illegal one of `batch_sizes`, or of the first.
        """
        check_device(self.core, device)
        model = self._model(1)
        axes = batch_axes(model, self.spec)
        self.compiles += 1
        compiled = self.core.compile_model(model, device, {})
        for fault in self._load_faults(model):
            raise ModelError(fault.message, advice=fault.advice)
        announce_step("the first inference")
        first = look(compiled, model, self.spec, device=device, seed=self.seed, clock=self.clock)
        for fault in table_faults(model, self.spec):
            raise ModelError(fault.message, advice=fault.advice)
        announce_step("an inference in a batch")
        proofs = [prove_batch(self.core, self.spec, size, device=device) for size in batch_sizes]
        illegal = next((p for p in proofs if not p.is_legal), None)
        proof = illegal or (proofs[0] if proofs else None)
        return {
            "inputs": [self._describe_input(port, axes) for port in model.inputs],
            "precision": read_property(compiled, "INFERENCE_PRECISION_HINT"),
            "device_properties": openvino_device.listed_properties(self.core, device),
            "device_name": openvino_device.full_name(self.core, device),
            "batch_legal": proof.is_legal if proof else False,
            "batch_reason": proof.reason if proof else "",
            "steps": steps_between_resets(model, self.spec),
            "inference_s": first.inference_s,
            "operations": len(model.get_ops()),
            "weight_bytes": weight_bytes(model),
            "state": None if first.state is None else asdict(first.state),
            "data": None if first.data is None else asdict(first.data),
        }

    def _describe_input(self, port: ov.Output, axes: Mapping[str, int]) -> dict[str, Any]:
        name, given = input_name(port), given_name(port, self.spec)
        described = {
            "name": name,
            "shape": list(port.shape),
            "dtype": port.element_type.get_type_name(),
            "batch_axis": axes.get(name),
        }
        return described if given == name else {**described, "given": given}

    def find_faults(self, device: str) -> list[dict[str, Any]]:
        """Returns every fault of the model and the device, with the key of the study file under `at`."""
        found = find_faults(self.core, self.spec)
        faults = [{**asdict(fault), "at": ["model", *fault.at]} for fault in found]
        if not found:
            faults += [asdict(fault) for fault in self._load_faults(self._model(1))]
        try:
            check_device(self.core, device)
        except DeviceError as error:
            faults.append({"at": ["device"], "message": str(error), "advice": error.advice})
        return faults

    def describe_inputs(self) -> list[dict[str, Any]]:
        """Returns the fields of `InputFacts` for each input, before anything fixes its shape."""
        return describe_inputs(read_file(self.core, self.spec))

    def _load_faults(self, model: ov.Model) -> list[Fault]:
        """Returns what the model says against the section `load` of the study file, whose keys are complete."""
        if self.spec.steps is None or state_variables(model):
            return []
        message = f"{self.spec.path!r} keeps no state from one inference to the next: there is nothing to empty"
        return [Fault(at=("load", "steps"), message=message, advice="Take `steps` out.")]

    def unknown_properties(self, device: str, names: list[str]) -> list[str]:
        """Returns those of `names` that the device does not support."""
        return openvino_device.unknown_properties(self.core, device, names)

    def refused_values(self, device: str, settings: Sequence[tuple[str, Any]]) -> list[str]:
        """Returns the device's objection to each property and value; "" for an accepted value."""
        return openvino_device.refused_values(self.core, device, settings)

    def compile(self, config: DeploymentConfig) -> CompiledMember:
        """Compiles a configuration, reads it back, creates and fills every request."""
        self.compiles += 1
        model = self._model(config.batch_size)
        compiled = self.core.compile_model(model, config.device, dict(config.properties))
        return self._add(config, model, compiled)

    def start_up(self, config: DeploymentConfig, cache: str | None) -> CompiledMember:
        """Compiles as `compile` and times each step and the first inference; meant for a new process.

        `cache` is the folder of a model cache. Filling the request is not timed: an application has its own data.
        """
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
        is_from_cache = cache is not None and read_property(compiled, "LOADED_FROM_CACHE").lower() in ("true", "yes")
        times = StartTimes(
            compile_s=compiled_at - read,
            load_s=ready - begin,
            first_inference_s=first_s,
            is_from_cache=is_from_cache,
        )
        return replace(self._add(config, model, compiled), start=times)

    def _add(self, config: DeploymentConfig, model: ov.Model, compiled: ov.CompiledModel) -> CompiledMember:
        member = open_member(compiled, model, config, self.spec, seed=self.seed, clock=self.clock)
        number, self.next_id = self.next_id, self.next_id + 1
        self.members[number] = member
        return CompiledMember(number=number, effective=member.effective, settle_s=member.settle_s)

    def resolve(self, config: DeploymentConfig) -> Effective:
        """Compiles a configuration and returns what the device reports."""
        self.compiles += 1
        model = self._model(config.batch_size)
        return read_effective(self.core.compile_model(model, config.device, dict(config.properties)), config)

    def release_others(self, keep: int | None) -> None:
        """Releases every member but one."""
        self.members = {number: member for number, member in self.members.items() if number == keep}
        gc.collect()

    def settle(self, number: int) -> None:
        """Runs every request once and waits until AUTO has chosen its final device."""
        settle(self.members[number], self.clock)

    def turn(self, number: int, plan: TurnPlan) -> TurnResult:
        """Measures one turn. Raises TooSlow."""
        member = self.members[number]
        if plan.arrivals is None:
            return self._measured(lambda: member.run(plan), lambda turn: _count(turn, member, plan))
        if member.queue is None:
            raise RuntimeError("requests that arrive by themselves need asynchronous requests")
        queue = member.queue

        def serve() -> tuple[TurnResult, float]:
            with exact_timers():
                return serve_window(queue, member.requests, plan, clock=self.clock, sleep_until=self.sleep_until)

        return self._measured(serve, lambda found: found)

    def _measured(self, work: Callable[[], T], count: Callable[[T], tuple[TurnResult, float]]) -> TurnResult:
        """Returns the counted result of `work` with its costs and the activity of the host.

        `count` returns the result and the share of all completions that it counts. Ramp and drain do the same work, so
        that each completion has an equal part of the costs.
        """
        gc.collect()
        gc.disable()
        try:
            before = self.host.read()
            energy_before = self.energy.read()
            cpu_before_s = time.process_time()
            raw = work()
            cpu_s = time.process_time() - cpu_before_s
            energy_j = joules_between(energy_before, self.energy.read())
            after = self.host.read()
        finally:
            gc.enable()
        activity = load_between(before, after, frequency_mhz=self.host.frequency_mhz())
        result, share = count(raw)
        return replace(
            result,
            cpu_s=cpu_s * share,
            energy_j=None if energy_j is None else energy_j * share,
            peak_memory_bytes=read_peak_memory_bytes() if self.compiles == 1 else None,
            **asdict(activity),
        )

    def _model(self, batch_size: int) -> ov.Model:
        """Returns the model, read once for each batch size: compiling leaves a model unchanged."""
        if batch_size not in self.models:
            try:
                self.models[batch_size] = read(self.core, self.spec, batch_size=batch_size)
            except ModelError as error:
                if batch_size == 1:
                    raise
                # The model is valid; only the configuration fails.
                raise RuntimeError(str(error)) from error
        return self.models[batch_size]


def _count(turn: Turn, member: Member, plan: TurnPlan) -> tuple[TurnResult, float]:
    """Returns the result of a closed-loop turn without its costs, and the share of its completions. Raises TooSlow."""
    counted = count(turn)
    if counted is None:
        raise TooSlow(
            f"too slow for this budget: {turn.requests} requests in flight did not complete "
            f"{'four' if turn.cycle == 1 else fewest_cycles(turn.cycle)} rounds "
            f"in {plan.max_s:.1f} s"
        )
    result = TurnResult(
        duration_s=counted.duration_s,
        samples=counted.completions * member.effective.batch_size,
        latency_counts=histogram.count(counted.latencies_ms),
        latency_sum_ms=float(np.sum(counted.latencies_ms)),
    )
    return result, counted.completions / turn.completed
