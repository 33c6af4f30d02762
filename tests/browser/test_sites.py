"""The servers of the walks: the staged engine does as it is told, and the other one is the real Docker."""

import pytest

from tests.browser.conftest import MakeSite
from tests.browser.sites import LiveSite


def test_a_staged_bot_crashes_and_the_site_says_so(site: LiveSite, user: str) -> None:
    bot = site.create(user)["id"]
    site.engine.order("crash", bot, 137, True)
    assert site.wait_for(user, bot, status="error")["statusReason"] == "out_of_memory"


def test_a_staged_step_is_held_and_released(site: LiveSite, user: str) -> None:
    site.engine.order("have_images", False, ["nginx:alpine"])
    site.engine.order("hold", "pull")
    made = site.create(user)
    assert (made["status"], made["statusReason"]) == ("creating", "pulling_image")
    site.engine.order("release", "pull")
    site.wait_for(user, made["id"], status="running")


def test_a_staged_call_fails_with_a_sentence(site: LiveSite, user: str) -> None:
    site.engine.order("fail", "create", "The disk is full.")
    made = site.create(user)
    assert (made["status"], made["statusDetail"]) == ("error", "The disk is full.")


def test_a_staged_engine_goes_silent_and_comes_back(site: LiveSite, user: str) -> None:
    site.engine.order("go_silent")
    made = site.create(user)
    assert made["statusReason"] == "runtime_unavailable"
    site.wait_for_engine(connected=False)
    site.engine.order("answer_again")
    site.wait_for_engine()
    site.wait_for(user, site.create(user)["id"], status="running")


def test_an_order_that_fails_fails_here(site: LiveSite) -> None:
    with pytest.raises(KeyError):
        site.engine.order("crash", "nobody")


@pytest.mark.engine
def test_docker_runs_a_bot(make_site: MakeSite, user: str) -> None:
    site = make_site(on_docker=True)
    site.wait_for(user, site.create(user)["id"], status="running")
