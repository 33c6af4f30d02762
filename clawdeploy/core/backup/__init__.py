"""One encrypted file that holds a whole installation: the rows of its database, and the keys that open its secrets.

The same file is restored onto SQLite and onto PostgreSQL, because it holds rows and not a copy of either's files.
"""

from clawdeploy.core.backup.making import BackedUp, back_up
from clawdeploy.core.backup.restoring import Restored, restore

__all__ = ["BackedUp", "Restored", "back_up", "restore"]
