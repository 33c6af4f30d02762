"""The first tables. A frozen copy of the models as they were, so that later changes of them do not reach back."""

import peewee


def up(migrator, db):
    class Instance(peewee.Model):
        id = peewee.TextField(primary_key=True)
        owner = peewee.TextField()
        name = peewee.TextField()
        model = peewee.TextField()
        channel = peewee.TextField()
        blueprint = peewee.TextField()
        wish = peewee.TextField()
        status = peewee.TextField()
        reason = peewee.TextField()
        detail = peewee.TextField()
        status_since = peewee.BigIntegerField()
        operation = peewee.TextField(null=True)
        operation_since = peewee.BigIntegerField(null=True)
        started = peewee.BooleanField()
        claim = peewee.TextField(null=True)
        claim_until = peewee.BigIntegerField(null=True)
        container_id = peewee.TextField(null=True)
        host_port = peewee.IntegerField(null=True, unique=True)
        config = peewee.TextField()
        region = peewee.TextField(null=True)
        instance_type = peewee.TextField(null=True)
        ip_address = peewee.TextField(null=True)
        created_at = peewee.BigIntegerField()
        updated_at = peewee.BigIntegerField()

        class Meta:
            database = db
            table_name = "instance"
            indexes = ((("owner", "created_at", "id"), False),)

    class Secret(peewee.Model):
        instance = peewee.ForeignKeyField(Instance, on_delete="CASCADE", index=False)
        field = peewee.TextField()
        ciphertext = peewee.TextField()

        class Meta:
            database = db
            table_name = "secret"
            primary_key = peewee.CompositeKey("instance", "field")

    class Installation(peewee.Model):
        id = peewee.TextField(primary_key=True)
        key_check = peewee.TextField()
        created_at = peewee.BigIntegerField()

        class Meta:
            database = db
            table_name = "installation"

    class Credential(peewee.Model):
        id = peewee.TextField(primary_key=True)
        kind = peewee.TextField()
        user_id = peewee.TextField()
        label = peewee.TextField()
        digest = peewee.TextField(unique=True)
        created_at = peewee.BigIntegerField()
        expires_at = peewee.BigIntegerField(null=True)
        last_used_at = peewee.BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "credential"
            indexes = ((("kind", "user_id"), False),)

    class Lease(peewee.Model):
        name = peewee.TextField(primary_key=True)
        holder = peewee.TextField()
        until = peewee.BigIntegerField()

        class Meta:
            database = db
            table_name = "lease"

    db.create_tables([Instance, Secret, Installation, Credential, Lease], safe=False)
