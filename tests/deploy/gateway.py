"""The gateway of compose.yaml: nginx with deploy/compose/nginx.conf, in front of instances on loopback."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.files import DEPLOY
from tests.services import free_port, is_listening, missing

CONFIG = DEPLOY / "compose" / "nginx.conf"

_ELSEWHERE = {
    # Docker's DNS. Here the instances' addresses stand in it, and Debian's nginx knows no "resolve".
    r"^ *resolver .*;$": "",
    r"^( *)server workflow-orchestrator:3051 resolve (.*);$": r"\1SERVERS \2;",
    r"listen 8080;": "listen 127.0.0.1:{port};",
    r"/tmp/": "{folder}/",
    r"/dev/std(err|out)": r"{folder}/\1.log",
}


class Gateway:
    """A running gateway."""

    def __init__(self, folder: Path, instances: Sequence[int]) -> None:
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            missing("nginx")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        text = CONFIG.read_text()
        for pattern, replacement in _ELSEWHERE.items():
            text, count = re.subn(pattern, replacement, text, flags=re.M)
            assert count, f"nothing in nginx.conf is like {pattern}"
        text = text.replace("{port}", str(self.port)).replace("{folder}", str(folder))
        servers = r"\n".join(rf"        server 127.0.0.1:{port} \1;" for port in instances)
        text = re.sub(r"^ *SERVERS (.*);$", servers, text, flags=re.M)
        path = folder / "nginx.conf"
        path.write_text(text)
        # It would step down from root, to a user that may not look into a test's folders.
        user = "user root;" if os.getuid() == 0 else ""
        options = ["-e", str(folder / "err.log"), "-g", f"daemon off; {user}"]
        self._process = subprocess.Popen([program, "-c", str(path), *options])
        deadline = time.monotonic() + 10
        while not is_listening(self.port):
            assert self._process.poll() is None, "nginx did not start"
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


@contextmanager
def gateway(folder: Path, *instances: int) -> Iterator[Gateway]:
    """The gateway in front of what listens on these ports."""
    folder.mkdir()
    running = Gateway(folder, instances)
    try:
        yield running
    finally:
        running.stop()
