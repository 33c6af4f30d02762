"""Work that goes on after a request was answered."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar

import pytest

from clawdeploy.core.background import Crew, Pace, in_background
from clawdeploy.core.errors import RuntimeUnavailable


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


def test_where_no_thread_can_be_started_that_is_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refusing)
    begun: list[str] = []
    outcome = in_background(lambda: begun.append("this"))
    assert isinstance(outcome.exception(0), RuntimeUnavailable)
    assert not begun


class FewThreads:
    """A system that lets only so many threads be started, and after that many refusals as many as are asked for."""

    def __init__(self, started: int, refusals: int) -> None:
        self.left = [True] * started + [False] * refusals

    def __call__(self, work: Callable[[], None]) -> "Future[None]":
        if self.left and not self.left.pop(0):
            refused: Future[None] = Future()
            refused.set_exception(RuntimeUnavailable())
            return refused
        return in_background(work)


def test_a_thread_that_cannot_be_started_takes_no_place_and_its_work_can_be_asked_for_again() -> None:
    crew = Crew(1, Pace(FewThreads(started=0, refusals=2)))
    for _ in range(2):
        with pytest.raises(RuntimeUnavailable):
            crew.do("this", lambda: None)
    crew.do("this", lambda: None).result(10)


def test_work_for_which_there_is_no_thread_is_done_by_whoever_is_there() -> None:
    crew, goes_on = Crew(2, Pace(FewThreads(started=1, refusals=1))), threading.Event()
    first = crew.do("this", lambda: assert_set(goes_on))
    second = crew.do("that", lambda: None)
    goes_on.set()
    first.result(10)
    second.result(10)


def assert_set(event: threading.Event) -> None:
    assert event.wait(10)
