"""A process may be started with standard streams closed."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.harness import PATIENCE_SECONDS, clean_environment
from tests.plain_http import NO_TLS
from tests.services import free_port


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_service_serves_and_stops_in_order_without_a_stream(tmp_path: Path, closed: str) -> None:
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as lines:
        process = subprocess.Popen(
            ["sh", "-c", f'exec "$0" -m config.main serve {closed}', sys.executable],
            env={**clean_environment(), "DATA_DIR": str(tmp_path / "data"), "PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=lines,
        )
    try:
        transport = httpx.HTTPTransport(retries=8, verify=NO_TLS)
        with httpx.Client(transport=transport, timeout=PATIENCE_SECONDS) as client:
            assert client.get(f"http://127.0.0.1:{port}/health").status_code == 200
        for number in (0, 1, 2):
            is_closed = f"{number}" in closed.replace("&", "")
            leads_to = Path(f"/proc/{process.pid}/fd/{number}").readlink()
            assert leads_to == (log if number == 2 and not is_closed else Path("/dev/null"))
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
    if "2" not in closed:
        assert json.loads(log.read_text().splitlines()[-1])["event"] == "stopped"


def test_a_command_says_what_it_has_to_say_where_it_can(tmp_path: Path) -> None:
    told = subprocess.run(
        ["sh", "-c", 'exec "$0" -m config.main config <&- 2>&-', sys.executable],
        env={**clean_environment(), "DATA_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    assert b"server:" in told.stdout
