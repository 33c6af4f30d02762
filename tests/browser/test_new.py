"""Walks from the sign-in link to a running bot, and over everything that can come between."""

import time

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.chromium import PHONE, SCREENS, Screen, everywhere
from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor

two_screens = pytest.mark.parametrize("screen", [SCREENS[0], SCREENS[-1]], ids=str)
TOKEN = "123456789:" + "AbCdE" * 7
KEY = "sk-hunter2"
MOST_SECONDS = 60
"""From sign-in to a running bot (SM-1)."""


def name_of(page: Page) -> Locator:
    return page.get_by_label("Instance Name")


def token_of(page: Page, channel: str = "Telegram") -> Locator:
    return page.get_by_role("group", name=channel).get_by_label("Bot Token")


def create(page: Page) -> Locator:
    return page.get_by_role("button", name="Create bot")


def step(page: Page, label: str, state: str) -> Locator:
    return page.get_by_role("listitem").filter(has_text=f"{label}: {state}")


def bots(site: LiveSite, user: str) -> list[str]:
    return [bot["name"] for bot in site.call(user, "GET", "/api/instances")["instances"]]


@everywhere
def test_from_the_sign_in_link_to_a_running_bot(visit: Visit, site: LiveSite, user: str, screen: Screen) -> None:
    began = time.monotonic()
    visitor = visit(site)
    page = visitor.page
    page.get_by_role("link", name="New bot").click()
    expect(page).to_have_title("New bot | ClawDeploy")
    name_of(page).fill("Family helper")
    page.get_by_label("Model").select_option("GPT-5.2")
    expect(page.get_by_text("Make a key at platform.openai.com")).to_be_visible()
    expect(page.get_by_text("Make a key at platform.claude.com")).to_be_hidden()
    page.get_by_label("API Key").fill(KEY)
    token_of(page).fill(TOKEN)
    visitor.inspect()
    site.engine.order("hold", "start")
    create(page).click()
    page.wait_for_url("**/progress")
    expect(page).to_have_title("Creating Family helper | ClawDeploy")
    expect(step(page, "Make the container", "done")).to_be_visible()
    expect(step(page, "Start it", "going on")).to_be_visible()
    expect(step(page, "Wait until it answers", "not begun")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="The container is starting.")).to_be_visible()
    visitor.inspect()
    site.engine.order("release", "start")
    page.wait_for_url(f"{site.origin}/dashboard*")
    expect(page.get_by_text("“Family helper” is up and running.")).to_be_visible()
    assert time.monotonic() - began < MOST_SECONDS
    (bot,) = site.call(user, "GET", "/api/instances")["instances"]
    assert (bot["status"], bot["model"], bot["channel"]) == ("running", "gpt-5.2", "telegram")
    assert (bot["botToken"], bot["apiKey"]) == ("***", "***")
    page.go_back()
    expect(page).to_have_title("Dashboard | ClawDeploy")


@pytest.mark.engine
def test_a_real_container(visit: Visit, docker_site: LiveSite, user: str) -> None:
    began = time.monotonic()
    page = visit(docker_site).page
    page.goto("/dashboard/new")
    name_of(page).fill("Real")
    create(page).click()
    page.wait_for_url("**/progress")
    expect(step(page, "Get the image", "done")).to_be_visible()
    page.wait_for_url(f"{docker_site.origin}/dashboard*", timeout=MOST_SECONDS * 1000)
    assert time.monotonic() - began < MOST_SECONDS
    assert docker_site.call(user, "GET", "/api/instances")["instances"][0]["status"] == "running"


class TestTheForm:
    def test_only_the_chosen_channel_has_its_inputs(self, visitor: Visitor) -> None:
        page = visitor.page
        visitor.open("/dashboard/new")
        expect(token_of(page)).to_be_visible()
        expect(token_of(page, "Discord")).to_be_hidden()
        page.get_by_label("Channel").press("ArrowDown")
        expect(token_of(page)).to_be_hidden()
        expect(token_of(page, "Discord")).to_have_accessible_description(
            "In the Developer Portal (discord.com/developers/applications) open your application, then Bot, "
            "then Reset Token; it is not the application id."
        )
        page.get_by_label("Channel").press("ArrowDown")
        expect(page.get_by_label("Bot Token").filter(visible=True)).to_have_count(0)
        expect(page.get_by_text("No token is needed")).to_be_visible()
        visitor.inspect()

    def test_a_secret_can_be_shown(self, visitor: Visitor) -> None:
        page = visitor.page
        visitor.open("/dashboard/new")
        token_of(page).fill(TOKEN)
        expect(token_of(page)).to_have_attribute("type", "password")
        page.get_by_role("button", name="Show Bot Token").click()
        expect(token_of(page)).to_have_attribute("type", "text")
        page.get_by_role("button", name="Hide Bot Token").click()
        expect(token_of(page)).to_have_attribute("type", "password")

    def test_the_name_has_the_focus_where_there_is_a_keyboard(self, visit: Visit, site: LiveSite) -> None:
        desk, phone = visit(site), visit(site, screen=PHONE, is_mobile=True)
        desk.open("/dashboard/new")
        expect(name_of(desk.page)).to_be_focused()
        phone.open("/dashboard/new")
        expect(create(phone.page)).to_be_visible()
        expect(name_of(phone.page)).not_to_be_focused()

    def test_it_can_be_filled_in_and_sent_by_keyboard(self, visitor: Visitor, user: str) -> None:
        keyboard = visitor.page.keyboard
        visitor.open("/dashboard/new")
        keyboard.type("Typed")
        keyboard.press("Tab")
        keyboard.press("ArrowDown")
        # The key, its button, and the link of its help.
        for _ in range(4):
            keyboard.press("Tab")
        keyboard.type("Disc")
        keyboard.press("Tab")
        expect(token_of(visitor.page, "Discord")).to_be_focused()
        keyboard.press("Enter")
        visitor.page.wait_for_url(f"{visitor.site.origin}/dashboard*")
        (bot,) = visitor.site.call(user, "GET", "/api/instances")["instances"]
        assert (bot["name"], bot["model"], bot["channel"]) == ("Typed", "gpt-5.2", "discord")

    def test_cancel_leads_back(self, visitor: Visitor) -> None:
        visitor.open("/dashboard/new")
        visitor.page.get_by_role("link", name="Cancel").click()
        visitor.page.wait_for_url(f"{visitor.site.origin}/dashboard")


class TestWhatIsWrong:
    @everywhere
    def test_it_is_said_before_anything_is_sent(self, visitor: Visitor, user: str, screen: Screen) -> None:
        page = visitor.page
        visitor.open("/dashboard/new")
        page.get_by_label("API Key").fill("sk 1")
        create(page).click()
        summary = page.get_by_role("group", name="Please correct this first:")
        expect(summary).to_be_focused()
        expect(name_of(page)).to_have_accessible_description(
            "Give the bot a name. What you call your bot. You can change it later."
        )
        expect(name_of(page)).to_have_attribute("aria-invalid", "true")
        visitor.inspect()
        summary.get_by_role("link", name="API Key: There is a space").click()
        expect(page.get_by_label("API Key")).to_be_focused()
        page.keyboard.type("x")
        expect(page.get_by_label("API Key")).not_to_have_attribute("aria-invalid", "true")
        assert bots(visitor.site, user) == []

    def test_what_appears_while_the_button_is_pressed_does_not_move_it_away(self, visitor: Visitor) -> None:
        page = visitor.page
        visitor.open("/dashboard/new")
        name_of(page).fill("Helper")
        token_of(page).fill("1 2")
        create(page).scroll_into_view_if_needed()
        place = create(page).bounding_box()
        assert place
        page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        page.mouse.down()
        assert create(page).bounding_box() == place
        page.mouse.up()
        expect(token_of(page)).to_be_focused()
        expect(token_of(page)).to_have_attribute("aria-invalid", "true")

    def test_a_single_one_gets_the_focus(self, visitor: Visitor) -> None:
        visitor.open("/dashboard/new")
        name_of(visitor.page).fill("   ")
        create(visitor.page).click()
        expect(name_of(visitor.page)).to_be_focused()
        expect(visitor.page.get_by_text("Give the bot a name.").filter(visible=True)).to_have_count(1)

    def test_a_wrong_token_is_told_at_its_field_when_it_was_left(self, visitor: Visitor, user: str) -> None:
        page = visitor.page
        visitor.open("/dashboard/new")
        name_of(page).fill("Helper")
        token_of(page).fill("@my_bot")
        token_of(page).blur()
        said = "This is the bot's name. The token is the long line with a colon in @BotFather's message."
        expect(page.get_by_text(said)).to_be_visible()
        expect(token_of(page)).to_have_attribute("aria-invalid", "true")
        visitor.inspect()
        create(page).click()
        expect(token_of(page)).to_be_focused()
        expect(token_of(page)).to_have_value("@my_bot")
        token_of(page).fill(TOKEN)
        create(page).click()
        page.wait_for_url(f"{visitor.site.origin}/dashboard*")
        assert bots(visitor.site, user) == ["Helper"]

    def test_the_answer_of_the_server_is_put_at_its_field(self, visitor: Visitor, user: str) -> None:
        """Here the early look is missing, as where the network is bad."""
        page = visitor.page
        visitor.expect_trouble("^request: POST .*/dashboard/new 400$")
        visitor.expect_trouble("^request: POST .*/check net::ERR_FAILED")
        page.route("**/dashboard/new/check", lambda route: route.abort())
        visitor.open("/dashboard/new")
        name_of(page).fill("a\u2800")
        page.get_by_label("API Key").fill(f"{KEY}é")
        token_of(page).fill("12345678")
        create(page).click()
        summary = page.get_by_role("group", name="Please correct this first:")
        expect(summary).to_be_focused()
        expect(summary.get_by_role("link")).to_have_text(
            [
                "API Key: It must not hold spaces, line breaks or characters beyond plain ASCII.",
                "Bot Token: This is only the number before the colon. "
                "Copy the whole token, also what comes after the colon.",
            ]
        )
        expect(page.get_by_label("API Key")).to_have_value(f"{KEY}é")
        expect(token_of(page)).to_have_value("12345678")
        assert KEY not in page.content()
        assert page.url == f"{visitor.site.origin}/dashboard/new"
        assert bots(visitor.site, user) == []


class TestOnce:
    def test_a_double_click(self, visitor: Visitor, user: str) -> None:
        page = visitor.page
        visitor.open("/dashboard/new")
        name_of(page).fill("Once")
        create(page).dblclick()
        page.wait_for_url(f"{visitor.site.origin}/dashboard*")
        assert bots(visitor.site, user) == ["Once"]

    def test_the_button_is_busy_meanwhile(self, visitor: Visitor, user: str) -> None:
        page = visitor.page
        visitor.open("/dashboard/new")
        name_of(page).fill("Busy")
        held: list[Route] = []
        page.route("**/dashboard/new", lambda route: held.extend([route]))
        create(page).click()
        busy = page.get_by_role("button", name="Creating…")
        expect(busy).to_be_disabled()
        expect(page.get_by_role("status").filter(has_text="Creating the bot.")).to_be_attached()
        visitor.inspect()
        page.keyboard.press("Enter")
        (route,) = held
        route.continue_()
        page.wait_for_url(f"{visitor.site.origin}/dashboard*")
        assert bots(visitor.site, user) == ["Busy"]

    def test_an_answer_that_was_lost(self, visitor: Visitor, user: str) -> None:
        """The bot is made, the answer does not arrive, and the form is sent again: it leads to the same bot."""
        page = visitor.page
        visitor.expect_trouble("^request: POST .*/dashboard/new net::ERR_FAILED")
        visitor.open("/dashboard/new")
        name_of(page).fill("Lost")
        token_of(page).fill(TOKEN)
        page.route("**/dashboard/new", lambda route: (route.fetch(), route.abort()))
        create(page).click()
        expect(page.get_by_role("group", name="The server does not answer.")).to_be_focused()
        expect(token_of(page)).to_have_value(TOKEN)
        visitor.inspect()
        page.unroute("**/dashboard/new")
        create(page).click()
        page.wait_for_url(f"{visitor.site.origin}/dashboard*")
        assert bots(visitor.site, user) == ["Lost"]

    def test_one_that_was_changed_after_it_was_carried_out(self, visitor: Visitor, user: str) -> None:
        page = visitor.page
        visitor.expect_trouble("^request: POST .*/dashboard/new net::ERR_FAILED")
        visitor.expect_trouble("^request: POST .*/dashboard/new 422$")
        visitor.open("/dashboard/new")
        name_of(page).fill("First")
        page.route("**/dashboard/new", lambda route: (route.fetch(), route.abort()))
        create(page).click()
        expect(page.get_by_role("group", name="The server does not answer.")).to_be_visible()
        page.unroute("**/dashboard/new")
        name_of(page).fill("Second")
        create(page).click()
        expect(page.get_by_role("group", name="This form has made a bot already")).to_be_focused()
        assert bots(visitor.site, user) == ["First"]
        create(page).click()
        page.wait_for_url(f"{visitor.site.origin}/dashboard*")
        assert bots(visitor.site, user) == ["Second", "First"]

    def test_the_back_button_leads_to_no_second_bot(self, visitor: Visitor, user: str) -> None:
        page = visitor.page
        page.get_by_role("link", name="New bot").click()
        name_of(page).fill("Only one")
        create(page).click()
        page.wait_for_url(f"{visitor.site.origin}/dashboard*")
        page.reload()
        page.go_back()
        expect(page).to_have_url(f"{visitor.site.origin}/dashboard")
        assert bots(visitor.site, user) == ["Only one"]


class TestProgress:
    @two_screens
    def test_one_that_fails_and_is_tried_again(self, visitor: Visitor, user: str, screen: Screen) -> None:
        page, engine = visitor.page, visitor.site.engine
        engine.order("have_images", False)
        visitor.open("/dashboard/new")
        name_of(page).fill("Family helper")
        create(page).click()
        page.wait_for_url("**/progress")
        expect(step(page, "Get the image", "failed")).to_be_visible()
        expect(page.get_by_role("status").filter(has_text="connected to the internet, then try again")).to_be_visible()
        expect(page.get_by_role("link", name="Open the bot")).to_be_visible()
        expect(page.get_by_role("link", name="Back to Dashboard")).to_be_visible()
        visitor.inspect()
        engine.order("have_images", True)
        engine.order("hold", "start")
        page.get_by_role("button", name="Try again").click()
        expect(step(page, "Start it", "going on")).to_be_visible()
        expect(page.get_by_role("heading", name="Family helper")).to_be_focused()
        engine.order("release", "start")
        page.wait_for_url(f"{visitor.site.origin}/dashboard*")
        assert bots(visitor.site, user) == ["Family helper"]

    def test_a_slow_download_is_told_of(self, visitor: Visitor, user: str) -> None:
        page, engine = visitor.page, visitor.site.engine
        engine.order("have_images", False, ["nginx:alpine"])
        engine.order("hold", "pull")
        visitor.open("/dashboard/new")
        name_of(page).fill("Slow")
        create(page).click()
        expect(step(page, "Get the image", "going on")).to_be_visible()
        expect(page.get_by_text("The image is being downloaded")).to_be_visible()
        engine.order("release", "pull")
        page.wait_for_url(f"{visitor.site.origin}/dashboard*")

    def test_an_engine_that_is_down(self, visitor: Visitor, user: str) -> None:
        page, site = visitor.page, visitor.site
        site.engine.order("go_silent")
        site.wait_for_engine(connected=False)
        visitor.open("/dashboard/new")
        expect(page.get_by_text("Docker, the program that runs the bots, has not answered since")).to_be_visible()
        visitor.inspect()
        name_of(page).fill("Patient")
        create(page).click()
        page.wait_for_url("**/progress")
        expect(page.get_by_text("Waiting for Docker")).to_be_visible()
        expect(page.get_by_text("This goes on when it does.")).to_be_visible()
        visitor.inspect()
        # What was said of Docker goes when that answers, whenever it does.
        visitor.forgive("layout shift")
        site.engine.order("answer_again")
        page.wait_for_url(f"{site.origin}/dashboard*")
        site.wait_for(user, site.call(user, "GET", "/api/instances")["instances"][0]["id"], status="running")

    def test_nothing_turns_for_whoever_does_not_want_it(self, visit: Visit, site: LiveSite) -> None:
        visitor = visit(site, reduced_motion="reduce")
        site.engine.order("hold", "start")
        visitor.open("/dashboard/new")
        name_of(visitor.page).fill("Calm")
        create(visitor.page).click()
        expect(step(visitor.page, "Start it", "going on")).to_be_visible()
        assert visitor.page.evaluate("document.getAnimations().length") == 0


def test_whoever_was_signed_out_loses_nothing(visitor: Visitor, user: str) -> None:
    page, site = visitor.page, visitor.site
    visitor.open("/dashboard/new")
    name_of(page).fill("Kept")
    cookies = visitor.context.cookies()
    visitor.context.clear_cookies()
    visitor.expect_trouble("^request: POST .*/dashboard/new 401$")
    visitor.forgive("^request: POST .*/dashboard/new/check 401$")
    create(page).click()
    expect(page.get_by_role("group", name="You are signed out.")).to_be_focused()
    visitor.inspect()
    visitor.context.add_cookies([{**cookie} for cookie in cookies])  # type: ignore[typeddict-item]
    create(page).click()
    page.wait_for_url(f"{site.origin}/dashboard*")
    assert bots(site, user) == ["Kept"]


class TestWithoutScripts:
    @pytest.fixture
    def visitor(self, visit: Visit, site: LiveSite) -> Visitor:
        return visit(site, java_script_enabled=False)

    def test_a_bot_is_made(self, visitor: Visitor, user: str) -> None:
        page, engine = visitor.page, visitor.site.engine
        engine.order("hold", "start")
        page.get_by_role("link", name="New bot").click()
        name_of(page).fill("Plain")
        page.get_by_label("Channel").select_option("Discord")
        token_of(page).fill("the token of another channel does not count")
        visitor.inspect()
        create(page).click()
        page.wait_for_url("**/progress")
        expect(step(page, "Start it", "going on")).to_be_visible()
        visitor.inspect()
        engine.order("release", "start")
        page.wait_for_url(f"{visitor.site.origin}/dashboard*")
        expect(page.get_by_text("“Plain” is up and running.")).to_be_visible()
        assert bots(visitor.site, user) == ["Plain"]

    def test_what_is_wrong_and_a_reload_of_what_was_sent(self, visitor: Visitor, user: str) -> None:
        page = visitor.page
        visitor.expect_trouble("^request: POST .*/dashboard/new 400$")
        visitor.open("/dashboard/new")
        name_of(page).fill("Plain")
        page.get_by_label("API Key").fill(KEY)
        token_of(page).fill("12345678")
        create(page).click()
        expect(token_of(page)).to_be_focused()
        expect(page.get_by_text("This is only the number before the colon.").last).to_be_visible()
        expect(page.get_by_text("please fill them in again")).to_be_visible()
        expect(name_of(page)).to_have_value("Plain")
        expect(page.get_by_label("API Key")).to_have_value("")
        assert KEY not in page.content()
        visitor.inspect()
        page.reload()
        expect(page.get_by_text("please fill them in again")).to_be_visible()
        assert bots(visitor.site, user) == []
        create(page).click()
        page.wait_for_url(f"{visitor.site.origin}/dashboard*")
        assert KEY not in page.url
        assert bots(visitor.site, user) == ["Plain"]
        page.reload()
        assert bots(visitor.site, user) == ["Plain"]

    def test_one_that_fails_is_tried_again(self, visitor: Visitor, user: str) -> None:
        page, engine = visitor.page, visitor.site.engine
        engine.order("fail", "create", "No space left on device.")
        visitor.open("/dashboard/new")
        name_of(page).fill("Full")
        create(page).click()
        expect(page.get_by_text("No space left on device.")).to_be_visible()
        engine.order("succeed")
        page.get_by_role("button", name="Try again").click()
        page.wait_for_url(f"{visitor.site.origin}/dashboard*")
        assert bots(visitor.site, user) == ["Full"]
