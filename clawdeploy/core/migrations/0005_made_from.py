"""What each container was made from, to make it anew when that has changed; unknown of those that are there already."""

import peewee


def up(migrator, db):
    migrator.migrate(migrator.add_column("instance", "made_from", peewee.TextField(null=True)))
