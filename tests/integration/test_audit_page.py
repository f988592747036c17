"""``docs/audit.md``: its commands do what it says, and so does the program that it gives away."""

import re
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio

from tests.audit_trail import audited_log
from tests.harness import service_process

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


ABOVE, RETENTION = PAGE.split("## Retention and size")


def steps(page: str) -> list[tuple[str, str]]:
    """Each command of a page, with what it prints."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command = re.match(r"(?:.*\\\n)*.*\n", step)
            assert command is not None
            found.append((command[0], step[command.end() :]))
    return found


def matches(shown: str, printed: str) -> bool:
    """Whether it is what is shown, where … stands for anything."""
    return re.fullmatch(re.escape(shown).replace("…", ".*"), printed) is not None


def bash(folder: Path, script: str, **environ: str) -> str:
    """What a script prints that has the program."""
    program = f'workflow-orchestrator() {{ "{sys.executable}" -m config.main "$@"; }}\n'
    paths = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(Path.cwd()),
    }
    ended = subprocess.run(
        ["bash", "-c", program + script],
        cwd=folder,
        env={**paths, **environ},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def check(some: Sequence[tuple[str, str]], printed: Sequence[str]) -> None:
    """Each has printed what the page says."""
    for (command, shown), said in zip(some, printed, strict=False):
        assert matches(shown.rstrip("\n"), said.rstrip("\n")), (command, said)
    assert len(printed) == len(some) + 1


def marked(some: Sequence[tuple[str, str]]) -> str:
    """Commands as one script, with a mark after the output of each."""
    return "".join(f"{command}echo '@@@'\n" for command, _ in some)


def test_every_command_of_the_page_prints_what_it_says(tmp_path: Path) -> None:
    run = partial(bash, tmp_path)
    key_first, *rest = steps(ABOVE)
    assert matches(key_first[1], run(key_first[0]))
    with service_process(
        tmp_path,
        AUDIT_SIGNING_KEY_FILE=str(tmp_path / "key.pem"),
        AUDIT_ANCHOR_FILE=str(tmp_path / "audit-anchors.ndjson"),
        AUDIT_ANCHOR_EVERY_SECONDS="0.1",
    ) as process:
        places = {"URL": process.url, "TENANT": TENANT, "DATA_DIR": str(process.data_dir)}
        printed = run(marked(rest), **places).split("@@@\n")
    check(rest, printed)


def test_every_command_about_archives_prints_what_it_says(tmp_path: Path) -> None:
    (make_key, _), *above = steps(ABOVE)
    bash(tmp_path, make_key)
    signing = {
        "AUDIT_SIGNING_KEY_FILE": str(tmp_path / "key.pem"),
        "AUDIT_ANCHOR_FILE": str(tmp_path / "audit-anchors.ndjson"),
    }
    with service_process(tmp_path, overlay=None, AUDIT_ANCHOR_EVERY_SECONDS="0.1", **signing) as process:
        wait = next(command for command, _ in above if command.startswith("until"))
        asked = "".join(command for command, _ in above[:4])
        bash(tmp_path, asked + wait, URL=process.url, TENANT=TENANT)
        process.terminate()
    some = steps(RETENTION)
    check(some, bash(tmp_path, marked(some), DATA_DIR=str(process.data_dir), **signing).split("@@@\n"))


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
