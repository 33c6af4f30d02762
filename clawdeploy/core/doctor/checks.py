"""The checks of ``clawdeploy doctor``: each returns what it found, or raises what is wrong."""

import os
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clawdeploy.core.audit import AuditTrail
from clawdeploy.core.credentials import StoredCredentials
from clawdeploy.core.doctor.asking import ask_all
from clawdeploy.core.doctor.databases import START_FIRST
from clawdeploy.core.doctor.ground import Ground, Unmet, nearest, unwritable
from clawdeploy.core.errors import DatabaseUnavailable, RuntimeUnavailable
from clawdeploy.core.installation import check_key
from clawdeploy.core.key_file import KEY_FILE, read_key_file
from clawdeploy.core.key_ring import KeyRing
from clawdeploy.core.plugins import PluginHost
from clawdeploy.core.settings import AUDIT_DAYS, DATA_DIR, SECRET_KEYS
from clawdeploy.core.sign_in import in_use

LEAST_FREE_BYTES = 200 * 2**20
MOST_DRIFT = timedelta(seconds=5)
SURELY_PAST = datetime(2025, 1, 1, tzinfo=UTC)

LEAVE_OUT = "Update or uninstall the plugin, or name it in CLAWDEPLOY_DISABLED_PLUGINS."


def settings(ground: Ground) -> str:
    """The settings can be used."""
    return f"All {len(ground.config.settings())} settings can be used"


def plugins(ground: Ground) -> str:
    """No plugin failed, neither when it was loaded nor when it was asked for what it offers."""
    unasked = ask_all(ground.config, ground.host, ground.clock, ground.build)
    if failed := failures(ground.host):
        raise Unmet(failed, LEAVE_OUT)
    loaded = f"{len(ground.host.report())} plugins are loaded"
    return f"{loaded}, but were not asked for sign-in and routes: {unasked}" if unasked else f"{loaded} and well"


def failures(host: PluginHost) -> str:
    """Name each plugin that failed, and why; empty when there is none."""
    failed = [f"{report.name} ({report.error})" for report in host.report() if report.error]
    return f"Plugins are left out because they failed: {'; '.join(failed)}" if failed else ""


def data_folder(ground: Ground) -> str:
    """The data folder can be written, or made, and its disk has space."""
    folder = ground.config[DATA_DIR]
    if reason := unwritable(folder):
        raise Unmet(reason)
    there = nearest(folder)
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE_BYTES:
        raise Unmet(f"The disk of {there} has only {free // 2**20} MiB left", "Free some space on this disk.")
    made = "" if there == folder else ", is made at the first start"
    return f"{folder} can be written{made}; {free // 2**30} GiB free"


def secret_key(ground: Ground) -> str:
    """There is a key, only its owner can read it, and it belongs to the database."""
    keys, file = ground.config[SECRET_KEYS], ground.config[DATA_DIR] / KEY_FILE
    if keys:
        KeyRing(keys)
    elif file.exists():
        _check_mode(file)
        KeyRing(read_key_file(file.parent))
    where, path = SECRET_KEYS.name if keys else file, ground.database.path
    try:
        in_use = ground.has_tables()
        if in_use:
            check_key(ground.database, ground.config)
    except DatabaseUnavailable:
        raise Unmet(
            f"Whether the key from {where} is right only the database knows", "Mend the database first."
        ) from None
    if not keys and not file.exists():
        can_start = not unwritable(file.parent) and (path is None or path.exists() or not unwritable(path.parent))
        mend = START_FIRST if can_start else "Mend the data folder and the database first."
        raise Unmet(f"There is no key yet: neither {SECRET_KEYS.name} nor {file}", mend)
    return f"The key from {where} {'belongs to the database' if in_use else 'is there'}"


def _check_mode(file: Path) -> None:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        raise Unmet(f"Others than its owner may read {file} (mode {mode:04o})", f"Run: chmod 600 {file}")
    if not os.access(file, os.R_OK):
        raise Unmet(f"This user may not read {file}", "Run this command as the user who runs the server.")


def engine(ground: Ground) -> str:
    """The engine answers."""
    info = ground.runtime.ping()
    return f"{info.name} answers at {info.address}"


def image(ground: Ground) -> str:
    """An image of the default blueprint is on the host."""
    try:
        there = ground.runtime.has_image(ground.images)
    except RuntimeUnavailable:
        raise Unmet("The engine cannot be asked for its images", "Mend the engine first.") from None
    if not there:
        raise Unmet(f"None of these images is on the host: {', '.join(ground.images)}")
    return f"{' or '.join(ground.images)} is on the host"


def sign_in(ground: Ground) -> str:
    """What people sign in with is there."""
    audit = AuditTrail(ground.database, ground.tables.audit, ground.clock, timedelta(days=ground.config[AUDIT_DAYS]))
    credentials = StoredCredentials(ground.database, ground.tables, ground.clock, audit)
    _, way = in_use(ground.host.auth_providers(ground.config, credentials))
    return way.check() if way.check else "Nothing from elsewhere is needed for it"


def clock(ground: Ground) -> str:
    """This machine's clock agrees with the database's and with what was stored."""
    now = ground.clock()
    if now < SURELY_PAST:
        raise Unmet(f"This machine's clock says {now:%Y-%m-%d %H:%M} UTC")
    try:
        theirs, newest = _database_times(ground)
    except DatabaseUnavailable:
        raise Unmet(
            f"It says {now:%Y-%m-%d %H:%M:%S} UTC, but the database cannot be asked", "Mend the database first."
        ) from None
    if theirs and abs(theirs - ground.clock()) > MOST_DRIFT:
        raise Unmet(f"It says {now:%Y-%m-%d %H:%M:%S} UTC, but the database's clock says {theirs:%Y-%m-%d %H:%M:%S}")
    if newest and newest - now > MOST_DRIFT:
        raise Unmet(f"It says {now:%Y-%m-%d %H:%M} UTC, but a row was stored at {newest:%Y-%m-%d %H:%M}")
    return f"{now:%Y-%m-%d %H:%M:%S} UTC{', as the database has it' if theirs else ''}"


def _database_times(ground: Ground) -> tuple[datetime | None, datetime | None]:
    """Return the database's own time where it has one, and the newest time that is stored in it."""
    if not ground.has_tables():
        return None, None
    with ground.database.reading():
        newest = ground.tables.instance.select().order_by(ground.tables.instance.updated_at.desc()).first()
        theirs = None
        if ground.database.path is None:
            seconds = ground.database.peewee.execute_sql("SELECT extract(epoch FROM clock_timestamp())").fetchone()[0]
            theirs = datetime.fromtimestamp(float(seconds), UTC)
    return theirs, newest.updated_at if newest else None
