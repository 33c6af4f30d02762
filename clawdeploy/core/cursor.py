"""The place in a list at which its next page begins, as a text that callers hand back."""

import base64
import re
from datetime import datetime, timedelta
from typing import Any

from clawdeploy.core.columns import EPOCH, UtcField
from clawdeploy.core.errors import InvalidInput

CURSOR = re.compile(r"([0-9]{1,17})\.([a-z2-7]{16})")


def write_cursor(row: Any) -> str:
    """Return the cursor of the page that follows a row."""
    return base64.urlsafe_b64encode(f"{UtcField().db_value(row.created_at)}.{row.id}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """Return when the row was made that a page follows, and its id; raises ``InvalidInput``."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        text = ""
    parts = CURSOR.fullmatch(text)
    if parts is None:
        raise InvalidInput({"cursor": ["It is not a cursor that this server gave out."]})
    return EPOCH + timedelta(microseconds=int(parts[1])), parts[2]
