"""What OpenVINO really does with what it is asked, through worker processes, on tiny models."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino
import psutil
import pytest
from openvino import opset13
from openvino.op.util import Variable, VariableInfo

from tests.bench.conftest import HERE, MLP, blocks_of, config, failed, quick_plan, request_of, resolved, whole
from tuner.bench.backends.openvino.first_look import DATA_RATIO, depends_on_data
from tuner.bench.configuration import DeploymentConfig, Effective
from tuner.bench.loadgen.closed_loop import EmptyingQueue, EmptyingRequest
from tuner.bench.metrics import METRICS
from tuner.bench.protocol import Role
from tuner.bench.worker.inspection import find_faults
from tuner.bench.worker.pool import ProcessMode
from tuner.bench.worker.worker_bench import WorkerBench
from tuner.errors import DeviceError, ModelError
from tuner.model.builtin import build_mlp
from tuner.model.host import cpus_allowed
from tuner.model.read import read
from tuner.model.spec import InputSpec, ModelSpec

pytestmark = pytest.mark.openvino
Save = Callable[..., ModelSpec]


@pytest.fixture(scope="module")
def mlp() -> Iterator[WorkerBench]:
    with WorkerBench(MLP) as bench:
        yield bench


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def save_model(output: openvino.Node, parameters: list[openvino.Node], **fields: object) -> ModelSpec:
        openvino.save_model(openvino.Model([output], parameters), tmp_path / "model.xml", compress_to_fp16=False)
        return ModelSpec(path="model.xml", folder=tmp_path, **fields)

    return save_model


def on(device: str, **properties: str | int | bool) -> DeploymentConfig:
    return DeploymentConfig(device=device, properties=properties, infer_requests=4)


def effective(bench: WorkerBench, one: DeploymentConfig) -> Effective:
    return resolved(bench.resolve(one))


# Identity: the effective configuration, read back.


def test_nothing_and_the_latency_hint_are_one_configuration(mlp: WorkerBench) -> None:
    assert effective(mlp, config()).key == effective(mlp, config({"PERFORMANCE_HINT": "LATENCY"})).key


def test_too_many_streams_are_clamped_to_the_key_of_the_clamp(mlp: WorkerBench) -> None:
    clamped = effective(mlp, config({"NUM_STREAMS": 4096}))
    streams = int(clamped.properties["NUM_STREAMS"])
    assert streams <= cpus_allowed()
    assert clamped.infer_requests == streams
    assert clamped.key == effective(mlp, config({"NUM_STREAMS": streams})).key


def test_a_hint_and_what_it_stands_for_are_one_configuration(mlp: WorkerBench) -> None:
    hint = effective(mlp, config({"PERFORMANCE_HINT": "THROUGHPUT"}))
    streams = int(hint.properties["NUM_STREAMS"])
    assert hint.key == effective(mlp, config({"NUM_STREAMS": streams})).key
    both = effective(mlp, config({"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": 1}))
    assert both.properties["NUM_STREAMS"] == "1"


@pytest.mark.skipif(cpus_allowed() < 2, reason="one CPU has one stream")
def test_the_hints_differ_where_there_is_more_than_one_cpu(mlp: WorkerBench) -> None:
    hint = effective(mlp, config({"PERFORMANCE_HINT": "THROUGHPUT"}))
    assert int(hint.properties["NUM_STREAMS"]) > 1
    assert hint.key != effective(mlp, config()).key


def test_what_cannot_be_read_back_counts_with_the_value_asked_for(mlp: WorkerBench) -> None:
    keys = {effective(mlp, config({"CPU_RUNTIME_CACHE_CAPACITY": n})).key for n in (10, 20, 20)}
    assert len(keys) == 2
    assert effective(mlp, config()).key not in keys


@pytest.mark.parametrize("field", [{"batch_size": 2}, {"infer_requests": 7}, {"api": "sync"}, {"variant": "int8"}])
def test_batch_requests_api_and_variant_are_part_of_the_identity(mlp: WorkerBench, field: dict[str, object]) -> None:
    assert effective(mlp, config(**field)).key != effective(mlp, config()).key


def test_no_request_asked_for_is_the_number_that_the_device_suggests(mlp: WorkerBench) -> None:
    suggested = effective(mlp, config()).infer_requests
    assert effective(mlp, config(infer_requests=suggested)).key == effective(mlp, config()).key


def test_values_read_back_are_text_without_reporting(mlp: WorkerBench) -> None:
    properties = effective(mlp, config({"INFERENCE_PRECISION_HINT": "f32"})).properties
    assert properties["INFERENCE_PRECISION_HINT"] == "f32"
    assert properties["NUM_STREAMS"] == "1"
    assert not any("<" in value for value in properties.values())
    assert not {"PERFORMANCE_HINT", "NETWORK_NAME", "SUPPORTED_PROPERTIES", "EXECUTION_DEVICES"} & properties.keys()
    assert "unreadable" not in properties.values()


def test_a_device_that_only_passes_down_is_identified_by_what_was_asked(mlp: WorkerBench) -> None:
    hints = [on("AUTO:CPU", PERFORMANCE_HINT=hint) for hint in ("LATENCY", "THROUGHPUT")]
    assert len({effective(mlp, one).key for one in (*hints, on("AUTO:CPU"))}) == 3
    assert effective(mlp, hints[1]).properties == {"PERFORMANCE_HINT": "THROUGHPUT"}


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("properties", [{}, {"PERFORMANCE_HINT": "THROUGHPUT"}, {"NUM_STREAMS": 1}])
def test_a_batch_needs_no_compile_of_its_own_to_be_resolved(
    mlp: WorkerBench, properties: dict[str, str | int], batch_size: int
) -> None:
    one = config(properties, batch_size=batch_size)
    session = mlp.measure(request_of([config(), one], quick_plan(blocks=1)))
    assert whole(session.members[1]).effective == effective(mlp, one)


# Facts of model and device.


def test_an_inspection_tells_what_goes_in_and_what_the_device_is(mlp: WorkerBench) -> None:
    facts = mlp.inspect("CPU", [4, 2])
    assert facts.inputs == [{"name": "x", "shape": [1, 64], "dtype": "f32", "batch_axis": 0}]
    assert facts.precision in ("f32", "bf16", "f16")
    assert "NUM_STREAMS" in facts.device_properties
    assert facts.device_name
    assert facts.batch_legal


def test_an_inspection_refutes_a_batch_that_the_model_folds_away(save: Save) -> None:
    x = opset13.parameter([1, 8], np.float32, name="x")
    fixed = opset13.reshape(x, opset13.constant(np.array([1, 8])), False)
    with WorkerBench(save(fixed, [x])) as bench:
        facts = bench.inspect("CPU", [4])
        assert not facts.batch_legal
        assert facts.batch_reason
        session = bench.measure(
            request_of([config(), config(batch_size=4), config(infer_requests=2)], quick_plan(blocks=1))
        )
        assert blocks_of(session) == [[0], "compile", [0]]


def test_unknown_is_what_compiling_calls_unsupported(mlp: WorkerBench) -> None:
    names = ["FOO", "CACHE_DIR", "AFFINITY", "CPU_RUNTIME_CACHE_CAPACITY", "NUM_STREAMS", "ENABLE_CPU_PINNING"]
    expected = ["FOO", *(["AFFINITY"] if is_refused("AFFINITY", "CORE") else [])]  # OpenVINO 2024 still takes it
    assert mlp.unknown_properties("CPU", names) == expected


def is_refused(name: str, value: str | int, device: str = "CPU") -> bool:
    """Asks plain OpenVINO."""
    core = openvino.Core()
    try:
        core.compile_model(build_mlp(), device, {name: value})
    except RuntimeError:
        return True
    return False


def test_a_value_is_refused_where_the_device_says_so_and_names_it(mlp: WorkerBench) -> None:
    settings = [
        *(("PERFORMANCE_HINT", "TROUGHPUT"), ("NUM_STREAMS", "lots"), ("NUM_STREAMS", True), ("NUM_STREAMS", 2)),
        *(("ENABLE_CPU_PINNING", False), ("ENABLE_CPU_PINNING", 1), ("INFERENCE_PRECISION_HINT", "f99"), ("FOO", 1)),
    ]
    found = mlp.refused_values("CPU", settings)
    knows_precisions = is_refused("INFERENCE_PRECISION_HINT", "f99")  # not before OpenVINO 2025.1
    assert [bool(words) for words in found] == [True, True, True, False, False, True, knows_precisions, False]
    assert "LATENCY/THROUGHPUT" in found[0]


def test_a_second_input_and_integers_are_fed(save: Save) -> None:
    x = opset13.parameter([1, 8], np.float32, name="x")
    ids = opset13.parameter([1, 8], np.int64, name="ids")
    table = opset13.constant(np.arange(100, dtype=np.float32))
    looked_up = opset13.gather(table, ids, opset13.constant(0))
    spec = save(opset13.add(x, looked_up), [x, ids], inputs={"ids": InputSpec(range=(0, 99))})
    with WorkerBench(spec) as bench:
        facts = bench.inspect("CPU", [])
        assert {one["name"]: one["dtype"] for one in facts.inputs} == {"x": "f32", "ids": "i64"}
        session = bench.measure(request_of([config(), config(infer_requests=3)], quick_plan()))
        assert blocks_of(session) == [[0, 1, 2]] * 2


# Measuring.


def test_a_synchronous_caller_waits_for_most_of_the_window(mlp: WorkerBench) -> None:
    sync = config(api="sync", infer_requests=1)
    member = whole(mlp.measure(request_of([sync, config()], quick_plan(window_s=0.1))).members[0])
    for window in member.windows:
        busy = window.latency_sum_ms / 1e3 / window.duration_s
        assert 0.3 < busy <= 1.01


@pytest.mark.parametrize(("hint", "api"), [("LATENCY", "sync"), ("THROUGHPUT", "async")])
def test_calls_go_by_the_number_of_requests_that_the_device_suggests(mlp: WorkerBench, hint: str, api: str) -> None:
    one = config({"PERFORMANCE_HINT": hint, "INFERENCE_NUM_THREADS": 2}, api="by_requests")
    effective = whole(mlp.measure(request_of([one], quick_plan(blocks=1))).members[0]).effective
    assert effective == mlp.resolve(one)
    assert (effective.api, effective.infer_requests == 1) == (api, api == "sync")


def test_requests_in_flight_are_rate_times_latency(mlp: WorkerBench) -> None:
    """Little's law, from the outside: no more than were started can have been in flight."""
    configurations = [config(infer_requests=n) for n in (1, 4, 16)]
    for one, member in mlp.measure(request_of(configurations, quick_plan(window_s=0.1))).items():
        windows = whole(member).windows
        rate_per_s = METRICS["throughput"].read(windows)
        in_flight = rate_per_s * METRICS["latency_mean_ms"].read(windows) / 1e3
        assert 0.02 * one.infer_requests < in_flight <= 1.25 * one.infer_requests


def test_cpu_time_is_that_of_all_threads_for_the_samples_that_count(mlp: WorkerBench) -> None:
    """No more than all CPUs for the time, and a part of what the processes used: a busy host takes time from both."""
    configurations = [config({"INFERENCE_NUM_THREADS": 1}, infer_requests=n) for n in (2, 8)]
    configurations.append(config({"INFERENCE_NUM_THREADS": 1}, infer_requests=1, api="sync"))
    plan = quick_plan(window_s=0.1)
    mlp.measure(request_of(configurations, plan))  # the process and its imports
    used_s = children_cpu_s()
    members = mlp.measure(request_of(configurations, plan)).members
    used_s = children_cpu_s() - used_s
    for member in members:
        for window in whole(member).windows:
            assert window.cpu_s is not None
            assert 0.0 < window.cpu_s < 1.1 * cpus_allowed() * window.duration_s
        per_sample_ms = METRICS["cpu_ms_per_sample"].read(whole(member).windows)
        assert 0.0 < per_sample_ms < 10.0
    timed_s = sum(window.cpu_s or 0.0 for member in members for window in whole(member).windows)
    assert 0.05 * used_s < timed_s < used_s


def children_cpu_s() -> float:
    """CPU seconds of the processes that this one has started and that still run."""
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(t.user + t.system for t in times)


def test_memory_is_reported_only_for_a_member_alone_in_its_process(save: Save) -> None:
    shape = [1 << 12, 1 << 12]
    x = opset13.parameter([1, shape[0]], np.float32, name="x")
    weights = opset13.constant(np.ones(shape, np.float32))
    large = save(opset13.matmul(x, weights, False, False), [x])
    peaks = []
    for model in (MLP, large):
        with WorkerBench(model, mode=ProcessMode.OWN) as bench:
            members = bench.measure(
                request_of([config(), config({"PERFORMANCE_HINT": "THROUGHPUT"})], quick_plan())
            ).members
            peaks.append([METRICS["peak_memory_mb"].read(whole(member).windows) for member in members])
    weights_mb = 4 * shape[0] * shape[1] / 1e6
    assert all(20.0 < peak < 1000.0 for peak in peaks[0])
    assert all(small + 0.9 * weights_mb < big for small, big in zip(*peaks, strict=True))
    with WorkerBench(MLP) as bench:
        for member in bench.measure(request_of([config(), config(infer_requests=2)], quick_plan())).members:
            assert not METRICS["peak_memory_mb"].is_in(whole(member).windows)


def test_a_start_reads_compiles_and_serves_and_a_model_cache_is_really_loaded_from() -> None:
    configurations = [
        config(infer_requests=1, api="sync"),
        config({"PERFORMANCE_HINT": "THROUGHPUT"}, infer_requests=2),
    ]
    with WorkerBench(MLP, mode=ProcessMode.COLD_START_CACHED) as bench:
        session = bench.measure(request_of(configurations, quick_plan(blocks=2, warm_up_s=0.0)))
        for one, member in zip(configurations, session.members, strict=True):
            assert whole(member).effective == bench.resolve(one)
            for w in whole(member).windows:
                assert w.compile_s is not None
                assert w.load_s is not None
                assert w.first_inference_s is not None
                assert w.load_cached_s is not None
                assert 0.0 < w.compile_s < w.load_s < 10.0
                assert 0.0 < w.first_inference_s < w.load_s
                assert 0.0 < w.load_cached_s < 10.0
                assert w.peak_memory_bytes is not None, "its process is its own"
                assert w.samples > 0


def test_a_member_of_auto_is_measured_on_the_device_it_settles_on(mlp: WorkerBench) -> None:
    session = mlp.measure(
        request_of([on("AUTO:CPU"), on("AUTO:CPU", PERFORMANCE_HINT="THROUGHPUT")], quick_plan(blocks=1))
    )
    assert blocks_of(session) == [[0], [0]]


def test_a_property_that_the_device_does_not_know_is_a_failure_to_compile(mlp: WorkerBench) -> None:
    bad = config({"NO_SUCH_PROPERTY": 1})
    session = mlp.measure(request_of([config(), bad, config(infer_requests=2)], quick_plan()))
    assert blocks_of(session) == [[0, 1, 2], "compile", [0, 1, 2]]
    assert failed(session.members[1]).message == "Unsupported property NO_SUCH_PROPERTY by CPU plugin."
    assert mlp.resolve(bad) == session.members[1]


def test_a_hang_inside_the_runtime_is_ended_and_is_that_member_s_timeout(mlp: WorkerBench) -> None:
    """The device waits for four requests without an end, and only one is ever sent."""
    if is_refused("AUTO_BATCH_TIMEOUT", -1, device="BATCH:CPU(4)"):
        pytest.skip("this OpenVINO does not compile what would hang")
    hanging = DeploymentConfig(device="BATCH:CPU(4)", properties={"AUTO_BATCH_TIMEOUT": -1}, infer_requests=1)
    session = mlp.measure(request_of([config(), hanging, config(infer_requests=2)], quick_plan()))
    assert blocks_of(session) == [[0, 1, 2], "timeout", [0, 1, 2]]
    assert failed(session.members[1]).message.startswith("settle did not end within 1 s")


def test_a_reservation_of_cpus_does_not_reach_the_other_members(mlp: WorkerBench) -> None:
    if mlp.unknown_properties("CPU", ["ENABLE_CPU_RESERVATION"]):
        pytest.skip("this OpenVINO has no reservation of CPUs")
    reserving = config({"ENABLE_CPU_RESERVATION": True})
    session = mlp.measure(request_of([config(), reserving, config({"PERFORMANCE_HINT": "THROUGHPUT"})], quick_plan()))
    assert blocks_of(session) == [[0, 1, 2]] * 3
    assert len(session.process.split(",")) == 2


def test_a_member_that_needs_more_memory_than_the_limit_fails_for_memory(save: Save) -> None:
    x = opset13.parameter([1, 1], np.float32, name="x")
    wide = opset13.broadcast(x, opset13.constant(np.array([1, 1 << 27])))
    with WorkerBench(save(wide, [x]), memory_limit_bytes=448 << 20) as bench:
        session = bench.measure(request_of([config(), config(infer_requests=2)], quick_plan(), first=Role.BASELINE))
        assert blocks_of(session) == ["memory", "memory"]


# A broken environment is an exception with advice.


@pytest.mark.parametrize("device", ["NOPE", "AUTO:NOPE", "BATCH:NOPE(4)"])
def test_a_device_that_is_not_there_is_a_device_error_with_those_that_are(mlp: WorkerBench, device: str) -> None:
    with pytest.raises(DeviceError, match="NOPE") as no:
        mlp.inspect(device, [])
    assert "CPU" in no.value.advice


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.onnx", b"\x00\x01garbage" * 100),
        ("model.xml", b'<?xml version="1.0"?><net name="m" version="11"><layers><layer id="0"'),
        ("model.xml", b"not even xml"),
        ("model.onnx", b""),
    ],
)
def test_a_damaged_model_is_a_model_error_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with WorkerBench(ModelSpec(path=name, folder=tmp_path)) as bench, pytest.raises(ModelError, match=name) as no:
        bench.inspect("CPU", [])
    assert "\n" not in str(no.value)
    assert no.value.advice


def test_a_model_without_its_weights_is_a_model_error(save: Save, tmp_path: Path) -> None:
    x = opset13.parameter([1, 8], np.float32, name="x")
    weights = opset13.constant(np.ones((8, 8), np.float32))
    spec = save(opset13.matmul(x, weights, False, False), [x])
    (tmp_path / "model.bin").unlink()
    with WorkerBench(spec) as bench, pytest.raises(ModelError, match=r"model\.bin is missing"):
        bench.inspect("CPU", [])


def test_a_missing_model_is_a_model_error_in_a_session_too() -> None:
    with WorkerBench(ModelSpec(path="nowhere.onnx", folder=HERE)) as bench, pytest.raises(ModelError, match="nowhere"):
        bench.measure(request_of([config(), config(infer_requests=2)], quick_plan()))


def test_an_input_without_a_name_is_inspected_and_run(save: Save) -> None:
    x = opset13.parameter([1, 8], np.float32, name="INPUT0")
    spec = save(opset13.relu(x), [x])
    file = spec.folder / spec.path
    file.write_text(re.sub(r' (names|output_names)="[^"]*"', "", file.read_text()))
    with WorkerBench(spec) as bench:
        facts = bench.inspect("CPU", [4])
        assert facts.inputs == [{"name": "INPUT0", "shape": [1, 8], "dtype": "f32", "batch_axis": 0}]
        assert facts.batch_legal
        batched = whole(bench.measure(request_of([config(), config(batch_size=4)], quick_plan(blocks=1))).members[1])
        assert batched.effective.batch_size == 4


def test_an_input_that_the_study_knows_by_another_name_keeps_it_beside_its_own(save: Save) -> None:
    x = opset13.parameter([1, 8], np.float32, name="node")
    x.output(0).set_names({"b", "a"})
    with WorkerBench(save(opset13.relu(x), [x], inputs={"b": InputSpec(layout="NC")})) as bench:
        (found,) = bench.inspect("CPU", []).inputs
    assert (found["name"], found["given"], found["batch_axis"]) == ("a", "b", 0)


# A model that keeps a state.


@pytest.fixture
def stateful(tmp_path: Path) -> Save:
    """y = the sum of every x [1, 8] since the state was emptied."""

    def make(**fields: object) -> ModelSpec:
        x = opset13.parameter([-1, 8], np.float32, name="x")
        info = VariableInfo()
        info.data_shape, info.data_type, info.variable_id = openvino.PartialShape([-1, 8]), openvino.Type.f32, "kept"
        variable = Variable(info)
        rows = opset13.gather(opset13.shape_of(x), opset13.constant([0]), opset13.constant(0))
        empty = opset13.broadcast(
            opset13.constant(np.float32(0)), opset13.concat([rows, opset13.constant(np.array([8]))], 0)
        )
        whole = opset13.add(opset13.read_value(empty, variable), x)
        result = opset13.result(opset13.multiply(whole, opset13.constant(np.float32(1))))
        model = openvino.Model(results=[result], sinks=[opset13.assign(whole, variable)], parameters=[x])
        openvino.save_model(model, tmp_path / "stateful.xml", compress_to_fp16=False)
        inputs = {"x": InputSpec(shape=(1, 8), range=(1, 1))}
        return ModelSpec(path="stateful.xml", folder=tmp_path, inputs=inputs, **fields)

    return make


@pytest.mark.parametrize(("steps", "found"), [(None, 64), (5, 5)])
@pytest.mark.parametrize("api", ["sync", "async"])
def test_windows_of_a_model_with_a_state_have_whole_conversations(
    stateful: Save, steps: int | None, found: int, api: str
) -> None:
    with WorkerBench(stateful(steps=steps)) as bench:
        facts = bench.inspect("CPU", [])
        assert facts.steps == found
        assert facts.state is not None
        assert (facts.state.steps, facts.state.is_stated, facts.state.timed_steps) == (found, steps is not None, found)
        assert len(facts.state.variables) == 1
        one = config(api=api, infer_requests=1 if api == "sync" else 2)
        windows = whole(bench.measure(request_of([one, config()], quick_plan())).members[0]).windows
    assert windows
    assert all(window.samples > 0 and window.samples % found == 0 for window in windows)


def test_the_state_of_each_real_request_is_emptied_after_its_steps(stateful: Save) -> None:
    spec = stateful()
    core = openvino.Core()
    compiled = core.compile_model(read(core, spec), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ones = np.ones((1, 8), np.float32)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(ones))
    caller = EmptyingRequest(request, 5)
    counts = []
    for _ in range(12):
        caller.infer()
        counts.append(int(request.get_output_tensor(0).data[0, 0]))
    assert counts == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2]
    queue = openvino.AsyncInferQueue(compiled, 2)
    requests = [queue[i] for i in range(2)]
    for one in requests:
        one.set_input_tensor(openvino.Tensor(ones))
    emptying = EmptyingQueue(queue, requests, 3)
    for _ in range(20):
        emptying.get_idle_request_id()
        emptying.start_async()
    emptying.wait_all()
    assert all(1 <= one.get_output_tensor(0).data[0, 0] <= 3 for one in requests)


def test_steps_of_a_model_without_a_state_are_a_fault_of_the_load() -> None:
    spec = replace(MLP, steps=8)
    ((at, message),) = find_faults("CPU", spec)
    assert at == ("load", "steps")
    assert "keeps no state" in message
    with WorkerBench(spec) as bench, pytest.raises(ModelError, match="keeps no state"):
        bench.inspect("CPU", [])


def test_time_that_depends_on_the_data_is_said(save: Save) -> None:
    n = opset13.parameter([], np.int64, name="n")
    zero, one = opset13.constant(np.int64(0)), opset13.constant(np.int64(1))
    rows = opset13.unsqueeze(opset13.range(zero, n, one, "f32"), opset13.constant(1))
    square = opset13.matmul(rows, rows, False, True)  # n x n: seeds differ by a factor of three in time
    y = opset13.reduce_sum(opset13.sqrt(square), opset13.constant([0, 1]))
    spec = save(y, [n], inputs={"n": InputSpec(range=(1, 1500))})
    with WorkerBench(spec) as bench:
        found = [bench.inspect("CPU", []).data for _ in range(12)]  # a busy host hides some
    times = [data for data in found if data is not None]
    assert times, "said in no inspection of twelve"
    assert all(data.slowest_s > DATA_RATIO * data.fastest_s > 0 for data in times)
    with WorkerBench(replace(spec, inputs={"n": InputSpec(range=(1500, 1500))})) as bench:
        assert bench.inspect("CPU", []).data is None


@pytest.mark.parametrize(
    ("passes", "expected"),
    [
        ([[1.0, 2.0], [1.0, 2.0], [1.1, 2.1]], (3.1 / 3, 6.1 / 3)),
        ([[1.0, 1.2], [1.0, 1.2], [1.0, 1.2]], None),
        ([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]], None),
        ([[1.0, 2.0], [1.5, 3.0], [1.0, 2.0]], None),
    ],
)
def test_a_difference_counts_if_every_pass_shows_it_beyond_the_noise(
    passes: list[list[float]], expected: tuple[float, float] | None
) -> None:
    found = depends_on_data(passes)
    assert found == (None if expected is None else pytest.approx(expected))


# Data that the model cannot take, and a batch that the device cannot compile.


def test_a_process_that_data_ends_is_explained_by_step_signal_and_data(save: Save) -> None:
    ids = opset13.parameter([1, 16], np.int64, name="ids")
    far = opset13.multiply(ids, opset13.constant(np.int64(1)))  # what the graph does to ids hides their table
    rows = opset13.gather_nd(
        opset13.constant(np.ones((1000, 64), np.float32)), opset13.unsqueeze(far, opset13.constant(2))
    )
    spec = save(rows, [ids], inputs={"ids": InputSpec(range=(2**31 - 2, 2**31 - 1))})
    with WorkerBench(spec) as bench, pytest.raises(ModelError) as caught:
        bench.inspect("CPU", [])
    assert "at the first inference, killed by SIGSEGV (signal 11)" in str(caught.value)
    assert "ids within their table" in caught.value.advice


def test_a_batch_that_ends_the_process_is_not_legal_and_the_model_stays(save: Save) -> None:
    """OpenVINO 2026.4.1 dies while it compiles this graph for 4 or 8 samples; other versions may not."""
    a, b = (opset13.parameter([1, 16], np.float32, name=name) for name in "ab")
    rng = np.random.default_rng(1)
    first, back = (opset13.constant(rng.standard_normal(shape, dtype=np.float32)) for shape in ((16, 64), (64, 16)))
    left = opset13.matmul(opset13.relu(opset13.matmul(a, first, False, False)), back, False, False)
    model = openvino.Model([opset13.add(left, b), opset13.subtract(left, b)], [a, b], "fused")
    openvino.save_model(model, spec_path := save(opset13.relu(a), [a]).folder / "model.xml", compress_to_fp16=False)
    with WorkerBench(ModelSpec(path=str(spec_path), folder=spec_path.parent)) as bench:
        facts = bench.inspect("CPU", [4])
        assert [one["name"] for one in facts.inputs] == ["a", "b"]
        if not facts.batch_legal:
            assert facts.batch_reason.startswith("at batch size 4 the process ended during inspect")
            assert "killed by SIGSEGV (signal 11)" in facts.batch_reason
        whole(bench.measure(request_of([config()], quick_plan(blocks=1))).members[0])


def test_callers_share_a_compiled_model_and_each_number_has_its_window(mlp: WorkerBench) -> None:
    waiting = config({"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1}, infer_requests=3, api="sync")
    plan = quick_plan(callers=(1, 3), max_window_s=60.0, hang_limit_s=60.0)
    session = mlp.measure(request_of([waiting, config({"NUM_STREAMS": 2}, infer_requests=3, api="sync")], plan))
    for member in map(whole, session.members):
        assert (member.effective.api, member.effective.infer_requests) == ("sync", 3)
        assert [(w.block, w.callers) for w in member.windows] == [(b, n) for b in range(3) for n in (1, 3)]
        assert all(sum(w.latency_counts.values()) >= 3 * (w.callers or 1) for w in member.windows)
        assert all(w.samples % (w.callers or 1) == 0 for w in member.windows)
