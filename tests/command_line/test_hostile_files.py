"""Files that were made to bring down whoever checks them are refused in a line, and in little memory."""

import gzip
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from application.audit.chain import FORMAT
from tests.audit_trail import audited_log
from tests.builders import TENANT
from tests.harness import clean_environment

MIB = 1024 * 1024
MEMORY_KIB = 900_000
"""What a command gets: half of what the bomb unfolds to."""


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two megabytes that are two gigabytes, on one line. A packed file may be several in a row."""
    file = tmp_path_factory.mktemp("bomb") / "bomb.ndjson.gz"
    file.write_bytes(gzip.compress(b"a" * (16 * MIB)) * 128)
    return file


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A store with events."""
    folder = tmp_path_factory.mktemp("store")

    async def fill() -> None:
        async with audited_log(folder) as log:
            log.fill(each=1)

    anyio.run(fill)
    return {"DATA_DIR": str(folder / "data")}


def run(*arguments: str, environ: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """A command within so much memory."""
    limited = f'ulimit -v {MEMORY_KIB}; exec "$@"'
    return subprocess.run(
        ["bash", "-c", limited, "bash", sys.executable, "-m", "config.main", *arguments],
        env=clean_environment() | dict(environ or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_export_without_an_end_of_line_is_refused(bomb: Path) -> None:
    ended = run("audit", "verify", "--export", str(bomb))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"{bomb}: line 1 is longer than 50,331,648 bytes")
    assert ended.stderr.count("\n") == 1


def test_so_is_one_that_ends_after_its_header(tmp_path: Path, bomb: Path) -> None:
    file = tmp_path / "export.ndjson.gz"
    header = f'{{"kind":"header","format":"{FORMAT}","tenantId":"t","previous":""}}\n'
    file.write_bytes(gzip.compress(header.encode()) + bomb.read_bytes())
    ended = run("audit", "verify", "--export", str(file))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"{file}: line 2 is longer than" in ended.stderr


def test_so_are_such_anchors(bomb: Path, environ: dict[str, str], tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    run("audit", "keygen", str(key))
    arguments = ["--anchors", str(bomb), "--public-key", str(key.with_suffix(".pub"))]
    ended = run("audit", "verify", *arguments, environ=environ)
    assert ended.returncode == 2
    assert f"{bomb}: line 1 is longer than" in ended.stderr


def test_so_is_such_an_archive(bomb: Path, environ: dict[str, str]) -> None:
    ended = run("archive-restore", str(bomb), environ=environ)
    assert ended.returncode == 1
    assert f"{bomb}: line 1 is longer than" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("option", ["--public-key", "AUDIT_SIGNING_KEY_FILE", "PRIVACY_MASTER_KEY_FILE"])
def test_so_is_a_key_without_an_end(option: str, environ: dict[str, str], tmp_path: Path) -> None:
    endless = tmp_path / "key"
    endless.symlink_to("/dev/zero")
    if option == "--public-key":
        ended = run("audit", "verify", "--public-key", str(endless), environ=environ)
    else:
        ended = run("audit", "export", "--tenant", TENANT, environ=environ | {option: str(endless)})
    assert ended.returncode == (2 if option == "--public-key" else 1)
    assert str(endless) in ended.stderr
    assert "File too large" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_is_told_of_an_export_is_bounded_too(tmp_path: Path) -> None:
    """By names without an end, and by more members and archives than anybody reads."""
    header = f'{{"kind":"header","format":"{FORMAT}","tenantId":"t","previous":""}}\n'.encode()
    named = b'{"kind":"event","number":%d,"stream":"' + b"s" * (4 * MIB) + b'"}\n'
    archived = b"".join(
        b'{"kind":"leaf","number":%d,"archive":"%d%s"}\n' % (number, number, b"a" * 900)
        for number in range(150, 30_150)
    )
    members = b'{"kind":"leaf","number":30151' + b"".join(b',"m%d":0' % number for number in range(500_000))
    file = tmp_path / "export.ndjson.gz"
    events = b"".join(named % number for number in range(1, 150))
    file.write_bytes(gzip.compress(header + events + archived + members + b"}\n", compresslevel=1))
    ended = run("audit", "verify", "--export", str(file), "--json")
    assert ended.returncode == 1, ended.stderr
    assert len(ended.stdout) < 16 * MIB
