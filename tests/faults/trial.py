"""A bot that is created, stopped, started, read and deleted, to see whether everything works."""

import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from tests.faults.ledger import Client

USUAL = {"model": "gpt-5.2", "channel": "telegram"}
WITHIN_SECONDS = 30.0


class Failed(Exception):
    """Something did not work; the message says what."""


class Trial:
    """Tries everything once, as a client does; ``fields`` are those of the bot, besides its name."""

    def __init__(self, client: Client, fields: dict[str, Any] | None = None) -> None:
        self._client = client
        self._fields = fields or USUAL

    def run(self) -> Iterator[str]:
        """Yield what does not work, as a sentence; the bot is deleted all the same."""
        name = f"trial {secrets.token_hex(4)}"
        made: dict[str, Any] = {}
        try:
            made = self._ask("POST", "/api/instances", {**self._fields, "name": name})["instance"]
            path = f"/api/instances/{made['id']}"
            self._reach(path, "running")
            for verb, status in (("stop", "stopped"), ("start", "running")):
                self._ask("POST", f"{path}/{verb}")
                self._reach(path, status)
            self._ask("GET", f"{path}/logs")
            self._ask("DELETE", path)
            answer = self._client.call("GET", path)
            if answer is None or answer.status != 404:
                raise Failed(f"GET {path} after DELETE: {answer}")
        except Failed as failed:
            yield str(failed)
            if made:
                with suppress(Failed):
                    self._ask("DELETE", f"/api/instances/{made['id']}")

    def _ask(self, method: str, path: str, fields: object = None) -> Any:
        answer = self._client.call(method, path, fields)
        if answer is None or answer.status >= 300:
            raise Failed(f"{method} {path}: {answer or 'no answer'}")
        return answer.json()

    def _reach(self, path: str, status: str) -> None:
        deadline = time.monotonic() + WITHIN_SECONDS
        while True:
            shown = self._ask("GET", path)["instance"]
            if shown["operation"] is None and shown["status"] == status:
                return
            if time.monotonic() > deadline:
                raise Failed(f"{path} never was {status}, but {shown}")
            time.sleep(0.05)
