"""Who holds a claim or a lease: names that tell whether the process behind them is known to be dead.

So nobody has to wait until what a killed process held lapses by itself. A process that runs elsewhere, or of which
nothing is known for certain, counts as alive; what it held lapses.
"""

import os
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

PROC = Path("/proc")
ENDED = ("Z", "X")
"""States of a process that has ended and was not waited for yet."""


def new_holder() -> str:
    """Make a name for something that is held by this process; no two are the same."""
    return f"{_machine()} {os.getpid()} {_life(PROC / 'self')[1]} {secrets.token_hex(8)}"


def is_dead(holder: str) -> bool:
    """Say whether the process that made this name is known to be dead."""
    machine, *process = holder.rsplit(" ", 3)
    if not machine or machine != _machine():
        return False
    pid, began, _ = process
    # Looked at before it is asked for: one that is waited for between the two is gone by then, and not just unknown.
    state, now_began = _life(PROC / pid)
    if state in ENDED or (began != "" and now_began not in ("", began)):
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # Another user's, which is there; that it is the same one has been seen, as far as that can be.
        pass
    return False


def lapsed(until: Any, now: datetime, lifetime: timedelta) -> Any:
    """Say whether what is held ``until`` a moment, or return the condition on such a column, has lapsed by itself.

    Nothing is held for longer than its ``lifetime``. What seems to be for twice as long is of before the clock was put
    back, perhaps by a restart of the machine, and would be held until that moment comes once more.
    """
    return (until <= now) | (until > now + 2 * lifetime)


def _machine() -> str:
    """Identify the start of this kernel and the numbering of processes that this one lives in; empty when unknown."""
    with suppress(OSError):
        # The processes that are listed may be those of another numbering.
        if str((PROC / "self").readlink()) == str(os.getpid()):
            boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
            return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    return ""


def _life(process: Path) -> tuple[str, str]:
    """Return the state of a process and when it began, in ticks since the start of the kernel; empty when unknown."""
    with suppress(OSError):
        # The name of the program, in brackets, may hold anything.
        fields = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], fields[19]
    return "", ""
