"""The dashboard: what is there, what can be done with it, and what it says when something is wrong."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clawdeploy.core.contracts import Instance, Operation, Runtime, Status
from clawdeploy.core.testing import BrokenRuntime
from clawdeploy.web.pages.choices import choices
from clawdeploy.web.pages.dashboard import PAGE_SIZE
from tests.web.forms import SCRIPT, submit
from tests.web.people import Site
from tests.web.reading import Page, page


def names(seen: Page) -> list[str]:
    """Return the names on the cards, in order."""
    return [str(badge["data-status-of"]) for badge in seen.all("span") if "data-status-of" in badge]


def test_the_empty_dashboard_says_how_to_begin(site: Site) -> None:
    seen = page(site.browser(), "/dashboard")
    assert seen.words["title"] == "Dashboard | ClawDeploy"
    assert "No bots yet" in seen.words["h2"]
    assert "Create New Instance" in seen.words["a"]
    assert "/dashboard/new" in [link["href"] for link in seen.all("a")]


def test_the_dashboard_lists_what_is_there_and_only_that(site: Site) -> None:
    ann = site.browser()
    made = site.program().create(name="Family helper")
    site.program("bob").create(name="Somebody else's")
    seen = page(ann, "/dashboard")
    assert names(seen) == ["Family helper"]
    assert "badge running" in [badge.get("class") for badge in seen.all("span")]
    assert f"/dashboard/instances/{made['id']}" in [link["href"] for link in seen.all("a")]
    assert "GPT-5.2Telegram" in seen.words["dd"]
    site.memory.remove(made["containerId"])
    site.platform.reconciler.sync("sync")
    seen = page(ann, "/dashboard")
    assert "badge error" in [badge.get("class") for badge in seen.all("span")]
    assert "container was removed" in seen.words["p"]


def test_many_are_shown_in_pages_and_found_by_name_and_status(site: Site) -> None:
    program, ann = site.program(), site.browser()
    for number in range(PAGE_SIZE + 2):
        program.create(name=f"bot {number}")
    stopped = program.create(name="Zebra")["id"]
    program.post(f"/api/instances/{stopped}/stop")
    first = page(ann, "/dashboard")
    assert len(names(first)) == PAGE_SIZE
    assert f"{PAGE_SIZE} of {PAGE_SIZE + 3}" in first.words["p"]
    second = page(ann, "/dashboard?page=2")
    assert len(names(second)) == 3
    assert "/dashboard" in [link["href"] for link in second.all("a")]
    assert names(page(ann, "/dashboard?q=zEB")) == ["Zebra"]
    assert names(page(ann, "/dashboard?status=stopped")) == ["Zebra"]
    assert "No bot found" in page(ann, "/dashboard?q=zebra&status=running").words["h2"]
    assert "No bot found" in page(ann, "/dashboard?page=99").words["h2"]


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "status=deleted", "status=<b>", "q=%00", "notice=x"])
def test_what_makes_no_sense_in_the_address_asks_for_nothing(site: Site, query: str) -> None:
    page(site.browser(), f"/dashboard?{query}")


def test_a_script_gets_only_the_part_that_changes(site: Site) -> None:
    ann = site.browser()
    site.program().create()
    part = ann.get("/dashboard?q=te", **SCRIPT)
    assert (part.status_int, part.content_type, part.headers["Vary"]) == (200, "text/html", "HX-Request")
    assert part.text.lstrip().startswith('<div id="live"')
    assert "<html" not in part.text
    assert 'hx-get="/dashboard?q=te"' in part.text
    assert "<html" in ann.get("/dashboard", hx_request="true", hx_history_restore_request="true").text


def test_a_script_is_told_that_it_is_signed_out_and_a_person_is_led_away(site: Site) -> None:
    nobody = site.anybody()
    assert nobody.get("/dashboard", **SCRIPT).status_int == 401
    assert nobody.get("/dashboard", accept="text/html").status_int == 303


def test_a_silent_engine_is_told_and_nothing_turns_red(tmp_path: Path) -> None:
    class Silent(Site):
        def wrap(self, installation: str) -> Runtime:
            self.broken = BrokenRuntime(super().wrap(installation), calls=("ping",))
            return self.broken

    silent = Silent(tmp_path)
    bot = silent.program().create(name="Helper")
    seen = page(silent.browser(), "/dashboard")
    assert "Docker has not answered since" in seen.words["p"]
    assert "badge running" in [badge.get("class") for badge in seen.all("span")]
    own = page(silent.browser(), f"/dashboard/instances/{bot['id']}")
    assert "It ran when it was last looked at." in own.words["p"]
    assert "All is well" not in own.words["p"]
    silent.close()


def test_what_was_last_looked_at_long_ago_is_not_said_to_be_well(site: Site) -> None:
    """Whatever keeps the sync from looking, and though the engine answers that it is there."""
    bot = site.program().create(name="Helper")
    row = site.platform.database.tables.instance
    with site.platform.database.transaction():
        row.update(status_since=site.platform.clock() - timedelta(minutes=5)).execute()
    browser = site.browser()
    for where in ("/dashboard", f"/dashboard/instances/{bot['id']}"):
        seen = page(browser, where).words["p"]
        assert "nobody could look at your bot" in seen
        assert "All is well" not in seen
    site.platform.reconciler.sync()
    for where in ("/dashboard", f"/dashboard/instances/{bot['id']}"):
        assert "nobody could look" not in page(browser, where).words["p"]
    assert "All is well" in page(browser, where).words["p"]


class TestActions:
    @pytest.mark.parametrize(
        ("action", "status", "said"),
        [
            ("stop", "stopped", "has stopped"),
            ("restart", "running", "has restarted"),
            ("start", "running", "is running"),
        ],
    )
    def test_a_button_does_what_it_says(self, site: Site, action: str, status: str, said: str) -> None:
        ann, bot = site.browser(), site.program().create(name="Helper")["id"]
        answer = submit(ann, f"/dashboard/instances/{bot}/{action}", back="dashboard")
        assert answer.status_int == 303
        assert site.instances()[0]["status"] == status
        led_to = answer.headers["Location"]
        assert led_to.startswith("/dashboard?notice=")
        assert f"“Helper” {said}." in page(ann, led_to).words["p"]
        back = submit(ann, f"/dashboard/instances/{bot}/{action}", back="instance")
        assert back.headers["Location"].startswith(f"/dashboard/instances/{bot}?")

    def test_a_script_gets_the_notice_as_an_event(self, site: Site) -> None:
        ann, bot = site.browser(), site.program().create(name="Zoë <b>")["id"]
        answer = submit(ann, f"/dashboard/instances/{bot}/stop", script=True)
        assert (answer.status_int, answer.body) == (204, b"")
        events = json.loads(answer.headers["HX-Trigger"])
        assert events == {"notice": {"text": "“Zoë <b>” has stopped."}, "changed": True}

    def test_deleting_leads_to_the_list(self, site: Site) -> None:
        ann, bot = site.browser(), site.program().create()["id"]
        answer = submit(ann, f"/dashboard/instances/{bot}/delete", back="instance")
        assert answer.headers["Location"].startswith("/dashboard?")
        assert site.instances() == []
        assert "was deleted" in page(ann, answer.headers["Location"]).words["p"]

    def test_a_failed_bot_is_tried_again(self, site: Site) -> None:
        ann = site.browser()
        site.memory.engine.images = set()
        bot = site.program().create()["id"]
        assert "Try again" in page(ann, "/dashboard").words["button"]
        site.memory.engine.images = {"nginx:alpine"}
        assert submit(ann, f"/dashboard/instances/{bot}/retry").status_int == 303
        assert site.instances()[0]["status"] == "running"

    @pytest.mark.parametrize("action", ["start", "stop", "restart", "retry", "delete", "rename", "credentials"])
    @pytest.mark.parametrize("script", [False, True])
    def test_nobody_acts_upon_anothers(self, site: Site, action: str, script: bool) -> None:
        bot = site.program("bob").create()["id"]
        answer = submit(site.browser(), f"/dashboard/instances/{bot}/{action}", script=script)
        assert answer.status_int == 404
        assert answer.content_type == ("application/problem+json" if script else "text/html")
        assert site.instances("bob")[0]["status"] == "running"

    def test_unknown_fields_are_refused(self, site: Site) -> None:
        ann, bot = site.browser(), site.program().create()["id"]
        assert submit(ann, f"/dashboard/instances/{bot}/stop", force="yes").status_int == 400
        assert site.instances()[0]["status"] == "running"

    def test_where_a_form_leads_is_not_for_the_form_to_say(self, site: Site) -> None:
        ann, bot = site.browser(), site.program().create()["id"]
        answer = submit(ann, f"/dashboard/instances/{bot}/stop", back="https://evil.example")
        assert answer.headers["Location"].startswith(f"/dashboard/instances/{bot}?")


def test_what_is_offered_is_not_refused(site: Site) -> None:
    """Of every settled state, an offered action is accepted by the core; one that is not offered says why."""
    made = site.program().create()
    act = {name: getattr(site.platform.instances, name) for name in ("start", "stop", "restart", "retry")}
    row = site.platform.instances.get("ann", made["id"])
    tried = 0
    for status in ("running", "stopped", "error"):
        for name, ask in act.items():
            site.platform.instances.retry("ann", made["id"])
            if status == "stopped":
                site.platform.instances.stop("ann", made["id"])
            elif status == "error":
                site.memory.crash(made["id"])
                site.platform.reconciler.sync("sync")
            now = site.platform.instances.get("ann", row.id)
            assert now.status == status
            offered = {choice.name: choice for choice in choices(now)}
            if name in offered and not offered[name].why_not:
                ask("ann", row.id)
                tried += 1
    assert tried >= 5


@pytest.mark.parametrize(
    ("status", "operation", "reason"),
    list(itertools.product(Status, [None, *Operation], ["", "pulling_image", "starting", "waiting_until_ready"])),
)
@pytest.mark.parametrize("container", [None, "c" * 64])
def test_every_state_has_three_choices_each_with_an_address_or_a_reason(
    status: Status, operation: Operation | None, reason: str, container: str | None, instance: Instance
) -> None:
    now = replace(instance, status=status, operation=operation, reason=reason, container_id=container)
    offered = choices(now)
    assert [choice.label for choice in offered][1:] == ["Stop", "Restart"]
    for choice in offered:
        assert not choice.why_not or choice.why_not.endswith(".")
    if operation in (Operation.CREATE, Operation.START, Operation.RESTART):
        assert offered[0].why_not
        assert offered[2].why_not


def test_one_that_was_never_made_and_was_stopped_can_be_started(tmp_path_factory: pytest.TempPathFactory) -> None:
    site = Site(tmp_path_factory.mktemp("never-made"))
    site.memory.engine.images = set()
    ann, bot = site.browser(), site.program().create()["id"]
    assert site.platform.instances.patch("ann", bot, {"status": "stopped"}).status is Status.STOPPED
    site.memory.engine.images = None
    run = choices(site.platform.instances.get("ann", bot))[0]
    assert (run.label, run.why_not) == ("Start", "")
    submit(ann, f"/dashboard/instances/{bot}/{run.name}")
    assert site.platform.instances.get("ann", bot).status is Status.RUNNING
    site.close()


def test_one_that_runs_and_does_not_answer_can_be_restarted(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its sentence says that a restart may help; to try again is to wait for it once more."""
    site = Site(tmp_path_factory.mktemp("hangs"))
    ann, bot = site.browser(), site.program().create()["id"]
    started = site.memory.observe(bot).started_at
    site.memory.ready = False
    for _ in range(2):
        site.platform.reconciler.sync()
    hangs = site.platform.instances.get("ann", bot)
    assert hangs.reason == "unhealthy"
    assert choices(hangs)[2].why_not == ""
    site.memory.ready = True
    submit(ann, f"/dashboard/instances/{bot}/restart")
    assert site.platform.instances.get("ann", bot).status is Status.RUNNING
    assert site.memory.observe(bot).started_at != started
    site.close()


def test_one_that_is_to_be_made_anew_by_itself_can_be_stopped(instance: Instance) -> None:
    failed = replace(instance, status=Status.ERROR, operation=None, container_id=None)
    assert choices(failed)[1].why_not
    assert not choices(replace(failed, retry_at=failed.updated_at))[1].why_not


@pytest.fixture
def instance() -> Instance:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    moments = dict.fromkeys(("status_since", "status_as_of", "created_at", "updated_at"), at)
    values = dict.fromkeys(Instance.__dataclass_fields__, "") | moments | {"retry_at": None}
    # The fields are of many types, and only those that a test sets itself matter to it: the others are empty.
    return Instance(**values)  # type: ignore[arg-type]


def test_an_operation_that_the_engine_puts_off_is_explained(tmp_path_factory: pytest.TempPathFactory) -> None:
    class Broken(Site):
        def wrap(self, installation: str) -> Runtime:
            self.broken = BrokenRuntime(super().wrap(installation), calls=("stop",))
            return self.broken

    site = Broken(tmp_path_factory.mktemp("broken"))
    ann, bot = site.browser(), site.program().create()["id"]
    told = submit(ann, f"/dashboard/instances/{bot}/stop", script=True)
    assert told.status_int == 503
    assert "carried out as soon as it can be" in told.json["detail"]
    site.close()
