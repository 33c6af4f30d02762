"""Work that goes on after a request was answered."""

import logging
import threading
from contextvars import ContextVar

import pytest

from clawdeploy.core.background import in_background


def test_work_is_done_by_a_thread_that_holds_nobody_up() -> None:
    done: list[threading.Thread] = []
    in_background(lambda: done.append(threading.current_thread())).result(10)
    assert done[0] is not threading.current_thread()
    assert done[0].daemon


def test_a_failure_is_the_outcome_and_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def fail() -> None:
        raise ValueError("hunter2")

    outcome = in_background(fail)
    with pytest.raises(ValueError, match="hunter2"):
        outcome.result(10)
    assert "ended with ValueError" in caplog.text
    assert "hunter2" not in caplog.text


def test_it_carries_what_the_caller_carried() -> None:
    request: ContextVar[str] = ContextVar("request", default="none")
    request.set("r-1")
    carried: list[str] = []
    in_background(lambda: carried.append(request.get())).result(10)
    assert carried == ["r-1"]


def test_even_an_exit_is_an_outcome() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        in_background(leave).result(10)
