"""Which process carries out the request of an idempotency key, so that one that has died holds it no longer."""

import peewee


def up(migrator, db):
    migrator.migrate(migrator.add_column("idempotency", "holder", peewee.TextField(null=True)))
