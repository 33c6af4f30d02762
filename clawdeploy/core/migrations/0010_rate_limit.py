"""Who did how much lately: the windows of rate limits, shared by all processes."""

import peewee


def up(migrator, db):
    class RateLimit(peewee.Model):
        key = peewee.TextField(primary_key=True)
        hits = peewee.TextField()
        empty_at = peewee.BigIntegerField(index=True)

        class Meta:
            database = db
            table_name = "rate_limit"

    db.create_tables([RateLimit], safe=False)
