"""The check of ``clawdeploy doctor`` for what the database does not know of, and a server does not remove by itself."""

from datetime import timedelta

from clawdeploy.core.contracts import Runtime
from clawdeploy.core.doctor.ground import Ground, Unmet
from clawdeploy.core.errors import DatabaseUnavailable, RuntimeUnavailable
from clawdeploy.core.leftovers import Leftover, Leftovers
from clawdeploy.core.membership import chosen
from clawdeploy.core.settings import CLEANUP_GRACE_SECONDS, RUNTIME
from clawdeploy.core.spans import Spans

LOOK = (
    "See what it is: clawdeploy gc. If this database was restored from an older backup, a newer one may know these "
    "bots; if they are not wanted any more, remove them: clawdeploy gc --yes"
)
MOST_NAMED = 5


def leftovers(ground: Ground) -> str:
    """Whatever carries our labels belongs to a bot, or is removed by itself."""
    try:
        installation = ground.tables.installation.select().first() if ground.has_tables() else None
        if installation is None:
            return "There is no database yet that anything could belong to"
        runtime: Runtime = chosen(ground.host.runtimes(ground.config, installation.id), RUNTIME, ground.config)
        found = _found(ground, runtime)
    except DatabaseUnavailable:
        raise Unmet("Only the database knows to which bots things belong", "Mend the database first.") from None
    except RuntimeUnavailable:
        raise Unmet("The engine cannot be asked what there is", "Mend the engine first.") from None
    kept = [each for each in found if each.removed_at is None]
    if kept:
        names = ", ".join(f"{each.what} of {each.instance_id}" for each in kept[:MOST_NAMED])
        more = f", and {len(kept) - MOST_NAMED} more" if len(kept) > MOST_NAMED else ""
        raise Unmet(f"This database knows nothing of {names}{more}", LOOK)
    return f"What is left over is removed by itself: {len(found)}" if found else "Nothing is left over"


def _found(ground: Ground, runtime: Runtime) -> list[Leftover]:
    grace = timedelta(seconds=ground.config[CLEANUP_GRACE_SECONDS])
    spans = Spans(ground.database, ground.tables.span, ground.clock)
    try:
        return Leftovers(ground.database, ground.tables.instance, spans, runtime, grace, ground.clock).find()
    finally:
        runtime.close()
