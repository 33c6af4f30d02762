"""The form for a new bot: its fields come from the plugins, and what is wrong is said where it is wrong."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest
import webtest

from clawdeploy.core.contracts import Blueprint, Channel, CredentialField, Runtime
from clawdeploy.core.errors import DatabaseUnavailable, ImageUnavailable
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.testing import BrokenRuntime, SlowRuntime, eventually
from clawdeploy.plugins.standin import StandIn
from tests.web.people import Caller, Site, problem
from tests.web.reading import Page, page

OWN = {
    "origin": "http://localhost",
    "host": "localhost",
    "content_type": "application/x-www-form-urlencoded",
}
TOKEN = "123456789:" + "A" * 35
GOOD = {"name": "Family helper", "model": "gpt-5.2", "channel": "telegram", "key": "one"}


class Pigeons:
    """A third party's channel with two credentials, and names that are hard to put into a page."""

    name = 'pigeons "&" <co>'
    label = "Pigeons <b>"
    help = "Your bot's answers are carried by pigeons."
    credential_fields: tuple[CredentialField, ...] = (
        CredentialField("loft id", "Loft", "Painted on the door of the loft.", "LOFT"),
        CredentialField("botToken", "Whistle", "Ask the keeper for the whistle's tune.", "WHISTLE"),
    )
    bot_config: Mapping[str, object] = {}

    def check(self, credentials: Mapping[str, str]) -> Mapping[str, str]:
        return {"loft id": "No loft is called that."} if credentials.get("loft id") == "nest" else {}

    @hookimpl
    def register_channels(self) -> Iterable[Channel]:
        return [self]


class Other(StandIn):
    """Another blueprint to choose from."""

    name = "other"
    label = "Something else"
    description = "It does something else."

    @hookimpl
    def register_blueprints(self) -> Iterable[Blueprint]:
        return [self]


def send(caller: Caller, path: str = "/dashboard/new", /, **fields: str) -> webtest.TestResponse:
    """Send the form as a browser without scripts does."""
    return caller.call("POST", path, urlencode(fields).encode(), **OWN)


def send_by_script(caller: Caller, path: str = "/dashboard/new", /, **fields: str) -> webtest.TestResponse:
    """Send the form as its script does."""
    return caller.call("POST", path, urlencode(fields).encode(), hx_request="true", **{**OWN, "accept": "text/html"})


def made(answer: webtest.TestResponse) -> str:
    """Return the id of the bot to whose progress an answer leads."""
    found = re.fullmatch("/dashboard/instances/([a-z0-9]{16})/progress", answer.headers["Location"])
    assert found, answer
    return found[1]


def fields(seen: Page) -> dict[str, dict[str, str | None]]:
    """Return the attributes of all inputs and lists by name."""
    return {str(one["name"]): one for tag in ("input", "select") for one in seen.all(tag) if "name" in one}


def wrong(seen: Page) -> set[str]:
    return {name for name, one in fields(seen).items() if "aria-invalid" in one}


class TestTheForm:
    def test_what_it_asks_for(self, site: Site) -> None:
        seen = page(site.browser(), "/dashboard/new")
        assert seen.words["title"] == "New bot | ClawDeploy"
        assert set(fields(seen)) == {
            "key", "name", "model", "channel", "apiKey",
            "credentials.telegram.botToken", "credentials.discord.botToken",
        }  # fmt: skip
        assert "required" in fields(seen)["name"]
        assert fields(seen)["name"]["maxlength"] == "100"
        assert [one["value"] for one in seen.all("option") if "selected" in one] == ["claude-opus-4.5", "telegram"]
        assert "Make a key at platform.openai.com" in seen.words["p"]
        assert "Write /newbot to @BotFather" in seen.words["p"]
        assert {"class": "button", "href": "/dashboard"} in seen.all("a")

    def test_each_input_has_a_label_and_help(self, site: Site) -> None:
        seen = page(site.browser(), "/dashboard/new")
        labelled = {one["for"] for one in seen.all("label")}
        for name, one in fields(seen).items():
            if name != "key":
                assert one["id"] in labelled
                assert set(str(one["aria-describedby"]).split()) <= seen.ids

    def test_secrets_are_not_shown_or_kept_by_the_browser(self, site: Site) -> None:
        seen = page(site.browser(), "/dashboard/new")
        hidden = {name: one for name, one in fields(seen).items() if name == "apiKey" or "credentials" in name}
        assert len(hidden) == 3
        for one in hidden.values():
            assert (one["type"], one["autocomplete"], one["maxlength"]) == ("password", "off", "4096")
            assert "value" not in one

    def test_each_time_it_has_another_key(self, site: Site) -> None:
        ann = site.browser()
        keys = {fields(page(ann, "/dashboard/new"))["key"]["value"] for _ in range(3)}
        assert len(keys) == 3
        assert all(key and len(key) >= 20 for key in keys)

    def test_an_engine_that_is_silent_is_told_of(self, tmp_path: Path) -> None:
        site = BrokenSite(tmp_path)
        assert not site.platform.health()
        assert "has not answered since" in page(site.browser(), "/dashboard/new").words["p"]
        site.close()


class TestMakingABot:
    def test_it_leads_to_its_progress_and_then_to_the_dashboard(self, site: Site) -> None:
        ann = site.browser()
        answer = send(ann, **GOOD, apiKey=" sk-1\n", **{"credentials.telegram.botToken": f"{TOKEN} "})
        assert answer.status_int == 303
        bot = made(answer)
        assert eventually(lambda: site.instances()[0]["status"] == "running", 5)
        (shown,) = site.instances()
        assert {key: shown[key] for key in ("id", "name", "model", "channel", "botToken", "apiKey")} == {
            "id": bot, "name": "Family helper", "model": "gpt-5.2", "channel": "telegram", "botToken": "***",
            "apiKey": "***",
        }  # fmt: skip
        on = ann.get(answer.headers["Location"])
        assert (on.status_int, on.headers["Location"]) == (303, f"/dashboard?notice=created&bot={bot}")
        assert "“Family helper” is up and running." in ann.get(on.headers["Location"]).text

    def test_a_script_gets_the_address(self, site: Site) -> None:
        answer = send_by_script(site.browser(), **GOOD)
        assert (answer.status_int, answer.body) == (201, b"")
        made(answer)

    def test_what_is_left_empty_is_left_out(self, site: Site) -> None:
        send(site.browser(), **GOOD, apiKey="", **{"credentials.telegram.botToken": " "})
        (shown,) = site.instances()
        assert (shown["botToken"], shown["apiKey"]) == (None, None)

    def test_only_the_chosen_channel_counts(self, site: Site) -> None:
        """Without scripts the inputs of all channels are sent."""
        others = {"credentials.discord.botToken": "nonsense", "credentials.telegram.botToken": TOKEN}
        assert send(site.browser(), **GOOD, **others).status_int == 303
        assert site.instances()[0]["botToken"] == "***"
        assert send(site.browser(), **{**GOOD, "channel": "whatsapp", "key": "two"}, **others).status_int == 303
        assert site.instances()[0]["botToken"] is None

    def test_it_does_not_wait_for_the_container(self, tmp_path: Path) -> None:
        site = SlowSite(tmp_path)
        ann = site.browser()
        send(ann, **GOOD)
        assert site.instances()[0]["status"] in ("pending", "creating")
        site.slow.release()
        site.close()


class TestOnce:
    def test_a_form_that_is_sent_twice_makes_one_bot(self, site: Site) -> None:
        ann = site.browser()
        assert made(send(ann, **GOOD)) == made(send(ann, **GOOD)) == made(send_by_script(ann, **GOOD))
        assert len(site.instances()) == 1

    def test_two_forms_make_two(self, site: Site) -> None:
        ann = site.browser()
        assert made(send(ann, **GOOD)) != made(send(ann, **{**GOOD, "key": "two"}))

    def test_the_key_is_of_its_owner_alone(self, site: Site) -> None:
        assert made(send(site.browser(), **GOOD)) != made(send(site.browser("bob"), **GOOD))

    def test_a_mended_form_goes_on_under_its_key(self, site: Site) -> None:
        ann = site.browser()
        assert send(ann, **{**GOOD, "name": ""}).status_int == 400
        assert send(ann, **GOOD).status_int == 303

    def test_a_form_that_was_changed_after_it_was_sent(self, site: Site) -> None:
        """Somebody went back, changed the name and sent it again: they are told, and can send it as another form."""
        ann = site.browser()
        send(ann, **GOOD)
        answer = send(ann, **{**GOOD, "name": "Another"})
        assert answer.status_int == 422
        seen = Page(answer.text).check()
        assert "This form has made a bot already" in seen.words["p"]
        assert fields(seen)["name"]["value"] == "Another"
        key = str(fields(seen)["key"]["value"])
        assert key != "one"
        assert len(site.instances()) == 1
        assert send(ann, **{**GOOD, "name": "Another", "key": key}).status_int == 303
        problem(send_by_script(ann, **{**GOOD, "name": "A third"}), 422, "idempotency_key_reused")

    def test_a_form_whose_bot_was_deleted(self, site: Site) -> None:
        ann = site.browser()
        bot = made(send(ann, **GOOD))
        assert eventually(lambda: site.instances()[0]["status"] == "running", 5)
        site.platform.instances.delete("ann", bot)
        answer = send(ann, **GOOD)
        assert answer.status_int == 422
        assert send(ann, **{**GOOD, "key": str(fields(Page(answer.text))["key"]["value"])}).status_int == 303

    def test_a_form_without_a_key(self, site: Site) -> None:
        sent = {name: value for name, value in GOOD.items() if name != "key"}
        assert send(site.browser(), **sent).status_int == 303


class TestWhatIsWrong:
    def test_it_stands_at_its_input(self, site: Site) -> None:
        answer = send(
            site.browser(),
            **{**GOOD, "name": " ", "apiKey": "sk 1", "credentials.telegram.botToken": "123456789"},
        )
        assert answer.status_int == 400
        seen = Page(answer.text).check()
        assert wrong(seen) == {"name", "apiKey", "credentials.telegram.botToken"}
        for name in wrong(seen):
            assert f"wrong-{fields(seen)[name]['id']}" in str(fields(seen)[name]["aria-describedby"])
        assert "This is only the number before the colon." in seen.words["p"]
        linked = {str(link["href"]) for link in seen.all("a")}
        assert linked >= {f"#{fields(seen)[name]['id']}" for name in wrong(seen)}
        (summary,) = [one for one in seen.all("div") if one.get("id") == "summary"]
        assert "hidden" not in summary
        assert "autofocus" in summary
        assert site.instances() == []

    def test_a_single_wrong_input_gets_the_focus(self, site: Site) -> None:
        seen = Page(send(site.browser(), **{**GOOD, "name": ""}).text).check()
        assert [one.get("name") for _, one in seen.tags if "autofocus" in one] == ["name"]

    def test_what_was_typed_stays_but_never_a_secret(self, site: Site) -> None:
        typed = {**GOOD, "name": '<b>"x"&\n', "channel": "discord", "apiKey": "sk-hunter2"}
        secrets = {"credentials.telegram.botToken": "hunter3", "credentials.discord.botToken": "hunter4"}
        answer = send(site.browser(), **typed, **secrets)
        assert answer.status_int == 400
        assert "hunter" not in answer.text
        seen = Page(answer.text).check()
        assert fields(seen)["name"]["value"] == '<b>"x"&\n'
        assert [one["value"] for one in seen.all("option") if "selected" in one] == ["gpt-5.2", "discord"]
        assert "please fill them in again" in seen.words["p"]

    def test_without_secrets_nothing_is_said_of_them(self, site: Site) -> None:
        assert "fill them in again" not in send(site.browser(), **{**GOOD, "name": ""}).text

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"name": "x" * 101}, {"name"}),
            ({"name": "\u200b"}, {"name"}),
            ({"name": "a\nb"}, {"name"}),
            ({"model": "gpt-1"}, {"model"}),
            ({"model": ""}, {"model"}),
            ({"channel": "pigeon", "credentials.telegram.botToken": "x"}, {"channel"}),
            ({"channel": ""}, {"channel"}),
            ({"blueprint": "nonsense"}, {"blueprint"}),
            ({"apiKey": "***"}, {"apiKey"}),
            ({"apiKey": "x" * 4097}, {"apiKey"}),
            ({"apiKey": "schlüssel"}, {"apiKey"}),
            ({"credentials.telegram.botToken": "x y"}, {"credentials.telegram.botToken"}),
            ({"key": "ß"}, {"Idempotency-Key"}),
        ],
    )
    def test_a_script_is_told_by_the_names_of_the_inputs(
        self, site: Site, changed: dict[str, str], said: set[str]
    ) -> None:
        sent = {**GOOD, **changed}
        answer = send_by_script(site.browser(), **sent)
        assert set(problem(answer, 400, "invalid_input")["errors"]) == said
        shown = send(site.browser(), **sent)
        assert shown.status_int == 400
        Page(shown.text).check()
        assert site.instances() == []

    def test_a_failure_of_the_server_keeps_the_form(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        ann = site.browser()

        def unavailable(*_: object) -> None:
            raise DatabaseUnavailable("disk full at /var/lib/secret-place")

        monkeypatch.setattr(site.platform.instances._intake, "take", unavailable)
        answer = send(ann, **GOOD)
        assert (answer.status_int, answer.headers["Retry-After"]) == (503, "5")
        assert "secret-place" not in answer.text
        seen = Page(answer.text).check()
        assert "The database is not available right now. Try again in a moment." in seen.words["p"]
        assert (fields(seen)["name"]["value"], fields(seen)["key"]["value"]) == ("Family helper", "one")
        problem(send_by_script(ann, **GOOD), 503, "database_unavailable")
        monkeypatch.undo()
        assert send(ann, **GOOD).status_int == 303


class TestTheCheck:
    def test_it_says_what_is_wrong_and_makes_nothing(self, site: Site) -> None:
        ann = site.browser()
        before = site.everything()
        sent = {"channel": "telegram", "credentials.telegram.botToken": "@my_bot"}
        answer = send_by_script(ann, "/dashboard/new/check", **sent)
        said = answer.json["errors"]["credentials.telegram.botToken"]
        assert said == ["This is the bot's name. The token is the long line with a colon in @BotFather's message."]
        assert send_by_script(ann, "/dashboard/new/check", **GOOD).json == {"errors": {}}
        assert site.everything() == before

    def test_the_key_stays_free(self, site: Site) -> None:
        ann = site.browser()
        send_by_script(ann, "/dashboard/new/check", **{**GOOD, "name": "Another"})
        assert send(ann, **GOOD).status_int == 303


class TestPlugins:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Iterator[Site]:
        site = Site(tmp_path, plugins={"pigeons": Pigeons(), "other": Other("nginx:alpine")})
        yield site
        site.close()

    def test_a_channel_of_a_third_party_has_its_part(self, site: Site) -> None:
        seen = page(site.browser(), "/dashboard/new")
        assert {f"credentials.{Pigeons.name}.loft id", f"credentials.{Pigeons.name}.botToken"} <= set(fields(seen))
        assert "Painted on the door of the loft." in seen.words["p"]
        assert "Pigeons <b>" in seen.words["legend"]
        assert not any(" " in name for name in seen.ids)

    def test_its_credentials_arrive(self, site: Site) -> None:
        given = {f"credentials.{Pigeons.name}.loft id": "tower", f"credentials.{Pigeons.name}.botToken": "tune"}
        assert send(site.browser(), **{**GOOD, "channel": Pigeons.name}, **given).status_int == 303
        (shown,) = site.instances()
        assert (shown["channel"], shown["botToken"], shown["credentials"]) == (Pigeons.name, "***", {"loft id": "***"})

    def test_its_complaints_stand_at_its_inputs(self, site: Site) -> None:
        loft = f"credentials.{Pigeons.name}.loft id"
        answer = send(site.browser(), **{**GOOD, "channel": Pigeons.name, loft: "nest"})
        assert answer.status_int == 400
        seen = Page(answer.text).check()
        assert wrong(seen) == {loft}
        assert "No loft is called that." in seen.words["p"]

    def test_blueprints_are_chosen_when_there_are_several(self, site: Site) -> None:
        seen = page(site.browser(), "/dashboard/new")
        assert "It does something else." in seen.words["p"]
        assert "standin" in [one["value"] for one in seen.all("option") if "selected" in one]
        send(site.browser(), **GOOD, blueprint="other")
        assert site.instances()[0]["blueprint"] == "other"


class BrokenSite(Site):
    """A site whose engine does not answer until it is mended."""

    def wrap(self, installation: str) -> Runtime:
        self.broken = BrokenRuntime(super().wrap(installation))
        return self.broken


class SlowSite(Site):
    """A site whose engine takes its time to create containers."""

    def wrap(self, installation: str) -> Runtime:
        self.slow = SlowRuntime(super().wrap(installation), ["create"])
        return self.slow


class TestProgress:
    def test_a_bot_that_comes_up(self, tmp_path: Path) -> None:
        site = SlowSite(tmp_path)
        ann = site.browser()
        address = send(ann, **GOOD).headers["Location"]
        bot = address.split("/")[3]
        seen = page(ann, address)
        assert seen.words["title"] == "Creating Family helper | ClawDeploy"
        steps = [str(one["class"]).split()[1] for one in seen.all("li")]
        assert len(steps) == 4
        assert "running" in steps
        assert {"http-equiv": "refresh", "content": "2"} in seen.all("meta")
        (live,) = [one for one in seen.all("div") if one.get("id") == "live"]
        assert (live["data-changing"], live["data-leads-to"]) == ("1", "")
        assert live["hx-get"] == address
        site.slow.release()
        assert eventually(lambda: site.instances()[0]["status"] == "running", 5)
        part = ann.get(address, hx_request="true")
        assert part.status_int == 200
        assert part.text.strip().startswith('<div id="live"')
        assert f'data-leads-to="/dashboard?notice=created&amp;bot={bot}"' in part.text
        assert part.text.count('class="way-step done"') == 4
        site.close()

    def test_one_that_waits_for_the_engine_says_so(self, tmp_path: Path) -> None:
        site = BrokenSite(tmp_path)
        ann = site.browser()
        address = send(ann, **GOOD).headers["Location"]
        assert eventually(lambda: site.instances()[0]["status"] == "error", 5)
        seen = page(ann, address)
        assert "Waiting for Docker" in seen.words["p"]
        assert "What was asked for is kept" in seen.words["bdi"]
        assert "This goes on when it does." in seen.words["p"]
        assert "failed" not in [str(one["class"]).split()[1] for one in seen.all("li")]
        site.broken.mend()
        site.platform.reconciler.sync(patience=10)
        assert ann.get(address).status_int == 303
        assert site.instances()[0]["status"] == "running"
        site.close()

    def test_one_that_fails_says_why_and_what_to_do(self, tmp_path: Path) -> None:
        site = BrokenSite(tmp_path)
        site.broken.error, site.broken.calls = ImageUnavailable("It cannot be downloaded."), ("create",)
        ann = site.browser()
        address = send(ann, **GOOD).headers["Location"]
        assert eventually(lambda: site.instances()[0]["status"] == "error", 5)
        seen = page(ann, address)
        assert "It cannot be downloaded." in seen.words["bdi"]
        assert "connected to the internet, then try again" in seen.words["p"]
        assert "failed" in [str(one["class"]).split()[1] for one in seen.all("li")]
        assert not [one for one in seen.all("meta") if "http-equiv" in one]
        (retry,) = [one for one in seen.all("form") if "retry" in str(one["action"])]
        assert fields(seen)["back"]["value"] == "progress"
        targets = [link["href"] for link in seen.all("a")]
        assert {"/dashboard", f"/dashboard/instances/{site.instances()[0]['id']}"} <= set(targets)
        site.broken.mend()
        again = send(ann, str(retry["action"]), back="progress")
        assert again.status_int == 303
        assert again.headers["Location"].startswith(address)
        assert eventually(lambda: site.instances()[0]["status"] == "running", 5)
        assert ann.get(address).status_int == 303
        site.close()

    def test_one_that_was_stopped_has_its_own_page(self, site: Site) -> None:
        ann = site.browser()
        address = send(ann, **GOOD).headers["Location"]
        assert eventually(lambda: site.instances()[0]["status"] == "running", 5)
        site.platform.instances.stop("ann", site.instances()[0]["id"])
        answer = ann.get(address)
        assert (answer.status_int, answer.headers["Location"]) == (303, address.removesuffix("/progress"))

    def test_anothers_is_not_there(self, site: Site) -> None:
        address = send(site.browser(), **GOOD).headers["Location"]
        assert site.browser("bob").get(address).status_int == 404
        assert site.browser().get("/dashboard/instances/nonsense/progress").status_int == 404
