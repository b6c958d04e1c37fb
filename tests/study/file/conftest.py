from __future__ import annotations

import pytest

from tests.study.file.study_text import Load, Probe
from tuner.study.file import device_checks
from tuner.study.file.loader import load_study, parse
from tuner.study.study import Study


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    folder = tmp_path_factory.mktemp("studies")

    def load_text(text: str, *, file: str = "study.yaml", probe: Probe | None = None) -> Study:
        path = folder / file
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        if probe is None:
            return load_study(path)
        draft = parse(path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(device_checks, "probe_properties", probe)
            patch.setattr(device_checks, "find_faults", lambda device, model: [])
            inspector = device_checks.DeviceInspector(draft)
            with inspector.everything_wrong():
                inspector.check_device()
                return draft.study()

    return load_text
