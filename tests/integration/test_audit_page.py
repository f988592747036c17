"""``docs/audit.md``: its commands do what it says, and so does the program that it gives away."""

import re
import subprocess
import sys
from pathlib import Path

import anyio

from tests.audit_trail import audited_log
from tests.harness import service_process
from tests.pages import in_order, page, steps

PAGE = page("audit.md")
ABOVE, RETENTION = PAGE.split("## Retention and size")
TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def test_every_command_of_the_page_prints_what_it_says(tmp_path: Path) -> None:
    key_first, *rest = steps(ABOVE)
    in_order([key_first], tmp_path)
    with service_process(
        tmp_path,
        AUDIT_SIGNING_KEY_FILE=str(tmp_path / "key.pem"),
        AUDIT_ANCHOR_FILE=str(tmp_path / "audit-anchors.ndjson"),
        AUDIT_ANCHOR_EVERY_SECONDS="0.1",
    ) as process:
        places = {"URL": process.url, "TENANT": TENANT, "DATA_DIR": str(process.data_dir)}
        in_order(rest, tmp_path, **places)


def test_every_command_about_archives_prints_what_it_says(tmp_path: Path) -> None:
    """On a store of its own, with an approval that is decided."""
    key_first, *rest = steps(ABOVE)
    in_order([key_first], tmp_path)
    places = {
        "AUDIT_SIGNING_KEY_FILE": str(tmp_path / "key.pem"),
        "AUDIT_ANCHOR_FILE": str(tmp_path / "audit-anchors.ndjson"),
    }
    with service_process(tmp_path, overlay=None, AUDIT_ANCHOR_EVERY_SECONDS="0.1", **places) as process:
        anchored = [step for step in rest if step[0].startswith("until")]
        in_order([*rest[:4], *anchored], tmp_path, URL=process.url, TENANT=TENANT)
        process.terminate()
    in_order(steps(RETENTION), tmp_path, DATA_DIR=str(process.data_dir), **places)


def test_the_program_of_the_page_verifies_an_export_and_finds_a_change(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "verify.py").write_text(program)

    def verified(file: Path) -> "subprocess.CompletedProcess[str]":
        arguments = [
            sys.executable,
            str(tmp_path / "verify.py"),
            str(file),
            str(tmp_path / "data" / "key.pub"),
        ]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=60)

    async def made() -> Path:
        async with audited_log(tmp_path) as log:
            log.fill(each=2)
            await log.index()
            return await log.export()

    file = anyio.run(made)
    assert verified(file).stdout == "6 events as they were written\n"
    changed = file.with_suffix(".changed")
    changed.write_bytes(file.read_bytes().replace(b"why 1", b"why 9"))
    assert "AssertionError: 1" in verified(changed).stderr
