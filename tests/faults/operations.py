"""The operations that faults are injected into, each as a client asks for it, and what has to come of it."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults.ledger import RUNNING, Answer
from tests.faults.scene import Scene, telegram_token

CANARIES = 3


class Operation:
    """One thing that is done to a bot, again and again; ``bot`` is the one that it is done to.

    ``name`` is what it is called, ``verb`` what a client asks for.
    """

    name = ""
    verb = ""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.bot = ""
        self._memory = Path()
        self._acknowledged = False
        self._under_way = False

    def prepare(self) -> None:
        """Bring a bot into the state in which it is done; without a fault."""
        if not self.bot:
            self.bot = self.scene.create()
            # The volume stays when the container goes.
            self._memory = self._data()
            self._memory.write_text(self.bot)

    def ask(self) -> None:
        """Send the request; whether an answer comes is not known."""
        self._note(self.scene.client.change(self.bot, self.verb))

    def _note(self, answer: Answer | None) -> None:
        # That it did not work out is an outcome, which was told.
        self._acknowledged = answer is not None and answer.status == 200 and b'"status": "error"' not in answer.body

    def struck(self) -> None:
        """See how far it has come, before anybody goes on with it."""
        rows = {row["id"]: row for row in self.scene.oracle.stored.rows("instance")}
        self._under_way = self.bot in rows and rows[self.bot]["operation"] is not None

    def lost(self) -> Iterator[str]:
        """Say what is not so after the fault, although it must; besides the invariants."""
        if not self._memory.is_file() or self._memory.read_text() != self.bot:
            yield "The bot has lost its data."

    def finish(self) -> None:
        """Leave nothing that the next time would stumble over."""

    def give_up(self) -> None:
        """Let go of a bot that is broken."""
        if self.bot:
            self.scene.client.change(self.bot, "delete")
        self.bot = ""

    def do(self, verb: str) -> None:
        """Have the bot changed without a fault."""
        answer = self.scene.client.change(self.bot, verb)
        assert answer is not None
        assert answer.status == 200, answer

    def patch(self, fields: dict[str, Any]) -> None:
        """Change fields of the bot without a fault."""
        answer = self.scene.client.call("PATCH", f"/api/instances/{self.bot}", fields)
        assert answer is not None
        assert answer.status == 200, answer

    def _data(self) -> Path:
        """Return a file in the volume of the bot, on the host."""
        (mount,) = [one for one in self._container()["Mounts"] if one["Type"] == "volume"]
        return Path(mount["Source"]) / "memory"

    def _container(self) -> dict[str, Any]:
        """Return the inspection of the bot's container."""
        containers = self.scene.oracle.machine.containers()
        return next(one for one in containers if one["Name"] == f"/clawdeploy-{self.bot}")


class Create(Operation):
    """A new bot each time, asked for with an idempotency key, and asked for once more with the same key."""

    name = "create"

    def prepare(self) -> None:
        self.key = f"key-{secrets.token_hex(8)}"
        self.fields = self.scene.bot(f"bot {secrets.token_hex(4)}")

    def ask(self) -> None:
        self.bot = self.scene.client.create(self.key, self.fields) or ""

    def lost(self) -> Iterator[str]:
        again = self.scene.client.create(self.key, self.fields)
        if again is None or self.bot not in ("", again):
            yield f"The key led to {self.bot or 'nobody knows what'} and leads to {again}."
        self.bot = again or ""

    def finish(self) -> None:
        self.give_up()


class Start(Operation):
    """Of a bot that was stopped."""

    name = verb = "start"

    def prepare(self) -> None:
        super().prepare()
        self.do("stop")


class Stop(Operation):
    """Of a bot that runs."""

    name = verb = "stop"

    def prepare(self) -> None:
        super().prepare()
        self.do("start")


class Restart(Operation):
    """Of a bot that runs; nothing about it is new."""

    name = verb = "restart"


class Delete(Operation):
    """Of a bot that runs."""

    name = verb = "delete"

    def lost(self) -> Iterator[str]:
        # What must be gone is the oracle's business.
        yield from ()

    def finish(self) -> None:
        self.give_up()


class Replace(Operation):
    """Another token, for which the bot is restarted: its file is written again, and the container stays."""

    name = "replace a secret"

    def prepare(self) -> None:
        super().prepare()
        self.secrets = {"botToken": telegram_token()}

    def ask(self) -> None:
        # They must not be found anywhere from now on. Not all that there ever were: each makes looking for them longer.
        self.scene.canaries[1:] = [*self.scene.canaries[-CANARIES:], *self.secrets.values()]
        answer = self.scene.client.call("PATCH", f"/api/instances/{self.bot}", self.secrets)
        if answer is not None and answer.status == 200:
            self.scene.client.told(self.bot, RUNNING, answer.json()["instance"])
        self._note(answer)

    def lost(self) -> Iterator[str]:
        yield from super().lost()
        if not (self._acknowledged or self._under_way):
            return
        for name, value in self.secrets.items():
            inside = Path(f"/proc/{self._container()['State']['Pid']}/root/run/secrets/{name}")
            if not inside.is_file() or inside.read_text() != value:
                yield f"The bot does not have its new {name}."


class Remake(Replace):
    """A secret of which there was none, for which the container is made anew."""

    name = "add a secret"

    def prepare(self) -> None:
        super().prepare()
        self.patch({"apiKey": None})
        self.secrets = {"apiKey": f"sk-{secrets.token_hex(16)}"}


OPERATIONS: dict[str, type[Operation]] = {
    each.name: each for each in (Create, Start, Stop, Restart, Delete, Replace, Remake)
}
