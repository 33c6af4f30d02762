"""What must be true for ClawDeploy to work, looked at one by one. Nothing is changed by looking.

Every check goes to the truth by itself, so that one that fails does not hide the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from clawdeploy.core.clock import utc_now
from clawdeploy.core.doctor import checks, cookies, databases, leftovers, ports
from clawdeploy.core.doctor.asking import Build
from clawdeploy.core.doctor.ground import Ground, Unmet
from clawdeploy.core.errors import ClawDeployError, PluginError
from clawdeploy.core.opener import Opener
from clawdeploy.core.settings import BIND_ADDRESS, DATA_DIR, DISK_RESERVE_MB, MEMORY_RESERVE_MB, PORT, PORT_RANGE


@dataclass(frozen=True)
class Check:
    """The outcome of one check: what was found and, when that is not well (``ok``), how to mend it."""

    name: str
    ok: bool
    found: str
    mend: str = ""


# Name, check, and what to do unless the check knows better.
CHECKS: tuple[tuple[str, Callable[[Ground], str], str], ...] = (
    ("settings", checks.settings, ""),
    ("plugins", checks.plugins, checks.LEAVE_OUT),
    ("data folder", checks.data_folder, f"Make it writable for this user, or set {DATA_DIR.name} to another folder."),
    (
        "secret key",
        checks.secret_key,
        "Use the key that this database was made with, from a backup: nothing else opens the secrets stored in it.",
    ),
    ("database", databases.database, databases.RIGHTS),
    (
        "engine",
        checks.engine,
        "Start it (sudo systemctl start docker), install it (scripts/install-docker.sh) or set DOCKER_HOST. When it "
        "runs, this user may have to join its group: sudo usermod -aG docker $USER, then log in again.",
    ),
    (
        "image",
        checks.image,
        "Get it by `docker pull` or scripts/run, or correct the name. Without it the first bot waits for a download.",
    ),
    (
        "room for bots",
        checks.room,
        f"Free some (docker system df -v says who has it), or set {MEMORY_RESERVE_MB.name} or {DISK_RESERVE_MB.name}.",
    ),
    ("ports for bots", ports.for_bots, f"Widen {PORT_RANGE.name}, delete bots, or set {BIND_ADDRESS.name}."),
    ("web port", ports.for_web, f"Stop the other program, or set {PORT.name} to another port."),
    ("cookies", cookies.cookies, cookies.ADVICE),
    ("sign-in", checks.sign_in, "Correct the settings of the sign-in, or let this machine reach what it needs."),
    ("leftovers", leftovers.leftovers, leftovers.LOOK),
    ("clock", checks.clock, "Set the clock, best by itself: sudo timedatectl set-ntp true"),
)


def examine(opener: Opener, build: Build, clock: Callable[[], datetime] = utc_now) -> list[Check]:
    """Run all checks. Where settings or plugins cannot be used there is only that, because the others rest on them.

    ``build`` makes of a platform what serves it, so that routes that cannot be served are found.
    """
    try:
        host = opener.host
    except ClawDeployError as error:
        return [_first(error)]
    try:
        ground = Ground(opener.config(), host, clock, build)
    except ClawDeployError as error:
        # What was chosen may be missing because the plugin that offers it failed.
        failed = "" if isinstance(error, PluginError) else checks.failures(host)
        return [_first(error), *([Check("plugins", False, failed, checks.LEAVE_OUT)] if failed else [])]
    try:
        return [_run(name, check, advice, ground) for name, check, advice in CHECKS]
    finally:
        ground.close()


def _first(error: ClawDeployError) -> Check:
    if isinstance(error, PluginError):
        return Check("plugins", False, error.detail, checks.LEAVE_OUT)
    return Check("settings", False, error.detail, "Correct this first: the other checks rest on the settings.")


def _run(name: str, check: Callable[[Ground], str], advice: str, ground: Ground) -> Check:
    try:
        return Check(name, True, check(ground))
    except Unmet as unmet:
        return Check(name, False, unmet.found, unmet.mend or advice)
    except ClawDeployError as error:
        return Check(name, False, error.for_log, advice)
    except OSError as error:
        return Check(name, False, f"{error.strerror or type(error).__name__}", advice)
    except Exception as error:  # One check that fails in an unforeseen way must not hide the others.
        return Check(name, False, f"It could not be checked, because of an unexpected {type(error).__name__}", advice)
