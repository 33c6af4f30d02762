"""Whatever a plugin, an engine or a library says: no secret that this process knows comes out with it."""

import base64
import io
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

import pytest

from clawdeploy.core import redaction
from clawdeploy.core.activity import ActivityLog, evidence
from clawdeploy.core.alike import SHORTEST
from clawdeploy.core.clock import utc_now
from clawdeploy.core.config import Config
from clawdeploy.core.context import address
from clawdeploy.core.contracts import ContainerSpec, ContainerState, Observation, Secret
from clawdeploy.core.errors import ConfigurationError, InvalidInput, PluginError, RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.events import Event
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.logs import LONGEST_MESSAGE, configure_command_logging, configure_logging
from clawdeploy.core.redaction import BACKSLASH, redacted, remember
from clawdeploy.core.settings import CORE_SETTINGS
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.plugins.telegram import Telegram
from tests.core.surroundings import OWNER, Surroundings, made
from tests.platforms import GOOD

API_KEY = 'sk-Canary+/="quoted"-0123456789'
ODD = "sk-Canary\\'and\"<more>-0123456789"
"""Everything in it that some quotation marks need to be written otherwise for."""
BOT_TOKEN = "123456789:AAHCanaryCanaryCanaryCanaryCanaryCan"
SECRETS = (API_KEY, BOT_TOKEN)


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test begin without what the others know."""
    monkeypatch.setattr(redaction, "_known", type(redaction._known)())
    monkeypatch.setattr(redaction, "_forms", {})


@pytest.fixture(params=["text", "json"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Give all that a server's own log handler writes."""
    written = io.StringIO()
    before, hooks = logging.root.handlers[:], (threading.excepthook, sys.unraisablehook)
    try:
        configure_logging(request.param)
        (handler,) = logging.root.handlers
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(written)
        yield written
    finally:
        logging.captureWarnings(False)
        logging.root.handlers[:] = before
        threading.excepthook, sys.unraisablehook = hooks
        logging.root.setLevel(logging.WARNING)
        logging.getLogger("clawdeploy").setLevel(logging.NOTSET)
        logging.getLogger("gunicorn.error").setLevel(logging.NOTSET)


def assert_hidden(*texts: object) -> None:
    for text in texts:
        for secret in SECRETS:
            for form in (secret, secret[-12:], json.dumps(secret)[1:-1], quote(secret, safe="")):
                assert form not in str(text)
                assert form not in repr(text)


# -- finding them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        str,
        repr,
        json.dumps,
        lambda value: quote(value, safe=""),
        lambda value: value.encode().hex(),
        lambda value: value.encode().hex().upper(),
        lambda value: base64.b64encode(value.encode()).decode(),
        lambda value: base64.b64encode(f"x{value}".encode()).decode()[2:],
        lambda value: base64.b64encode(f"xy{value}yx".encode()).decode()[3:],
        lambda value: base64.urlsafe_b64encode(f"?>{value}".encode()).decode()[3:],
        lambda value: str(value.encode()),
        escape,
        quote,
        lambda value: json.dumps(json.dumps(value)),
        lambda value: json.dumps(repr(value)),
        lambda value: repr(json.dumps(value)),
        lambda value: repr({"said": value, "by": "'"}),
        lambda value: repr(f'{{"key": "{value}"}}')[10:-3],
        lambda value: repr(ValueError(repr(value)))[11:-1],
    ],
)
@pytest.mark.parametrize("secret", [API_KEY, ODD], ids=["plain", "odd"])
def test_a_secret_is_found_however_it_is_written(written: Callable[[str], str], secret: str) -> None:
    text = f"before {written(secret)} after {written(secret)}."
    assert redacted(text) == text
    Secret(secret)
    told = redacted(text)
    assert told.count("***") == 2
    assert written(secret).strip("b'\"")[2:-4] not in told
    assert "0123456789" not in told
    assert "0123456789" not in redaction.masked(text, [secret])
    assert told.startswith("before ")
    assert told.endswith(".")


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("after", ["", "z", "zz"])
def test_a_secret_within_something_that_was_encoded_as_a_whole_is_found(before: str, after: str) -> None:
    """As a header with a user's name and password is, or a whole configuration."""
    remember(API_KEY)
    whole = f"{before}{API_KEY}{after}".encode()
    for encoded in (base64.b64encode(whole), base64.urlsafe_b64encode(whole)):
        told = redacted(encoded.decode())
        assert "***" in told
        assert len(told) <= 3 + 4 + 8, "the rest are bits of its neighbours, and of one of its own characters each"


def test_what_was_quoted_stays_readable_for_programs() -> None:
    value = '"Canary"-\\0123456789\\'
    remember(value)
    whole = json.dumps({"one": value, "two": f"C:{BACKSLASH}{value}{BACKSLASH}{value}.", "three": value * 2})
    for told in (redacted(whole), redaction.masked(whole, [value])):
        assert "0123456789" not in told
        assert set(json.loads(told)) == {"one", "two", "three"}


def test_some_values_alone_are_taken_out_of_a_long_text() -> None:
    remember("Another-secret-1234")
    text = f"{API_KEY} Another-secret-1234 {json.dumps(API_KEY)} {API_KEY.encode().hex()} sk-1\n" * 1000
    began = time.monotonic()
    told = redaction.masked(text, [API_KEY, "sk-1"])
    assert time.monotonic() - began < 1
    assert told == '*** Another-secret-1234 "***" *** sk-1\n' * 1000


@pytest.mark.parametrize("piece", ['"', BACKSLASH, BACKSLASH + '"', "a" + BACKSLASH, ODD, "aaaaaaaa"])
def test_no_log_and_no_secret_keep_the_search_busy(piece: str) -> None:
    """Both are a bot's owner's to choose."""
    text = (piece * 2**20)[: 2**20]
    secrets = [piece * 200 + "x", '"' * 4000 + "x", "a" + BACKSLASH * 4000 + "x", BACKSLASH * 9 + "x", "aaaaaaaa", ODD]
    began = time.monotonic()
    told = redaction.masked(text, secrets)
    assert time.monotonic() - began < 2
    assert ("***" in told) == (piece in (ODD, "aaaaaaaa", "a" + BACKSLASH))


def test_secrets_that_overlap_touch_or_begin_alike_leave_nothing() -> None:
    for value in ("Alpha-1234", "Alpha-1234-and-more", "1234-and-Omega", "More-9876"):
        remember(value)
    assert redacted("(Alpha-1234-and-more)") == "(***)"
    assert redacted("(Alpha-1234-and-Omega)") == "(***)"
    assert redacted("(Alpha-1234More-9876)") == "(***)"
    assert redacted("(Alpha-1234)(More-9876)") == "(***)(***)"
    assert redacted("(Alpha-12-and-Omega)") == "(Alpha-12-and-Omega)"
    assert redacted("") == ""


@pytest.mark.parametrize("end", ["", "…", "...", "')", '…")'])
def test_a_secret_that_was_cut_off_at_the_end_of_a_text_is_found(end: str) -> None:
    remember(API_KEY)
    for length in range(SHORTEST, len(API_KEY)):
        assert API_KEY[:7] not in redacted(f"Docker says: invalid value {API_KEY[:length]}{end}")


def test_whoever_writes_what_many_secrets_begin_with_keeps_nobody_busy() -> None:
    """All keys of one service begin alike, and callers may send that beginning as often as they like."""
    for number in range(2000):
        remember(f"sk-proj-{number:032}")
    text = "sk-proj-" * 2000
    began = time.monotonic()
    assert redacted(text) == text[: -len("sk-proj-")] + "***"
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    "word", ["sk-1", "postgres", "clawdeploy", "12345678", "Abc-123", "botToken", "required.", "Idempotency-Key"]
)
def test_what_stands_in_many_texts_by_chance_stays(word: str) -> None:
    remember(word)
    assert redacted(f"the {word} of it") == f"the {word} of it"


def test_nobody_takes_the_name_of_a_field_out_of_what_others_are_told(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    platform.instances.create("mallory", {**GOOD, "apiKey": "botToken"})
    with pytest.raises(InvalidInput) as refused:
        platform.instances.create(OWNER, {**GOOD, "botToken": "with spaces in it"})
    assert set(refused.value.errors) == {"botToken"}


def test_those_not_used_for_long_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "MOST", 2)
    for value in ("Secret-number-1", "Secret-number-2", "Secret-number-1", "Secret-number-3"):
        remember(value)
    assert redacted("Secret-number-1 Secret-number-2 Secret-number-3") == "*** Secret-number-2 ***"
    assert len(redaction._known) == 2
    for value in ("Others-1234", "Others-5678"):
        remember(value)
    assert sum(map(len, redaction._forms.values())) == sum(map(len, redaction._known.values()))


def test_long_ones_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "MOST_CHARACTERS", 300_000)
    for number in range(50):
        remember(f"{number:010}" + "aB+" * 1300)
    assert 1 <= len(redaction._known) < 10
    assert redaction._known.characters == sum(len(form) for forms in redaction._known.values() for form in forms)
    assert redacted(f"{49:010}" + "aB+" * 1300) == "***"


# -- logs ------------------------------------------------------------------------------------------------------------


class Blabbing:
    """An observer that puts all that it was ever told into its exception, and a chain of others."""

    @hookimpl
    def observe(self, event: Event) -> None:
        try:
            raise KeyError(BOT_TOKEN)
        except KeyError as first:
            raise ValueError(f"cannot send {API_KEY}") from first


def test_tracebacks_of_plugins_show_none(surroundings: Surroundings, log: io.StringIO) -> None:
    made(surroundings.open(plugins={"blabbing": Blabbing()}), apiKey=API_KEY, botToken=BOT_TOKEN)
    told = log.getvalue()
    assert "ValueError: cannot send ***" in told
    assert "KeyError: '***'" in told
    assert_hidden(told)


def test_arguments_of_log_entries_and_other_loggers_show_none(log: io.StringIO) -> None:
    Secret(API_KEY)
    logging.getLogger("some.library").warning("posting %s with %r", API_KEY, {"key": API_KEY})
    logging.getLogger("gunicorn.error").error("Bad request: %s", quote(API_KEY, safe=""))
    assert log.getvalue().count("***") == 3
    assert_hidden(log.getvalue())


def test_what_quotes_a_secret_shows_none(log: io.StringIO) -> None:
    """Neither text nor JSON, which quotes it once more."""
    Secret(ODD)
    for said in (ODD, repr(ODD), json.dumps(ODD), repr(json.dumps(ODD)), repr(ValueError(repr(ODD)))):
        logging.getLogger("some.library").warning("posting %s to %r", said, {"key": ODD, "quoted": said})
    try:
        raise ValueError({"key": ODD})
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
    assert "***" in log.getvalue()
    for piece in ("sk-Canary", "and\\", "<more>", "0123456789"):
        assert piece not in log.getvalue()


@pytest.mark.parametrize("before", [LONGEST_MESSAGE - 9, LONGEST_MESSAGE - 20, 2 * LONGEST_MESSAGE - 20])
def test_where_a_long_entry_is_cut_there_is_no_piece_of_one(log: io.StringIO, before: int) -> None:
    Secret(ODD)
    long = "x" * before + ODD + "y" * LONGEST_MESSAGE
    try:
        raise ValueError(long)
    except ValueError:
        logging.getLogger("some.library").exception("posting %s", long)
    assert "sk-Canary" not in log.getvalue()


@pytest.mark.parametrize(
    "value", ['"message":', '"level":', "127.0.0.1", "2026-11-2", "some.library", "requestId", "WARNING:"]
)
def test_nobody_blacks_out_what_is_ours_in_every_line(log: io.StringIO, value: str) -> None:
    """By calling it a secret of theirs: when it was, who it was and from where."""
    logger = logging.getLogger("some.library")
    record = logger.makeRecord(logger.name, logging.WARNING, __file__, 1, "posting it", (), None)
    before = address.set("127.0.0.1")
    try:
        logger.handle(record)
        line = log.getvalue()
        Secret(value)
        logger.handle(record)
    finally:
        address.reset(before)
    assert log.getvalue() == 2 * line


def test_a_thread_that_ends_unexpectedly_tells_the_log_and_shows_none(
    log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        raise ValueError(Secret(API_KEY).reveal())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "A thread has ended by an unexpected error" in log.getvalue()
    assert "ValueError: ***" in log.getvalue()
    assert capsys.readouterr().err == ""
    assert_hidden(log.getvalue())


def test_warnings_of_commands_show_none(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.root.handlers[:]
    logging.root.handlers[:] = []
    try:
        configure_command_logging("text")
        logging.getLogger("some.library").warning("posting %s", Secret(API_KEY).reveal())
    finally:
        logging.root.handlers[:] = before
    assert capsys.readouterr().err == "WARNING: posting ***\n"


# -- errors, answers and what has happened ---------------------------------------------------------------------------


class Echoing(WrappedRuntime):
    """An engine that repeats in its error what it was sent, as Docker may with a configuration."""

    kind: type[RuntimeFailure] | type[RuntimeUnavailable] = RuntimeFailure

    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        raise self.kind(f"Docker says: invalid value {json.dumps({'Env': list(SECRETS)})}")


@pytest.mark.parametrize("kind", [RuntimeFailure, RuntimeUnavailable])
def test_what_an_engine_repeats_is_not_told(
    surroundings: Surroundings, log: io.StringIO, kind: type[RuntimeFailure]
) -> None:
    runtime = Echoing(surroundings.memory)
    runtime.kind = kind
    platform = surroundings.open(runtime)
    instance = platform.instances.create(OWNER, {**GOOD, "apiKey": API_KEY, "botToken": BOT_TOKEN})
    assert instance.status == "error"
    assert "***" in instance.detail
    with surroundings.looking().reading():
        rows = [*surroundings.rows.instance.select().dicts(), *surroundings.rows.activity.select().dicts()]
    happened = platform.instances.activity(OWNER, instance.id, 100)
    assert_hidden(instance, platform.instances.dump(instance), rows, happened, surroundings.witness.events)
    assert_hidden(log.getvalue())


def test_what_an_engine_says_of_a_container_is_not_told(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform, apiKey=API_KEY, botToken=BOT_TOKEN)
    said = evidence(Observation(ContainerState.EXITED, engine_error=f"mount failed: {API_KEY}"))
    with platform.database.transaction():
        ActivityLog(platform.database.tables.activity).state(
            instance_id, utc_now(), "sync", "error", detail=f"Docker says: {BOT_TOKEN}", evidence=said
        )
    happened = platform.instances.activity(OWNER, instance_id, 100)
    assert "mount failed: ***" in repr(happened)
    with surroundings.looking().reading():
        assert_hidden(list(surroundings.rows.activity.select().dicts()))
    assert_hidden(happened)


class Repeating(Telegram):
    """A channel that repeats what it refuses."""

    name = "repeating"

    def check(self, credentials: Mapping[str, str]) -> Mapping[str, str]:
        return {field: f"{value!r} is not good enough." for field, value in credentials.items()}

    @hookimpl
    def register_channels(self) -> list[Any]:
        return [self]


def test_what_a_channel_repeats_is_not_told(surroundings: Surroundings) -> None:
    platform = surroundings.open(plugins={"repeating": Repeating()})
    with pytest.raises(InvalidInput) as refused:
        platform.instances.create(OWNER, {**GOOD, "channel": "repeating", "botToken": BOT_TOKEN})
    assert refused.value.errors == {"botToken": ["'***' is not good enough."]}


def test_nothing_that_is_refused_is_noted(surroundings: Surroundings) -> None:
    """Or one request would have a process forget all secrets that it knows, or fill its memory."""
    platform = surroundings.open()
    many = {f"field{number}": f"Not-a-secret-{number}" for number in range(100)}
    for body in ({"credentials": many}, {"credentials": {"botToken": "x1" * 5000}}, {"apiKey": "x1" * 5000}):
        with pytest.raises(InvalidInput):
            platform.instances.create(OWNER, {**GOOD, **body})
    assert not any(value.startswith(("Not-a-secret", "x1")) for value in redaction._known)


class Failing:
    """A plugin that fails with a password in its words."""

    @hookimpl
    def register_channels(self) -> list[Any]:
        raise ValueError(f"cannot connect with {API_KEY}")


def test_what_a_plugin_fails_with_is_not_reported(surroundings: Surroundings, log: io.StringIO) -> None:
    platform = surroundings.open(plugins={"failing": Failing()}, SYNC_SECRET=API_KEY)
    (report,) = [each for each in platform.host.report() if each.error]
    assert report.error == "ValueError: cannot connect with ***"
    assert "ValueError: cannot connect with ***" in log.getvalue()
    assert_hidden(log.getvalue())
    with pytest.raises(PluginError, match=r"cannot connect with \*\*\*"):
        surroundings.open(plugins={"failing": Failing()}, SYNC_SECRET=API_KEY, STRICT_PLUGINS="yes")


def test_secrets_of_the_settings_are_known() -> None:
    password = "p@ss/w0rd-Canary"
    values = {
        "CLAWDEPLOY_DATABASE_URL": f"postgresql://bots:{quote(password, safe='')}@127.0.0.1/bots",
        "CLAWDEPLOY_SECRET_KEYS": "Key-number-1,Key-number-2",
        "CLAWDEPLOY_SYNC_SECRET": "Sync-secret-1",
        "CLAWDEPLOY_METRICS_SECRET": "Tr-ub_adour",
        "CLAWDEPLOY_PUBLIC_ORIGIN": "https://Bots1.example.org",
    }
    Config(CORE_SETTINGS, values)
    told = redacted(f"{values} {password} Key-number-2")
    for secret in (password, quote(password, safe=""), "Key-number-1", "Key-number-2", "Sync-secret-1", "Tr-ub_adour"):
        assert secret not in told
    assert "https://Bots1.example.org" in told


def test_a_setting_that_cannot_be_used_is_known_all_the_same() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Config(CORE_SETTINGS, {"CLAWDEPLOY_DATABASE_URL": "mysql://bots:Canary-password-1@127.0.0.1/bots"})
    assert "Canary-password-1" not in refused.value.detail
    assert redacted("Canary-password-1") == "***"


def test_a_credential_that_was_shown_is_known(surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = surroundings.open().credentials
    value = credentials.issue("session", OWNER)[0].reveal()
    monkeypatch.setattr(redaction, "_known", type(redaction._known)())
    monkeypatch.setattr(redaction, "_forms", {})
    assert credentials.find("session", "Never-issued-1234") is None
    assert redacted("Never-issued-1234") == "Never-issued-1234", "or anybody could fill the memory with nothing"
    assert credentials.find("session", value)
    assert redacted(f"Cookie: {value}") == "Cookie: ***"
