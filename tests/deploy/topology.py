"""The parts of a deployment on loopback, told what the files of deploy/ tell their containers."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.cosmos import Account
from tests.deploy.files import DEPLOY, GIVEN, IMAGE, compose_environment, pod_environment, replicas
from tests.deploy.files import compose as compose_file
from tests.services import free_port, own_postgresql

OWNER, DATABASE = "owner", "orchestrator"

_ROLES = DEPLOY / "postgres" / "roles.sql"
_PROGRAMS = ":".join(map(str, Path("/usr/lib/postgresql").glob("*/bin")))


class Deployment(NamedTuple):
    """What the files say: the environment of each instance that serves, and of the migration."""

    serving: tuple[dict[str, str], ...]
    migrating: dict[str, str]


def compose() -> Deployment:
    """compose.yaml's: every instance does everything."""
    service, migration = (compose_environment(name, GIVEN) for name in ("workflow-orchestrator", "migrate"))
    return Deployment((service,) * compose_file()["services"][IMAGE]["deploy"]["replicas"], migration)


def kubernetes() -> Deployment:
    """The manifests': api and workers apart, as many of each as they say."""
    pods = [name for name, count in replicas().items() for _ in range(count)]
    environments = (pod_environment(name) | {"JWT_SECRET": GIVEN["JWT_SECRET"]} for name in pods)
    return Deployment(tuple(environments), pod_environment(f"{IMAGE}-migrate"))


class Places(NamedTuple):
    """Where the tests have the stores."""

    postgres: str
    rabbitmq: str
    cosmos: Account
    cosmos_database: str

    def put_into(self, environ: dict[str, str]) -> dict[str, str]:
        """An environment with these addresses in the place of its own; users and database stay."""
        moved = {name: value for name, value in environ.items() if name not in ("PORT", "DATA_DIR")}
        moved |= {"HOST": "127.0.0.1", "EVENT_STORE_URL": _at(self.postgres, environ["EVENT_STORE_URL"])}
        if "RABBITMQ_URL" in environ:
            moved["RABBITMQ_URL"] = self.rabbitmq
        if "COSMOS_DB_ENDPOINT" in environ:
            moved |= self.cosmos.environ(self.cosmos_database)
        return moved


@contextmanager
def database_server() -> Iterator[str]:
    """A PostgreSQL of the test's own with the owner's role and database, and what roles.sql makes."""
    with own_postgresql(free_port()) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE")
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
        make_roles(url, DATABASE, GIVEN["POSTGRES_SERVICE_PASSWORD"])
        yield url


def make_roles(url: str, database: str, password: str) -> None:
    """What roles.sql makes, in a database of the server."""
    server = conninfo_to_dict(url)
    where = f"--host={server['host']}", f"--port={server['port']}", f"--username={OWNER}"
    environ = {"PATH": f"{os.environ['PATH']}:{_PROGRAMS}", "SERVICE_PASSWORD": password}
    command = ["psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", *where, f"--file={_ROLES}", database]
    subprocess.run(command, env=environ, check=True, capture_output=True)


def _at(server: str, url: str) -> str:
    """A URL's user and path at another server, which speaks no TLS: the parameters stay behind."""
    user, _, _ = urlsplit(url).netloc.rpartition("@")
    place = urlsplit(server).netloc.rpartition("@")[2]
    return urlunsplit((urlsplit(url).scheme, f"{user}@{place}", urlsplit(url).path, "", ""))
