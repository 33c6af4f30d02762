"""The watch and the inspection themselves: each kind of trouble is seen, so that a walk without any means something."""

import re

import pytest
from playwright.sync_api import Browser

from tests.browser import axe, chromium
from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor
from tests.browser.watching import NETWORK_CHANGED, Watch

INLINE_STYLE = "document.body.setAttribute('style', 'color: red')"
MOVING = """() => new Promise((done) => requestAnimationFrame(() => {
    const added = document.createElement("p");
    added.textContent = "Here I am, all of a sudden, and everything else has to go.";
    document.body.prepend(added);
    requestAnimationFrame(() => requestAnimationFrame(done));
}))"""


@pytest.mark.parametrize(
    ("doing", "trouble"),
    [
        ("console.error('oh no')", "console error: oh no"),
        ("console.warn('well')", "console warning: well"),
        ("setTimeout(() => { throw new Error('thrown') })", "page error: thrown"),
        (INLINE_STYLE, "CSP violation: style-src-attr forbids inline"),
        (INLINE_STYLE, "console error: Applying inline style violates"),
        ("fetch('/nowhere').then(() => null)", r"request: GET http://\S+/nowhere 404"),
        ("fetch('http://127.0.0.1:1/').catch(() => null)", "CSP violation: connect-src forbids http://127.0.0.1:1"),
        (MOVING, r"layout shift: 0\.\d+: .*main"),
    ],
)
def test_every_kind_of_trouble_is_seen(stranger: Visitor, doing: str, trouble: str) -> None:
    stranger.open("/")
    assert stranger.verdict() == []
    stranger.page.evaluate(f"{doing}" if doing.startswith("() =>") else f"() => {{ {doing}; }}")
    stranger.expect_trouble(trouble)
    # What comes along with the one that is looked for, such as the console's word on a violation.
    stranger.forgive("^(console error|request|CSP violation)")
    # Playwright's events come only while it is waited with it.
    while not any(re.search(trouble, str(one)) for one in stranger.watch.troubles):
        stranger.page.wait_for_timeout(20)
    assert stranger.verdict() == []


def test_what_was_expected_has_to_come(stranger: Visitor) -> None:
    stranger.open("/")
    stranger.watch.expected.append("page error: never")
    assert stranger.verdict() == ["expected, but it did not come: page error: never"]
    stranger.watch.expected.clear()


def test_what_nobody_announced_is_a_trouble_in_every_tab(stranger: Visitor) -> None:
    stranger.open("/")
    tab = stranger.new_tab()
    tab.goto("/")
    tab.evaluate("() => console.error('in the other tab')")
    assert [line.split(" at ")[0] for line in stranger.verdict()] == ["console error: in the other tab"]
    stranger.expect_trouble("in the other tab")


def test_a_page_that_not_everybody_can_use_is_found(stranger: Visitor) -> None:
    stranger.open("/")
    stranger.page.evaluate("() => { const image = document.createElement('img'); document.body.append(image); }")
    (found,) = [one for one in axe.violations(stranger.page) if one.startswith("image-alt")]
    assert "does not have an alt attribute" in found
    with pytest.raises(AssertionError, match="image-alt"):
        stranger.inspect()


def test_a_page_that_is_too_wide_is_found(stranger: Visitor) -> None:
    stranger.open("/")
    stranger.page.evaluate(
        "() => { const wide = document.createElement('hr'); wide.style.width = '2000px'; document.body.append(wide); }"
    )
    with pytest.raises(AssertionError, match=r"wider than the window because of:\n<hr"):
        stranger.inspect()
    stranger.forgive("layout shift")


def test_pages_can_be_walked_without_scripts(site: LiveSite, visit: Visit) -> None:
    walker = visit(site, java_script_enabled=False)
    walker.inspect()


def test_a_machine_without_chromium_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(chromium.ChromiumMissing, match="apt-get install chromium"):
        chromium.chromium_path()


def test_the_fonts_are_the_same_on_every_machine(stranger: Visitor, chromium: Browser) -> None:
    stranger.open("/")
    session = stranger.context.new_cdp_session(stranger.page)
    for command in ("DOM.enable", "CSS.enable"):
        session.send(command)
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    heading = session.send("DOM.querySelector", {"nodeId": root, "selector": "h1"})["nodeId"]
    used = session.send("CSS.getPlatformFontsForNode", {"nodeId": heading})["fonts"]
    assert {font["familyName"] for font in used} == {"Inter"}


def test_that_the_network_of_the_machine_changes_is_nobodys_fault() -> None:
    watch = Watch()
    for why in (NETWORK_CHANGED, "net::ERR_CONNECTION_REFUSED"):
        watch.record("request", f"GET http://127.0.0.1:1/mark.svg {why}")
    assert watch.verdict() == ["request: GET http://127.0.0.1:1/mark.svg net::ERR_CONNECTION_REFUSED"]
