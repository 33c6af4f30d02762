"""A lock comes to those who want it in their order, and to nobody who is gone."""

import signal
import sys
import threading
import time
from types import FrameType

import pytest

from clawdeploy.core import fair_lock
from clawdeploy.core.fair_lock import FairLock
from clawdeploy.core.testing import eventually

MANY = 8


def waits(thread: threading.Thread) -> bool:
    """Say whether a thread waits for a fair lock."""
    frame: FrameType | None = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_filename == fair_lock.__file__ and "turn" in frame.f_locals:
            return True
        frame = frame.f_back
    return False


def in_line(lock: FairLock, got: list[int], number: int, seconds: float = 60) -> threading.Thread:
    """Return a thread that waits for the lock, and notes its number when it has it."""

    def work() -> None:
        if lock.acquire(seconds):
            got.append(number)
            lock.release()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert eventually(lambda: waits(thread), within=10)
    return thread


def test_it_comes_in_the_order_of_those_who_asked() -> None:
    lock, got = FairLock(), list[int]()
    assert lock.acquire(0)
    threads = [in_line(lock, got, number) for number in range(MANY)]
    lock.release()
    for thread in threads:
        thread.join()
    assert got == list(range(MANY))
    assert lock.acquire(0)


def test_one_that_gives_it_back_and_wants_it_again_comes_last() -> None:
    lock, got = FairLock(), list[int]()
    assert lock.acquire(0)
    thread = in_line(lock, got, 1)
    lock.release()
    assert lock.acquire(60)
    assert got == [1]
    thread.join()


def test_those_who_gave_up_are_passed_over() -> None:
    lock, got = FairLock(), list[int]()
    assert lock.acquire(0)
    hasty = in_line(lock, got, 1, seconds=0.2)
    patient = in_line(lock, got, 2)
    began = time.monotonic()
    assert not lock.acquire(0.1)
    assert 0.1 <= time.monotonic() - began < 5
    hasty.join()
    lock.release()
    patient.join()
    assert got == [2]
    assert lock.acquire(0)


def test_one_that_a_signal_ends_leaves_it_to_the_next() -> None:
    lock, got = FairLock(), list[int]()
    assert lock.acquire(0)

    def end(*_: object) -> None:
        raise SystemExit

    def signal_when_it_waits() -> None:
        if eventually(lambda: waits(threading.main_thread()), within=10):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, end)
    try:
        threading.Thread(target=signal_when_it_waits, daemon=True).start()
        with pytest.raises(SystemExit):
            lock.acquire(60)
    finally:
        signal.signal(signal.SIGUSR1, before)
    thread = in_line(lock, got, 1)
    lock.release()
    thread.join()
    assert got == [1]
