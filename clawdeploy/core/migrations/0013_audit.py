"""Who signed in, made or ended credentials, or did an operator's work: from now on."""

import peewee


def up(migrator, db):
    class Audit(peewee.Model):
        id = peewee.BigAutoField()
        at = peewee.BigIntegerField(index=True)
        who = peewee.TextField()
        what = peewee.TextField()
        user_id = peewee.TextField()
        subject = peewee.TextField()
        address = peewee.TextField()
        detail = peewee.TextField()

        class Meta:
            database = db
            table_name = "audit"
            indexes = ((("user_id", "id"), False),)

    db.create_tables([Audit], safe=False)
