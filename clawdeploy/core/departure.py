"""What becomes of what somebody had, once they are no user any more."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from clawdeploy.core import context
from clawdeploy.core.credentials import StoredCredentials
from clawdeploy.core.errors import EngineError, InstanceNotFound, OperationInProgress
from clawdeploy.core.events import CredentialRevoked, Event
from clawdeploy.core.instances import Instances


def remove_user(
    user_id: str,
    actor: str,
    instances: Instances,
    credentials: StoredCredentials,
    publish: Callable[[Event], None],
    clock: Callable[[], datetime],
) -> None:
    """End all credentials of a user at once, and delete all instances with their data and secrets.

    Returns when that is written down; the containers are removed by and by, also when the engine is away. Done again it
    does what is left. Raises ``OperationInProgress`` when something else is going on with an instance, which is left as
    it is, and ``DatabaseUnavailable``.
    """
    before = context.user.set(actor)
    try:
        revoked = credentials.revoke_all(user_id)
    finally:
        context.user.reset(before)
    for record in revoked:
        publish(CredentialRevoked(clock(), actor, record.kind, user_id, record.id))
    busy: OperationInProgress | None = None
    for instance in instances.list(user_id).instances:
        try:
            # What the engine cannot do now is kept, and done by a later sync.
            with suppress(EngineError, InstanceNotFound):
                instances.delete(user_id, instance.id, wait=0)
        except OperationInProgress as refused:
            busy = refused
    if busy is not None:
        raise busy
