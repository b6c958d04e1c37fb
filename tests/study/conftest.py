from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection

from tuner.study import search


@pytest.fixture(scope="session")
def migrations() -> Iterator[None]:
    """Loaded once: Optuna executes its ten migration scripts three times for every new file, 0.1 s for each."""
    from optuna.storages._rdb.storage import _VersionManager

    load = _VersionManager._create_alembic_script
    loaded: list[Any] = []

    def once(manager: _VersionManager) -> Any:
        if not loaded:
            loaded.append(load(manager))
        return loaded[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_VersionManager, "_create_alembic_script", once)
        yield


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """For studies whose files nobody tears: SQLite and waiting for the disk take longer than everything else. Optuna's
    trials are in memory, one book for each path."""
    books: dict[str, Any] = {}

    def book(storage: object, path: object, *, name: str, space: object) -> Any:
        if str(path) not in books:
            memory = InMemoryStorage()
            number = memory.create_new_study([StudyDirection.MAXIMIZE], name)
            books[str(path)] = search._Book(storage=memory, study_id=number)
        return books[str(path)]

    monkeypatch.setattr(search, "RDBStorage", lambda *arguments: None)
    monkeypatch.setattr(search, "_database_book", book)
    monkeypatch.setattr("tuner.study.records.os.fsync", lambda fd: None)
