"""When everything was last compared with the engine, so that a status has an age."""

import peewee


def up(migrator, db):
    migrator.migrate(migrator.add_column("installation", "synced_at", peewee.BigIntegerField(null=True)))
