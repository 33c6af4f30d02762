"""Taking on a new bot: what its owner may have and what the computer has room for is asked before it is stored."""

from collections.abc import Callable, Mapping
from typing import Any

from clawdeploy.core.claim_keeper import LIFETIME, Claim
from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Instance, Operation, Status, Wish
from clawdeploy.core.deployments import Deployments
from clawdeploy.core.holders import new_holder
from clawdeploy.core.quotas import Quotas
from clawdeploy.core.reasons import explain
from clawdeploy.core.schemas import Schemas
from clawdeploy.core.settings import PORT_RANGE
from clawdeploy.core.store import InstanceStore


class Intake:
    """Stores new instances, each claimed from its first moment, to make its container."""

    def __init__(
        self, config: Config, store: InstanceStore, deployments: Deployments, quotas: Quotas, schemas: Schemas
    ) -> None:
        self.schemas = schemas
        self._ports = config[PORT_RANGE]
        self._store = store
        self._deployments = deployments
        self._quotas = quotas

    def take(self, owner: str, body: Mapping[str, Any], note: Callable[[str], None]) -> tuple[Instance, Claim]:
        """Check the body of a create and store the new instance; ``note`` gets its id in the same transaction.

        Raises ``InvalidInput``, ``TooManyInstances``, ``HostFull`` or, for an owner who was removed, ``NotSignedIn``,
        and stores nothing then.
        """
        new = self.schemas.new_instance(body)
        memory = self._deployments.memory_of(new, self._ports[0])
        admit = self._quotas.admitting(owner, self._quotas.room(), memory, note)
        token = new_holder()
        phase = "creating_container"
        fields = {
            **new.columns,
            "owner": owner,
            "wish": Wish.RUN,
            "operation": Operation.CREATE,
            "status": Status.PENDING,
            "reason": phase,
            "detail": explain(phase),
            "claim": token,
            "claim_until": self._store.clock() + LIFETIME,
        }
        instance = self._store.insert(fields, new.secrets, self._ports, admit)
        return instance, Claim(instance.id, token, owner)
