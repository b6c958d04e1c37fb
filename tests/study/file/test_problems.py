"""Every problem of a wrong study file, at its line and column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.study.file.study_text import BASE, Load, changed, problems_of
from tuner.bench.value import Value
from tuner.errors import DeviceError, StudyFileError
from tuner.study.file.loader import parse


@pytest.mark.parametrize(
    "row",
    [
        # keys
        ("objektive", "{}", '11:1: unknown key "objektive"; did you mean objective? allowed: schema_version, name'),
        ("deployment", "{cpu: 1}", '11:14: unknown key "cpu"; did you mean cpus? allowed: cpus, cpuset, memory'),
        ("deployment", "{cpus: 0}", "11:20: must be greater than 0, got 0"),
        ("deployment", "{cpus: 0.001}", "11:20: a quota is at least 0.01 CPUs, got 0.001"),
        ("deployment", "{cpuset: []}", "11:22: expected the numbers of CPUs, at least one"),
        ("deployment", "{cpuset: ''}", "11:22: expected the numbers of CPUs, at least one"),
        ("deployment", "{cpuset: 3-1}", "11:22: expected the numbers of CPUs, at least one"),
        ("deployment", "{memory: much}", "11:22: expected an amount of memory from 16 MiB"),
        ("deployment", "{memory: 1k}", "11:22: expected an amount of memory from 16 MiB"),
        ("deployment", "{replicas: 0}", "11:24: must be at least 1, got 0"),
        ("deployment", "{replicas: {choices: [1, 2]}}", "11:24: to search it, make it a parameter of the space"),
        ("deployment", "{background: ''}", "11:26: expected a shell command"),
        ("space", "{affinity: {choices: [split]}}", "7:9: affinity is about several replicas"),
        ("accuracy", "{}", '11:1: unknown key "accuracy"; '),
        ("schema_version", "", "1:1: key `schema_version` is missing"),
        ("schema_version", "2", "1:17: schema_version 2: this file needs a newer tuner; this one reads 1"),
        ("schema_version", "0", "1:17: this tuner reads schema_version 1, got 0"),
        ("schema_version", "'1'", '1:17: expected a whole number, got "1"; remove the quotes'),
        ("schema_version", "true", "1:17: expected a whole number, got true"),
        ("name", "a/b", "2:7: must be one plain folder name"),
        ("name", ".hidden", "2:7: must be one plain folder name"),
        ("name", "5", "2:7: expected text, got 5"),
        ("name", "~", "2:7: this key has no value; give it one or take the line out"),
        # model
        ("model", "''", "3:8: expected a file, `package:FOLDER/FILE` or `builtin:mlp`"),
        ("model", "[m]", "3:8: expected a mapping, got a list"),
        ("model", "{inputs: {}}", "3:1: key `path` is missing"),
        ("model", "{path: m, input: {}}", '3:18: unknown key "input"; did you mean inputs? allowed: path, inputs'),
        ("model", "{path: m, model_variant: int8}", '3:18: unknown key "model_variant"'),
        ("model", "{path: m, inputs: {x: {value: yes}}}", '3:38: expected a number, true or false, got "yes"'),
        (
            "model",
            "{path: m, inputs: {x: {value: 1, range: [0, 1]}}}",
            "3:31: value is the data itself; give one of range and value",
        ),
        ("model", "{path: m, batch_tolerance: 0}", "3:35: must be greater than 0, got 0"),
        ("model", "{path: m, inputs: {x: {shape: [1, '3']}}}", '3:42: expected a whole number, got "3"; remove the'),
        ("model", "{path: m, inputs: {x: {shape: [1, true]}}}", "3:42: expected a whole number, got true"),
        ("model", "{path: m, inputs: {x: {shape: [-1]}}}", "3:39: must be at least 0, got -1"),
        ("model", "{path: m, inputs: {x: {shape: 3}}}", "3:38: expected a list, got 3"),
        ("model", "{path: m, inputs: {x: {layout: nchw}}}", "3:39: a layout has one capital letter a dimension"),
        ("model", "{path: m, inputs: {x: {layout: NCC}}}", "3:39: a layout has one capital letter a dimension"),
        ("model", "{path: m, inputs: {x: {shape: [1], layout: NC}}}", "3:51: the layout NC has 2 letters, the shape 1"),
        ("model", "{path: m, inputs: {x: {range: [5, 1]}}}", "3:38: the low end comes first: 1, 5"),
        ("model", "{path: m, inputs: {x: {range: [5]}}}", "3:38: number of values must be at least 2, got 1"),
        ("model", "{path: m, inputs: {x: {range: [0, .inf]}}}", "3:42: expected a finite number, got .inf"),
        ("model", "{path: m, inputs: {x: ~}}", "3:30: expected a mapping, got nothing (null)"),
        ("model", "{path: m, assume_batch_legal: yes}", '3:38: expected true or false, got "yes"; YAML 1.2 spells it'),
        # device
        ("device", "cpu", "4:9: expected a device as OpenVINO names it, such as CPU, GPU, GPU.0, NPU or AUTO:GPU,CPU"),
        ("device", "''", "4:9: expected a device"),
        # objective
        ("objective", "{}", "5:1: the objective needs one of maximize and minimize"),
        ("objective", "throughput", '5:12: expected a mapping, got "throughput"'),
        ("objective", "{maximize: throughput, minimize: latency_p50_ms}", "5:35: an objective has one of maximize"),
        ("objective", "{maximise: throughput}", '5:13: unknown key "maximise"; did you mean maximize?'),
        ("objective", "{maximize: latency_p50_ms}", "5:13: latency_p50_ms is better when lower; write `minimize:"),
        ("objective", "{minimize: throughput}", "5:13: throughput is better when higher; write `maximize:"),
        (
            "objective",
            "{maximize: throughputs}",
            '5:23: unknown metric "throughputs"; did you mean throughput? allowed:',
        ),
        ("objective", "{maximize: 5}", "5:23: expected text, got 5"),
        ("objective", "{maximize: throughput, subject_to: {latency_p9_ms: {max: 5}}}", '5:48: unknown metric "latency'),
        (
            "objective",
            "{maximize: throughput, subject_to: {throughput: {}}}",
            "5:48: throughput needs a bound: min, max",
        ),
        (
            "objective",
            "{maximize: throughput, subject_to: {throughput: {min: 0}}}",
            "5:66: must be greater than 0, got 0",
        ),
        (
            "objective",
            "{maximize: throughput, subject_to: {throughput: {min: 5, max: 4}}}",
            "5:66: no value keeps both",
        ),
        (
            "objective",
            "{maximize: throughput, subject_to: {throughput: {max_ratio: 1, min_ratio: 2}}}",
            "5:86: no value keeps both bounds: min_ratio 2, max_ratio 1",
        ),
        (
            "objective",
            "{maximize: throughput, subject_to: {throughput: {maxi: 5}}}",
            '5:61: unknown key "maxi"; did you',
        ),
        ("objective", "{maximize: throughput, subject_to: {throughput: {min: .nan}}}", "5:66: "),
        ("objective", "{maximize: throughput, subject_to: ~}", "5:47: this key has no value"),
        # several objectives
        (
            "objectives",
            "[{maximize: throughput}, {minimize: latency_p90_ms}]",
            "11:1: a study has either one `objective` or several",
        ),
        ("subject_to", "{throughput: {min: 5}}", "11:1: the limits beside one objective stand inside it"),
        # baselines
        ("baselines", "{LATENCY: {}}", "6:13: every study has the baselines default, LATENCY, THROUGHPUT"),
        ("baselines", "{default: {}}", "6:13: every study has the baselines"),
        ("baselines", "{a b: {}}", '6:13: "a b" is no plain name'),
        (
            "baselines",
            "{a: {num_streams: 1}}",
            '6:17: unknown key "num_streams"; today it is NUM_STREAMS; allowed: batch_size, infer_requests, replicas,',
        ),
        ("baselines", "{a: {batchsize: 1}}", '6:17: unknown key "batchsize"; did you mean batch_size?'),
        ("baselines", "{a: {NumStreams: 1}}", '6:17: "NumStreams" is neither a property in UPPER_CASE nor one of'),
        ("baselines", "{a: {batch_size: 0}}", "6:29: must be at least 1, got 0"),
        ("baselines", "{a: {infer_requests: 1.5}}", "6:33: expected a whole number, got 1.5"),
        ("baselines", "{a: {X: null}}", "6:20: expected text, a number, true or false; leave the line out"),
        ("baselines", "{a: {X: [1]}}", "6:20: expected text, a number"),
        ("baselines", "{a: {PERF_COUNT: true}}", "6:17: PERF_COUNT is refused while measuring"),
        ("baselines", "{a: 5}", "6:16: expected a mapping, got 5"),
        # space
        ("space", "Auto", '7:8: expected `auto` or a mapping of parameters, got "Auto"'),
        ("space", "{}", "7:8: the space is empty; write `auto`, or at least one parameter"),
        ("space", "~", "7:8: this key has no value"),
        ("space", "[auto]", "7:8: expected a mapping, got a list"),
        ("space", "{extends: all}", '7:18: "all" is not allowed; allowed: auto'),
        (
            "space",
            "{batchsize: {choices: [1]}}",
            '7:9: unknown parameter "batchsize"; did you mean batch_size? allowed:',
        ),
        ("space", "{model_variant: {choices: [a]}}", '7:9: unknown parameter "model_variant"; allowed: extends, batch'),
        ("space", "{Streams: {choices: [1]}}", '7:9: "Streams" is neither a property in UPPER_CASE nor'),
        ("space", "{PERF_COUNT: {choices: [true]}}", "7:9: PERF_COUNT is refused while measuring"),
        ("space", "{LOG_LEVEL: 5}", "7:9: LOG_LEVEL is refused while measuring"),
        ("space", "{P: [1, 2]}", "7:12: expected a mapping, got a list"),
        ("space", "{P: {}}", "7:9: P needs `choices`, or `low` and `high`"),
        ("space", "{P: {low: 1}}", "7:9: P needs `high`"),
        ("space", "{P: {low: 1, hihg: 2}}", '7:21: unknown key "hihg"; did you mean high?'),
        ("space", "{P: {choices: []}}", "7:22: number of values must be at least 1, got 0"),
        ("space", "{P: {choices: [1], low: 1}}", "7:27: low does not go with choices"),
        ("space", "{P: {choices: [1, 2, 1]}}", "7:29: 1 is already one of the choices"),
        ("space", "{P: {choices: [null, ~]}}", "7:29: null is already one of the choices"),
        ("space", "{P: {choices: [.nan, [1]]}}", "7:23: expected a finite number, got .nan", "7:29: expected text, a"),
        ("space", "{P: {low: 2, high: 1}}", "7:18: low is above high: low 2, high 1"),
        ("space", "{P: {low: 1, high: '2'}}", '7:27: expected a number, got "2"'),
        ("space", "{P: {low: true, high: 2}}", "7:18: expected a number, got true"),
        ("space", "{P: {low: 0, high: .inf}}", "7:27: expected a number, got .inf"),
        ("space", "{P: {low: 0.5, high: 2}}", "7:9: a range of numbers that are not whole needs a step"),
        ("space", "{P: {low: 0.5, high: 2, step: 0}}", "7:38: step must be greater than 0, got 0"),
        ("space", "{P: {low: 1, high: 2, log: true, step: 1}}", "7:41: step does not go with log"),
        ("space", "{P: {low: 0.5, high: 2, log: true}}", "7:32: log is for whole numbers"),
        ("space", "{P: {low: 0, high: 2, log: true}}", "7:18: a logarithmic range begins at 1 or above, got 0"),
        ("space", "{P: {low: 1, high: 10001}}", "7:9: 10001 values, at most 10000 are allowed"),
        ("space", "{P: {low: 0, high: 1e300, step: 1e-300}}", "7:9: "),
        (
            "space",
            "{batch_size: {choices: [1, null, 0, true, 2.0]}}",
            "7:35: batch_size is a whole number from 1, got nothing",
            "7:41: batch_size is",
            "7:44: batch_size is",
            "7:50: batch_size is",
        ),
        ("space", "{infer_requests: {choices: [null, 0]}}", "7:42: infer_requests is a whole number from 1 or null"),
        ("space", "{infer_requests: {low: 0, high: 2}}", "7:31: infer_requests is a whole number from 1, got 0"),
        ("space", "{batch_size: {low: 1, high: 2, step: 0.5}}", "7:45: batch_size is a whole number from 1, got 0.5"),
        (
            "space",
            "{INFERENCE_PRECISION_HINT: {choices: [f32]}, EXECUTION_MODE_HINT: {choices: [ACCURACY]}}",
            "7:53: EXECUTION_MODE_HINT and INFERENCE_PRECISION_HINT exclude each other",
        ),
        # when
        (
            "space",
            "{P: {choices: [1], when: {Q: 1}}, Q: {choices: [1]}}",
            "7:34: Q stands below P, `when` may refer only",
        ),
        ("space", "{P: {choices: [1], when: {P: 1}}}", "7:34: P cannot depend on itself; above P: nothing"),
        (
            "space",
            "{PQR: {choices: [1]}, B: {choices: [1], when: {PQ: 1}}}",
            '7:55: there is no parameter "PQ" in this file; did you mean PQR? above B: PQR',
        ),
        (
            "space",
            "{P: {low: 1, high: 3}, B: {choices: [1], when: {P: [3, 4]}}}",
            "7:63: P never has the value 4; it takes 1, 2, 3",
        ),
        (
            "space",
            "{P: {choices: [1]}, B: {choices: [1], when: {P: true}}}",
            "7:56: P never has the value true; it takes 1",
        ),
        ("space", "{P: {choices: [1]}, B: {choices: [1], when: {P: []}}}", "7:56: number of values must be at least 1"),
        ("space", "{P: {choices: [1]}, B: {choices: [1], when: [P]}}", "7:52: expected a mapping, got a list"),
        (
            "space",
            "{P: {choices: [1]}, B: {choices: [1], when: {auto: {}, P: false}}}",
            "7:59: expected text, a number, true, false or null, got a mapping",
        ),
        # budget, search, decision
        ("budget", "{}", "8:1: the budget needs minutes, trials or both"),
        ("budget", "5", "8:9: expected a mapping, got 5"),
        ("budget", "{minutes: '5'}", '8:19: expected a number, got "5"; remove the quotes'),
        ("budget", "{minutes: 0.01}", "8:19: must be at least 0.1, got 0.01"),
        ("budget", "{minutes: .inf}", "8:19: expected a finite number, got .inf"),
        ("budget", "{trials: true}", "8:18: expected a whole number, got true"),
        ("budget", "{trials: 1.0}", "8:18: expected a whole number, got 1.0"),
        ("budget", "{minuts: 5}", '8:10: unknown key "minuts"; did you mean minutes? allowed: minutes, trials'),
        ("search", "{seed: -1}", "9:16: must be at least 0, got -1"),
        ("search", "{seed: 4294967296}", "9:16: must be at most 4294967295"),
        (
            "search",
            "{sampler: tpee}",
            '9:19: "tpee" is not allowed; did you mean tpe? allowed: auto, race, tpe, gp, random, grid',
        ),
        ("search", "{sampler: cma}", '9:19: "cma" is not allowed'),
        ("decision", "{min_gain_pct: -1}", "10:26: must be at least 0, got -1"),
        ("decision", "{min_gain_pct: .nan}", "10:26: "),
    ],
)
def test_a_wrong_value_is_reported_at_its_position(load: Load, row: tuple[str, ...]) -> None:
    key, value, *expected = row
    found = problems_of(load, changed(**{key: value}))
    assert [f[: len(e)] for f, e in zip(found, expected, strict=False)] == expected
    assert len(found) == len(expected), found


def test_what_is_misspelt_is_not_also_missing(load: Load) -> None:
    (problem,) = problems_of(load, changed(device="", devise="CPU"))
    assert problem.startswith('10:1: unknown key "devise"; did you mean device?')


def test_every_missing_key_is_named(load: Load) -> None:
    found = problems_of(load, changed(schema_version="", device="", objective="", budget="", model=""))
    keys = ("budget", "device", "model", "objective", "schema_version")
    assert found == [f"1:1: key `{key}` is missing" for key in keys]


def test_all_problems_of_all_kinds_come_together(load: Load) -> None:
    asked: list[tuple[str, list[str]]] = []

    def probe(device: str, names: Mapping[str, Sequence[Value]]) -> Mapping[str, str]:
        asked.append((device, list(names)))
        return {"NUM_STREAM": 'unknown property "NUM_STREAM"; did you mean NUM_STREAMS?'}

    text = changed(
        objective="{maximize: throughputs}",
        baselines="{today: {NUM_STREAM: 1, OK: 2}, other: {OK: 1}}",
        space="""
  NUM_STREAM: {low: 2, high: 1}
  OK: {choices: [1], step: 3}
  LOG_LEVEL: {choices: [1]}
  OK: {choices: [2]}""",
        budget="!!python/name:x {}",
        extra="1",
    )
    found = problems_of(load, text, probe=probe)
    assert [problem.split(" ", 1)[0] for problem in found] == [
        *("5:23:", "6:21:", "8:3:", "8:21:", "9:22:", "10:3:", "11:3:", "12:9:", "15:1:")
    ]
    assert asked == [("CPU", ["NUM_STREAM", "OK"])]
    assert "did you mean NUM_STREAMS?" in found[1]
    assert "did you mean NUM_STREAMS?" in found[2]
    assert 'duplicate key "OK"' in found[6]


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"space": "{P: 5, Q: {low: 2, high: 1}}"}, ["7:12: expected a mapping", "7:24: low is above high"]),
        (
            {"objective": "{minimize: throughput, subject_to: {latency_p50_ms: {max: 0}}}"},
            ["5:13: throughput is better when higher", "5:70: must be greater than 0"],
        ),
        (
            {"objective": "{maximize: throughput, subject_to: {throughput: {min: 5, max: 4, maxi: 3}}}"},
            ["5:66: no value keeps both bounds", '5:77: unknown key "maxi"'],
        ),
        (
            {"space": "{P: {choices: [1, [2]]}, Q: {choices: [1], when: {P: 9, R: 1}}}"},
            ["7:26: expected text", '7:64: there is no parameter "R"'],
        ),
        (
            {"objective": "", "objectives": "[{maximize: throughput}, {minimize: 5}, {maximize: throughput}]"},
            ["10:49: expected text, got 5", "10:64: throughput is one of the objectives already"],
        ),
    ],
)
def test_a_section_that_is_wrong_hides_no_problem_around_it(
    load: Load, sections: dict[str, str], expected: list[str]
) -> None:
    found = problems_of(load, changed(**sections))
    assert [f[: len(e)] for f, e in zip(found, expected, strict=False)] == expected
    assert len(found) == len(expected), found


def test_a_value_that_the_device_refuses_is_told_where_it_stands(load: Load) -> None:
    asked: list[Mapping[str, Sequence[Value]]] = []

    def probe(device: str, values: Mapping[str, Sequence[Value]]) -> Mapping[str, str]:
        asked.append(values)
        return {'HINT="FAST"': "CPU refuses this value", "ON=true": "expected a number", "N=9": "at most 8"}

    space = "{HINT: {choices: [SLOW, FAST, null]}, N: {low: 1, high: 9}, ON: {choices: [1, true]}}"
    text = changed(baselines="{today: {HINT: FAST, ON: 1, batch_size: 2}}", space=space)
    found = problems_of(load, text, probe=probe)
    assert [problem.split(" ", 1)[0] for problem in found] == ["6:27:", "7:32:", "7:64:", "7:86:"]
    assert repr(asked) == repr([{"HINT": ["SLOW", "FAST"], "N": [1, 9], "ON": [1, True]}])


def test_properties_are_not_checked_without_a_probe_or_with_nothing_to_ask(load: Load) -> None:
    def never(device: str, names: Mapping[str, Sequence[Value]]) -> Mapping[str, str]:
        raise AssertionError(device, names)

    load(changed(space="{WHATEVER: {choices: [1]}}"))
    load(BASE, probe=never)
    problems_of(load, changed(device="5", space="{WHATEVER: {choices: [1]}}"), probe=never)


def test_a_missing_device_is_told_only_when_the_file_is_right(load: Load) -> None:
    def no_device(device: str, names: Mapping[str, Sequence[Value]]) -> Mapping[str, str]:
        raise DeviceError(f"no {device} here")

    space = "{WHATEVER: {choices: [1]}}"
    with pytest.raises(DeviceError, match="no CPU here"):
        load(changed(space=space), probe=no_device)
    assert problems_of(load, changed(space=space, budget="{}"), probe=no_device)


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("m.onnx", "m.onnx"),
        ("{path: m.onnx, inputs: {x: {shape: [1, 2]}}}", "m.onnx"),
        ("{path: m.onnx, input: {}}", "m.onnx"),
        ("", None),
        ("5", None),
        ("[m.onnx]", None),
        ("{path: m.onnx, inputs: {x: {shape: wide}}}", None),
    ],
)
def test_model_and_device_are_asked_about_and_their_faults_join_the_others(
    tmp_path: Path, model: str, asked: str | None
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(changed(model=model, budget="{}"))

    draft = parse(path)
    assert (draft.model.path if draft.model else None) == asked
    assert draft.device == "CPU"
    faults: list[tuple[tuple[str, ...], str]] = [(("device",), "no CPU")]
    if draft.model:
        faults.append((("model", "inputs", "x", "shape"), "too wide"))
    draft.check_model(faults)
    with pytest.raises(StudyFileError) as caught:
        draft.study()
    text = str(caught.value)
    assert "no CPU" in text
    assert "the budget needs" in text
    assert ("too wide" in text) == (asked is not None)


def test_a_newer_file_is_refused_for_that_alone(load: Load) -> None:
    text = changed(schema_version="2", objective="{}", whatever="new", name="a/b")
    assert problems_of(load, text) == ["1:17: schema_version 2: this file needs a newer tuner; this one reads 1"]


def test_too_many_parameters_are_refused_at_the_first_too_many(load: Load) -> None:
    space = "".join(f"\n  P{i}: {{choices: [1]}}" for i in range(65))
    assert problems_of(load, changed(space=space)) == ["72:3: more than 64 parameters"]


def test_a_file_whose_name_is_no_folder_name_needs_a_name(load: Load) -> None:
    assert load(BASE, file="two words.yaml").name == "x"
    (problem,) = problems_of(load, changed(name=""), file="two words.yaml")
    assert problem.startswith('1:1: the file\'s name "two words" is no plain folder name; add a key `name`')
