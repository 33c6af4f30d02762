"""What has happened to a bot, as its page tells it."""

import pytest

from clawdeploy.core.contracts import Activity
from clawdeploy.web.pages.happened import lasting, told
from tests.core.test_activity import AT
from tests.web.forms import SCRIPT, submit
from tests.web.people import Site
from tests.web.reading import page
from tests.web.test_instance_page import address


class TestActivity:
    def test_what_has_passed_is_left_out_until_everything_is_asked_for(self, site: Site) -> None:
        ann, where = site.browser(), address(site)
        seen = page(ann, where)
        assert "You asked for this bot to be made." in seen.words["ol"]
        assert "It is running." in seen.words["ol"]
        assert "The container is being made." not in seen.words["ol"]
        assert f"{where}?activity=all#activity" in [link["href"] for link in seen.all("a")]
        everything = page(ann, f"{where}?activity=all")
        assert "The container is being made." in everything.words["ol"]
        assert f"{where}#activity" in [link["href"] for link in everything.all("a")]

    def test_the_live_part_goes_on_showing_everything(self, site: Site) -> None:
        ann, where = site.browser(), address(site)
        (live,) = [div for div in page(ann, f"{where}?activity=all").all("div") if div.get("id") == "live"]
        assert live["hx-get"] == f"{where}?activity=all"
        assert "The container is being made." in ann.get(f"{where}?activity=all", **SCRIPT).text

    def test_at_first_there_are_fifty_at_most(self, site: Site) -> None:
        ann, where = site.browser(), address(site)
        for number in range(60):
            submit(ann, f"{where}/rename", name=f"name {number}")
        assert page(ann, where).words["ol"].count("You changed the name.") == 50
        assert page(ann, f"{where}?activity=all").words["ol"].count("You changed the name.") == 60

    def test_what_goes_on_now_is_told(self) -> None:
        now = Activity(AT, "ann", "state", "creating", "pulling_image", "It is being downloaded.")
        before = Activity(AT, "ann", "state", "creating", "creating_container", "It is being made.")
        asked = Activity(AT, "ann", "asked", "create")
        in_line = Activity(AT, "ann", "state", "pending", "waiting_in_line", "It waits in line.")
        assert lasting([now, before, in_line, asked]) == [now, asked]
        assert lasting([]) == []


def test_what_was_seen_is_shown_where_something_is_amiss() -> None:
    seen = {"container": "restarting", "exitCode": 0, "restartCount": 4, "outOfMemory": True, "containerId": "abc"}
    evidence = "container: restarting, exit code 0, ended for lack of memory, restarted by Docker: 4, id abc"
    error = Activity(AT, "engine", "state", "error", "crash_loop", "It keeps ending.", seen)
    assert (told(error, "ann", {}).who, told(error, "ann", {}).evidence) == ("told by Docker", evidence)
    mended = Activity(AT, "engine", "state", "running", "crashed", "It ended, and Docker started it again.", seen)
    assert told(mended, "ann", {}).evidence == evidence
    assert told(Activity(AT, "ann", "state", "stopped", evidence={"exitCode": 0}), "ann", {}).evidence == ""
    assert told(Activity(AT, "sync", "state", "running", evidence=seen), "ann", {}).evidence == ""


@pytest.mark.parametrize(
    ("activity", "sentence", "who"),
    [
        (Activity(AT, "ann", "asked", "restart"), "You asked it to restart.", ""),
        (Activity(AT, "cli", "asked", "stop"), "Somebody on the server's command line asked it to stop.", ""),
        (Activity(AT, "ann", "changed", "apiKey,name"), "You changed the Key and name.", ""),
        (Activity(AT, "ann", "changed", "config"), "You changed the configuration.", ""),
        (Activity(AT, "ann", "state", "running"), "It is running.", ""),
        (Activity(AT, "sync", "state", "error", "crashed", "It ended."), "It ended.", "noticed by the server"),
        (Activity(AT, "sync", "state", "stopped"), "It stopped.", "noticed by the server"),
    ],
)
def test_what_has_happened_is_told_in_sentences(activity: Activity, sentence: str, who: str) -> None:
    happened = told(activity, "ann", {"apiKey": "Key"})
    assert (happened.sentence, happened.who) == (sentence, who)
