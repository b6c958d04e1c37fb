"""Hostile text in a best.yaml: nothing of it becomes code, a word of a command, a key, or a path."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.deploy.export.conftest import made_up
from tests.deploy.export.parsed import commands_of, export, options, unit
from tuner.deploy.best import Best, BestInput, BestModel
from tuner.deploy.best_file import format_best, parse_best
from tuner.deploy.export.targets import EXPORTERS
from tuner.deploy.quoting import c_string, comment_lines, is_writable, slug

NASTY = (
    *(
        "'; touch gone; '",
        '"; touch gone; "',
        "$(touch gone)",
        "`touch gone`",
        "a\nimport os",
        "a\r\ntouch gone",
        "${HOME}",
    ),
    *(
        "a: b\n- c",
        "--privileged",
        "*/ #error",
        "\\",
        "a\\\n",
        "??/",
        "%n %s",
        "$(HOME)",
        "a,readonly=false,b",
        "../../x",
    ),
    *(
        'x"\nExecStart=/bin/sh',
        "\u2028import os",
        "\x85key: 1",
        "a\x00b"[:1],
        "{{x}}",
        "é\U0001f600",
        "\x1b[31m",
        "]\n[Service]",
    ),
    *(
        '";}\nint x;//',
        '" } ]\nparameters',
        "a=b",
        "x[1,2]",
        "'''",
        '"""',
        "# not",
        "~root",
        "\t",
        " ",
        "no",
        "0x1",
        "null",
    ),
)
texts = st.one_of(st.sampled_from(NASTY), st.text(min_size=1, max_size=30)).filter(is_writable)
values = st.one_of(texts, st.booleans(), st.integers(-(2**63), 2**64), st.floats(allow_nan=False, allow_infinity=False))

FEW = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""For properties whose examples start processes or read large YAML documents."""


@st.composite
def hostile(draw: st.DrawFn) -> Best:
    """A best.yaml whose every text is hostile."""
    return made_up(
        study=draw(texts),
        verdict="baseline",
        reason=draw(texts),
        device=draw(texts),
        model=BestModel(path="/" + draw(texts), sha256=draw(texts)),
        properties=draw(st.dictionaries(texts, values, max_size=3)),
        inputs={name: BestInput(shape=(1, 3), batch_axis=0) for name in draw(st.sets(texts, max_size=2))},
        deployment={draw(texts): 1, "background": draw(texts)},
        environment={"cpu_model": draw(texts), "cpus_allowed": 2},
    )


def harmless(best: Best) -> Best:
    """The same with plain text everywhere."""
    return replace(
        best,
        study="study",
        reason="reason",
        device="CPU",
        model=BestModel(path="/m.onnx", sha256="0"),
        properties={f"P{i}": 1 for i in range(len(best.properties))},
        inputs={f"x{i}": given for i, given in enumerate(best.inputs.values())},
    )


def code_of(text: str, mark: str) -> list[str]:
    """Returns the lines that are no comments, as the consumer counts lines."""
    return [line for line in re.split(r"\r\n|[\n\r]", text) if not line.startswith(mark)]


@pytest.mark.slow
@FEW
@given(best=hostile())
def test_every_target_exports_it_in_text_that_a_file_holds(best: Best) -> None:
    for exporter in EXPORTERS.values():
        for name, text in exporter.export(best).files.items():
            assert re.fullmatch(r"[a-z0-9_-]+\.[a-z]+", name), "a file's name is ours"
            text.encode()


def everywhere(text: str) -> Best:
    """A best.yaml whose every text is this one."""
    return made_up(
        study=text,
        reason=text,
        device=text,
        model=BestModel(path=f"/{text}", sha256=text),
        properties={text: text},
        inputs={text: BestInput(shape=(1, 3), batch_axis=0)},
        deployment={text: text, "background": text},
        environment={"cpu_model": text, "cpus_allowed": 2},
    )


@pytest.mark.slow
def test_a_shell_passes_every_known_trick_on(tmp_path: Path) -> None:
    for text in NASTY:
        passes_as_words(everywhere(text), tmp_path)


@pytest.mark.slow
@FEW
@given(best=hostile())
def test_a_shell_passes_any_text_on(best: Best, tmp_path: Path) -> None:
    passes_as_words(best, tmp_path)


def passes_as_words(best: Best, tmp_path: Path) -> None:
    """Checks that each script runs its one command with the text as it is, and nothing else."""
    before = None
    for target in ("benchmark_app", "ovms", "docker", "dlstreamer"):
        (script,) = (text for name, text in export(target, best).files.items() if name.endswith(".sh"))
        (words,) = commands_of(script, tmp_path)
        found = sorted(os.listdir(tmp_path))
        before = before or found
        assert found == before, "no command but the consumer's has run"
        if target == "benchmark_app":
            given = options(words, "-")
            assert given["d"] == best.device
            assert given["m"] == best.model.path or os.path.exists(best.model.path)
        if target == "ovms":
            assert words[words.index("--target_device") + 1] == best.device


@given(best=hostile())
def test_json_holds_the_properties_as_they_are(best: Best) -> None:
    plain = json.loads(export("benchmark_app", best).files["load_config.json"])
    assert list(plain) == [best.device]
    assert list(plain[best.device]) == list(best.properties)
    (row,) = json.loads(export("ovms", best).files["config.json"])["model_config_list"]
    assert row["config"]["target_device"] == best.device
    assert re.fullmatch(r"[a-z0-9-]+", row["config"]["name"])


def shape_of(text: str) -> list[str]:
    """Returns the kinds of statements of Python code; the values of assignments are constants."""
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Call):
            ast.literal_eval(node.value)
    return [type(node).__name__ for node in tree.body]


@given(best=hostile())
def test_python_has_the_statements_of_a_harmless_file(best: Best) -> None:
    for target in ("onnxruntime", "optimum", "genai", "python"):
        texts = [
            next(text for name, text in export(target, one).files.items() if name.endswith(".py"))
            for one in (best, harmless(best))
        ]
        assert shape_of(texts[0]) == shape_of(texts[1])
    names: dict[str, Any] = {}
    exec("\n".join(code_of(export("genai", best).files["genai_pipeline.py"], "#")), names)
    assert names["PROPERTIES"] == dict(best.properties)
    assert names["DEVICE"] == best.device


def decoded(literal: str) -> str:
    """Returns the text of a literal as C++ and protobuf read it."""
    assert re.fullmatch(r'"([ !#-\[\]-~]|\\[0-7]{3})*"', literal), literal
    assert "?" not in literal, "no trigraph"
    data = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), literal[1:-1])
    return data.encode("latin-1").decode()


@given(text=texts)
def test_a_c_string_reads_back_and_is_one_token(text: str) -> None:
    assert decoded(c_string(text)) == text


@given(best=hostile())
def test_cpp_and_triton_have_the_lines_of_a_harmless_file(best: Best) -> None:
    for target, mark in (("cpp", "//"), ("triton", "#")):
        (text,), (plain,) = (list(export(target, one).files.values()) for one in (best, harmless(best)))
        literal = re.compile(r'"(?:[^"\\\n]|\\.)*"')
        lines = [literal.sub('""', line) for line in code_of(text, mark)]
        expected = [literal.sub('""', line) for line in code_of(plain, mark)]
        if target == "triton":  # which properties it knows differs
            lines = [line for line in lines if "key:" not in line]
            expected = [line for line in expected if "key:" not in line]
        assert lines == expected
        assert all(line.isascii() for line in lines)


@given(text=texts, mark=st.sampled_from(["#", "//"]))
def test_a_comment_ends_with_its_line(text: str, mark: str) -> None:
    (line,) = comment_lines([text], mark)
    assert line.startswith(mark)
    assert line.isprintable()
    assert not line.endswith(("\\", "??/"))
    assert len(line.splitlines()) == 1


@pytest.mark.slow
@FEW
@given(best=hostile())
def test_yaml_has_the_keys_of_a_harmless_file(best: Best) -> None:
    def keys(content: Any) -> Any:
        if isinstance(content, dict):
            return {name: keys(value) for name, value in content.items()}
        return [keys(value) for value in content] if isinstance(content, list) else type(content).__name__

    for target, file in (("compose", "compose.yaml"), ("kubernetes", "kubernetes-quota.yaml")):
        named = replace(best, study="study")
        texts = [export(target, one).files[file] for one in (named, harmless(best))]
        found, plain = ([keys(content) for content in yaml.safe_load_all(text)] for text in texts)
        assert found == plain


@pytest.mark.slow
@FEW
@given(best=hostile())
def test_what_containers_mount_and_see_reads_back(best: Best) -> None:
    files = export("compose", best).files
    (service,) = yaml.safe_load(files["compose.yaml"])["services"].values()
    file = service["environment"]["MODEL_FILE"].replace("$$", "$")
    assert file == f"/models/{os.path.basename(best.model.path)}" or best.model.path.endswith("/")
    assert all("$" not in volume["source"].replace("$$", "") for volume in service["volumes"])
    assert parse_best(files["best.yaml"], "best.yaml") == best
    config, _ = yaml.safe_load_all(export("kubernetes", best).files["kubernetes-quota.yaml"])
    assert config["data"]["best.yaml"] == format_best(best)


@given(best=hostile())
def test_a_unit_has_the_settings_of_a_harmless_one(best: Best) -> None:
    found, plain = (
        unit(next(iter(export("systemd", one).files.values())))
        for one in (replace(best, study="study"), harmless(best))
    )
    assert {name: len(given) for name, given in found.items()} == {name: len(given) for name, given in plain.items()}
    for word in found["Environment"]:
        assert re.fullmatch(r'"(?:[^"\\%]|\\.|%%)*"', word), word
        assert word.isprintable()


@given(text=texts)
def test_a_name_is_fit_for_units_services_and_pods(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", slug(text))


def test_the_literals_of_cpp_survive_a_compiler(tmp_path: Path) -> None:
    """Only the preprocessor and the parser; a whole program is compiled in test_read_back.py."""
    lines = [*comment_lines(NASTY, "//"), *(f"const char* const v{i} = {c_string(t)};" for i, t in enumerate(NASTY))]
    (tmp_path / "a.cpp").write_text("\n".join([*lines, ""]))
    done = subprocess.run(
        ["g++", "-std=c++14", "-trigraphs", "-Wall", "-Wno-unused", "-Werror", "-fsyntax-only", tmp_path / "a.cpp"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
