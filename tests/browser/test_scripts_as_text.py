"""Scripts that somebody typed, wherever something can be typed: shown as text, never run.

The browser is watched as in all walks: a dialog, a violation of the Content-Security-Policy, an error of a script and a
request that fails each fail the test. Beyond that, no element may have come of a text.
"""

from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.browser.bot_pages import lines, running
from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor

TYPED = (
    "<script>window.taken=1;alert(1)</script>",
    '"><img src=x data-taken onerror=alert(1)>',
    "' onfocus='alert(1)' autofocus data-taken='",
    "</title></textarea><svg data-taken onload=alert(1)>",
    "</script><script>alert(1)</script>",
    "javascript:alert(1)//\\u0022;alert(1)//",
    '<a href="javascript:alert(1)" data-taken>here</a>',
    "<i hx-get=/api/health hx-trigger=load data-taken>",
    '" hx-on:load="alert(1)" data-taken="',
    "<form action=//evil.example data-taken><button>",
    "<base href=//evil.example data-taken>",
    "<meta http-equiv=refresh content=0;//evil.example data-taken>",
    "{{7*7}}${7*7}<%= 7*7 %><%text>",
    "&lt;script data-taken&gt;alert(1)&lt;/script&gt;",
)
ALL = "".join(TYPED)
TAKEN = "() => window.taken || document.querySelectorAll('[data-taken], base, meta[http-equiv=refresh]').length"


def is_text(visitor: Visitor, page: Page | None = None) -> None:
    """Make sure that no element of the page has come of what was typed."""
    assert (page or visitor.page).evaluate(TAKEN) == 0, visitor.page.url


def test_the_name_of_a_bot(visitor: Visitor, site: LiveSite, user: str) -> None:
    """On its page, in its title, in dialogs, notices and lists, and in what htmx puts there afterwards."""
    page = visitor.page
    made = {}
    for name in TYPED:
        fields = {"name": name, "region": name, "instanceType": name, "ipAddress": name, "config": {name: name}}
        made[name] = site.create(user, **fields)["id"]
    visitor.open("/dashboard")
    for name in TYPED:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    is_text(visitor)
    for name, bot in list(made.items())[::3]:
        visitor.open(f"/dashboard/instances/{bot}")
        expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        page.get_by_role("button", name="Stop ").click()
        expect(page.get_by_role("status").filter(has_text="has stopped")).to_contain_text(name)
        is_text(visitor)
        visitor.open(f"/dashboard?notice=stopped&bot={bot}&q={quote(name)}")
        is_text(visitor)


def test_what_a_bot_and_its_engine_say(visitor: Visitor, site: LiveSite, user: str) -> None:
    """Anybody who can reach a bot writes into its log, and the engine's sentences repeat what it was told."""
    bot = running(site, user)
    site.engine.order("write", bot, *TYPED)
    visitor.open(f"/dashboard/instances/{bot}")
    for text in TYPED:
        expect(lines(visitor.page).filter(has_text=text).first).to_be_visible()
    # These are put there by the script of the page, the others by the server.
    site.engine.order("write", bot, *(f"later {text}" for text in TYPED))
    for text in TYPED:
        expect(lines(visitor.page).filter(has_text=f"later {text}").first).to_be_visible()
    is_text(visitor)
    search = visitor.page.get_by_role("searchbox")
    for text in TYPED:
        search.fill(text)
        is_text(visitor)
    site.engine.order("fail", "restart", ALL)
    site.engine.order("fail", "start", ALL)
    site.engine.order("fail", "stop", ALL)
    visitor.forgive(r"request: POST .*/restart 503")
    visitor.forgive("console error: (Response Status Error Code|htmx:)")
    visitor.page.get_by_role("button", name="Restart ").click()
    expect(visitor.page.get_by_text("window.taken=1;alert(1)").first).to_be_visible()
    is_text(visitor)


def test_what_an_address_asks_for(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    for text in TYPED[::2]:
        said = quote(text, safe="")
        for address in (
            f"/dashboard?q={said}&status={said}&page={said}&notice={said}&bot={said}&{said}={said}#{said}",
            f"/dashboard/account?ended={said}&notice={said}#{said}",
            f"/dashboard/new?notice={said}&name={said}&channel={said}#{said}",
            f"/dashboard/instances/{bot}?notice=deleted&bot={said}&tail={said}#{said}",
        ):
            visitor.open(address)
            is_text(visitor)
    for text in TYPED[1::4]:
        # An escaped slash is refused before anybody looks at the address.
        said = quote(text.replace("/", "|"), safe="")
        for address in (f"/{said}", f"/dashboard/instances/{said}", f"/dashboard/account/{said}", f"/static/{said}"):
            visitor.open(address, 404)
            is_text(visitor)


def test_what_a_form_sends_back(visitor: Visitor, site: LiveSite) -> None:
    """Without scripts a form comes back with what was typed and what is wrong with it."""
    visitor.forgive("layout shift")
    for text in (*TYPED[::4], ALL):
        visitor.open("/dashboard/new")
        with visitor.page.expect_navigation():
            visitor.page.evaluate(
                """(text) => {
                    const form = document.createElement("form");
                    Object.assign(form, { method: "post", action: "/dashboard/new" });
                    for (const name of ["name", "model", "channel", "key"]) {
                        const field = Object.assign(document.createElement("input"), { name, value: text });
                        form.append(field);
                    }
                    document.body.append(form);
                    form.submit();
                }""",
                text,
            )
        is_text(visitor)
    visitor.expect_trouble("^request: POST .*/dashboard/new 400$")


def test_who_somebody_is_and_what_their_tokens_are_called(visit: Visit, site: LiveSite) -> None:
    for text in TYPED[::3]:
        visitor = visit(site, user=text[:100])
        is_text(visitor)
        expect(visitor.page.get_by_text(text[:100], exact=True).first).to_be_visible()
        visitor.open("/dashboard/account")
        visitor.page.get_by_label("Name").first.fill(text)
        visitor.page.get_by_role("button", name="Create token").first.click()
        expect(visitor.page.get_by_text(text, exact=True).first).to_be_visible()
        is_text(visitor)
        visitor.open("/")
        is_text(visitor)
