"""The image as it would run: as nobody, on a read-only root, as PID 1. No engine is needed; bubblewrap is.

Its files are made by the very lines of the Dockerfile's build stage, out of nothing but what .dockerignore
lets through and COPY takes. What is not the image's is Python and the system below it.
"""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import cache_from_source
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.deploy.dockerfile import ROOT, only
from tests.deploy.files import GIVEN, SHUTDOWN_SECONDS, image_user
from tests.deploy.image import FINAL, Image
from tests.deploy.sandbox import Running, running
from tests.plain_http import NO_TLS
from tests.services import free_port

pytestmark = pytest.mark.timeout(600)

JWT_SECRET = GIVEN["JWT_SECRET"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image, built once."""
    made = Image(tmp_path_factory.mktemp("image"))
    made.build()
    return made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The volume, the image's user's own."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def port() -> int:
    """Where it serves; the network is this machine's."""
    return free_port()


@pytest.fixture
def service(image: Image, data: Path, port: int, tmp_path: Path) -> Iterator[Running]:
    """A container of the image that its own health check finds healthy."""
    command = image.entrypoint(data=data, PORT=str(port), JWT_SECRET=JWT_SECRET)
    with running(command, tmp_path / "log") as process:
        deadline = time.monotonic() + 30
        while health(image, data, port).returncode:
            assert process.is_running, process.log
            assert time.monotonic() < deadline, process.log
        yield process


def health(image: Image, data: Path, port: int) -> "subprocess.CompletedProcess[str]":
    """The image's own HEALTHCHECK, once."""
    check = image.command(*only(FINAL, "HEALTHCHECK").listed(), data=data, PORT=str(port))
    return subprocess.run(check, capture_output=True, text=True, timeout=10)


def test_it_serves_as_nobody_on_a_read_only_root_and_stops_in_time(
    service: Running, port: int, data: Path
) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", verify=NO_TLS) as client:
        assert client.get("/health").json()["status"] == "ok"
        deadline = time.monotonic() + 30
        while (ready := client.get("/ready")).status_code != 200:
            assert time.monotonic() < deadline, f"{ready.text}\n{service.log}"
            time.sleep(0.1)
        for contract in ("openapi.yaml", "asyncapi.yaml"):
            assert client.get(f"/{contract}").content == (ROOT / contract).read_bytes()
        assert client.get("/docs/swagger-ui.css").status_code == 200
        assert client.get("/metrics").status_code == 200
        assert client.get("/api/v1/workflows", headers={"X-Tenant-ID": "x"}).status_code == 401
    status = Path(f"/proc/{service.pid}/status").read_text()
    assert re.search(r"^NSpid:.*\s1$", status, re.M), "it is PID 1, which no signal ends by default"
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert re.search(r"^CapBnd:\s+0+$", status, re.M)
    assert "events.db" in {path.name for path in data.iterdir()}
    began = time.monotonic()
    assert service.stop(signal.Signals[only(FINAL, "STOPSIGNAL").text], SHUTDOWN_SECONDS + 5) == 0, (
        service.log
    )
    assert time.monotonic() - began < SHUTDOWN_SECONDS
    assert '"event":"stopped"' in service.log


def test_told_to_stop_while_it_waits_for_its_store_it_ends(
    image: Image, data: Path, port: int, tmp_path: Path
) -> None:
    away = f"postgresql://somebody@127.0.0.1:{free_port()}/events"
    command = image.entrypoint(data=data, PORT=str(port), JWT_SECRET=JWT_SECRET, EVENT_STORE_URL=away)
    with running(command, tmp_path / "log") as process:
        deadline = time.monotonic() + 30
        while "store_away" not in process.log:
            assert process.is_running, process.log
            assert time.monotonic() < deadline, process.log
            time.sleep(0.05)
        assert process.stop(signal.SIGTERM, 10) == 0, process.log
        assert '"event":"stopped"' in process.log


@pytest.mark.parametrize("place", ["/", "/opt", "/opt/venv", "/etc", "/usr/local"])
def test_it_can_write_nowhere_but_to_its_volume_and_tmp(image: Image, data: Path, place: str) -> None:
    program = (
        "import os, pathlib, sys\n"
        f"assert os.getuid() == {image_user()}\n"
        "for folder in ('/data', '/tmp'): pathlib.Path(folder, 'mine').touch()\n"
        f"pathlib.Path({place!r}, 'mine').touch()\n"
    )
    wrote = subprocess.run(
        image.command("python", "-c", program, data=data), capture_output=True, text=True, timeout=30
    )
    assert "Read-only file system" in wrote.stderr
    assert (data / "mine").exists()


def test_it_refuses_to_serve_every_address_without_a_secret(image: Image, data: Path) -> None:
    refused = subprocess.run(image.entrypoint(data=data), capture_output=True, text=True, timeout=30)
    assert refused.returncode == 1
    assert "set JWT_SECRET" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


@pytest.mark.postgres
def test_it_migrates_a_database(image: Image, data: Path, postgres_url: str) -> None:
    command = image.entrypoint("migrate", data=data, EVENT_STORE_URL=postgres_url, HOST="127.0.0.1")
    migrated = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (migrated.returncode, migrated.stderr) == (0, "")
    applied = re.findall(r"^applied (\d{4}) ", migrated.stdout, re.M)
    migrations = (ROOT / "infrastructure" / "postgres" / "migrations").glob("*.sql")
    assert applied == sorted(path.name[:4] for path in migrations)
    assert [*data.iterdir()] == []


def test_it_holds_what_is_locked_the_service_and_nothing_that_builds_or_tests(image: Image) -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.M))
    installed = {path.name.rsplit("-", 2)[0] for path in image.libraries.glob("*.dist-info")}
    installed = {re.sub(r"[-_.]+", "-", name).lower() for name in installed}
    assert installed == locked | {"workflow-orchestrator"}
    assert installed.isdisjoint({"pip", "hatchling", "editables", "setuptools", "pytest"})
    assert not (image.libraries / "tests").exists()


def test_all_bytecode_is_there_and_is_not_checked_against_the_sources(image: Image) -> None:
    sources = [*image.libraries.rglob("*.py")]
    compiled = [Path(cache_from_source(source)) for source in sources]
    assert [path for path in compiled if not path.exists()] == []
    assert {path.read_bytes()[4:8] for path in compiled} == {(1).to_bytes(4, "little")}


def test_the_health_check_says_what_is_wrong(image: Image, data: Path, port: int) -> None:
    nobody = health(image, data, port)
    assert nobody.returncode == 1
    assert "refused" in nobody.stderr.lower()

    class Failing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(500)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", port), Failing) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        failing = health(image, data, port)
        thread.join()
    assert (failing.returncode, failing.stderr.strip()) == (1, "/health: 500")
