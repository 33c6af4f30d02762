"""Keys of requests that are carried out once, with their first answers."""

import peewee


def up(migrator, db):
    class Idempotency(peewee.Model):
        owner = peewee.TextField()
        call = peewee.TextField()
        key = peewee.TextField()
        fingerprint = peewee.TextField()
        created_at = peewee.BigIntegerField(index=True)
        until = peewee.BigIntegerField()
        made = peewee.TextField(null=True)
        status = peewee.IntegerField(null=True)
        body = peewee.TextField(null=True)
        location = peewee.TextField(null=True)

        class Meta:
            database = db
            table_name = "idempotency"
            primary_key = peewee.CompositeKey("owner", "call", "key")

    db.create_tables([Idempotency], safe=False)
