"""How long a credential may go unused, and the network in which it works: neither is limited for those there are."""

import peewee


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("credential", "unused_for", peewee.BigIntegerField(null=True)),
        migrator.add_column("credential", "peer", peewee.TextField(default="")),
    )
