"""Makes the JSON schema that `tuner schema` prints."""

from __future__ import annotations

from typing import Any

from tuner.study.file.schema import json_schema


def study_schema() -> dict[str, Any]:
    """Returns the JSON schema of study files."""
    return json_schema()
