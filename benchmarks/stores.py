"""PostgreSQL and RabbitMQ for a measured service, without other data."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import anyio
import psycopg
from psycopg import sql

from benchmarks.service import run_command
from tests.neighbours import Names, forget
from tests.postgres import fresh_database
from tests.services import free_port, postgres_node, rabbitmq

SLOW_DISK_US = 2000
"""About how much longer the fdatasync of a cloud volume takes than that of this machine, in microseconds."""


@contextmanager
def postgres_server(*, slow_disk_us: int = 0) -> Iterator[str]:
    """Yield the URL of the maintenance database of a new PostgreSQL server, whose fdatasync may be slowed
    down."""
    if slow_disk_us:
        with slow_disk(slow_disk_us) as environ, postgres_node(free_port(), **environ) as node:
            node.start()
            yield node.url
    else:
        with postgres_node(free_port()) as node:
            node.start()
            yield node.url


@contextmanager
def migrated_database(server: str, service_root: Path) -> Iterator[str]:
    """Yield the URL of a new database with the tables of a working tree's service. It is dropped at the
    end."""
    with fresh_database(server) as url:
        run_command(service_root, "migrate", EVENT_STORE_URL=url)
        yield url


@contextmanager
def copied_database(server: str, source: str) -> Iterator[str]:
    """Yield the URL of a copy of a database, to which nobody may be connected. It is dropped at the end."""
    name = f"copy_{uuid4().hex}"
    copy, template = sql.Identifier(name), sql.Identifier(source.rpartition("/")[2])
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(copy, template))
        try:
            yield f"{server.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(copy))


@contextmanager
def broker() -> Iterator[tuple[str, Names]]:
    """Yield the URL of a RabbitMQ server, and unique names for a service's settings
    (``overlay=names.overlay()``). Queues and exchanges with these names are deleted at the end.
    """
    with rabbitmq() as url:
        names = Names.fresh()
        try:
            yield url, names
        finally:
            anyio.run(forget, url, names)


@contextmanager
def slow_disk(delay_us: int) -> Iterator[dict[str, str]]:
    """Yield the environment in which a program's fdatasync takes longer."""
    with tempfile.TemporaryDirectory(prefix="slow-disk-") as folder:
        Path(folder).chmod(0o755)
        library = f"{folder}/slow_disk.so"
        source = str(Path(__file__).with_name("slow_disk.c"))
        gcc = shutil.which("gcc")
        if gcc is None:
            raise SystemExit("gcc is needed for the slow disk")
        subprocess.run([gcc, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
        yield {"LD_PRELOAD": library, "SLOW_DISK_US": str(delay_us)}
