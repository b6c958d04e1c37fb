"""The folders of a user in which files outlive a study (XDG Base Directory Specification 0.8).

Responsible for their paths. Must not make them.
"""

from __future__ import annotations

import os
from pathlib import Path


def user_folder(variable: str | None, *, variable_of_parent: str, below_home: str) -> Path | None:
    """Returns the folder that `variable` names, else `tuner` in the one of `variable_of_parent` or below the home.

    The specification has a relative path in `variable_of_parent` ignored. None if the user has no home.
    """
    if variable and (named := os.environ.get(variable)):
        return Path(named).absolute()
    parent = Path(os.environ.get(variable_of_parent) or "")
    if parent.is_absolute():
        return parent / "tuner"
    try:
        home = Path(os.environ.get("HOME") or "~").expanduser()
    except RuntimeError:  # an unknown user, as in a container
        return None
    return home / below_home / "tuner" if home.is_absolute() else None
