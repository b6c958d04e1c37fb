from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


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
