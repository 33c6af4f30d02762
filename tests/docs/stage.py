"""Where the examples of ``docs/api.md`` are played: the real application on the memory runtime."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from clawdeploy.core.testing import SlowRuntime
from clawdeploy.plugins.memory_runtime import MemoryEngine, MemoryRuntime
from clawdeploy.web.app import create_app
from tests.docs.transcript import Play
from tests.platforms import memory_platform

IMAGE = "nginx:alpine"
SYNC_SECRET = "3f9c1e0b7d"
METRICS_SECRET = "9b1d5c2e8f"
TOKEN = "cd_aMIHGxFqpjK395mFDP1MZ29zeVg_ipU7x2wPNq5893Y"
LINK = "BfyUxe6mN_7lYC6vraurOzyvuXs9HmA8n-BmOwQo6p8"
OTHER_LINK = "t8Zs4kQeXw1nRb6JcYpL0mVhGf3uDa7oTiNqKx5ZyMI"
"""What the examples say for a token and for two sign-in links."""


class Stage:
    """A platform, the application that serves it, and what has to be so before some of the examples."""

    def __init__(self, folder: Path) -> None:
        self._engine = MemoryEngine(images=[IMAGE], registry=[IMAGE])
        self._memory = MemoryRuntime(engine=self._engine)
        self._slow = SlowRuntime(self._memory, calls=())
        secrets: dict[str, Any] = {"SYNC_SECRET": SYNC_SECRET, "METRICS_SECRET": METRICS_SECRET}
        self.platform = memory_platform(folder, runtime=self._runtime, WAIT_SECONDS=1, **secrets)

    def play(self) -> Play:
        """Return what sends the examples to the application, as the user ``me``."""
        token, _ = self.platform.credentials.issue("api_token", "me", prefix="cd_")
        said = {TOKEN: token.reveal()}
        for example in (LINK, OTHER_LINK):
            link, _ = self.platform.credentials.issue("sign_in_link", "me", lifetime=timedelta(minutes=15))
            said[example] = link.reveal()
        return Play(create_app(self.platform), said)

    def prepare(self, heading: str) -> None:
        """Bring about what the examples under this heading tell of."""
        if heading == "`GET /api/health`":
            self.platform.reconciler.sync()
        if heading == "`POST /api/admin/sync`":
            newest = self.platform.instances.list("me").instances[0]
            self._memory.vanish(newest.id)
        if heading == "When it takes longer":
            self._engine.images = set()
            self._slow.calls = ("pull",)

    def close(self) -> None:
        """Let what is slow go on, and end."""
        self._slow.release()
        self.platform.close()

    def _runtime(self, installation: str) -> SlowRuntime:
        self._memory = MemoryRuntime(installation, engine=self._engine)
        self._slow = SlowRuntime(self._memory, calls=())
        return self._slow
