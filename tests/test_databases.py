"""The throw-away PostgreSQL that other tests stand on."""

from contextlib import closing

import psycopg2
import pytest

from tests.databases import PostgresServer

pytestmark = pytest.mark.postgres


def test_every_test_gets_an_empty_database(postgres_url: str) -> None:
    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bots (id int)")
        connection.commit()
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (1,)


def test_what_one_test_made_is_not_there_in_the_next(postgres_url: str) -> None:
    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (0,)


def test_a_prepared_database_can_be_copied(postgres_server: PostgresServer) -> None:
    prepared = postgres_server.create_database()
    with closing(psycopg2.connect(prepared)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bots AS SELECT 7 AS id")
    copied = postgres_server.create_database(template=prepared.rpartition("/")[2])
    with closing(psycopg2.connect(copied)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM bots")
        assert cursor.fetchone() == (7,)
    postgres_server.drop_database(copied)
    postgres_server.drop_database(prepared)
