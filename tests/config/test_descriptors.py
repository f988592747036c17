"""How many files may be open: a service takes what it may have, and says so where that does not do."""

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.errors import StoreUnavailable
from infrastructure.sqlite.database import SqliteDatabase
from tests.harness import PATIENCE_SECONDS, TENANT, ServiceProcess, clean_environment, ended
from tests.plain_http import NO_TLS


@contextmanager
def begun_with(folder: Path, soft: int, hard: int, **environ: str) -> Iterator[ServiceProcess]:
    """A service that may open so many files."""
    process = ServiceProcess(folder, overlay=None, **environ)
    process.through = ("sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh")
    with ended(process):
        yield process.start()


def told(process: ServiceProcess) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in process.log.splitlines()]


@pytest.mark.parametrize("limit", [16, 40, 64])
def test_a_start_that_may_hardly_open_a_file_says_so(tmp_path: Path, limit: int) -> None:
    command = f'ulimit -n {limit} && exec "$0" -m config.main serve'
    begun = subprocess.run(
        ["sh", "-c", command, sys.executable],
        env={**clean_environment(), "DATA_DIR": str(tmp_path), "PORT": "23997"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert begun.returncode == 1
    assert f"this process may have {limit} files open (ulimit -n)" in begun.stderr


@contextmanager
def none_left() -> Iterator[None]:
    """This process can open no more files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_store_that_cannot_be_opened_for_that_is_not_blamed(tmp_path: Path) -> None:
    file = tmp_path / "documents.db"
    with none_left(), pytest.raises(StoreUnavailable, match="no file descriptors left") as away:
        SqliteDatabase(file, synchronous="NORMAL")
    assert "unable to open database file" in str(away.value)
    SqliteDatabase(file, synchronous="NORMAL").close()


def test_a_service_raises_its_soft_limit_and_warns_where_that_is_less_than_it_lets_in(tmp_path: Path) -> None:
    with begun_with(tmp_path, 200, 1000, MAX_REQUESTS="300") as process:
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (1000, 1000)
        (few,) = (each for each in told(process) if each["event"] == "few_file_descriptors")
    assert few["level"] == "warning"
    assert few["limit"] == 1000 < few["could_need"]


def test_where_none_are_left_it_is_said_once_and_pages_are_pages(tmp_path: Path) -> None:
    environ = {"CONSOLE_ENABLED": "true", "CONSOLE_TRUSTS_VISITORS": "true"}
    with begun_with(tmp_path, 160, 160, **environ) as process, ExitStack() as stack:
        transport = httpx.HTTPTransport(verify=NO_TLS)
        early = stack.enter_context(
            httpx.Client(transport=transport, base_url=process.url, headers={"X-Tenant-ID": TENANT})
        )
        assert early.get("/health").status_code == 200
        for _ in range(300):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", process.port)))
            slow.sendall(b"GET /health HTTP/1.1\r\n")
        page = early.get("/console", headers={"Accept": "text/html"}, follow_redirects=True)
        assert page.headers["content-type"].startswith("text/html"), page.text
        until = time.monotonic() + PATIENCE_SECONDS
        while "file_descriptors_run_out" not in process.log:
            assert time.monotonic() < until, process.log
            time.sleep(0.1)
        time.sleep(2.5)
        out = [each for each in told(process) if each["event"] == "file_descriptors_run_out"]
        assert [(each["level"], each["limit"]) for each in out] == [("error", 160)]
