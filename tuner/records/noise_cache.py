"""Noise that the studies of a day found on this host, in one file that all of them share.

Responsible for reading and writing the file, which saves time and decides nothing.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tuner.atomic_write import write_atomically
from tuner.model.host import HostFacts
from tuner.records.user_folder import user_folder
from tuner.study.setup import KnownNoise

CACHED_FOR_S = 86_400.0
"""Seconds after which noise is forgotten: a day."""

CACHED_DF = 12
"""Degrees of freedom that cached noise has at most: as many as a long confirmation, so that new sessions matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseCache:
    """Noise by fingerprint, in one file; a file that is missing, damaged or cannot be written is no error."""

    path: Path | None
    """File of the cache; None for a user without a home, whose noise is not kept."""
    fingerprint: str
    """Text that is equal for two studies with the same host, model, inputs, device and metric."""

    def read(self, now_unix_s: float) -> KnownNoise | None:
        """Returns the noise of the fingerprint; None if it is unknown or older than a day."""
        if self.path is None:
            return None
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))[self.fingerprint]
            age_s = now_unix_s - float(found["at_unix_s"])
            noise = KnownNoise(session_sd=float(found["session_sd"]), df=min(CACHED_DF, int(found["df"])))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        is_sound = 0.0 <= age_s < CACHED_FOR_S and 0.0 < noise.session_sd < 1.0 and noise.df > 0
        return noise if is_sound else None

    def write(self, noise: KnownNoise, now_unix_s: float) -> None:
        """Writes the noise of the fingerprint beside that of others."""
        if self.path is None:
            return
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            content = {}
        content = content if isinstance(content, dict) else {}
        content[self.fingerprint] = {"at_unix_s": now_unix_s, **asdict(noise)}
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, json.dumps(content, indent=1))


def noise_cache(host: HostFacts, *facts: object) -> NoiseCache:
    """Returns the cache for a host and for the facts (values of JSON) that the noise depends on."""
    words = json.dumps([asdict(host), *facts], sort_keys=True)
    folder = user_folder(None, variable_of_parent="XDG_CACHE_HOME", below_home=".cache")
    path = None if folder is None else folder / "calibration.json"
    return NoiseCache(path=path, fingerprint=hashlib.sha256(words.encode()).hexdigest()[:16])
