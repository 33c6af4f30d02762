"""No secret is seen anywhere: not in a repr, a log record, an exception, an event, an answer, or the database."""

import json
import logging
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clawdeploy.core.contracts import (
    Blueprint,
    Bot,
    ContainerSpec,
    Limits,
    Observation,
    Probe,
    Secret,
    SecretFile,
    SeededFile,
)
from clawdeploy.core.errors import ClawDeployError, RuntimeFailure
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.key_file import KEY_FILE
from clawdeploy.core.testing import BrokenRuntime
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from tests.core.surroundings import OWNER, Surroundings, made
from tests.platforms import GOOD

API_KEY = "sk-verysecretapikey0123456789"
BOT_TOKEN = "123456789:AAHverysecretbottokenverysecretbottoken"
NEW_KEY = "sk-anotherverysecretkey9876543210"
SECRETS = (API_KEY, BOT_TOKEN, NEW_KEY)


class Telling:
    """A blueprint that puts secrets into everything a container can have, as one of a real bot would."""

    name = "telling"
    label = "Telling"
    description = "It passes every secret on."
    images: tuple[str, ...] = ("bot:1",)
    probe = Probe()
    stop_timeout = 1.0

    def container(self, bot: Bot) -> ContainerSpec:
        key = bot.secrets.get("apiKey", Secret("none"))
        return ContainerSpec(
            self.images,
            80,
            Limits(2**20, 0.5, 10),
            secret_files=tuple(SecretFile(f"/run/{name}", value) for name, value in bot.secrets.items()),
            seeded_files=(SeededFile("/srv/.env", f"KEY={key.reveal()}".encode()),),
        )

    @hookimpl
    def register_blueprints(self) -> Iterable[Blueprint]:
        return [self]


class Blabbing(WrappedRuntime):
    """Raises, against its contract, errors that hold all it was told."""

    def __init__(self, inner: MemoryRuntime, call: str) -> None:
        super().__init__(inner)
        self.call = call

    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        if self.call == "create":
            raise ValueError([file.content.reveal() for file in spec.secret_files])
        return super().create(instance_id, host_port, spec)

    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        if self.call == "start":
            raise OSError(f"cannot write {[file.content.reveal() for file in spec.secret_files]}")
        super().start(container_id, instance_id, spec)

    def probe(self, observation: Observation, probe: Probe) -> bool:
        if self.call == "probe":
            raise KeyError(API_KEY)
        return super().probe(observation, probe)


@pytest.fixture
def everything_said(caplog: pytest.LogCaptureFixture, surroundings: Surroundings) -> Iterator[Callable[[], str]]:
    """Collect all that is logged (with tracebacks) and told to observers."""
    caplog.set_level(logging.DEBUG)
    yield lambda: caplog.text + repr(surroundings.witness.events) + repr(caplog.records)
    for record in caplog.records:
        assert not any(secret in repr(vars(record)) for secret in SECRETS), record


def assert_hidden(*places: object) -> None:
    for place in places:
        for secret in SECRETS:
            for text in (secret, secret[-20:]):
                assert text not in str(place)
                assert text not in repr(place)


def stored(surroundings: Surroundings) -> bytes:
    """Return every byte that the database keeps."""
    surroundings.looking().close()
    if surroundings.url.startswith("sqlite"):
        path = Path(surroundings.url.removeprefix("sqlite:///"))
        files = [path, *path.parent.glob(f"{path.name}-*")]
        return b"".join(file.read_bytes() for file in files)
    database = surroundings.looking().peewee
    with surroundings.looking().reading():
        rows = [database.execute_sql(f'SELECT t::text FROM "{name}" t').fetchall() for name in database.get_tables()]
    return json.dumps(rows).encode()


@pytest.mark.usefixtures("everything_said")
def test_secrets_are_stored_as_ciphertext_only(surroundings: Surroundings) -> None:
    platform = surroundings.open(plugins={"telling": Telling()})
    instance_id = made(platform, blueprint="telling", apiKey=API_KEY, botToken=BOT_TOKEN)
    platform.instances.patch(OWNER, instance_id, {"apiKey": NEW_KEY})
    session, _ = platform.credentials.issue("session", OWNER)
    token, _ = platform.credentials.issue("api_token", OWNER, prefix="cd_")
    assert platform.credentials.find("api_token", token.reveal())
    kept = stored(surroundings)
    assert instance_id.encode() in kept, "the search must be able to find something"
    values = [*SECRETS, session.reveal(), token.reveal(), token.reveal()[3:]]
    values += (surroundings.folder / KEY_FILE).read_text().split()
    for value in values:
        assert value.encode() not in kept
    assert surroundings.memory.file(instance_id, "/run/apiKey") == NEW_KEY.encode(), "the bot itself must get it"


@pytest.mark.usefixtures("everything_said")
def test_a_removed_secret_leaves_no_ciphertext_row(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform, apiKey=API_KEY)
    platform.instances.patch(OWNER, instance_id, {"apiKey": None})
    assert surroundings.count("secret") == 0


def test_nothing_tells_them(surroundings: Surroundings, everything_said: Callable[[], str]) -> None:
    platform = surroundings.open(plugins={"telling": Telling()}, SYNC_SECRET=NEW_KEY)
    body = {**GOOD, "blueprint": "telling", "apiKey": API_KEY, "botToken": BOT_TOKEN}
    instance = platform.instances.create(OWNER, body)
    answers: list[object] = [instance, platform.instances.dump(instance)]
    for change in ({"apiKey": NEW_KEY}, {"status": "stopped"}, {"status": "running", "botToken": BOT_TOKEN}):
        changed = platform.instances.patch(OWNER, instance.id, change)
        answers += [changed, platform.instances.dump(changed)]
    answers += [platform.instances.list(OWNER), platform.instances.logs(OWNER, instance.id, 100)]
    surroundings.memory.crash(instance.id)
    answers.append(platform.reconciler.sync())
    platform.instances.delete(OWNER, instance.id)
    assert_hidden(*answers, platform.config, platform.host.report(), platform.database_label, everything_said())


@pytest.mark.parametrize("call", ["create", "start", "probe"])
def test_a_runtime_that_blabs_is_not_repeated(
    surroundings: Surroundings, everything_said: Callable[[], str], call: str
) -> None:
    platform = surroundings.open(Blabbing(surroundings.memory, call), plugins={"telling": Telling()})
    body = {**GOOD, "blueprint": "telling", "apiKey": API_KEY, "botToken": BOT_TOKEN}
    instance = platform.instances.create(OWNER, body)
    assert (instance.status, instance.reason) == ("error", "runtime_failure")
    assert "The runtime failed in a way that it should not" in everything_said()
    assert_hidden(instance, platform.instances.dump(instance), everything_said())


def test_an_exception_that_escapes_shows_none(surroundings: Surroundings, everything_said: Callable[[], str]) -> None:
    error = RuntimeFailure("No.")
    platform = surroundings.open(BrokenRuntime(surroundings.memory, error=error, calls=("stop",)))
    instance_id = made(platform, apiKey=API_KEY, botToken=BOT_TOKEN)
    attempts: list[Callable[[], Any]] = [
        lambda: platform.instances.stop(OWNER, instance_id),
        lambda: platform.instances.create(OWNER, {**GOOD, "apiKey": API_KEY + " x", "botToken": BOT_TOKEN + "\n!"}),
        lambda: platform.instances.create(OWNER, {**GOOD, "name": "", "apiKey": API_KEY, "botToken": API_KEY}),
        lambda: platform.instances.patch(OWNER, instance_id, {"apiKey": [API_KEY], "botToken": {BOT_TOKEN: 1}}),
        lambda: platform.instances.patch(OWNER, instance_id, {"credentials": {"botToken": [BOT_TOKEN], "x": API_KEY}}),
        lambda: platform.instances.patch(OWNER, instance_id, {"status": API_KEY, "config": API_KEY}),
    ]
    for attempt in attempts:
        with pytest.raises(ClawDeployError) as caught:
            attempt()
        shown = "".join(traceback.format_exception(caught.value))
        # The lines of this very file are in a traceback, the values are not.
        assert_hidden(caught.value, caught.value.detail, getattr(caught.value, "errors", ""), shown)
    assert_hidden(everything_said())


def test_a_damaged_ciphertext_is_not_shown(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform, apiKey=API_KEY)
    platform.instances.stop(OWNER, instance_id)
    secret = surroundings.rows.secret
    with surroundings.looking().transaction():
        secret.update(ciphertext="c1phertext").execute()
    instance = platform.instances.start(OWNER, instance_id)
    assert instance.status == "error"
    assert "c1phertext" not in repr(instance) + repr(surroundings.witness.events)


def test_a_malformed_setting_of_a_secret_is_not_shown(
    surroundings: Surroundings, everything_said: Callable[[], str]
) -> None:
    settings: list[Mapping[str, Any]] = [{"SECRET_KEYS": API_KEY}, {"DATABASE_URL_": API_KEY}]
    for values in settings:
        with pytest.raises(ClawDeployError) as caught:
            surroundings.open(**values)
        assert_hidden(caught.value, everything_said())
