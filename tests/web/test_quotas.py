"""How many bots there may be, and room for them: what a program and a person are told."""

from pathlib import Path

from clawdeploy.core.contracts import Room
from tests.platforms import GOOD
from tests.web.people import Caller, Site, problem
from tests.web.reading import page
from tests.web.test_new import GOOD as FORM
from tests.web.test_new import send

TOO_MANY = "You have 2 bots, and each user may have 2 bots on this server. Delete one to make another."


def test_a_program_is_told_how_many(tmp_path: Path) -> None:
    site = Site(tmp_path, MAX_INSTANCES_PER_USER="2")
    ann = site.program()
    for _ in range(2):
        ann.create()
    refused = ann.post("/api/instances", GOOD)
    assert problem(refused, 409, "too_many_instances")["detail"] == TOO_MANY
    assert "Retry-After" not in refused.headers
    assert len(ann.get("/api/instances").json["instances"]) == 2
    site.program("bob").create()


def test_a_program_is_told_how_much_is_left(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.memory.engine.room = Room(memory_bytes=310 * 2**20)
    refused = site.program().post("/api/instances", GOOD)
    detail = problem(refused, 503, "host_full")["detail"]
    assert refused.headers["Retry-After"] == "60"
    assert "This computer has 310 MB of memory left" in detail
    assert "a bot needs 256 MB" in detail


def test_a_person_sees_it_before_filling_in_the_form(tmp_path: Path) -> None:
    site = Site(tmp_path, MAX_INSTANCES_PER_USER="2")
    ann, program = site.browser(), site.program()
    for used in range(2):
        assert f"You have {used} of 2 bots." in ann.get("/dashboard/new").text
        assert "disabled" not in create_button(ann)
        program.create()
    assert TOO_MANY in ann.get("/dashboard/new").text
    assert "disabled" in create_button(ann)
    sent = send(ann, **FORM)
    assert sent.status_int == 409
    assert TOO_MANY in sent.text


def create_button(caller: Caller) -> dict[str, str | None]:
    return next(one for one in page(caller, "/dashboard/new").all("button") if one.get("id") == "create")


def test_without_a_limit_nothing_is_said_of_one(tmp_path: Path) -> None:
    site = Site(tmp_path, MAX_INSTANCES_PER_USER="0")
    assert 'id="usage"' not in site.browser().get("/dashboard/new").text


def test_a_form_says_that_there_is_no_room(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.memory.engine.room = Room(disk_bytes=310 * 2**20)
    sent = send(site.browser(), **FORM)
    assert sent.status_int == 503
    assert "This computer has 310 MB of disk space left, and 1,024 MB have to stay free." in sent.text
