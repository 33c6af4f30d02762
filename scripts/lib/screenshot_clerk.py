"""Pictures of a server on which people sign in with Clerk; its Frontend API is the one of the tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page
from screenshot_scenes import Demo, Scene

from tests.browser.sites import LiveSite
from tests.plugins.clerk.frontend_api import FrontendApi, Instance
from tests.web.serving import HOST, free_port

PERSON = "user_2nXQ0jkLmNoPqRsTuVwXyZ01234"


class ClerkDemo(Demo):
    """The server that is looked at, one person at Clerk, and her bot."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.api = FrontendApi(Instance(origin=f"http://{HOST}:{port}"))
        self.api.person = PERSON
        settings: dict[str, Any] = {**self.api.settings(), "PORT": str(port)}
        super().__init__(LiveSite(folder, **settings))

    def prepare(self) -> None:
        """Give her a bot."""
        bot = self.site.create(PERSON, name="Family helper")
        self.site.wait_for(PERSON, bot["id"], status="running")

    def mend(self) -> None:
        """Have nobody be signed in."""
        self.api.clients.clear()

    def close(self) -> None:
        """End both servers."""
        super().close()
        self.api.close()


def sign_in(_demo: Demo, page: Page) -> None:
    """Come to where one signs in; what stands there in place of Clerk's form is only a button."""
    page.goto("/?next=%2Fdashboard")
    page.get_by_role("button", name="Continue with Google").wait_for()


def signed_in(path: str) -> Callable[[Demo, Page], object]:
    """Sign in, and go to an address."""

    def reach(demo: Demo, page: Page) -> None:
        sign_in(demo, page)
        page.get_by_role("button", name="Continue with Google").click()
        page.get_by_role("button", name="Open user menu").wait_for()
        page.goto(path)
        page.get_by_role("button", name="Open user menu").wait_for()

    return reach


def without_scripts(_demo: Demo, page: Page) -> None:
    """Come to where one signs in while Clerk's scripts cannot be had."""
    page.context.route("**/npm/**", lambda route: route.abort())
    page.goto("/?next=%2Fdashboard")
    page.get_by_text("Signing in does not work right now").wait_for()


CLERK_SCENES = (
    Scene("clerk-sign-in", sign_in, user=None, with_clerk=True),
    Scene("clerk-without-scripts", without_scripts, user=None, with_clerk=True),
    Scene("clerk-dashboard", signed_in("/dashboard"), user=None, with_clerk=True),
    Scene("clerk-account", signed_in("/dashboard/account"), user=None, with_clerk=True),
)
