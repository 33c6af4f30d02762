"""``clawdeploy serve`` with an engine that a test directs from outside: what crashes, hangs, fails or goes silent.

Everything but the runtime is the product itself; the runtime is the memory one. Orders come through a socket, from
``StagedEngine`` in the test's process. There has to be one worker, because each process has containers of its own.
"""

import os
import threading
from collections.abc import Iterable
from multiprocessing.connection import Client, Listener
from typing import Any

from clawdeploy.cli import command_line
from clawdeploy.core.contracts import Platform, Runtime
from clawdeploy.core.errors import RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.opener import Opener
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.plugins.memory_runtime import MemoryRuntime

RUNTIME = "staged"
HOLD_SECONDS = 300.0


def address(port: int | str) -> str:
    """Return the socket, in Linux's abstract namespace, through which the server on a port is directed."""
    return f"\0clawdeploy-staged-{port}"


class StagedRuntime(WrappedRuntime):
    """Does what the memory runtime does, unless it was told otherwise. The public methods are the orders."""

    def __init__(self, installation: str) -> None:
        self.memory = MemoryRuntime(installation)
        super().__init__(self.memory)
        self.name = RUNTIME
        self._silent = False
        self._failing: dict[str, str] = {}
        self._held: dict[str, threading.Event] = {}

    def before(self, call: str) -> None:
        """Wait, or fail, if this call was told to."""
        held = self._held.get(call)
        if held:
            held.wait(HOLD_SECONDS)
        if self._silent:
            raise RuntimeUnavailable
        if call in self._failing:
            raise RuntimeFailure(self._failing[call])

    def go_silent(self) -> None:
        """Answer nothing any more, like an engine that was stopped."""
        self._silent = True

    def answer_again(self) -> None:
        """End the silence."""
        self._silent = False

    def fail(self, call: str, sentence: str) -> None:
        """Fail each call of a method of ``Runtime``, with a sentence."""
        self._failing[call] = sentence

    def succeed(self) -> None:
        """Fail no more."""
        self._failing = {}

    def hold(self, call: str) -> None:
        """Keep each call of a method of ``Runtime`` waiting until it is released."""
        self._held.setdefault(call, threading.Event())

    def release(self, call: str) -> None:
        """Let the waiting calls of a method go on."""
        self._held.pop(call, threading.Event()).set()

    def be_ready(self, ready: bool) -> None:
        """Say whether bots that run pass their probe."""
        self.memory.ready = ready

    def have_images(self, there: bool, in_registry: Iterable[str] = ()) -> None:
        """Say whether images are on the host; those in the registry can be pulled."""
        self.memory.engine.images = None if there else set()
        self.memory.engine.registry = set(in_registry)

    def crash(self, instance_id: str, exit_code: int = 1, out_of_memory: bool = False) -> None:
        """See ``MemoryRuntime.crash``."""
        self.memory.crash(instance_id, exit_code, out_of_memory)

    def loop(self, instance_id: str, restart_count: int) -> None:
        """See ``MemoryRuntime.loop``."""
        self.memory.loop(instance_id, restart_count)

    def vanish(self, instance_id: str) -> None:
        """See ``MemoryRuntime.vanish``."""
        self.memory.vanish(instance_id)

    def write(self, instance_id: str, *lines: str) -> None:
        """Let a bot write lines to its log."""
        for line in lines:
            self.memory.write(instance_id, line)

    def reset(self) -> None:
        """Work from now on; containers stay as they are."""
        self.answer_again()
        self.succeed()
        self.be_ready(True)
        self.have_images(True)
        for call in list(self._held):
            self.release(call)


class Stage:
    """The plugin: offers the runtime and takes the orders for it."""

    def __init__(self) -> None:
        self._runtime: StagedRuntime | None = None

    @hookimpl
    def register_runtimes(self, installation: str) -> Iterable[Runtime]:
        self._runtime = StagedRuntime(installation)
        return [self._runtime]

    @hookimpl
    def startup(self, platform: Platform) -> None:
        # Now, and not when the runtime is made: threads do not survive the fork of a worker.
        threading.Thread(target=self._take_orders, daemon=True).start()

    def _take_orders(self) -> None:
        with Listener(address(os.environ["CLAWDEPLOY_PORT"])) as listener:
            while True:
                with listener.accept() as connection:
                    name, arguments = connection.recv()
                    try:
                        getattr(self._runtime, name)(*arguments)
                        connection.send(None)
                    except Exception as error:
                        connection.send(error)


class StagedEngine:
    """The test's end: any order of ``StagedRuntime``, as in ``engine.order("crash", instance_id)``."""

    def __init__(self, port: int) -> None:
        self._address = address(port)

    def order(self, name: str, *arguments: Any) -> None:
        """Have an order carried out; it is when this returns. Raises what it raised."""
        with Client(self._address) as connection:
            connection.send((name, arguments))
            failure = connection.recv()
        if failure:
            raise failure


def main() -> None:
    """Serve, with the stage beside the usual plugins."""
    os.umask(0o077)
    opener = Opener(os.environ)
    opener.host.add("stage", Stage, source="tests")
    command_line(opener)(["serve"], prog_name="clawdeploy", obj=opener)
