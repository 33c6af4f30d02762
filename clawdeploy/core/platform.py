"""The platform: every part of the core, wired together, and what the product asks of them as a whole."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from clawdeploy.core.account import Account
from clawdeploy.core.arrivals import Arrivals
from clawdeploy.core.audit import AuditTrail
from clawdeploy.core.background import USUAL, Pace, in_background
from clawdeploy.core.catalog import Catalog
from clawdeploy.core.census import Census, take_census
from clawdeploy.core.circuit_breaker import CircuitBreaker
from clawdeploy.core.claims import Claims
from clawdeploy.core.cleanup import Cleanup
from clawdeploy.core.clock import utc_now
from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Credentials, EngineInfo, Identity, Reception, Visit
from clawdeploy.core.credentials import StoredCredentials
from clawdeploy.core.database import Database
from clawdeploy.core.database_health import DatabaseHealth
from clawdeploy.core.departure import remove_user
from clawdeploy.core.deployments import Deployments
from clawdeploy.core.engine_health import EngineHealth
from clawdeploy.core.errors import RateLimited, RuntimeUnavailable
from clawdeploy.core.events import Event
from clawdeploy.core.installation import open_installation
from clawdeploy.core.instances import Instances
from clawdeploy.core.intake import Intake
from clawdeploy.core.lease import Lease
from clawdeploy.core.leftovers import Leftovers
from clawdeploy.core.lifecycle import Lifecycle
from clawdeploy.core.measurements import Measurements
from clawdeploy.core.membership import OfferedRoute, chosen
from clawdeploy.core.patience import Patience
from clawdeploy.core.plugins import PluginHost
from clawdeploy.core.quotas import Quotas
from clawdeploy.core.ratelimit import CHANGES, SIGN_INS, RateLimit
from clawdeploy.core.reconciler import Change, Reconciler
from clawdeploy.core.recording import Recorder
from clawdeploy.core.rotation import KeyRotation
from clawdeploy.core.schemas import Schemas
from clawdeploy.core.settings import (
    AUDIT_DAYS,
    BLUEPRINT,
    CLEANUP_GRACE_SECONDS,
    PORT_RANGE,
    RATE_LIMIT,
    RUNTIME,
    SIGN_IN_LIMIT,
    SYNC_SECONDS,
)
from clawdeploy.core.sign_in import identify, in_use, receive
from clawdeploy.core.spans import Spans
from clawdeploy.core.store import InstanceStore
from clawdeploy.core.watch import Watch

BEARER = {"type": "http", "scheme": "bearer"}
"""What callers send to an auth provider that says nothing about it."""

MOST_ASKED_SYNCS = 2
SYNCS_GO_ON = "Others have asked for this just before, and it still goes on. Try again when it is done."
SYNCED_LATER = 10
"""Seconds after which it is worth while to try again."""


class Platform:
    """Everything wired together. Make one with :func:`bootstrap`; each test makes its own."""

    def __init__(
        self,
        config: Config,
        host: PluginHost,
        database: Database,
        clock: Callable[[], datetime],
        pace: Pace = USUAL,
    ) -> None:
        self.config = config
        self.host = host
        self.database = database
        self.clock = clock
        self.applied_migrations: list[str] = []
        models = database.tables
        self._instance = models.instance
        installation, vault = open_installation(database, models, config, clock)
        self.installation = installation
        self.audit = AuditTrail(database, models.audit, clock, timedelta(days=config[AUDIT_DAYS]))
        self._arrivals = Arrivals(self.audit, clock)
        self.key_rotation = KeyRotation(database, models, config)
        self.credentials = StoredCredentials(database, models, clock, self.audit)
        members = host.members(config, self.credentials, installation)
        self._providers, self.sign_in = in_use(members.auth_providers)
        runtime = chosen(members.runtimes, RUNTIME, config)
        self.engine_health = EngineHealth(runtime.ping, pace=pace)
        self.measurements = Measurements()
        measure = self.measurements.tell
        self._runtime = CircuitBreaker(runtime, self.engine_health, measure)
        self._patience = Patience(self.engine_health)
        self._asked_syncs = threading.BoundedSemaphore(MOST_ASKED_SYNCS)
        blueprints, channels = members.blueprints, members.channels
        chosen(blueprints, BLUEPRINT, config)
        self.catalog = Catalog(blueprints, channels, config[BLUEPRINT])
        asked = {"", *(provider.name for provider in self._providers)}
        sections = {kind: section for kind, section in members.account_sections.items() if section.provider in asked}
        self.account = Account(self.credentials, sections, self.publish, clock)
        store = InstanceStore(database, models, vault, clock)
        self.idempotency = store.idempotency
        self.database_health = DatabaseHealth(store.synced_at, pace=pace)
        # Several hosts share one window, and so its time is the database's. Whoever passes a clock in wants that one.
        shared = database.now if clock is utc_now else clock
        self.change_limit = RateLimit("change", config[RATE_LIMIT], CHANGES, database, models.rate_limit, shared)
        self.sign_in_limit = RateLimit("sign-in", config[SIGN_IN_LIMIT], SIGN_INS, database, models.rate_limit, shared)
        self._claims = Claims(store, self.publish, engine_is_silent=self.engine_health.turns_out_silent, pace=pace)
        self._deployments = Deployments(store, blueprints, channels, runtime.profile)
        recorder = Recorder(self._claims, clock, self.publish, measure)
        self._lifecycle = Lifecycle(
            store, self._claims, self._runtime, self._deployments, config[PORT_RANGE], recorder, pace
        )
        self.schemas = Schemas(self.catalog)
        self.quotas = Quotas(config, store, self.audit, self._runtime)
        intake = Intake(config, store, self._deployments, self.quotas, self.schemas)
        self.instances = Instances(config, store, self._claims, intake, self._lifecycle, host, self._patience)
        self.reconciler = Reconciler(
            store, self._claims, self._lifecycle, self._runtime, self.engine_health, measure, pace
        )
        lease = Lease(database, models.lease, clock, "reconciler")
        spans = Spans(database, models.span, clock)
        grace = timedelta(seconds=config[CLEANUP_GRACE_SECONDS])
        self.leftovers = Leftovers(database, models.instance, spans, self._runtime, grace, clock)
        self.cleanup = Cleanup(self.leftovers, self._claims, self._runtime, grace)
        self._watch = Watch(self.reconciler, store, self._runtime, lease, spans, self.cleanup)

    @property
    def database_label(self) -> str:
        """Which database this is, for people; never a password."""
        return self.database.label

    def publish(self, event: Event) -> None:
        """Tell observers what has happened; call it after the change was stored."""
        self.host.publish(event)

    def authenticate(self, credentials: Credentials) -> Identity:
        """Ask the auth providers in turn who is calling.

        Raises ``NotSignedIn``, ``InvalidCredentials``, or ``SignInUnavailable`` when a provider failed and no other
        knows the caller.
        """
        identity = identify(self._providers, credentials)
        self._arrivals.note(identity)
        return identity

    def receive(self, visit: Visit) -> Reception | None:
        """Ask the sign-in what becomes of a visit; ``None`` leaves it to :meth:`authenticate`.

        Raises ``SignInUnavailable``, and what the sign-in raises on purpose.
        """
        reception = receive(self.sign_in, visit)
        if reception is not None and reception.identity is not None:
            self._arrivals.note(reception.identity)
        return reception

    def remove_user(self, user_id: str, actor: str) -> None:
        """End all credentials of a user, and delete all instances with their data and secrets, for good.

        Raises ``OperationInProgress`` when that has to be asked for again, because something else is going on with an
        instance, and ``DatabaseUnavailable``.
        """
        remove_user(user_id, actor, self.instances, self.credentials, self.publish, self.clock)

    def security_schemes(self) -> Mapping[str, Mapping[str, str]]:
        """Return how callers show who they are, as OpenAPI says it, by the name of the provider."""
        return {provider.name: getattr(provider, "security_scheme", BEARER) for provider in self._providers}

    def routes(self) -> list[OfferedRoute]:
        """Return the HTTP resources of plugins, and whose they are."""
        return self.host.routes(self)

    def engine_info(self) -> EngineInfo:
        """Return what the engine says about itself; raises an ``EngineError``."""
        return self._runtime.ping()

    def health(self) -> bool:
        """Say within about a second whether the engine answers; the answer may be a few seconds old."""
        return self.engine_health.connected()

    def engine_is_cut_off(self) -> bool:
        """Say whether this process lets no call through to the engine, because it did not answer the last time."""
        return self._runtime.is_open

    def census(self) -> Census:
        """Count all instances by status; raises ``DatabaseUnavailable``."""
        return take_census(self.database, self._instance)

    def engine_silent_since(self) -> datetime | None:
        """Return since when the engine has not answered, as far as this process knows; ``None`` when it answers."""
        seconds = self.engine_health.silent_for()
        return None if seconds is None else self.clock() - timedelta(seconds=seconds)

    def sync_now(self, actor: str) -> list[Change]:
        """Compare everything for somebody who waits for it; see ``Reconciler.sync``.

        Raises ``RateLimited`` while two others wait. With bots that hang it may take minutes, and each who waits holds
        a thread that others need for reading.
        """
        if not self._asked_syncs.acquire(blocking=False):
            if self.engine_health.turns_out_silent():
                raise RuntimeUnavailable(self.engine_health.complaint)
            raise RateLimited(SYNCS_GO_ON, SYNCED_LATER)
        changes = in_background(lambda: self.reconciler.sync(actor))
        changes.add_done_callback(lambda _: self._asked_syncs.release())
        self._patience.wait_long(changes)
        return changes.result()

    def has_image(self) -> bool:
        """Say whether the image of the default blueprint is on the host; raises an ``EngineError``."""
        return self._runtime.has_image(self.catalog.blueprint_members[self.config[BLUEPRINT]].images)

    def start_background(self) -> None:
        """Begin what a serving process does by itself; call it once, after a fork and never before."""
        self.audit.forget_old()
        self.host.startup(self)
        self._watch.start(self.config[SYNC_SECONDS])

    def close(self) -> None:
        """End background work at its next pause and give back connections."""
        self._watch.close()
        self._lifecycle.close()
        self._claims.close()
        self._runtime.close()
        self.database.close()
