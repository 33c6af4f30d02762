"""Whether a secret was changed that the container has not read yet: of those there are, nobody knows."""

import peewee


def up(migrator, db):
    migrator.migrate(migrator.add_column("instance", "secrets_unread", peewee.BooleanField(default=False)))
