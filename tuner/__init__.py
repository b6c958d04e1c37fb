"""Tunes OpenVINO deployments and loads tuned configurations.

`__all__` is the whole public API. Importing the package loads no other module: each name is imported when it is used.
"""

from __future__ import annotations

# Type checkers take the name for true; importing `typing` would be the only costly import here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuner.commands.api import load_study, run_study
    from tuner.deploy.best_file import load_best
    from tuner.outcome.study_report import StudyReport
    from tuner.report.html.compare import comparison_figure
    from tuner.report.html.figures import intervals_figure, settings_figures, tradeoff_figure
    from tuner.report.html.time_figures import host_figure, progress_figure, reference_figure

__version__ = "0.1.0"
__all__ = [
    "StudyReport",
    "__version__",
    "comparison_figure",
    "host_figure",
    "intervals_figure",
    "load_best",
    "load_study",
    "progress_figure",
    "reference_figure",
    "run_study",
    "settings_figures",
    "tradeoff_figure",
]

_MODULES = {
    "StudyReport": "tuner.outcome.study_report",
    "comparison_figure": "tuner.report.html.compare",
    "host_figure": "tuner.report.html.time_figures",
    "intervals_figure": "tuner.report.html.figures",
    "load_best": "tuner.deploy.best_file",
    "load_study": "tuner.commands.api",
    "progress_figure": "tuner.report.html.time_figures",
    "reference_figure": "tuner.report.html.time_figures",
    "run_study": "tuner.commands.api",
    "settings_figures": "tuner.report.html.figures",
    "tradeoff_figure": "tuner.report.html.figures",
}
"""Name -> module that has it. Applying a file imports `tuner.deploy` alone."""


def __getattr__(name: str) -> object:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
