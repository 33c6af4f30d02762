"""From a row to what its container should be: blueprint, channel and secrets brought together."""

import logging
from collections.abc import Mapping
from typing import Any

from clawdeploy.core.contracts import Blueprint, Bot, Channel, ContainerSpec, Probe
from clawdeploy.core.errors import EngineError, RuntimeFailure, WrongKey
from clawdeploy.core.schemas import NewInstance
from clawdeploy.core.store import InstanceStore

logger = logging.getLogger(__name__)

DEFAULT_STOP_TIMEOUT = 10.0


class Deployments:
    """Knows for each instance what is deployed for it."""

    def __init__(
        self,
        store: InstanceStore,
        blueprints: Mapping[str, Blueprint],
        channels: Mapping[str, Channel],
        profile: str,
    ) -> None:
        self._store = store
        self._blueprints = blueprints
        self._channels = channels
        self._profile = profile

    def spec(self, row: Any) -> ContainerSpec:
        """Return what the container for this row is like.

        Raises ``RuntimeFailure`` when the blueprint or channel is not installed any more, or fails.
        """
        blueprint = self._blueprints.get(row.blueprint)
        channel = self._channels.get(row.channel)
        if blueprint is None or channel is None:
            what = f"blueprint {row.blueprint!r}" if blueprint is None else f"channel {row.channel!r}"
            raise RuntimeFailure(f"The {what} of this bot is not installed on this server any more.")
        try:
            secrets = self._store.secrets(row.id)
        except WrongKey as error:
            raise RuntimeFailure(error.detail) from error
        return _asked(blueprint, Bot(row.id, row.name, row.model, channel, row.host_port, secrets, row.config))

    def memory_of(self, new: NewInstance, host_port: int) -> int:
        """Return the limit of memory of a bot that is not stored yet, in bytes; 0 when its blueprint fails."""
        fields = new.columns
        named = (fields["name"], fields["model"], self._channels[fields["channel"]])
        bot = Bot("", *named, host_port, new.secrets, fields.get("config", {}))
        try:
            return _asked(self._blueprints[fields["blueprint"]], bot).limits.memory_bytes
        except EngineError:
            # It is stored all the same, and says so.
            return 0

    def made_from(self, spec: ContainerSpec) -> str:
        """Identify all that an engine fixes when it makes a container: what is asked for, and the runtime's own."""
        return spec.fixed + self._profile

    def outdated(self, row: Any) -> bool:
        """Say whether the container was made from something else than what is asked for now; raises as ``spec`` does.

        Nothing is recorded of one that was made before this was known, which was long ago: it is outdated.
        """
        return bool(row.made_from != self.made_from(self.spec(row)))

    def probe(self, blueprint: str) -> Probe:
        """Return the probe of a blueprint, a usual one when it is not installed any more."""
        known = self._blueprints.get(blueprint)
        return known.probe if known else Probe()

    def stop_timeout(self, blueprint: str) -> float:
        """Return how many seconds a bot may take to stop."""
        known = self._blueprints.get(blueprint)
        return known.stop_timeout if known else DEFAULT_STOP_TIMEOUT


def _asked(blueprint: Blueprint, bot: Bot) -> ContainerSpec:
    """Ask a blueprint what it wants; what cannot be compared or made is its failure, and not tried for ever."""
    try:
        spec = blueprint.container(bot)
        # What is not fit for that fails here, where it is known whose fault it is.
        _ = spec.fixed, spec.limits.memory_bytes, spec.images[0]
    except EngineError:
        raise
    except (Exception, SystemExit) as error:
        # No traceback and no message: a blueprint sees secrets, and may have put one into its exception.
        logger.error("Blueprint %s failed: %s", blueprint.name, type(error).__name__)  # noqa: TRY400 - its message may hold a secret
        raise RuntimeFailure(f"The blueprint {blueprint.name!r} failed ({type(error).__name__}).") from None
    return spec
