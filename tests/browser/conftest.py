"""What walks share: one browser and one server for all of them, and for each test people and windows of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from tests.browser.chromium import DESK, ChromiumMissing, Screen, launch
from tests.browser.sites import ROOT, LiveSite
from tests.browser.visitor import Visitor

HERE = Path(__file__).parent
PICTURES = ROOT / "build/walks"

FAILED = pytest.StashKey[bool]()
VISITORS = pytest.StashKey[list[Visitor]]()

Visit = Callable[..., Visitor]
MakeSite = Callable[..., LiveSite]

numbers = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Keep a picture of what a failed walk saw, and say what had gone wrong in the browser until then."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
        visitors: list[Visitor] = item.stash.get(VISITORS, [])
        for number, visitor in enumerate(visitors):
            report.sections.append((f"Browser of {visitor.user}", _last_sight(item.name, number, visitor)))
    return report


def _last_sight(name: str, number: int, visitor: Visitor) -> str:
    PICTURES.mkdir(parents=True, exist_ok=True)
    said = [str(one) for one in visitor.watch.troubles]
    for tab, page in enumerate(visitor.context.pages):
        picture = PICTURES / f"{name.replace('/', '_')}-{number}-{tab}.png"
        try:
            page.screenshot(path=picture)
            said.append(f"{page.url} is shown in {picture.relative_to(ROOT)}")
        except Error as error:
            said.append(f"{page.url} cannot be shown: {error}")
    return "\n".join(said)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser. A machine without one fails the walks; it does not skip them."""
    with sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except ChromiumMissing as missing:
            pytest.fail(str(missing), pytrace=False)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """The server that all walks share, on the staged engine. Ask for ``site``, not for this."""
    site = LiveSite(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture
def site(shared_site: LiveSite) -> Iterator[LiveSite]:
    """The server of a walk; its engine works when the walk begins, and what it logs of defects fails the walk."""
    before = shared_site.complaints()
    yield shared_site
    shared_site.engine.order("reset")
    shared_site.wait_for_engine()
    assert shared_site.complaints() == before


@pytest.fixture(scope="package")
def docker_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A server whose bots are containers of the real Docker Engine. Mark the test with ``engine``."""
    site = LiveSite(tmp_path_factory.mktemp("docker-site"), on_docker=True)
    yield site
    site.close()


@pytest.fixture
def make_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeSite]:
    """Start servers of the test's own, for what a shared one must not suffer; arguments are those of ``LiveSite``."""
    with ExitStack() as made:

        def make(**settings: Any) -> LiveSite:
            site = LiveSite(tmp_path_factory.mktemp("own-site"), **settings)
            made.callback(site.close)
            return site

        yield make


@pytest.fixture
def user() -> str:
    """The name of a person whom no other test knows."""
    return f"ann{next(numbers)}"


@pytest.fixture
def screen() -> Screen:
    """The window of a walk; ``everywhere`` walks in all of them."""
    return DESK


@pytest.fixture
def visit(request: pytest.FixtureRequest, chromium: Browser, user: str, screen: Screen) -> Iterator[Visit]:
    """Open windows: ``visit(site)``, and if need be ``user``, ``screen``, ``signed_in=False`` and Playwright's options.

    When the test has ended, nothing may have gone wrong in any of them that it did not announce.
    """
    visitors: list[Visitor] = []
    request.node.stash[VISITORS] = visitors

    def open_window(
        site: LiveSite, *, user: str = user, screen: Screen = screen, signed_in: bool = True, **options: Any
    ) -> Visitor:
        visitors.append(Visitor(chromium, site, user, screen, **options))
        return visitors[-1].sign_in() if signed_in else visitors[-1]

    yield open_window
    troubles = []
    for visitor in visitors:
        # A walk that failed tells its troubles already.
        if not request.node.stash.get(FAILED, False):
            troubles += visitor.verdict()
        visitor.close()
    assert troubles == [], "In the browser:\n" + "\n".join(troubles)


@pytest.fixture
def visitor(visit: Visit, site: LiveSite) -> Visitor:
    """Somebody who is signed in and sees the dashboard."""
    return visit(site)


@pytest.fixture
def stranger(visit: Visit, site: LiveSite) -> Visitor:
    """Somebody who is not signed in, with an empty window."""
    return visit(site, signed_in=False)
