"""What the work that goes on is for: log lines and the audit trail say so. Work in the background takes it along."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from secrets import token_hex

NOBODY = ""

request_id: ContextVar[str] = ContextVar("request_id", default="-")
user: ContextVar[str] = ContextVar("user", default=NOBODY)
"""Who has asked, as far as that is known: a user's id."""
instance: ContextVar[str] = ContextVar("instance", default="")
"""Which instance it is about, if it is about one."""
address: ContextVar[str] = ContextVar("address", default="")
"""Where the request came from."""


def begin_request() -> None:
    """Forget what this thread did before, and give what it does from now on an id."""
    request_id.set(token_hex(8))
    user.set(NOBODY)
    instance.set("")
    address.set("")


@contextmanager
def about(instance_id: str) -> Iterator[None]:
    """Have all that the block does be about an instance."""
    before = instance.set(instance_id)
    try:
        yield
    finally:
        instance.reset(before)
