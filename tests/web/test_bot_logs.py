"""What a bot writes, in its page and as a file."""

import json
import unicodedata
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdeploy.core.contracts import Runtime
from clawdeploy.core.errors import RuntimeFailure
from clawdeploy.core.testing import SlowRuntime, eventually
from clawdeploy.web.pages.log_lines import FIRST_LINES, PATIENCE_SECONDS, lines_in_time, printable
from tests.web.people import Caller, Site
from tests.web.reading import Page, page
from tests.web.test_instance_page import address


class SlowLogs(Site):
    """A site whose engine takes its time to tell logs, until ``slow`` is released."""

    slow: SlowRuntime

    def wrap(self, installation: str) -> Runtime:
        """Return the slow runtime."""
        self.slow = SlowRuntime(super().wrap(installation), ["logs"])
        return self.slow


def with_lines(visitor: Caller, where: str) -> Page:
    """Read the page of a bot as it asks for: again when a busy machine kept its logs from coming in time."""
    for _ in range(20):
        seen = page(visitor, where)
        if "read in time" not in seen.words["p"]:
            return seen
    raise AssertionError("The logs could never be read in time.")


class TestFirstLines:
    def test_they_are_in_the_page_as_text(self, site: Site) -> None:
        ann, where = site.browser(), address(site)
        for line in (
            *(f"line {number}" for number in range(150)),
            "<script>alert(1)</script> \x1b[31mred\x1b[0m \u202e",
        ):
            site.memory.write(where.rpartition("/")[2], line)
        seen = with_lines(ann, where)
        assert len([div for div in seen.all("div") if div.get("class") == "line"]) == FIRST_LINES
        assert "line 148" in seen.words["div"]
        assert "line 40" not in seen.words["div"]
        assert "<script>alert(1)</script> red \ufffd" in seen.words["div"]

    def test_a_slow_engine_does_not_delay_the_page(self, tmp_path: Path) -> None:
        site = SlowLogs(tmp_path)
        ann, where = site.browser(), address(site)
        began = monotonic()
        seen = page(ann, where)
        # Looked at twice, the second time without its body.
        assert monotonic() - began < 2
        assert "The logs could not be read in time." in seen.words["p"]
        assert "Load the page again" in seen.words["noscript"]
        site.slow.release()
        assert "started" in with_lines(ann, where).words["div"]
        site.close()

    def test_those_of_a_container_that_was_removed_are_said_to_be_gone(self, site: Site) -> None:
        ann, where = site.browser(), address(site)
        site.memory.vanish(where.rpartition("/")[2])
        site.platform.reconciler.sync()
        said = page(ann, where).words["p"]
        assert "There are no logs any more: they went with its container." in said
        assert "could not be read" not in said

    def test_pages_do_not_queue_at_an_engine_that_hangs(self) -> None:
        hangs, began = Event(), monotonic()

        def hang() -> str:
            hangs.wait(60)
            return "late"

        assert [lines_in_time(hang) for _ in range(50)] == [None] * 50
        # Those that wait are MOST_AT_ONCE; if all did, one after the other, it would take twice as long as this.
        assert monotonic() - began < 50 * PATIENCE_SECONDS / 2
        hangs.set()
        assert eventually(lambda: lines_in_time(lambda: "a\n") == ["a"], within=10)

    def test_logs_that_cannot_be_read_break_nothing(self) -> None:
        def fail() -> str:
            raise RuntimeFailure

        assert lines_in_time(fail) is None
        with pytest.raises(ZeroDivisionError):
            lines_in_time(lambda: str(1 / 0))

    @pytest.mark.parametrize(("written", "lines"), [("", []), ("\n", []), ("a\n\nb", ["a", "", "b"]), ("a\n", ["a"])])
    def test_each_line_is_one_and_its_end_is_none(self, written: str, lines: list[str]) -> None:
        assert eventually(lambda: lines_in_time(lambda: written) == lines, within=10)

    @pytest.mark.parametrize(
        ("line", "shown"),
        [
            ("plain \t tab", "plain \t tab"),
            ("\x1b[1;31mred\x1b[0m \x1b]0;title\x07.\x1b]8;;http://x\x1b\\link\x1b(B", "red .link"),
            ("\x1b]0;this does not end", "0;this does not end"),
            ("\x1b", ""),
            ("ends like Windows\r", "ends like Windows"),
            ("10%\r20%\x00\x08\x9b\u202e\u2066\u2028\x85", "10%\ufffd20%" + "\ufffd" * 7),
            ("x" * 4_000, "x" * 4_000),
            ("x" * 4_001, "x" * 4_000 + "… (a line of 4001 characters; the download has more of it)"),
            ("\x1b[m" * 10_000, "… (a line of 30000 characters; the download has more of it)"),
        ],
    )
    def test_a_line_is_fit_to_be_shown(self, line: str, shown: str) -> None:
        assert printable(line) == shown

    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
    def test_nothing_is_left_that_a_terminal_or_a_reader_would_stumble_over(self, line: str) -> None:
        shown = printable(line)
        assert len(shown) <= len(line)
        assert "\x1b" not in shown
        assert not any(unicodedata.category(character) == "Cc" for character in shown if character not in "\t\n")


class TestItsOwnSecrets:
    """No answer holds a secret (``docs/api.md``), also when the bot itself has written it."""

    def test_they_are_masked_however_the_bot_writes_them(self, site: Site) -> None:
        secret, other = 'sk-"very"/secret+key=0123456789', "sk-not-of-this-bot-0123456789"
        made, ann = site.program().create(apiKey=secret), site.browser()
        for written in (secret, json.dumps(secret), secret.encode().hex(), other):
            site.memory.write(made["id"], f"key {written}.")
        where = f"/dashboard/instances/{made['id']}"
        file = ann.get(f"{where}/logs.txt").text
        assert file.splitlines()[-4:] == ["key ***.", 'key "***".', "key ***.", f"key {other}."]
        seen, said = page(ann, where).words["div"], site.program().get(f"/api/instances/{made['id']}/logs").json["logs"]
        for text in (file, seen, said):
            assert "very" not in text
            assert "key ***." in text

    def test_a_secret_that_cannot_be_read_hides_no_log(self, site: Site) -> None:
        made = site.program().create(apiKey="sk-very-secret-key-0123456789")
        site.memory.write(made["id"], "hello")
        with site.platform.database.transaction():
            site.platform.database.peewee.execute_sql("UPDATE secret SET ciphertext = 'damaged'")
        assert "hello" in site.program().get(f"/api/instances/{made['id']}/logs").json["logs"]


class TestLogFile:
    def test_it_is_a_file_and_never_a_page(self, site: Site) -> None:
        ann, where = site.browser(), address(site)
        site.memory.write(where.rpartition("/")[2], "<script>alert(1)</script> \x1b[31mred\x1b[0m \u202e")
        answer = ann.get(f"{where}/logs.txt")
        assert answer.content_type == "text/plain"
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "<script>alert(1)</script> \x1b[31mred" in answer.text

    def test_without_a_container_there_is_a_sentence(self, site: Site) -> None:
        site.memory.engine.images = set()
        answer = site.browser().get(f"{address(site)}/logs.txt")
        assert answer.status_int == 400
        assert "no container" in answer.text
