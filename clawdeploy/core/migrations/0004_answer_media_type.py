"""The media type of a first answer that is kept; those of before are JSON, and say nothing."""

import peewee


def up(migrator, db):
    migrator.migrate(migrator.add_column("idempotency", "media_type", peewee.TextField(null=True)))
