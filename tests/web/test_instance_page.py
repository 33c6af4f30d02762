"""The page of a bot: everything about it, and its settings."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from clawdeploy.core.contracts import Channel, CredentialField
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.plugins.telegram import Telegram
from tests.core.surroundings import TELEGRAM_TOKEN
from tests.web.forms import SCRIPT, submit
from tests.web.people import Site, problem
from tests.web.reading import page

SECRET = "sk-never-to-be-seen-again"
OTHER_TOKEN = "987654321:BBH3xyzAAH3xyzAAH3xyzAAH3xyzAAH3xyz"


def address(site: Site, **fields: object) -> str:
    return f"/dashboard/instances/{site.program().create(**fields)['id']}"


def test_everything_is_on_it(site: Site) -> None:
    ann = site.browser()
    fields = {"name": "Family helper", "apiKey": SECRET, "region": "here", "config": {"greeting": "Hi <b>"}}
    where = address(site, **fields)
    (bot,) = site.instances()
    seen = page(ann, where)
    assert seen.words["title"] == "Family helper | ClawDeploy"
    for shown in ("GPT-5.2", "Telegram", "Stand-in (nginx)", bot["id"], bot["containerId"][:12], bot["url"], "here"):
        assert shown in seen.words["dl"], shown
    assert bot["containerId"] not in seen.words["dl"]
    assert json.loads(seen.words["pre"]) == {"greeting": "Hi <b>"}
    assert "Back to Dashboard" in seen.words["a"]
    assert seen.words["summary"] == "Set Bot TokenReplace or remove API KeyDelete this bot"
    assert {
        "href": bot["url"],
        "target": "_blank",
        "rel": "noopener",
        "class": "button small",
        "id": "open-address",
    } in seen.all("a")
    assert "All is well" in seen.words["p"]
    assert SECRET not in ann.get(where).text


def test_a_bot_without_a_container_has_a_page_too(site: Site) -> None:
    site.memory.engine.images = set()
    seen = page(site.browser(), address(site))
    assert "It gets one when it runs." in seen.words["dl"]
    assert "Try again" in seen.words["button"]
    assert "There are no logs yet: the bot has no container." in seen.words["p"]
    (download,) = [link for link in seen.all("a") if "data-logs-download" in link]
    assert "hidden" in download


def test_what_is_stopped_has_no_page_of_its_own_to_open(site: Site) -> None:
    where = address(site)
    submit(site.browser(), f"{where}/stop", back="instance")
    seen = page(site.browser(), where)
    assert "open-address" not in [link.get("id") for link in seen.all("a")]
    assert "It does not answer now." in [button.get("data-why") for button in seen.all("button")]
    assert "It is stopped." in seen.words["p"]


def test_its_live_part_is_all_that_changes_by_itself(site: Site) -> None:
    ann, where = site.browser(), address(site)
    part = ann.get(where, **SCRIPT)
    assert part.text.lstrip().startswith('<div id="live"')
    assert "<form" in part.text
    assert 'type="password"' not in part.text


def test_another_ones_page_does_not_exist(site: Site) -> None:
    bot = site.program("bob").create()["id"]
    for rest in ("", "/logs.txt", "/progress", "/rename", "/credentials"):
        assert site.browser().get(f"/dashboard/instances/{bot}{rest}").status_int == 404


class TestRenaming:
    def test_it_has_the_new_name_and_says_so(self, site: Site) -> None:
        ann, where = site.browser(), address(site)
        answer = submit(ann, f"{where}/rename", name="  Zoë & <Co> ")
        assert answer.status_int == 303
        assert site.instances()[0]["name"] == "Zoë & <Co>"
        leads_to, _, section = answer.headers["Location"].partition("#")
        seen = page(ann, leads_to)
        assert "The bot is now called “Zoë & <Co>”." in seen.words["p"]
        assert section in seen.ids

    @pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\nb"])
    def test_what_is_wrong_stands_at_the_field_and_what_was_typed_stays(self, site: Site, name: str) -> None:
        ann, where = site.browser(), address(site)
        answer = submit(ann, f"{where}/rename", name=name)
        assert answer.status_int == 400
        assert 'id="name-wrong"' in answer.text
        assert 'aria-invalid="true"' in answer.text
        assert site.instances()[0]["name"] == "test"

    def test_the_address_of_a_sent_form_leads_back(self, site: Site) -> None:
        ann, where = site.browser(), address(site)
        assert ann.get(f"{where}/rename").headers["Location"] == where


class TwoFields(Telegram):
    """A network with two credentials, of a plugin."""

    name = "two"
    label = "Two Fields"
    credential_fields: tuple[CredentialField, ...] = (
        CredentialField("appId", "App Id", "It is on the first page.", "APP_ID"),
        CredentialField("appSecret", "App Secret", "It is on the second page.", "APP_SECRET"),
    )


class Plugin:
    """Offers it."""

    @hookimpl
    def register_channels(self) -> Iterable[Channel]:
        return [TwoFields()]


class TestSecrets:
    @pytest.mark.parametrize(("field", "value"), [("apiKey", SECRET), ("botToken", OTHER_TOKEN)])
    def test_one_is_set_replaced_and_removed_and_never_shown(self, site: Site, field: str, value: str) -> None:
        ann, where = site.browser(), address(site)
        bot = where.rpartition("/")[2]
        answer = submit(ann, f"{where}/credentials", field=field, value=value)
        assert answer.status_int == 303
        stored = site.platform.instances._store.secrets(bot)
        assert stored[field].reveal() == value
        leads_to, _, section = answer.headers["Location"].partition("#")
        after = page(ann, leads_to)
        assert "was replaced" in after.words["p"]
        assert section in after.ids
        assert value not in ann.get(leads_to).text
        assert "changed" not in answer.headers.get("HX-Trigger", "")
        assert submit(ann, f"{where}/credentials", field=field, remove="yes").status_int == 303
        assert site.instances()[0][field] is None

    @pytest.mark.parametrize("value", ["", "has a space", "no token at all", "x" * 5000, "\u00e9"])
    def test_a_wrong_one_is_told_at_its_field_and_not_repeated(self, site: Site, value: str) -> None:
        ann, where = site.browser(), address(site, botToken=TELEGRAM_TOKEN)
        answer = submit(ann, f"{where}/credentials", field="botToken", value=value)
        assert answer.status_int == 400
        assert 'id="wrong-0"' in answer.text
        assert "<details open>" in answer.text
        assert not value or f'value="{value}"' not in answer.text

    def test_a_script_that_sends_a_wrong_one_gets_a_problem(self, site: Site) -> None:
        ann, where = site.browser(), address(site)
        answer = submit(ann, f"{where}/credentials", script=True, field="botToken", value="no token at all")
        assert set(problem(answer, 400, "invalid_input")["errors"]) == {"botToken"}

    def test_a_bot_that_runs_is_restarted_with_it(self, site: Site) -> None:
        ann, where = site.browser(), address(site)
        submit(ann, f"{where}/rename", name="new")
        assert "asked it to restart" not in ann.get(where).text
        submit(ann, f"{where}/credentials", field="apiKey", value=SECRET)
        shown = ann.get(where).text
        assert "You changed the API Key." in shown
        assert "You asked it to restart. One of its secrets was changed." in shown
        assert "All is well" in shown

    @pytest.mark.parametrize("field", ["", "name", "config", "appSecret", "__proto__"])
    def test_only_secrets_of_this_bot_can_be_set(self, site: Site, field: str) -> None:
        ann, where = site.browser(), address(site)
        assert submit(ann, f"{where}/credentials", field=field, value="x").status_int == 400

    def test_those_of_a_plugins_channel_are_there_by_themselves(self, tmp_path: Path) -> None:
        site = Site(tmp_path, plugins={"two": Plugin()})
        ann, where = site.browser(), address(site, channel="two")
        seen = page(ann, where)
        assert "It is on the second page." in seen.words["p"]
        assert submit(ann, f"{where}/credentials", field="appSecret", value=SECRET).status_int == 303
        assert site.instances()[0]["credentials"] == {"appSecret": "***"}
        site.close()
