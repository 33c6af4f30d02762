"""When a bot that runs and did not answer the last time was last seen to answer."""

import peewee


def up(migrator, db):
    migrator.migrate(migrator.add_column("instance", "unanswered_since", peewee.BigIntegerField(null=True)))
