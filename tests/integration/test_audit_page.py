"""``docs/audit.md``: its commands do what it says, and so does the program that it gives away."""

import re
import subprocess
import sys
from pathlib import Path

import anyio

from tests.audit_trail import audited_log
from tests.harness import service_process

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def steps() -> list[tuple[str, str]]:
    """Each command of the page, with what it prints."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command = re.match(r"(?:.*\\\n)*.*\n", step)
            assert command is not None
            found.append((command[0], step[command.end() :]))
    return found


def matches(shown: str, printed: str) -> bool:
    """Whether it is what is shown, where … stands for anything."""
    return re.fullmatch(re.escape(shown).replace("…", ".*"), printed) is not None


def test_every_command_of_the_page_prints_what_it_says(tmp_path: Path) -> None:
    program = f'workflow-orchestrator() {{ "{sys.executable}" -m config.main "$@"; }}\n'
    key_first, *rest = steps()
    environ = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(Path.cwd()),
    }

    def run(script: str, **more: str) -> str:
        ended = subprocess.run(
            ["bash", "-c", program + script],
            cwd=tmp_path,
            env={**environ, **more},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    assert matches(key_first[1], run(key_first[0]))
    with service_process(
        tmp_path,
        AUDIT_SIGNING_KEY_FILE=str(tmp_path / "key.pem"),
        AUDIT_ANCHOR_FILE=str(tmp_path / "audit-anchors.ndjson"),
        AUDIT_ANCHOR_EVERY_SECONDS="0.1",
    ) as process:
        places = {"URL": process.url, "TENANT": TENANT, "DATA_DIR": str(process.data_dir)}
        script = "".join(f"{command}echo '@@@'\n" for command, _ in rest)
        printed = run(script, **places).split("@@@\n")
    for (command, shown), said in zip(rest, printed, strict=False):
        assert matches(shown.rstrip("\n"), said.rstrip("\n")), (command, said)
    assert len(printed) == len(rest) + 1


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
