"""Who is deleted at Clerk is removed here: bots, secrets, API tokens. Events are signed as Svix signs them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import falcon
import pytest
from webtest import TestApp, TestResponse

from clawdeploy.core.contracts import Instance as Bot
from clawdeploy.core.contracts import Secret
from clawdeploy.core.errors import InvalidCredentials
from clawdeploy.core.events import CredentialRevoked
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import eventually
from clawdeploy.plugins.clerk.webhook import Webhook
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from clawdeploy.web.app import create_app
from tests.platforms import GOOD, memory_platform
from tests.plugins.clerk.frontend_api import Instance, public_pem
from tests.plugins.surroundings import Listener

KEY = b"0123456789abcdef"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
CLERK = Instance()
ENVIRONMENT = {
    "CLERK_PUBLISHABLE_KEY": CLERK.publishable_key,
    "CLERK_AUTHORIZED_PARTIES": CLERK.origin,
    "CLERK_JWT_KEY": public_pem(CLERK.key),
    "CLERK_WEBHOOK_SIGNING_SECRET": SECRET,
}
ANN = {"type": "user.deleted", "data": {"id": "user_ann", "object": "user", "deleted": True}}


class Place:
    """A server with the webhook; two people have a bot each, and an API token."""

    def __init__(self, folder: Path) -> None:
        self.memory = MemoryRuntime()
        self.listener = Listener()
        self.platform: Platform = memory_platform(
            folder,
            runtime=lambda _: self.memory,
            plugins={"listener": self.listener},
            environment=ENVIRONMENT,
            SIGN_IN_LIMIT="0",
        )
        self.app = TestApp(create_app(self.platform))
        self.bots: dict[str, Bot] = {}
        for user in ("user_ann", "user_bob"):
            self.bots[user] = self.platform.instances.create(user, {**GOOD, "apiKey": "sk-secret"})
            self.platform.credentials.issue("api_token", user, prefix="cd_")

    def send(self, event: object = ANN, **changes: Any) -> TestResponse:
        body = changes.pop("body", json.dumps(event).encode())
        headers = signed(body, **changes)
        return self.app.post("/api/clerk/webhook", body, headers=headers, status="*")

    def has(self, user: str) -> tuple[int, int]:
        """Return how many bots and tokens somebody has."""
        tokens = self.platform.credentials.list("api_token", user)
        return len(self.platform.instances.list(user).instances), len(tokens)


def signature(body: bytes, identifier: str, moment: str, key: bytes = KEY) -> str:
    signed = f"{identifier}.{moment}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def signed(body: bytes, *, age: int = 0, key: bytes = KEY, **headers: str | None) -> dict[str, str]:
    identifier, moment = "msg_1", str(int(time.time()) - age)
    usual = {
        "svix-id": identifier,
        "svix-timestamp": moment,
        "svix-signature": signature(body, identifier, moment, key),
    }
    sent = {**usual, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {name: value for name, value in sent.items() if value is not None}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.platform.close()


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for all that is refused, and so changes nothing."""
    place = Place(tmp_path_factory.mktemp("untouched"))
    yield place
    assert (place.has("user_ann"), place.has("user_bob")) == ((1, 1), (1, 1))
    place.platform.close()


def test_a_deleted_users_bots_secrets_and_tokens_are_removed(place: Place) -> None:
    assert (place.has("user_ann"), place.has("user_bob")) == ((1, 1), (1, 1))
    assert place.send().status_int == 204
    assert place.has("user_ann") == (0, 0)
    assert eventually(lambda: set(place.memory.observe_all()) == {place.bots["user_bob"].id}, within=10)
    assert place.has("user_bob") == (1, 1)
    revoked = [event for event in place.listener.events if isinstance(event, CredentialRevoked)]
    assert [(event.actor, event.user_id, event.kind) for event in revoked] == [("clerk", "user_ann", "api_token")]
    noted = {(entry.who, entry.what) for entry in place.platform.audit.newest(100, user_id="user_ann")}
    assert {("clerk", "user.removed"), ("clerk", "api_token.ended")} <= noted


def test_who_was_deleted_makes_nothing_new_with_a_session_token_that_is_still_good(place: Place) -> None:
    bearer = {"Authorization": f"Bearer {CLERK.token(sub='user_ann')}"}
    assert place.app.get("/api/instances", headers=bearer).json["instances"]
    assert place.send().status_int == 204
    assert place.app.get("/api/instances", headers=bearer).json["instances"] == []
    refused = place.app.post_json("/api/instances", GOOD, headers=bearer, status=401)
    assert refused.json["code"] == "not_signed_in"
    assert place.has("user_ann") == (0, 0)


def test_it_can_be_told_again(place: Place) -> None:
    assert [place.send().status_int for _ in range(3)] == [204] * 3
    assert place.send({"type": "user.deleted", "data": {"id": "user_nobody"}}).status_int == 204


@pytest.mark.parametrize("kind", ["user.created", "user.updated", "session.removed", "", None])
def test_other_events_change_nothing(untouched: Place, kind: Any) -> None:
    assert untouched.send({**ANN, "type": kind}).status_int == 204
    assert untouched.has("user_ann") == (1, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"key": b"another secret!!"},
        {"age": 301},
        {"age": -302},
        {"svix_id": None},
        {"svix_id": "msg_2"},
        {"svix_timestamp": None},
        {"svix_timestamp": "soon"},
        {"svix_timestamp": "9" * 400},
        {"svix_timestamp": str(int(time.time()) - 1)},
        {"svix_signature": None},
        {"svix_signature": ""},
        {"svix_signature": "v1,"},
        {"svix_signature": "v1"},
        {"svix_signature": "v1,é"},
        {"svix_signature": "v2,MDEyMzQ1Njc4OWFiY2RlZg=="},
    ],
    # Not the values: one is the present time, and each test process would call the test something else.
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_not_signed_is_refused(untouched: Place, changes: dict[str, Any]) -> None:
    answer = untouched.send(**changes)
    assert (answer.status_int, answer.json["code"]) == (401, "invalid_credentials")
    assert untouched.has("user_ann") == (1, 1)


def test_the_signature_is_that_of_this_body(untouched: Place) -> None:
    body = json.dumps(ANN).encode()
    answer = untouched.app.post("/api/clerk/webhook", body.replace(b"ann", b"bob"), headers=signed(body), status="*")
    assert answer.status_int == 401
    assert untouched.has("user_bob") == (1, 1)


def test_a_signature_of_another_kind_is_none(untouched: Place) -> None:
    body, moment = json.dumps(ANN).encode(), str(int(time.time()))
    other = signature(body, "msg_1", moment).replace("v1,", "v2,")
    assert untouched.send(svix_signature=other, svix_timestamp=moment).status_int == 401


def test_a_signature_may_come_with_those_of_older_secrets(place: Place) -> None:
    body = json.dumps(ANN).encode()
    moment = str(int(time.time()))
    several = " ".join([signature(body, "msg_1", moment, b"older"), "v1a,x", signature(body, "msg_1", moment)])
    assert place.send(svix_signature=several, svix_timestamp=moment).status_int == 204
    assert place.has("user_ann") == (0, 0)


@pytest.mark.parametrize("age", [-298, 298])
def test_clocks_may_differ_by_five_minutes(place: Place, age: int) -> None:
    assert place.send(age=age).status_int == 204


def raised_again(req: falcon.Request, resp: falcon.Response, error: Exception, params: Any) -> None:
    raise error


@pytest.mark.parametrize(("age", "good"), [(300, True), (301, False), (-300, True), (-301, False)])
def test_they_are_five_minutes_in_whole_seconds(untouched: Place, age: int, good: bool) -> None:
    app = falcon.App()
    app.add_error_handler(InvalidCredentials, raised_again)
    app.add_route("/", Webhook(untouched.platform, Secret(SECRET), lambda: 1_800_000_000.9))
    body, moment = b"{}", str(1_800_000_000 - age)
    headers = signed(body, svix_timestamp=moment, svix_signature=signature(body, "msg_1", moment))
    with nullcontext() if good else pytest.raises(InvalidCredentials):
        TestApp(app).post("/", body, headers=headers, status=204)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 5000,
        b'{"type": "user.deleted"}',
        b'{"type": "user.deleted", "data": []}',
        b'{"type": "user.deleted", "data": {"id": 7}}',
        b'{"type": "user.deleted", "data": {"id": "me"}}',
        b'{"type": "user.deleted", "data": {"id": ""}}',
    ],
)
def test_what_clerk_does_not_send_is_refused(untouched: Place, body: bytes) -> None:
    assert untouched.send(body=body).status_int == 400
    assert (untouched.has("user_ann"), untouched.has("user_bob")) == ((1, 1), (1, 1))


def test_an_event_has_a_size(untouched: Place) -> None:
    assert untouched.send(body=b" " * 70_000).status_int == 413


def test_without_a_secret_there_is_no_such_address(tmp_path: Path) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if "WEBHOOK" not in name}
    platform = memory_platform(tmp_path, environment=environment)
    body = json.dumps(ANN).encode()
    TestApp(create_app(platform)).post("/api/clerk/webhook", body, headers=signed(body), status=404)
    platform.close()


def test_the_secret_is_shown_nowhere(untouched: Place) -> None:
    assert SECRET not in repr(untouched.platform.config)
    assert SECRET not in untouched.send(key=b"another secret!!").text
