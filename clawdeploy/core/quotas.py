"""What is asked before a bot is taken on: how many its owner has, and what is left of the engine's computer."""

import logging
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass

from clawdeploy.core.audit import AuditTrail
from clawdeploy.core.background import in_background
from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Operation, Room, Runtime, Status, Wish
from clawdeploy.core.errors import EngineError, HostFull, TooManyInstances
from clawdeploy.core.locks import CREATIONS, one_at_a_time
from clawdeploy.core.observing import guarded
from clawdeploy.core.settings import DISK_RESERVE_MB, MAX_INSTANCES_PER_USER, MEMORY_RESERVE_MB
from clawdeploy.core.store import InstanceStore

MEBIBYTE = 2**20
LOOK_SECONDS = 1.0
"""How long a creation waits for what an engine says; when that says nothing, nothing stands in the way."""
NOT_STARTED = ("pulling_image", "waiting_in_line", "creating_container", "starting")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Usage:
    """How many bots an owner has, and how many may be had; ``None`` when there is no limit.

    ``leaving`` are those of them that were deleted and are still being removed, which their owner does not see.
    """

    used: int
    most: int | None
    leaving: int = 0

    @property
    def refusal(self) -> str:
        """Say why there can be no more; nothing when there can."""
        if self.most is None or self.used < self.most:
            return ""
        return _too_many(self.used, self.most, self.leaving)


class Quotas:
    """Refuses creations. Starting a bot that is there is never refused."""

    def __init__(self, config: Config, store: InstanceStore, audit: AuditTrail, runtime: Runtime) -> None:
        self._most = config[MAX_INSTANCES_PER_USER]
        self._memory_reserve = config[MEMORY_RESERVE_MB]
        self._disk_reserve = config[DISK_RESERVE_MB]
        self._database = store.database
        self._row = store.row
        self._audit = audit
        self._runtime = runtime

    def usage(self, owner: str) -> Usage:
        """Say how many bots an owner has of how many."""
        with self._database.reading():
            used, leaving = self._counted(owner)
        return Usage(used, self._most or None, leaving)

    def room(self, seconds: float = LOOK_SECONDS) -> Room:
        """Ask the engine what is left, and take nothing for an answer when it does not say so in time."""
        if self._memory_reserve is None and self._disk_reserve is None:
            return Room()
        answer = in_background(lambda: guarded(self._runtime.room))
        if not wait([answer], seconds).done:
            return Room()
        try:
            left: Room = answer.result()
        except EngineError as error:
            logger.debug("What is left of the engine's computer is not known: %s", error.detail)
            return Room()
        return left

    def shortage(self, left: Room, memory_bytes: int, others: int = 0) -> str:
        """Say of what there is too little for a bot with a limit of so much memory; nothing when there is enough.

        ``others`` are about to be started as well, and as large.
        """
        disk, free = left.disk_bytes, (self._disk_reserve or 0) * MEBIBYTE
        if self._disk_reserve is not None and disk is not None and disk < free:
            return f"This computer has {_mb(disk)} of disk space left, and {_mb(free)} have to stay free."
        memory, kept = left.memory_bytes, (self._memory_reserve or 0) * MEBIBYTE
        promised = others * memory_bytes
        if self._memory_reserve is None or memory is None or memory - kept - promised >= memory_bytes:
            return ""
        parts = [f"{_mb(kept)} have to stay free"] * bool(kept)
        parts += [f"{_mb(promised)} are for {_bots(others)} being started"] * bool(others)
        which = f", of which {' and '.join(parts)}" if parts else ""
        return f"This computer has {_mb(memory)} of memory left{which}, and a bot needs {_mb(memory_bytes)}."

    def admitting(
        self, owner: str, left: Room, memory_bytes: int, note: Callable[[str], None]
    ) -> Callable[[str], None]:
        """Return what to call, before ``note``, in the transaction that has stored a new bot.

        It raises ``TooManyInstances``, ``HostFull`` or, for a user who was removed, ``NotSignedIn``, and then nothing
        is stored. Of two creations at once one waits until the other is stored or refused.
        """

        def admit(instance_id: str) -> None:
            one_at_a_time(self._database, CREATIONS)
            self._audit.check_user(owner)
            used, leaving = self._counted(owner)
            if self._most and used > self._most:
                raise TooManyInstances(_too_many(used - 1, self._most, leaving))
            shortage = self.shortage(left, memory_bytes, self._about_to_start() - 1)
            if shortage:
                raise HostFull(f"{shortage} Delete or stop a bot, or try again later.")
            note(instance_id)

        return admit

    def _counted(self, owner: str) -> tuple[int, int]:
        rows = self._row.select().where(self._row.owner == owner)
        return rows.count(), rows.where(self._row.status == Status.DELETED).count()

    def _about_to_start(self) -> int:
        """Count the creations that have not begun to use any memory."""
        creations = (self._row.operation == Operation.CREATE) & (self._row.wish == Wish.RUN)
        return int(self._row.select().where(creations, self._row.reason.in_(NOT_STARTED)).count())


def _too_many(used: int, most: int, leaving: int) -> str:
    gone = f", {leaving} of them still being deleted" if leaving else ""
    each = "1 bot" if most == 1 else f"{most} bots"
    return f"You have {_bots(used)}{gone}, and each user may have {each} on this server. Delete one to make another."


def _bots(number: int) -> str:
    return "1 bot" if number == 1 else f"{number} bots"


def _mb(size: int) -> str:
    return f"{size // MEBIBYTE:,} MB"
