"""Fetching keys once for all server processes of a machine: what one has fetched, the others read from a file.

The file stands in the data folder, beside the database and the key of the secrets: whoever can write there is trusted.
"""

import fcntl
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from clawdeploy.plugins.clerk.jwks import FetchFailed, fetch, usable
from clawdeploy.plugins.clerk.keys import PAUSE_SECONDS, PAUSE_WITHOUT_KEYS

FILE = "clerk-keys.json"
LOCK = "clerk-keys.lock"


class SharedKeys:
    """The keys that are published at an origin, by way of a file in ``folder``; ``clock`` is that of all processes."""

    def __init__(self, origin: str, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._origin = origin
        self._folder = folder
        self._clock = clock

    def fetch(self, forced: bool) -> dict[str, RSAPublicKey]:
        """Return the keys by their ``kid``, as new as need be. Raises ``FetchFailed``.

        ``forced`` asks for keys that are newer than the last forced ones; without it those of a minute ago will do.
        Waits while another process fetches, unless what stands there is new enough. Where no file can be kept, every
        process fetches for itself.
        """
        if keys := self._new_enough(self._read(), forced, PAUSE_SECONDS):
            return keys
        try:
            with (self._folder / LOCK).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                return self._fetch_alone(forced)
        except OSError:
            return fetch(self._origin)

    def kept(self) -> tuple[Mapping[str, RSAPublicKey], float]:
        """Return the keys that whatever process has fetched last, and how many seconds ago."""
        return _last(self._read(), self._clock())

    def _fetch_alone(self, forced: bool) -> dict[str, RSAPublicKey]:
        now, known = self._clock(), self._read()
        pause = PAUSE_WITHOUT_KEYS if known.get("failed") and not forced else PAUSE_SECONDS
        if (found := self._new_enough(known, forced, pause)) is not None:
            if found:
                return found
            raise FetchFailed("another process has just tried in vain", *_last(known, now))
        forced_at = now if forced else known.get("forced_at", 0.0)
        noted = {"origin": self._origin, "attempted_at": now, "forced_at": forced_at}
        try:
            keys = fetch(self._origin)
        except FetchFailed as failure:
            kept = {name: known[name] for name in ("document", "fetched_at") if name in known}
            self._write({**noted, **kept, "failed": True})
            raise FetchFailed(str(failure), *_last(known, now)) from None
        self._write(
            {**noted, "failed": False, "fetched_at": now, "document": {"keys": [_jwk(*each) for each in keys.items()]}}
        )
        return keys

    def _new_enough(self, known: Mapping[str, Any], forced: bool, pause: float) -> dict[str, RSAPublicKey] | None:
        """Return what the last attempt brought, nothing when it failed, ``None`` when it is time for another."""
        last = known.get("forced_at" if forced else "attempted_at", float("-inf"))
        if not 0 <= self._clock() - last < pause:
            return None
        return {} if known.get("failed") else dict(usable(known.get("document")))

    def _read(self) -> Mapping[str, Any]:
        """Return what the last process has noted about this origin, nothing when that cannot be read."""
        try:
            known = json.loads((self._folder / FILE).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        ours = isinstance(known, dict) and known.get("origin") == self._origin
        times = [known.get(name) for name in ("attempted_at", "forced_at")] if ours else []
        return known if times and all(isinstance(each, int | float) for each in times) else {}

    def _write(self, noted: Mapping[str, Any]) -> None:
        # In one piece, so that a process that is killed meanwhile leaves the old one.
        new = self._folder / f"{FILE}.new"
        with suppress(OSError):
            new.write_text(json.dumps(noted))
            new.replace(self._folder / FILE)


def _last(known: Mapping[str, Any], now: float) -> tuple[Mapping[str, RSAPublicKey], float]:
    fetched_at = known.get("fetched_at")
    if not isinstance(fetched_at, int | float) or fetched_at > now:
        return {}, 0.0
    return dict(usable(known.get("document"))), now - fetched_at


def _jwk(kid: str, key: RSAPublicKey) -> dict[str, Any]:
    written = RSAAlgorithm.to_jwk(key, as_dict=True)
    return {"kid": kid, **{name: written[name] for name in ("kty", "n", "e")}}
