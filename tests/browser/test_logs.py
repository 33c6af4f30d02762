"""Walks over the logs of a bot, whatever stands in them."""

from playwright.sync_api import expect

from tests.browser.bot_pages import HOSTILE, lines, running, said, view_of, visible_without_scripts
from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor

# The marked texts, the newest line first.
FOUND = "() => [...CSS.highlights.get('found') ?? []].map(String)"
# Tasks over 50 ms are told by the browser, those of the past as well.
LONGEST_TASK = """() => new Promise((done) => {
    let longest = 0;
    new PerformanceObserver((list) => {
        for (const task of list.getEntries()) longest = Math.max(longest, task.duration);
    }).observe({ type: "longtask", buffered: true });
    setTimeout(() => done(longest), 100);
})"""
MOST_MILLISECONDS = 2_000
"""Of one task, on a machine that does other things too; longer ones would freeze the page."""


def test_hostile_lines_are_text_and_bounded(visit: Visit, visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    site.engine.order("write", bot, *HOSTILE)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(lines(page)).to_have_count(len(HOSTILE) + 1)
    shown = lines(page).all_inner_texts()
    assert shown[1] == "red plain"
    assert shown[2] == HOSTILE[1]
    assert shown[3] == "right\ufffdto left"
    assert len(shown[4]) < 5_000
    assert "300000 characters" in shown[4]
    assert shown == visible_without_scripts(visit, site, bot)
    assert shown[5] == HOSTILE[4]
    expect(page).to_have_title("Helper | ClawDeploy")


def test_they_are_searched_copied_and_downloaded(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    site.engine.order("write", bot, *(f"line {number}" for number in range(200)))
    page = visitor.page
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.open(f"/dashboard/instances/{bot}")
    expect(lines(page)).to_have_count(201)
    page.get_by_role("searchbox").fill("LINE 19")
    expect(lines(page)).to_have_text(["line 19", *(f"line {number}" for number in range(190, 200))])
    expect(said(page)).to_have_text("11 of 201 lines, following")
    expect(page.locator("#announcer")).to_have_text("11 of 201 lines")
    page.locator(".logs-tools").get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines()[:2] == ["line 19", "line 190"]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"clawdeploy-{bot}.log"
    assert download.value.path().read_text().splitlines()[-1] == "line 199"


def test_who_reads_above_is_not_pulled_down(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    site.engine.order("write", bot, *(f"line {number}" for number in range(300)))
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    view = view_of(page)
    view.scroll_into_view_if_needed()
    expect(lines(page).last).to_be_in_viewport()
    view.evaluate("view => { view.scrollTop = 0; }")
    latest = page.get_by_role("button", name="Jump to the latest")
    expect(latest).to_be_visible()
    site.engine.order("write", bot, "the last")
    expect(lines(page)).to_have_count(302)
    assert view.evaluate("view => view.scrollTop") == 0
    latest.click()
    expect(page.get_by_text("the last")).to_be_in_viewport()
    expect(latest).to_be_hidden()


def test_lines_are_wrapped_or_not(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    site.engine.order("write", bot, "word " * 500)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(lines(page)).to_have_count(2)
    overflows = "view => view.scrollWidth > view.clientWidth"
    assert not view_of(page).evaluate(overflows)
    page.get_by_role("button", name="Wrap lines").click()
    expect(page.get_by_role("button", name="Wrap lines", pressed=False)).to_be_visible()
    assert view_of(page).evaluate(overflows)
    visitor.inspect()


def test_a_flood_is_bounded_and_what_was_missed_is_said(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(said(page)).to_have_text("1 line, following")
    for wave in range(7):
        site.engine.order("write", bot, *(f"{wave} {number} " + "<b>word</b> " * 60 for number in range(1_500)))
        expect(page.get_by_text(f"{wave} 1499 <b>word")).to_have_count(1)
        view_of(page).scroll_into_view_if_needed()
        expect(lines(page).last).to_be_in_viewport()
    assert lines(page).count() <= 5_000
    assert len(view_of(page).inner_text()) <= 2_010_000
    expect(page.get_by_text("some lines went by too fast").first).to_be_attached()
    # What is done then is done at once.
    longest = page.evaluate(LONGEST_TASK)
    page.get_by_role("searchbox").fill("WORD</b> <b>word")
    expect(said(page)).to_contain_text(" of ")
    assert longest < MOST_MILLISECONDS


def test_what_is_searched_for_is_plain_text_and_marked_in_lines_that_come_later_too(
    visitor: Visitor, site: LiveSite, user: str
) -> None:
    bot = running(site, user)
    searched = "[a-z]+ (x|y) \\d /^$/ {2}?*. <b>&amp;"
    site.engine.order("write", bot, f"1 {searched} {searched.upper()}", "a x d 2")
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(lines(page)).to_have_count(3)
    page.get_by_role("searchbox").fill(searched)
    expect(said(page)).to_have_text("1 of 3 lines, following")
    assert page.evaluate(FOUND) == [searched, searched.upper()]
    site.engine.order("write", bot, "something else", f"2 {searched}")
    expect(said(page)).to_have_text("2 of 5 lines, following")
    assert page.evaluate(FOUND) == [searched, searched, searched.upper()]
    assert view_of(page).locator(".line *").count() == 0
    visitor.inspect()
    page.get_by_role("searchbox").fill("")
    expect(said(page)).to_have_text("5 lines, following")
    assert page.evaluate(FOUND) == []


def test_a_line_of_ten_megabytes_does_no_harm(visit: Visit, visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    site.engine.order("write", bot, "y" * 10_000_000, "after it")
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(lines(page).last).to_have_text("after it")
    assert len(view_of(page).inner_text()) < 5_000
    assert page.evaluate(LONGEST_TASK) < MOST_MILLISECONDS
    assert visible_without_scripts(visit, site, bot)[-1] == "after it"
