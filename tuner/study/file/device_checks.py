"""Asks this host, its device and the model about a study file, in worker processes.

Responsible for the questions. Must not know where in a file the answers belong, which is up to the Draft.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tuner.bench.value import Value
from tuner.bench.worker.inspection import bare_worker_bytes, find_faults
from tuner.bench.worker.worker_bench import WorkerBench
from tuner.errors import DeviceError, ModelError, StudyFileError, TunerError
from tuner.model.locate import locate
from tuner.model.spec import ModelSpec
from tuner.study.file.former_names import name_of_today, value_of_today
from tuner.study.file.loader import Draft, property_text

MOST_VALUES_ASKED = 48
"""Largest number of values that a device is asked about.

One compilation of the tiny model takes 0.05 s, all of them two to three seconds. A value that was not asked about fails
later, when the space is enumerated.
"""


class DeviceInspector:
    """Asks worker processes about one draft and adds their answers to it; each question is asked once."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._open = {"worker": self._check_worker, "model": self._check_model, "device": self._check_device}

    def check_device(self) -> None:
        """Adds a memory limit that no worker can keep, and properties and values that the device refuses.

        Raises TunerError if a worker or the device does not answer.
        """
        for question in ("worker", "device"):
            self._open.pop(question, _nothing)()

    @contextmanager
    def everything_wrong(self) -> Iterator[None]:
        """Raises StudyFileError with every problem, if one appears while the file, its model or its device is used.

        The open questions take seconds, which a file that is right does not pay.
        """
        try:
            yield
        except (StudyFileError, ModelError, DeviceError) as error:
            is_host = isinstance(error, DeviceError) and not self._draft.problems.problems
            for question in list(self._open):
                with suppress(TunerError):  # The first error stands.
                    self._open.pop(question)()
            try:
                self._draft.refuse_problems()
            except StudyFileError as found:
                if is_host and len(found.problems) == 1:
                    raise DeviceError(str(found)) from error  # The host lacks something; the file is right.
                raise found from error
            raise

    def _check_worker(self) -> None:
        if self._draft.has_memory_limit:
            self._draft.check_worker(bare_worker_bytes())

    def _check_model(self) -> None:
        if (device := self._draft.device) is not None:
            self._draft.check_model(find_faults(device, self._draft.model))

    def _check_device(self) -> None:
        if (device := self._draft.device) is not None and (asked := self._draft.properties()):
            self._draft.check_device(probe_properties(device, asked))


def _nothing() -> None:
    """Stands for a question that was asked before."""


def check_model_file(draft: Draft) -> None:
    """Adds the problem of a missing model, before any process is started."""
    try:
        if (model := draft.model) is not None:
            locate(model)
    except ModelError as error:
        draft.check_model([(("model", "path"), "; ".join(filter(None, (str(error), error.advice))))])


def probe_properties(device: str, values: Mapping[str, Sequence[Value]]) -> Mapping[str, str]:
    """Returns messages about properties that the device does not know, and about values that it refuses.

    `values`: name -> the values to try on a tiny model, words first: numbers are rarely refused (tuner/README.md). The
    answers are keyed by the name, or by `property_text` of name and value.
    """
    if not values:
        return {}
    tiny = ModelSpec(path="builtin:mlp", folder=Path())
    with WorkerBench(tiny) as bench:
        facts = bench.inspect(device, [])
        unknown = bench.unknown_properties(device, list(values))
        asked = [(name, value) for name, found in values.items() if name not in unknown for value in found]
        asked.sort(key=lambda one: not isinstance(one[1], str))
        asked = asked[:MOST_VALUES_ASKED]
        refused = bench.refused_values(device, asked)
    messages = {
        property_text(*one): f"{device} refuses this value: {words}"
        + (f"; did you mean {today}?" if (today := value_of_today(one[1], words)) else "")
        for one, words in zip(asked, refused, strict=True)
        if words
    }
    for name in unknown:
        today, close = name_of_today(name), difflib.get_close_matches(name, facts.device_properties, n=1)
        question = f"; did you mean {close[0]}?" if close else ""
        messages[name] = f"unknown property {name} on {device}{f'; today it is {today}' if today else question}"
    return messages
