"""What a bot has written, for its owner."""

from collections.abc import Sequence
from contextlib import suppress

from clawdeploy.core.background import in_background
from clawdeploy.core.contracts import Instance
from clawdeploy.core.errors import RuntimeUnavailable, WrongKey
from clawdeploy.core.observing import Observer
from clawdeploy.core.patience import Patience
from clawdeploy.core.phases import require_container
from clawdeploy.core.redaction import masked
from clawdeploy.core.store import InstanceStore

MOST_LINES = 10_000
PATIENCE_SECONDS = 4.0


class BotLogs:
    """Reads the logs of containers, without the secrets that their bots have."""

    def __init__(self, store: InstanceStore, observer: Observer, patience: Patience) -> None:
        self._store = store
        self._observer = observer
        self._patience = patience

    def read(self, instance: Instance, tail: int) -> str:
        """Return the last ``tail`` lines within a few seconds. Raises ``NoContainer`` or an ``EngineError``."""
        require_container(instance)
        container = instance.container_id or ""
        lines = in_background(lambda: self._observer.logs(container, min(tail, MOST_LINES)))
        if not self._patience.wait(lines, PATIENCE_SECONDS):
            raise RuntimeUnavailable("Docker takes long to read the log. Try again in a moment.")
        return masked(lines.result(), self._secrets(instance.id))

    def _secrets(self, instance_id: str) -> Sequence[str]:
        # What cannot be read was not given to the bot either.
        with suppress(WrongKey):
            return [secret.reveal() for secret in self._store.secrets(instance_id).values()]
        return []
