"""Study files: what a right one becomes, and what is no study file at all."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.study.file.study_text import BASE, CONFIGS, Load, changed, parameters_of
from tuner.bench.value import Value
from tuner.errors import InputError, StudyFileError
from tuner.phases.progress import AnswersMayChange
from tuner.report.words.progress import event_lines
from tuner.study.file.loader import load_study
from tuner.study.space import Parameter, Space
from tuner.study.study import BaselineSpec, Budget, Limit, Objective, SpaceSpec


def test_a_small_file_is_a_study_with_defaults(load: Load) -> None:
    text = changed(name="", baselines="", space="", search="", decision="")
    study = load(text, file="my-study.yaml")
    assert study.name == "my-study"
    assert study.text == text
    assert study.path.is_absolute()
    assert (study.model.path, study.model.folder, dict(study.model.inputs)) == ("m.onnx", study.path.parent, {})
    assert study.objective == Objective(metric="throughput")
    assert study.space == SpaceSpec(is_auto=True)
    assert study.budget == Budget(minutes=5)
    assert (study.seed, study.sampler, study.min_gain_pct, study.parameters_of_answers) == (0, "auto", 1.0, ())
    assert not study.model.assume_batch_legal
    assert not study.baselines


def test_every_key_arrives(load: Load) -> None:
    study = load(
        changed(
            model="{path: m.onnx, assume_batch_legal: true, "
            "inputs: {a: {shape: [1, 3], layout: NC, range: [0, 9]}, b: {}}}",
            device="AUTO:GPU.0,CPU",
            objective="{minimize: latency_p99_ms, subject_to: {throughput: {min: 10, min_ratio: 0.9}, "
            "latency_p50_ms: {max: 5, max_ratio: 1.5}}}",
            baselines="{bare: {}, "
            "today: {NUM_STREAMS: 2, ENABLE_CPU_PINNING: false, batch_size: 4, infer_requests: 3}}",
            budget="{minutes: 0.5, trials: 200}",
            search="{seed: 7, sampler: tpe}",
            decision="{min_gain_pct: 2}",
        )
    )
    a, b = study.model.inputs["a"], study.model.inputs["b"]
    assert (a.shape, a.layout, a.range) == ((1, 3), "NC", (0.0, 9.0))
    assert (b.shape, b.layout, b.range) == (None, None, (0.0, 1.0))
    assert study.model.assume_batch_legal
    assert study.device == "AUTO:GPU.0,CPU"
    assert study.objective == Objective(
        metric="latency_p99_ms",
        limits=(
            Limit(metric="throughput", min=10, min_ratio=0.9),
            Limit(metric="latency_p50_ms", max=5, max_ratio=1.5),
        ),
    )
    today = {"NUM_STREAMS": 2, "ENABLE_CPU_PINNING": False}
    assert study.baselines["today"] == BaselineSpec(properties=today, batch_size=4, infer_requests=3)
    assert study.baselines["bare"] == BaselineSpec(properties={})
    assert study.budget == Budget(minutes=0.5, trials=200)
    assert (study.seed, study.sampler, study.min_gain_pct) == (7, "tpe", 2.0)


@pytest.mark.parametrize("name", ["tuned", "measured", "candidate", "requests", "throughput"])
def test_a_baseline_may_have_any_name_that_no_study_has_itself(load: Load, name: str) -> None:
    assert list(load(changed(baselines=f"{{{name}: {{NUM_STREAMS: 2}}}}")).baselines) == [name]


@pytest.mark.parametrize(
    "device", ["CPU", "GPU", "GPU.0", "NPU.3720", "AUTO", "AUTO:-CPU", "MULTI:CPU,GPU", "BATCH:CPU(4)"]
)
def test_devices_are_named_as_openvino_names_them(load: Load, device: str) -> None:
    assert load(changed(device=device)).device == device


def test_the_space_keeps_the_order_of_the_file_and_its_conditions(load: Load) -> None:
    space = load(
        changed(
            space="""
  PERFORMANCE_HINT: {choices: [LATENCY, THROUGHPUT, null]}
  infer_requests: {choices: [null, 2]}
  NUM_STREAMS: {low: 1, high: 3, when: {PERFORMANCE_HINT: null, infer_requests: [2, null]}}
  batch_size: {low: 1, high: 2}"""
        )
    ).space
    assert space == SpaceSpec(
        is_auto=False,
        parameters=(
            Parameter(name="PERFORMANCE_HINT", values=("LATENCY", "THROUGHPUT", None)),
            Parameter(name="infer_requests", values=(None, 2)),
            Parameter(
                name="NUM_STREAMS", values=(1, 2, 3), when={"PERFORMANCE_HINT": (None,), "infer_requests": (2, None)}
            ),
            Parameter(name="batch_size", values=(1, 2)),
        ),
    )
    assert Space(parameters=space.parameters).size == 2 * 2 * (2 + 3)


def test_the_automatic_space_can_be_narrowed(load: Load) -> None:
    space = load(changed(space="{extends: auto, batch_size: {choices: [1]}}")).space
    assert space == SpaceSpec(is_auto=True, parameters=(Parameter(name="batch_size", values=(1,)),))
    assert load(changed(space="{extends: auto}")).space == SpaceSpec(is_auto=True)


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("{low: 1, high: 4}", (1, 2, 3, 4)),
        ("{low: 3, high: 3}", (3,)),
        ("{low: -1, high: 8, step: 3}", (-1, 2, 5, 8)),
        ("{low: 1, high: 8, step: 3}", (1, 4, 7)),
        ("{low: 0.1, high: 0.4, step: 0.1}", (0.1, 0.2, 0.3, 0.4)),
        ("{low: 0, high: 1, step: 0.5}", (0.0, 0.5, 1.0)),
        ("{low: 1, high: 16, log: true}", tuple(range(1, 17))),
        ("{low: 3, high: 66, log: true}", tuple(range(3, 67))),
        ("{low: 3, high: 67, log: true}", (3, 4, 8, 16, 32, 64, 67)),
        ("{low: 1, high: 1024, log: true}", tuple(1 << n for n in range(11))),
        ("{low: 1, high: 5, log: false, step: 2}", (1, 3, 5)),
        ("{choices: [1, true, 1.0, '1', null]}", (1, True, 1.0, "1", None)),
        ("{low: 1, high: 10000}", tuple(range(1, 10001))),
    ],
)
def test_ranges_are_spelled_out(load: Load, form: str, values: tuple[Value, ...]) -> None:
    found = parameters_of(load, f"{{P: {form}}}")["P"]
    assert [(type(v), v) for v in found] == [(type(v), v) for v in values]


@given(low=st.integers(1, 5000), above=st.integers(0, 5000))
def test_a_logarithmic_range_ascends_from_low_to_high_in_steps_of_at_most_two(load: Load, low: int, above: int) -> None:
    high = low + above
    values = parameters_of(load, f"{{P: {{low: {low}, high: {high}, log: true}}}}")["P"]
    numbers = [v for v in values if isinstance(v, int)]
    assert (numbers[0], numbers[-1]) == (low, high)
    assert all(a < b <= 2 * a for a, b in pairwise(numbers))
    assert len(numbers) == above + 1 if above < 64 else len(numbers) < 16


@pytest.mark.parametrize(
    "name",
    [
        "INFERENCE_PRECISION_HINT",
        "EXECUTION_MODE_HINT",
        "KV_CACHE_PRECISION",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE",
        "CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE",
    ],
)
def test_a_parameter_that_changes_the_answers_is_warned_about(load: Load, name: str) -> None:
    (found,) = load(changed(space=f"{{{name}: {{choices: [a, b]}}}}")).parameters_of_answers
    (line,) = event_lines(AnswersMayChange(parameter=found))
    assert line.startswith(f"warning: {name} is in the space: its values change what the model answers")


def test_a_latency_objective_may_ask_for_batches_when_the_file_says_so(load: Load) -> None:
    study = load(changed(objective="{minimize: latency_p50_ms}", space="{batch_size: {choices: [1, 4]}}"))
    assert study.space.parameters[0].values == (1, 4)


def test_messages_begin_with_the_file_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Load
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(changed(budget="{}"))
    with pytest.raises(StudyFileError, match=r"^bad\.yaml:8:1: the budget needs"):
        load_study(Path("bad.yaml"))
    Path("good.yaml").write_text(BASE)
    study = load_study(Path("good.yaml"))
    assert (study.path, study.model.folder) == (tmp_path / "good.yaml", tmp_path)


@pytest.mark.parametrize(("name", "message"), [("none.yaml", "there is no such file"), (".", "this is not a file")])
def test_what_is_no_file_is_the_users_mistake(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_study(tmp_path / name)
    assert caught.value.exit_code == 2
    assert caught.value.advice


def test_a_path_that_cannot_be_one_is_the_users_mistake() -> None:
    for name in ("a\0b.yaml", "x" * 5000):
        with pytest.raises(InputError):
            load_study(Path(name))


def test_an_unreadable_file_is_the_users_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    path = tmp_path / "x.yaml"
    path.write_text(BASE)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        load_study(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_study_of_this_repository_loads(path: Path) -> None:
    study = load_study(path)
    assert study.name == path.stem
    assert not study.parameters_of_answers


def test_the_quickstart_is_there() -> None:
    assert "quickstart.yaml" in [path.name for path in CONFIGS]
