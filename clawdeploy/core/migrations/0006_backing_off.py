"""What is needed to bring back bots that ended by themselves: how often they did, and when it is tried again."""

import peewee


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("instance", "retry_at", peewee.BigIntegerField(null=True)),
        migrator.add_column("instance", "failures", peewee.IntegerField(default=0)),
        migrator.add_column("instance", "crashes", peewee.TextField(default="[]")),
        migrator.add_column("instance", "restarts_seen", peewee.IntegerField(default=0)),
    )
