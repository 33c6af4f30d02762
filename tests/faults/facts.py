"""What is so, seen past the product's code: rows read with SQL, containers as the engine tells, files as they lie."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import docker
import psycopg2

from tests.faults.decoys import INSTALLATION, INSTANCE

TABLES = ("installation", "instance", "secret", "credential", "lease", "activity", "idempotency")
Row = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """A database of ClawDeploy's, read from outside; ``url`` empty is the SQLite file in the data folder."""

    url: str
    data_folder: Path

    @property
    def file(self) -> Path | None:
        """The SQLite file, ``None`` for PostgreSQL."""
        if self.url and urlsplit(self.url).scheme != "sqlite":
            return None
        return Path(urlsplit(self.url).path[1:]) if self.url else self.data_folder / "clawdeploy.db"

    def rows(self, table: str) -> list[Row]:
        """Return all rows of a table, by column."""
        assert table in TABLES
        with self._connected() as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody from writing, and nobody from reading."""
        opened: Any = psycopg2.connect(self.url) if self.file is None else sqlite3.connect(self.file, timeout=10)
        with closing(opened), closing(opened.cursor()) as cursor:
            cursor.execute("LOCK TABLE instance IN EXCLUSIVE MODE" if self.file is None else "BEGIN IMMEDIATE")
            yield
            opened.commit()

    def clear(self) -> Iterator[tuple[str, bytes]]:
        """Yield everything that is stored, with the name of where: the raw files, or a dump of the tables."""
        for path in sorted(self.data_folder.rglob("*")):
            if path.is_file():
                yield str(path), path.read_bytes()
        if self.file is None:
            for table in TABLES:
                yield f"the table {table}", repr(self.rows(table)).encode()
            return
        for path in self.file.parent.glob(f"{self.file.name}*"):
            yield str(path), path.read_bytes()

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        if self.file is None:
            opened: Any = psycopg2.connect(self.url, connect_timeout=10)
            opened.set_session(readonly=True, autocommit=True)
        else:
            opened = sqlite3.connect(f"file:{quote(str(self.file))}?mode=ro", uri=True, timeout=10)
        with closing(opened):
            yield opened


@dataclass(frozen=True)
class Machine:
    """The engine at an address and the folders for secrets, as far as one installation is concerned."""

    engine: str
    installation: str
    secret_roots: tuple[Path, ...]

    def containers(self) -> list[dict[str, Any]]:
        """Return the inspections of all our containers."""
        with docker.APIClient(self.engine, version="1.41", timeout=60) as client:
            found = client.containers(all=True, filters={"label": f"{INSTALLATION}={self.installation}"})
            return [said for one in found if (said := _inspected(client, one["Id"])) is not None]

    def kept(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return our volumes and networks: what it is, whose, and what the engine says of it."""
        with docker.APIClient(self.engine, version="1.41", timeout=60) as client:
            mine = {"label": f"{INSTALLATION}={self.installation}"}
            volumes = [(f"volume {one['Name']}", one) for one in client.volumes(filters=mine)["Volumes"] or ()]
            networks = [(f"network {one['Name']}", one) for one in client.networks(filters=mine)]
            return [(what, (said["Labels"] or {}).get(INSTANCE, ""), said) for what, said in volumes + networks]

    def secret_folders(self) -> list[Path]:
        """Return the folders with the secrets of single instances."""
        mine = [root / self.installation for root in self.secret_roots]
        return [folder for root in mine if root.is_dir() for folder in root.iterdir()]


def _inspected(client: docker.APIClient, container_id: str) -> dict[str, Any] | None:
    try:
        said: dict[str, Any] = client.inspect_container(container_id)
    except docker.errors.NotFound:
        return None
    return said


def instance_of(container: dict[str, Any]) -> str:
    """Return whose an inspected container is."""
    return str(container["Config"]["Labels"].get(INSTANCE, ""))


def published(container: dict[str, Any]) -> int | None:
    """Return the host port that an inspected container was made with."""
    for bound in (container["HostConfig"]["PortBindings"] or {}).values():
        for one in bound or ():
            return int(one["HostPort"])
    return None
