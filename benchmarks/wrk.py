"""Runs wrk against a server, and measures the CPU time of the server's process."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.service import cpu_seconds

CONNECTIONS = 16

_IN_TURN = """
local paths = {{ {paths} }}
local requests, at = {{}}, 0
init = function()
  for number, path in ipairs(paths) do requests[number] = wrk.format("GET", path) end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
"""


@dataclass(frozen=True)
class Counted:
    """Requests per second, and microseconds of the server's CPU time per request."""

    a_second: float
    cpu: float


def wrk(port: int, pid: int, paths: Sequence[str], headers: Mapping[str, str], seconds: float) -> Counted:
    """Send GET requests for the paths in turn, with one thread, to leave the other core to the server.

    Raises:
        RuntimeError: wrk is missing, or a response is an error.
    """
    program = shutil.which("wrk")
    if program is None:
        raise RuntimeError("wrk is missing: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_IN_TURN.format(paths=", ".join(f'"{path}"' for path in paths)))
        script.flush()
        given = [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]
        options = ["--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds:.0f}s"]
        before = cpu_seconds(pid)
        done = subprocess.run(
            [program, *options, *given, "--script", script.name, f"http://127.0.0.1:{port}"],
            capture_output=True,
            text=True,
        )
        cpu = cpu_seconds(pid) - before
    rate = re.search(r"Requests/sec: *([\d.]+)", done.stdout)
    total = re.search(r"(\d+) requests in", done.stdout)
    if not rate or not total or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"wrk: {done.stdout}{done.stderr}")
    return Counted(float(rate[1]), cpu / int(total[1]) * 1e6)
