"""Somebody who looks at the pages: a browser window of their own, and everything that goes wrong in it."""

from typing import Any

from playwright.sync_api import Browser, Error, Page, Response, expect

from tests.browser import axe
from tests.browser.chromium import Screen
from tests.browser.sites import LiveSite
from tests.browser.watching import Watch

TIMEOUT_SECONDS = 10
expect.set_options(timeout=TIMEOUT_SECONDS * 1000)

# What has just been drawn may still have to tell that something moved.
TOLD = """() => new Promise((done) => {
    const tell = () => { window.flushTroubles?.(); done(null); };
    setTimeout(tell, 200);
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(tell)));
})"""

TOO_WIDE = """() => {
    const room = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= room) return [];
    return [...document.body.querySelectorAll("*")]
        .filter((one) => one.getBoundingClientRect().right > room + 0.5)
        .slice(0, 8).map((one) => one.outerHTML.slice(0, 120));
}"""


class Visitor:
    """A window on one site, for one person. ``page`` is Playwright's own page, to be used as its documents say.

    ``options`` go to Playwright's ``new_context``: ``java_script_enabled=False``, ``reduced_motion="reduce"``, ...
    """

    def __init__(self, browser: Browser, site: LiveSite, user: str, screen: Screen, **options: Any) -> None:
        self.site = site
        self.user = user
        self.screen = screen
        self.watch = Watch()
        self.has_scripts: bool = options.get("java_script_enabled", True)
        usual: dict[str, Any] = {
            "base_url": site.origin,
            "viewport": {"width": screen.width, "height": screen.height},
            "color_scheme": screen.scheme,
            "has_touch": screen.is_phone,
            "timezone_id": "UTC",
        }
        self.context = browser.new_context(**(usual | options))
        self.context.set_default_timeout(TIMEOUT_SECONDS * 1000)
        self.watch.begin(self.context)
        self.page = self.context.new_page()

    def sign_in(self) -> "Visitor":
        """Open a fresh sign-in link, as printed on the server; ends on the dashboard."""
        self.open(self.site.sign_in_link(self.user))
        assert self.page.url == f"{self.site.origin}/dashboard", self.page.url
        return self

    def open(self, path: str, status: int = 200) -> Response:
        """Go to an address of the site and return the answer, whose status has to be this one."""
        if status >= 400:
            self.expect_trouble(f"^request: GET .*{status}$")
        answer = self._go(path)
        assert answer is not None
        assert answer.status == status, (path, answer.status)
        return answer

    def _go(self, path: str) -> Response | None:
        """Go to an address; once more when the machine's network changed under the page, wherever it has led."""
        before = self.watch.interrupted
        try:
            answer = self.page.goto(path)
        except Error:
            if self.watch.interrupted == before:
                raise
        else:
            return answer if self.watch.interrupted == before else self.page.reload()
        return self.page.goto(path)

    def new_tab(self) -> Page:
        """Open another tab of the same window, watched like the first."""
        return self.context.new_page()

    def expect_trouble(self, pattern: str) -> None:
        """Say what has to go wrong in this walk: a regular expression, searched for in ``kind: text``."""
        self.watch.expected.append(pattern)

    def forgive(self, pattern: str) -> None:
        """Say what may go wrong in this walk, or may not."""
        self.watch.forgiven.append(pattern)

    def inspect(self, page: Page | None = None) -> None:
        """Check a page as it is now: accessible to everybody, and not wider than the window."""
        looked_at = page or self.page
        too_wide = looked_at.evaluate(TOO_WIDE)
        assert too_wide == [], f"{looked_at.url} is wider than the window because of:\n" + "\n".join(too_wide)
        # Where scripts do not run, axe does not either; what it would see is what it sees where they do.
        found = axe.violations(looked_at) if self.has_scripts else []
        assert found == [], f"{looked_at.url} ({self.screen}) is not accessible:\n" + "\n".join(found)

    def verdict(self) -> list[str]:
        """Return what went wrong so far in any tab, and what was expected and did not come."""
        for page in self.context.pages:
            if self.has_scripts:
                page.evaluate(TOLD)
        return self.watch.verdict()

    def close(self) -> None:
        """Close the window."""
        self.context.close()
