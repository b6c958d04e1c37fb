"""Noise that the studies of a day found on this host, in one file that all of them share.

Responsible for reading and writing the file, which saves time and decides nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tuner.model.host import HostFacts
from tuner.study.setup import KnownNoise

CACHED_FOR_S = 86_400.0

CACHED_DF = 12
"""What an earlier study may weigh: as much as a long confirmation, never more than what is measured now can move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseCache:
    """What this host's studies found within a day, a file shared by all of them. It saves time and decides nothing: a
    file that is missing, damaged or cannot be written is no error."""

    path: Path
    fingerprint: str

    def read(self, now_unix_s: float) -> KnownNoise | None:
        """None where nothing is known, or it is older than a day."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))[self.fingerprint]
            age_s = now_unix_s - float(found["at_unix_s"])
            noise = KnownNoise(session_sd=float(found["session_sd"]), df=min(CACHED_DF, int(found["df"])))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        is_sound = 0.0 <= age_s < CACHED_FOR_S and 0.0 < noise.session_sd < 1.0 and noise.df > 0
        return noise if is_sound else None

    def write(self, noise: KnownNoise, now_unix_s: float) -> None:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            content = {}
        content = content if isinstance(content, dict) else {}
        content[self.fingerprint] = {"at_unix_s": now_unix_s, **asdict(noise)}
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(content, indent=1), encoding="utf-8")
            new.replace(self.path)
        except OSError:
            with suppress(OSError):
                new.unlink(missing_ok=True)


def noise_cache(host: HostFacts, *what: object) -> NoiseCache:
    """Of what is measured (model, inputs, device, metric; as JSON) on this host: what an earlier study found holds for
    the next."""
    words = json.dumps([asdict(host), *what], sort_keys=True)
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    return NoiseCache(
        path=root / "tuner" / "calibration.json", fingerprint=hashlib.sha256(words.encode()).hexdigest()[:16]
    )
