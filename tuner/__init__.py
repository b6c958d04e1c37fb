"""Tunes OpenVINO deployments and loads tuned configurations.

Offers only what an application needs. Importing the package loads no other module.
"""

from __future__ import annotations

# Type checkers take the name for true; importing `typing` would be the only costly import here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuner.deploy.best_file import load_best

__version__ = "0.1.0"
__all__ = ["__version__", "load_best"]


def __getattr__(name: str) -> object:
    if name == "load_best":
        from tuner.deploy.best_file import load_best

        return load_best
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
