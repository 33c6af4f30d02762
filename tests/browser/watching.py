"""What goes wrong in a browser while a test walks: recorded as it happens, judged at the end."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Request, Response, WebError

SCRIPT = Path(__file__).with_name("watch.js").read_text("utf-8")

ABORTED = "net::ERR_ABORTED"
"""How a request fails that the page itself gave up, by leaving for example."""

NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
"""How all requests fail when the machine gets another address: a test beside this one has made a network."""

ALREADY_TOLD = "Failed to load resource"
"""What the console says about an answer or a request that is recorded by itself, with more about it."""


@dataclass(frozen=True)
class Trouble:
    """One thing that went wrong, as in ``console error: ReferenceError ...``."""

    kind: str
    text: str
    url: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass
class Watch:
    """Records all troubles of a browser context: console, page errors, requests, CSP, layout shifts.

    Patterns are searched for in ``kind: text``. What is expected has to come, what is forgiven may come. That the
    machine's network changed is nobody's fault; ``interrupted`` counts how often.
    """

    troubles: list[Trouble] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=lambda: [NETWORK_CHANGED])
    interrupted: int = 0

    def begin(self, context: BrowserContext) -> None:
        """Watch everything that happens in all pages of a context, which has none yet."""
        context.expose_binding("tellTrouble", lambda _, kind, text: self.record(kind, text))
        context.add_init_script(SCRIPT)
        context.on("console", self._on_console)
        context.on("dialog", self._on_dialog)
        context.on("weberror", self._on_error)
        context.on("response", self._on_response)
        context.on("requestfailed", self._on_failed_request)

    def record(self, kind: str, text: str, url: str = "") -> None:
        """Remember a trouble."""
        self.troubles.append(Trouble(kind, text, url))

    def verdict(self) -> list[str]:
        """Return a line for everything that should not have happened, or should have and did not."""
        allowed = [*self.expected, *self.forgiven]
        told = {trouble.url for trouble in self.troubles if trouble.kind == "request"}
        worth_telling = [
            trouble for trouble in self.troubles if not (trouble.text.startswith(ALREADY_TOLD) and trouble.url in told)
        ]
        bad = [str(one) for one in worth_telling if not any(re.search(each, str(one)) for each in allowed)]
        missing = [each for each in self.expected if not any(re.search(each, str(one)) for one in worth_telling)]
        return bad + [f"expected, but it did not come: {each}" for each in missing]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            url = message.location.get("url", "")
            self.record(f"console {message.type}", f"{message.text} at {url}", url)

    def _on_dialog(self, dialog: Dialog) -> None:
        """Close a window of the browser's own; the pages have none, so that a script that was slipped in opened it."""
        self.record(f"dialog {dialog.type}", dialog.message)
        dialog.dismiss()

    def _on_error(self, error: WebError) -> None:
        self.record("page error", str(error.error))

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.record("request", f"{response.request.method} {response.url} {response.status}", response.url)

    def _on_failed_request(self, request: Request) -> None:
        self.interrupted += request.failure == NETWORK_CHANGED
        if request.failure != ABORTED:
            self.record("request", f"{request.method} {request.url} {request.failure}", request.url)
