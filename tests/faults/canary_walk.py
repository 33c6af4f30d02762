"""A walk over all routes, operations, commands and forced failures of a real server, with a new secret in every field.

:mod:`tests.faults.canary_sinks` gathers what comes of it.
"""

import base64
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from clawdeploy.core.testing import eventually
from tests.faults.leaks import written
from tests.faults.proxy import Fault
from tests.faults.watched_server import WatchedServer
from tests.web.isolation import Served as Route


class Walk(WatchedServer):
    """The steps, each of which can be taken once."""

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
            secrets = {
                "botToken": sow.telegram(f"botToken of {blueprint}"),
                "apiKey": sow.key(f"apiKey of {blueprint}"),
            }
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
        assert (
            self.call("GET", "/api/instances", who="nobody", headers={"Authorization": f"Bearer {token}"}).status == 200
        )

    def nonsense(self) -> None:
        """Send what cannot be taken, with secrets in it."""
        sow, bot = self.canaries, f"/api/instances/{self.bot}"
        whole = {"name": "x", "model": "gpt-5.2", "channel": "telegram"}
        shapes: dict[str, Callable[[str], Any]] = {
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
        bodies: dict[str, Callable[[str], str]] = {
            "JSON that ends": lambda one: f'{{"apiKey": {json.dumps(one)}',
            "JSON without quotes": lambda one: f'{{"apiKey": {one}}}',
            "JSON that comes twice": lambda one: f'{{"apiKey": {json.dumps(one)}, "apiKey": {json.dumps(one)}}}',
            "JSON that is a text": json.dumps,
            "JSON that is too deep": lambda one: f'{{"config": {"[" * 30}{json.dumps(one)}{"]" * 30}}}',
            "a body that is too large": lambda one: json.dumps({"apiKey": one, "config": {"a": "x" * 70_000}}),
        }
        for what, raw in bodies.items():
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
                form = {
                    "field": "botToken",
                    "value": f"{sown('form')} x",
                    "key": sown("key"),
                    "password": sown("field"),
                }
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
        for call in (
            b"POST /[^ ]*containers/create",
            b"POST /[^ ]*/start",
            b"GET /[^ ]*images/",
            b"POST /[^ ]*networks",
        ):
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
            # mypy infers no type for a lambda with a default, which holds on to the value of this turn.
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
            # mypy infers no type for a lambda with a default, which holds on to the value of this turn.
            assert eventually(lambda one=one: self.call("DELETE", f"/api/instances/{one['id']}").status == 200, 30)  # type: ignore[misc]
