"""What has happened to each instance, for its owner to read; it goes with the instance."""

import peewee


def up(migrator, db):
    class Instance(peewee.Model):
        id = peewee.TextField(primary_key=True)

        class Meta:
            database = db
            table_name = "instance"

    class Activity(peewee.Model):
        id = peewee.BigAutoField()
        instance = peewee.ForeignKeyField(Instance, on_delete="CASCADE", index=False)
        at = peewee.BigIntegerField()
        actor = peewee.TextField()
        kind = peewee.TextField()
        what = peewee.TextField()
        reason = peewee.TextField()
        detail = peewee.TextField()

        class Meta:
            database = db
            table_name = "activity"
            indexes = ((("instance", "id"), False),)

    db.create_tables([Activity], safe=False)
