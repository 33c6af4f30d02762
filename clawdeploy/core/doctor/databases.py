"""The check of ``clawdeploy doctor`` that looks at the database, and what really mends it."""

from clawdeploy.core.doctor.ground import Ground, Unmet, unwritable
from clawdeploy.core.errors import ConfigurationError, DatabaseUnavailable
from clawdeploy.core.settings import DATABASE_URL

START_FIRST = "Run: clawdeploy migrate (clawdeploy serve does it too)."

RESTORE = (
    f"Move the file away and restore a backup of it, as docs/operations.md tells; or correct {DATABASE_URL.name}, if "
    "that is another program's file."
)
RIGHTS = f"This user has to be able to read and write the file and its folder; or set {DATABASE_URL.name} to another."
LOCKED = "Another program keeps it locked: `fuser -v` with the name of the file says which. End that program, or wait."
NEWER = "Start the newer ClawDeploy, or restore a backup that this version made, as docs/operations.md tells."
SERVER = f"Start the database server, and look at the address, user, password and name in {DATABASE_URL.name}."

# What SQLite says, in its own words, and what that needs.
SQLITE_SAYS = {"not a database": RESTORE, "malformed": RESTORE, "locked": LOCKED}


def database(ground: Ground) -> str:
    """The database answers and has all tables of this version."""
    label, path = ground.database.label, ground.database.path
    try:
        if not ground.has_tables():
            reason = unwritable(path.parent) if path is not None else ""
            if reason:
                raise Unmet(f"{label} is not there, and cannot be made: {reason}", RIGHTS)
            raise Unmet(f"{label} has no tables yet", START_FIRST)
        pending = ground.database.pending()
    except ConfigurationError as newer:
        raise Unmet(newer.detail, NEWER) from None
    except DatabaseUnavailable as error:
        raise Unmet(error.detail, _remedy(ground, error.detail)) from None
    if pending:
        raise Unmet(f"{label} is not up to date: {', '.join(pending)} to apply", START_FIRST)
    return f"{label} answers and is up to date"


def _remedy(ground: Ground, said: str) -> str:
    if ground.database.path is None:
        return SERVER
    return next((remedy for words, remedy in SQLITE_SAYS.items() if words in said), RIGHTS)
