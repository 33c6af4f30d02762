"""A walk over all routes, operations, commands and forced failures of a real server, with a new secret in every field.

What each step was answered is kept; :mod:`tests.faults.canary_sinks` gathers everything else.
"""

import base64
import http.client
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import docker

from clawdeploy.core.testing import eventually
from tests.faults.canaries import Canaries
from tests.faults.indiscreet_server import ABSENT, INDISCREET
from tests.faults.leaks import written
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.scene import ENGINE
from tests.platforms import memory_platform
from tests.web.isolation import Served as Route
from tests.web.serving import HOST, Answer, Served

PORTS = "29000-29499"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAGE = {"Accept": "text/html,*/*;q=0.8"}


class Walk:
    """One server with two workers on the machine's engine, behind a proxy; ``database_url`` empty is SQLite."""

    def __init__(self, folder: Path, canaries: Canaries, database_url: str = "") -> None:
        self.folder = folder
        self.canaries = canaries
        self.answers: list[tuple[str, bytes]] = []
        self.said: list[tuple[str, bytes]] = []
        """What commands printed."""
        self._sockets = tempfile.TemporaryDirectory(prefix="canary-")
        self.proxy = FaultProxy(f"{self._sockets.name}/s", ENGINE)
        self.sync_secret = canaries.plain("CLAWDEPLOY_SYNC_SECRET")
        self.metrics_secret = canaries.plain("CLAWDEPLOY_METRICS_SECRET")
        keys = [canaries.encryption_key("CLAWDEPLOY_SECRET_KEYS") for _ in range(2)]
        self._database: dict[str, Any] = {"SECRET_KEYS": ",".join(keys)}
        if database_url:
            self._database["DATABASE_URL"] = database_url
        self._log_in_to_a_registry()
        self.served = Served(
            folder, INDISCREET, RUNTIME="docker", DOCKER_HOST=f"unix://{self.proxy.address}", PORT_RANGE=PORTS,
            WORKERS="2", SYNC_SECONDS="2", BLUEPRINT="teller", SYNC_SECRET=self.sync_secret,
            METRICS_SECRET=self.metrics_secret, SIGN_IN_LIMIT="0", **self._database,
        )  # fmt: skip
        canaries.issued[self.served.bearer.removeprefix("Bearer ")] = "a program"
        self._cookie = self._signed_in()
        self.engine = docker.APIClient(f"unix://{ENGINE}", version="1.41", timeout=60)

    def close(self) -> None:
        """Let the server end and close what is open; containers are for whoever made the walk to remove."""
        self.proxy.mend()
        self.served.close()
        self.proxy.close()
        self.engine.close()
        self._sockets.cleanup()

    def _log_in_to_a_registry(self) -> None:
        """Do what ``docker login`` does."""
        user = f"user:{self.canaries.plain('password of a registry')}"
        file = self.folder / "home" / ".docker" / "config.json"
        file.parent.mkdir(parents=True)
        auths = {ABSENT.partition("/")[0]: {"auth": base64.b64encode(user.encode()).decode()}}
        file.write_text(json.dumps({"auths": auths}))

    def _signed_in(self) -> str:
        platform = memory_platform(self.folder / "data", **self._database)
        link, _ = platform.credentials.issue("sign_in_link", "ann", lifetime=timedelta(minutes=15))
        platform.close()
        self.canaries.issued[link.reveal()] = "a sign-in link"
        # The one answer that holds the session.
        answer = self.served.answer(f"GET /sign-in/{link.reveal()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        self.canaries.issued[cookie.partition("=")[2]] = "a session"
        self.call("GET", f"/sign-in/{link.reveal()}", who="nobody")
        return cookie

    # -- asking ------------------------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        fields: object = None,
        *,
        form: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        who: str = "program",
        headers: Mapping[str, str] = {},  # noqa: B006 -- it is never changed
        kept: bool = True,
    ) -> Answer:
        """Ask with JSON, a form or bytes, as a ``program``, a ``browser`` or ``nobody``; the answer is looked at."""
        origin = f"http://{HOST}:{self.served.port}"
        credentials = {
            "program": {"Authorization": self.served.bearer},
            "browser": {"Cookie": self._cookie, "Origin": origin, **PAGE} if who == "browser" else {},
        }
        body, kind = raw, {} if raw is None else JSON
        if fields is not None:
            body, kind = json.dumps(fields).encode(), JSON
        elif form is not None:
            body, kind = urlencode(form).encode(), FORM
        connection = http.client.HTTPConnection(HOST, self.served.port, timeout=60)
        try:
            connection.request(method, path, body, {**credentials.get(who, {}), **kind, **headers})
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        if kept:
            where = f"the answer to {method} {path.partition('?')[0]} ({answer.status})"
            self.answers.append((where, repr(answer.headers.items()).encode() + b"\n" + answer.body))
        return answer

    def create(self, where: str, **fields: Any) -> str:
        """Make a bot and return its id, whatever became of it."""
        answer = self.call("POST", "/api/instances", {"name": where, "model": "gpt-5.2", **fields})
        assert answer.status == 201, (where, answer.status, answer.body)
        return str(json.loads(answer.body)["instance"]["id"])

    def shown(self, bot: str) -> dict[str, Any]:
        """Return a bot as the API shows it."""
        shown: dict[str, Any] = json.loads(self.call("GET", f"/api/instances/{bot}").body)["instance"]
        return shown

    def command(self, *arguments: str, **changed: str) -> None:
        """Run a command with the settings of the server, but for those that are changed; keep what it says."""
        done = subprocess.run(
            [*INDISCREET, *arguments], env=self.served._environment | changed, cwd=self.folder, capture_output=True, timeout=60,
            check=False,
        )  # fmt: skip
        self.said.append((f"the output of {arguments[0]} ({done.returncode})", done.stdout + done.stderr))
        assert b"Traceback" not in done.stderr, done.stderr[-2000:]

    # -- the steps ---------------------------------------------------------------------------------------------------

    def bots(self) -> None:
        """Make bots of all channels and blueprints, with an idempotency key and without; most of them fail."""
        sow = self.canaries
        telegram = {"botToken": sow.telegram("create botToken"), "apiKey": sow.key("create apiKey")}
        body = {"name": "first", "model": "gpt-5.2", "channel": "telegram", **telegram}
        once = {"Idempotency-Key": "canary-1"}
        answers = [self.call("POST", "/api/instances", body, headers=once) for _ in range(2)]
        assert [answer.status for answer in answers] == [201, 201], [answer.body for answer in answers]
        self.bot = str(json.loads(answers[0].body)["instance"]["id"])
        other = {**body, "apiKey": sow.key("replay with another secret")}
        assert self.call("POST", "/api/instances", other, headers=once).status == 422
        self.discord = self.create(
            "second", channel="discord", credentials={"botToken": sow.discord("create credentials")}
        )
        assert {self.shown(bot)["status"] for bot in (self.bot, self.discord)} == {"running"}
        for blueprint in ("absent", "raising", "refusing"):
            secrets = {"botToken": sow.telegram(f"botToken of {blueprint}"), "apiKey": sow.key(f"apiKey of {blueprint}")}
            bot = self.create(blueprint, channel="telegram", blueprint=blueprint, **secrets)
            assert self.shown(bot)["status"] == "error", self.shown(bot)
            self.call("POST", f"/dashboard/instances/{bot}/retry", form={}, who="browser")
        words = {"word": sow.key("a plugin's field"), "other": "worse" + sow.key("a plugin that fails")}
        self.create("fifth", channel="repeating", credentials=words)
        bad = {"word": "bad" + sow.key("a plugin that repeats")}
        refused = {"name": "x", "model": "gpt-5.2", "channel": "repeating", "credentials": bad}
        assert self.call("POST", "/api/instances", refused).status == 400
        self.whatsapp = self.create("sixth", channel="whatsapp", apiKey=sow.key("apiKey without a token"))

    def changes(self) -> None:
        """Replace, remove and add secrets, and have the bot read them."""
        sow, bot = self.canaries, f"/api/instances/{self.bot}"
        for fields in (
            {"botToken": sow.telegram("PATCH botToken"), "status": "stopped"},
            {"apiKey": sow.key("PATCH apiKey"), "status": "running"},
            {"credentials": {"botToken": sow.telegram("PATCH credentials")}},
            {"apiKey": None},
            {"apiKey": sow.key("PATCH an added apiKey"), "config": {"a": 1}},
        ):
            assert self.call("PATCH", bot, fields).status == 200
            assert self.call("POST", f"{bot}/restart").status == 200

    def forms(self) -> None:
        """Send the forms of the pages, good and bad."""
        sow = self.canaries
        new = {"name": "by form", "model": "gpt-5.2", "channel": "telegram", "blueprint": "teller", "key": "k" * 24}
        token = "credentials.telegram.botToken"
        good = {token: sow.telegram("form token"), "apiKey": sow.key("form apiKey")}
        bad = {token: f"123:{sow.plain('form bad token')}", "apiKey": f"{sow.key('form bad apiKey')} x"}
        other = {"credentials.discord.botToken": sow.discord("form token of another channel")}
        for path in ("/dashboard/new/check", "/dashboard/new"):
            for fields in ({**new, **bad}, {**new, **good, **other}):
                self.call("POST", path, form=fields, who="browser")
                self.call("POST", path, form=fields, who="browser", headers={"HX-Request": "true"})
        again = {**new, token: sow.telegram("form sent again"), "name": "another"}
        self.call("POST", "/dashboard/new", form=again, who="browser")
        page = f"/dashboard/instances/{self.bot}"
        for field, value in (
            ("botToken", sow.telegram("secrets form botToken")),
            ("botToken", sow.plain("secrets form bad botToken")),
            ("apiKey", sow.key("secrets form apiKey")),
            ("apiKey", f"{sow.key('secrets form bad apiKey')} x"),
            (sow.plain("secrets form, name of the field"), "x"),
        ):
            for extra in ({}, {"HX-Request": "true"}):
                form = {"field": field, "value": value}
                self.call("POST", f"{page}/credentials", form=form, who="browser", headers=extra)
        assert self.call("POST", f"{page}/restart", form={}, who="browser").status < 400
        # The one answer that shows a token.
        made = self.call(
            "POST", "/dashboard/account/api_token", form={"name": "laptop", "lifetime": "7"}, who="browser", kept=False
        )
        (token,) = set(re.findall("cd_[A-Za-z0-9_-]{43}", made.body.decode()))
        self.canaries.issued[token] = "a token of the account page"
        assert self.call("GET", "/api/instances", who="nobody", headers={"Authorization": f"Bearer {token}"}).status == 200

    def nonsense(self) -> None:
        """Send what cannot be taken, with secrets in it."""
        sow, bot = self.canaries, f"/api/instances/{self.bot}"
        whole = {"name": "x", "model": "gpt-5.2", "channel": "telegram"}
        shapes = {
            "in a list": lambda one: [one],
            "in an object": lambda one: {"value": one},
            "as a name": lambda one: {one: 1},
            "with a space": lambda one: f"{one} x",
            "with a line break": lambda one: f"{one}\nx",
            "beyond ASCII": lambda one: f"{one}é",
            "too long": lambda one: one * 200,
            "with NUL": lambda one: f"{one}\0",
            "with half a character": lambda one: f"{one}\ud800",
        }
        for shape, made in shapes.items():
            for field in ("botToken", "apiKey", "credentials", "config", "status", "region"):
                if field in ("credentials", "config") and shape in ("as a name", "in an object"):
                    # The name of a field is repeated in a refusal, and what is in the configuration is no secret.
                    continue
                value = made(sow.key(f"{field} {shape}"))
                for answer in (
                    self.call("PATCH", bot, {field: value}),
                    self.call("POST", "/api/instances", {**whole, "channel": "?", field: value}),
                ):
                    assert answer.status in (200, 400), (field, shape, answer.status, answer.body)
        for what, raw in {
            "JSON that ends": lambda one: f'{{"apiKey": {json.dumps(one)}',
            "JSON without quotes": lambda one: f'{{"apiKey": {one}}}',
            "JSON that comes twice": lambda one: f'{{"apiKey": {json.dumps(one)}, "apiKey": {json.dumps(one)}}}',
            "JSON that is a text": json.dumps,
            "JSON that is too deep": lambda one: f'{{"config": {"[" * 30}{json.dumps(one)}{"]" * 30}}}',
            "a body that is too large": lambda one: json.dumps({"apiKey": one, "config": {"a": "x" * 70_000}}),
        }.items():
            answer = self.call("PATCH", bot, raw=raw(sow.key(what)).encode())
            assert answer.status in (400, 413), (what, answer.status)

    def spray(self, routes: Sequence[Route]) -> None:
        """Send every route, with every method, secrets in headers, cookie, query, JSON and form."""
        for route in routes:
            name = str(route)
            path = route.address(instance_id=self.whatsapp if route.method != "DELETE" else "a" * 16)

            def sown(what: str, name: str = name) -> str:
                return self.canaries.plain(f"{what} of {name}")

            basic = base64.b64encode(f"user:{sown('basic')}".encode()).decode()
            for headers in (
                {"Authorization": f"Bearer {sown('bearer')}"},
                {"Authorization": f"Bearer cd_{sown('token')}", "X-Sync-Secret": sown("sync secret")},
                {"Authorization": f"Basic {basic}", "Cookie": f"clawdeploy_session={sown('cookie')}"},
            ):
                self.call(route.method, path, who="nobody", headers=headers)
            if route.template != "/sign-out":
                query = urlencode({"token": sown("query"), "tail": sown("tail"), "cursor": sown("cursor")})
                for who in ("program", "browser"):
                    self.call(route.method, f"{path}?{query}", who=who)
                body = {"apiKey": f"{sown('json')} x", "botToken": [sown("list")], "password": sown("unknown field")}
                self.call(route.method, path, body)
                form = {"field": "botToken", "value": f"{sown('form')} x", "key": sown("key"), "password": sown("field")}
                self.call(route.method, path, form=form, who="browser")

    def operators(self) -> None:
        """Show the secrets of the settings, right and wrong."""
        for right in (True, False):
            sync = self.sync_secret if right else self.canaries.plain("a wrong sync secret")
            metrics = self.metrics_secret if right else self.canaries.plain("a wrong metrics secret")
            answers = [
                self.call("POST", "/api/admin/sync", who="nobody", headers={"X-Sync-Secret": sync}),
                self.call("GET", "/metrics", who="nobody", headers={"Authorization": f"Bearer {metrics}"}),
            ]
            assert [answer.status for answer in answers] == [200 if right else 401] * 2

    def crash(self) -> None:
        """Have a bot tell its secrets and crash, again and again, and look at what it says in all ways."""
        (mount,) = [
            one for one in self.engine.inspect_container(f"clawdeploy-{self.discord}")["Mounts"]
            if one["Type"] == "volume"
        ]  # fmt: skip
        file = Path(mount["Source"]) / "crash"
        file.touch()
        self.call("POST", f"/api/instances/{self.discord}/restart")
        assert eventually(lambda: self.shown(self.discord)["status"] == "error", 30), self.shown(self.discord)
        for path in ("logs", "logs?tail=3", "activity"):
            assert self.call("GET", f"/api/instances/{self.discord}/{path}").status == 200
        logs = self.call("GET", f"/api/instances/{self.discord}/logs").body
        assert b"crashed with ***" in logs, "it told, and the telling was masked"
        for path in ("", "/logs.txt", "/progress", "?activity=all"):
            self.call("GET", f"/dashboard/instances/{self.discord}{path}", who="browser")
        file.unlink()

    def engine_trouble(self) -> None:
        """Have the engine repeat secrets in its refusals, in all ways to write them; be away; and talk nonsense."""
        sow = self.canaries
        secrets = {"botToken": sow.telegram("repeated by the engine"), "apiKey": sow.key("repeated by the engine, too")}
        repeated = b" ".join(one for value in secrets.values() for one in sorted(written(value)))
        said = json.dumps({"message": f"invalid: {repeated.decode()}"}).encode()
        head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.proxy.error = head % len(said) + said
        fields = {"channel": "telegram", **secrets}
        for call in (b"POST /[^ ]*containers/create", b"POST /[^ ]*/start", b"GET /[^ ]*images/", b"POST /[^ ]*networks"):
            self.proxy.break_(Fault.ERROR, call)
            bot = self.create("refused", **fields)
            self.call("POST", f"/api/instances/{bot}/restart")
            self.look(bot)
            self.proxy.mend()
            self.call("DELETE", f"/api/instances/{bot}")
        for fault in (Fault.REFUSE, Fault.GARBAGE, Fault.DROP):
            self.proxy.break_(fault)
            token = {"botToken": sow.telegram(f"while the engine is under {fault}")}
            bot = self.create("kept", channel="telegram", **token)
            self.call("POST", f"/api/instances/{self.bot}/restart")
            self.call("PATCH", f"/api/instances/{self.bot}", {"apiKey": sow.key(f"changed under {fault}")})
            self.look(bot)
            self.proxy.mend()
            assert eventually(lambda: json.loads(self.call("GET", "/api/health").body)["docker"] == "connected", 30)
            assert eventually(lambda bot=bot: self.shown(bot)["operation"] is None, 40), self.shown(bot)  # type: ignore[misc]
            self.call("DELETE", f"/api/instances/{bot}")

    def look(self, bot: str) -> None:
        """Look at a bot in all ways."""
        for part in ("", "/activity", "/logs"):
            self.call("GET", f"/api/instances/{bot}{part}")
        for page in (f"/dashboard/instances/{bot}?activity=all", "/dashboard"):
            self.call("GET", page, who="browser")

    def commands(self) -> Path:
        """Run all commands that tell something, with a passphrase; returns the backup."""
        passphrase, backup = self.folder / "passphrase", self.folder / "backup"
        passphrase.write_text(self.canaries.plain("the passphrase") + "\n")
        for arguments in (
            ("rotate-keys",),
            ("backup", str(backup), "--passphrase-file", str(passphrase)),
            ("restore", str(backup), "--passphrase-file", str(passphrase)),
            ("doctor",),
            ("plugins", "--json"),
            ("audit", "--json"),
            ("sync", "--json"),
            ("gc",),
            ("token", "list"),
        ):
            self.command(*arguments)
        elsewhere = {"CLAWDEPLOY_DATA_DIR": str(self.folder / "data" / "restored"), "CLAWDEPLOY_DATABASE_URL": ""}
        self.command("restore", str(backup), "--passphrase-file", str(passphrase), **elsewhere)
        wrong = self.folder / "wrong"
        wrong.write_text(self.canaries.plain("a wrong passphrase") + "\n")
        self.command("restore", str(backup), "--passphrase-file", str(wrong), "--replace")
        return backup

    def remove(self) -> None:
        """Delete every bot."""
        for one in json.loads(self.call("GET", "/api/instances?limit=100").body)["instances"]:
            assert eventually(lambda one=one: self.call("DELETE", f"/api/instances/{one['id']}").status == 200, 30)  # type: ignore[misc]
