from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection

from tests.study.study_text import Load
from tuner.study import search
from tuner.study.file import Probe, load_study
from tuner.study.study import Study


@pytest.fixture(scope="session", autouse=True)
def migrations() -> Iterator[None]:
    """What Optuna does for every file, done once: its ten migration scripts are executed three times, 0.1 s for each,
    and SQLAlchemy makes text of the same statements again for every engine, half of what a file costs."""
    from optuna.storages._rdb import storage

    load = storage._VersionManager._create_alembic_script
    loaded: list[Any] = []
    create = sqlalchemy.create_engine
    first = create("sqlite://")
    first.connect().close()

    def once(manager: Any) -> Any:
        if not loaded:
            loaded.append(load(manager))
        return loaded[0]

    def alike(*arguments: Any, **options: Any) -> Any:
        engine = create(*arguments, **options)
        engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage._VersionManager, "_create_alembic_script", once)
        patch.setattr(sqlalchemy.engine, "create_engine", alike)
        yield


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """For studies whose files nobody tears: SQLite and waiting for the disk take longer than everything else. Optuna's
    trials are in memory, one book for each path."""
    books: dict[str, Any] = {}

    def book(storage: object, path: object, *, name: str, space: object, objectives: Sequence[str] = ()) -> Any:
        if str(path) not in books:
            memory = InMemoryStorage()
            number = memory.create_new_study([StudyDirection.MAXIMIZE] * max(1, len(objectives)), name)
            books[str(path)] = search.Book(storage=memory, study_id=number)
        return books[str(path)]

    monkeypatch.setattr(search, "RDBStorage", lambda *arguments: None)
    monkeypatch.setattr(search, "open_book", book)
    monkeypatch.setattr("tuner.study.records.os.fsync", lambda fd: None)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    folder = tmp_path_factory.mktemp("studies")

    def load_text(text: str, *, file: str = "study.yaml", probe: Probe | None = None) -> Study:
        path = folder / file
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return load_study(path, probe=probe)

    return load_text
