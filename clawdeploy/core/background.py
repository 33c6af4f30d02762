"""Work that goes on after a request was answered."""

import contextvars
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


def in_background(work: Callable[[], T]) -> "Future[T]":
    """Run work in a thread of its own and return its outcome as a future.

    The thread is a daemon, so that a server can end while an image is still being downloaded: what it leaves
    unfinished is resumed by whoever comes next.
    """
    outcome: Future[T] = Future()
    # What the caller's log lines carry, such as a request id, belongs to the lines of this work too.
    context = contextvars.copy_context()

    def run() -> None:
        try:
            result = context.run(work)
        except BaseException as error:
            logger.info("Background work ended with %s", type(error).__name__)
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    threading.Thread(target=run, name="background", daemon=True).start()
    return outcome
