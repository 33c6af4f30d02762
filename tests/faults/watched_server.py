"""A real server whose every answer is kept, to be looked through for secrets."""

import base64
import http.client
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import docker

from tests.browser.sites import remove_all
from tests.faults.canaries import Canaries
from tests.faults.facts import Machine
from tests.faults.indiscreet_server import ABSENT, INDISCREET
from tests.faults.proxy import FaultProxy
from tests.faults.scene import ENGINE
from tests.platforms import memory_platform
from tests.web.serving import HOST, Answer, Served

SECRET_ROOTS = (Path("/run/clawdeploy"), Path("/dev/shm/clawdeploy-0"))
PORTS = "29000-29499"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAGE = {"Accept": "text/html,*/*;q=0.8"}


class WatchedServer:
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
        """Let the server end, and remove everything that it made."""
        self.proxy.mend()
        self.served.close()
        remove_all(self.served.installation)
        for folder in Machine(f"unix://{ENGINE}", self.served.installation, SECRET_ROOTS).secret_folders():
            shutil.rmtree(folder.parent, ignore_errors=True)
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
        answer = self.served.answer(
            f"GET /sign-in/{link.reveal()} HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: none\r\n\r\n".encode()
        )
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
        headers: Mapping[str, str] = {},
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
            [*INDISCREET, *arguments],
            env=self.served._environment | changed,
            cwd=self.folder,
            capture_output=True,
            timeout=60,
            check=False,
        )
        self.said.append((f"the output of {arguments[0]} ({done.returncode})", done.stdout + done.stderr))
        assert b"Traceback" not in done.stderr, done.stderr[-2000:]
