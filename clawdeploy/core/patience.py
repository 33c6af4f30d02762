"""How long a thread waits for PostgreSQL: libpq itself, and with it psycopg2, waits for ever."""

import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ


class _Time(threading.local):
    deadline: float | None = None


_time = _Time()


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let this thread wait no longer for PostgreSQL, in all that the block asks of it.

    What is not answered by then raises an ``OperationalError``, and its connection is closed.
    """
    before, end = _time.deadline, time.monotonic() + seconds
    _time.deadline = end if before is None else min(before, end)
    try:
        yield
    finally:
        _time.deadline = before


def wait_for_answer(connection: Any) -> None:
    """Wait for what a connection has asked, until the thread's deadline; for ``psycopg2.extensions.set_wait_callback``.

    No limit of libpq's holds for a server that takes a question and never answers: its keepalives and its
    ``tcp_user_timeout`` find hosts that are lost, and ``statement_timeout`` is kept by the very process that hangs.
    """
    poll = select.poll()
    while (state := connection.poll()) != POLL_OK:
        left = None if _time.deadline is None else max(0.0, _time.deadline - time.monotonic()) * 1000
        poll.register(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        if not poll.poll(left):
            raise psycopg2.OperationalError("it does not answer")
