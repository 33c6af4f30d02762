"""Spans of time in which a server used this database: from now on, because nothing is known of before."""

import peewee


def up(migrator, db):
    class Span(peewee.Model):
        id = peewee.BigAutoField()
        begun = peewee.BigIntegerField()
        until = peewee.BigIntegerField()

        class Meta:
            database = db
            table_name = "span"

    db.create_tables([Span], safe=False)
