"""What pictures are taken of: a table of names, and how a person gets there."""

from collections.abc import Callable
from dataclasses import dataclass, field

from playwright.sync_api import Page

from tests.browser.sites import LiveSite

USER = "maria"
IMAGE = "nginx:alpine"
TELEGRAM_TOKEN = "123456789:AAH3xyz-not-a-real-token-0123456789"  # noqa: S105 -- an invented one, to show that one is set
LOG = (
    "2026-01-31 12:00:01 gateway: listening on port 18789",
    "2026-01-31 12:00:01 channel telegram: connected as @family_helper_bot",
    "2026-01-31 12:00:07 chat 4711: \x1b[32m“What's for dinner?”\x1b[0m",
    "2026-01-31 12:00:09 chat 4711: answered in 1.8 s with 212 tokens",
    "2026-01-31 12:01:30 GET /<img src=x onerror=alert(1)> 404",
    "2026-01-31 12:02:12 chat 4711: “Remind us on Sunday”",
    "2026-01-31 12:02:12 reminders: 1 is due on 2026-02-01 09:00",
)


@dataclass
class Demo:
    """The server that is looked at, and maria's bots by what they show, such as ``running``."""

    site: LiveSite
    bots: dict[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Give maria one bot of each kind, and bob more than fit on a page."""
        order = self.site.engine.order
        self._create("running", name="Family helper", botToken=TELEGRAM_TOKEN, apiKey="sk-example")
        self._create("stopped", name="Recipe collector", model="claude-opus-4.5", channel="discord")
        self._create("crashed", name="News digest", channel="whatsapp")
        for number in range(60):
            self.site.create("bob", name=f"Shop assistant {number + 1}")
        order("write", self.bots["running"], *LOG)
        self.site.call(USER, "POST", f"/api/instances/{self.bots['stopped']}/stop")
        order("crash", self.bots["crashed"], 137, True)
        order("have_images", False)
        self._create("failed", name="Homework tutor")
        order("have_images", False, [IMAGE])
        order("hold", "pull")
        self._create("creating", name="Travel planner")
        for kind, status in (("running", "running"), ("stopped", "stopped"), ("crashed", "error"), ("failed", "error")):
            self.site.wait_for(USER, self.bots[kind], status=status)
        self.site.wait_for(USER, self.bots["creating"], statusReason="pulling_image")

    def mend(self) -> None:
        """Take back what a scene may have ordered; bots stay as they are."""
        self.site.engine.order("answer_again")
        self.site.engine.order("succeed")
        self.site.engine.order("be_ready", True)
        self.site.wait_for_engine()
        self.site.wait_for(USER, self.bots["running"], status="running")

    def close(self) -> None:
        """End the server."""
        self.site.close()

    def _create(self, kind: str, **fields: object) -> None:
        self.bots[kind] = self.site.create(USER, **fields)["id"]


@dataclass(frozen=True)
class Scene:
    """A picture: its name, how to get there in a fresh window, and who looks (nobody for a stranger).

    ``whole`` is the page to its end, else what the window shows at first. ``with_clerk`` is a picture of the server on
    which people sign in with Clerk.
    """

    name: str
    reach: Callable[[Demo, Page], object]
    user: str | None = USER
    whole: bool = True
    with_clerk: bool = False


def at(path: str) -> Callable[[Demo, Page], object]:
    """Go to an address; ``{running}`` and the like stand for ids of maria's bots."""
    return lambda demo, page: page.goto(path.format(**demo.bots))


def of_a_silent_engine(path: str) -> Callable[[Demo, Page], object]:
    """Go to an address when the server has noticed that its engine is gone."""

    def reach(demo: Demo, page: Page) -> None:
        demo.site.engine.order("go_silent")
        demo.site.wait_for_engine(connected=False)
        page.goto(path.format(**demo.bots))

    return reach


def that_does_not_answer(path: str) -> Callable[[Demo, Page], object]:
    """Go to an address when the server has noticed that bots run and do not answer."""

    def reach(demo: Demo, page: Page) -> None:
        demo.site.engine.order("be_ready", False)
        demo.site.wait_for(USER, demo.bots["running"], statusReason="unhealthy")
        page.goto(path.format(**demo.bots))

    return reach


def question_before_deleting(_demo: Demo, page: Page) -> None:
    """Ask to delete a bot, and leave the question open."""
    page.goto("/dashboard")
    page.get_by_role("button", name="Delete Recipe collector").click()
    page.get_by_role("dialog").wait_for()


def form_with_mistakes(_demo: Demo, page: Page) -> None:
    """Fill in the form for a new bot wrongly, and try to send it."""
    page.goto("/dashboard/new")
    token = page.get_by_role("group", name="Telegram").get_by_label("Bot Token")
    token.fill("@family_helper_bot")
    token.blur()
    page.get_by_text("This is the bot's name.").wait_for()
    page.get_by_role("button", name="Create bot").click()


def token_that_was_made(_demo: Demo, page: Page) -> None:
    """Make an API token, which is shown this once."""
    page.goto("/dashboard/account")
    page.get_by_label("Name").first.fill("Backup script")
    page.get_by_role("button", name="Create token").first.click()
    page.locator("#made").wait_for()


def used_link(demo: Demo, page: Page) -> None:
    """Open a sign-in link that was opened before."""
    link = demo.site.sign_in_link("bob")
    page.goto(link)
    page.context.clear_cookies()
    page.goto(link)


def session_that_ended(demo: Demo, page: Page) -> None:
    """Come back with a session that does not work any more."""
    page.context.add_cookies([{"name": "clawdeploy_session", "value": "ended", "url": demo.site.origin}])
    page.goto("/dashboard")


def question_whose_account(demo: Demo, page: Page) -> None:
    """Open a sign-in link of somebody else's."""
    page.goto(demo.site.sign_in_link("bob"))


SCENES = (
    Scene("landing", at("/"), user=None),
    Scene("landing-signed-in", at("/")),
    Scene("dashboard", at("/dashboard")),
    Scene("dashboard-empty", at("/dashboard"), user="newcomer"),
    Scene("dashboard-many", at("/dashboard?page=2"), user="bob"),
    Scene("dashboard-nothing-found", at("/dashboard?q=zebra")),
    Scene("dashboard-engine-silent", of_a_silent_engine("/dashboard")),
    Scene("dashboard-not-answering", that_does_not_answer("/dashboard")),
    Scene("delete-question", question_before_deleting, whole=False),
    Scene("bot-running", at("/dashboard/instances/{running}")),
    Scene("bot-engine-silent", of_a_silent_engine("/dashboard/instances/{running}")),
    Scene("bot-not-answering", that_does_not_answer("/dashboard/instances/{running}")),
    Scene("bot-crashed", at("/dashboard/instances/{crashed}")),
    Scene("bot-failed", at("/dashboard/instances/{failed}")),
    Scene("bot-stopped", at("/dashboard/instances/{stopped}")),
    Scene("new", at("/dashboard/new")),
    Scene("new-mistakes", form_with_mistakes),
    Scene("progress", at("/dashboard/instances/{creating}/progress")),
    Scene("progress-failed", at("/dashboard/instances/{failed}/progress")),
    Scene("account", at("/dashboard/account")),
    Scene("account-token-made", token_that_was_made),
    Scene("not-found", at("/nowhere"), user=None),
    Scene("sign-in-link-used", used_link, user=None),
    Scene("sign-in-question", question_whose_account),
    Scene("signed-out", session_that_ended, user=None, whole=False),
)
