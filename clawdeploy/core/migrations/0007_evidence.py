"""What was seen of a container when the state of its instance was written, for whoever wants to check that."""

import peewee


def up(migrator, db):
    migrator.migrate(migrator.add_column("activity", "evidence", peewee.TextField(default="{}")))
