"""Keys and files that settings name are looked at with the settings: every fault at once, and no secret."""

import base64
from pathlib import Path

import pytest

from config.audit import signer_of
from config.master_key import master_key_of
from config.setting_files import faults_of_files
from config.settings import SettingsError, load_settings
from config.start import CannotStart
from infrastructure.signatures import new_key
from tests.harness import run_command

KEY = base64.b64encode(bytes(32)).decode()
SHARED = {"EVENT_STORE_URL": "postgresql://db/wo", "RABBITMQ_URL": "amqp://mq/"}
PEM = new_key()[0].decode()
WRONG = {
    "PORT": "x",
    "PRIVACY_MASTER_KEY": "hunter2",
    "PRIVACY_OTHER_MASTER_KEY": "hunter2",
    "AUDIT_SIGNING_KEY": "hunter2",
    "APPROVALS_FILE": "/nope",
}
LINES = [
    'server.port (PORT) is "x"; allowed: a whole number, 1 to 65535',
    "audit.signing_key (AUDIT_SIGNING_KEY) is ***: it is not an Ed25519 private key in PEM without a"
    " password; workflow-orchestrator audit keygen makes one",
    "privacy.master_key (PRIVACY_MASTER_KEY) is ***; allowed: 32 bytes in base64: openssl rand -base64 32",
    "privacy.other_master_key (PRIVACY_OTHER_MASTER_KEY) is ***;"
    " allowed: 32 bytes in base64: openssl rand -base64 32",
    'approvals.file (APPROVALS_FILE) is "/nope": No such file or directory',
]


def refusal(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ=environ, further=faults_of_files)
    return list(refused.value.lines)


@pytest.mark.parametrize("command", ["serve", "config", "demo"])
def test_every_fault_is_told_at_once_with_the_names_of_the_variables(tmp_path: Path, command: str) -> None:
    ended = run_command(command, timeout=60, DATA_DIR=str(tmp_path / "data"), **WRONG)
    assert (ended.returncode, ended.stdout, ended.stderr.splitlines()) == (1, "", LINES)
    assert not (tmp_path / "data").exists()


def test_so_are_those_of_files(tmp_path: Path) -> None:
    bad, approvals = tmp_path / "key", tmp_path / "approvals.yaml"
    bad.write_text("hunter2")
    approvals.write_text("tenants: {acme: {}, '*': {groups: []}}")
    lines = refusal(
        AUDIT_SIGNING_KEY_FILE=str(bad),
        PRIVACY_MASTER_KEY_FILE=str(bad),
        PRIVACY_OTHER_MASTER_KEY_FILE=str(tmp_path),
        APPROVALS_FILE=str(approvals),
    )
    assert [line.partition(": ")[0].partition(";")[0] for line in lines] == [
        f'audit.signing_key_file (AUDIT_SIGNING_KEY_FILE) is "{bad}"',
        f'privacy.master_key_file (PRIVACY_MASTER_KEY_FILE) is "{bad}"',
        f'privacy.other_master_key_file (PRIVACY_OTHER_MASTER_KEY_FILE) is "{tmp_path}"',
        f'approvals.file (APPROVALS_FILE) is "{approvals}"',
        f'approvals.file (APPROVALS_FILE) is "{approvals}"',
    ]
    assert "hunter2" not in "".join(lines)


def test_a_key_is_given_once(tmp_path: Path) -> None:
    file = str(tmp_path / "key")
    lines = refusal(
        AUDIT_SIGNING_KEY=PEM,
        AUDIT_SIGNING_KEY_FILE=file,
        PRIVACY_MASTER_KEY=KEY,
        PRIVACY_MASTER_KEY_FILE=file,
        PRIVACY_OTHER_MASTER_KEY=KEY,
        PRIVACY_OTHER_MASTER_KEY_FILE=file,
    )
    assert [line.partition(": ")[2] for line in lines] == [
        "audit.signing_key is set too: leave one empty",
        "privacy.master_key is set too: leave one empty",
        "privacy.other_master_key is set too: leave one empty",
    ]


def test_another_master_key_alone_is_refused_where_no_store_has_made_the_first() -> None:
    (line,) = refusal(PRIVACY_OTHER_MASTER_KEY=KEY, **SHARED)
    assert line == (
        "privacy.other_master_key (PRIVACY_OTHER_MASTER_KEY) is ***:"
        " privacy.master_key, which it would stand beside, is not set"
    )
    load_settings(environ={"PRIVACY_OTHER_MASTER_KEY": KEY}, further=faults_of_files)


def test_what_is_sound_is_taken(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(PEM)
    (tmp_path / "master").write_text(KEY)
    environ = {
        "AUDIT_SIGNING_KEY_FILE": str(tmp_path / "key.pem"),
        "PRIVACY_MASTER_KEY_FILE": str(tmp_path / "master"),
        "PRIVACY_OTHER_MASTER_KEY": KEY,
    }
    assert load_settings(environ=environ, further=faults_of_files) == load_settings(environ=environ)


def test_commands_that_need_a_key_name_its_variable_too() -> None:
    settings = load_settings(environ={"AUDIT_SIGNING_KEY": "hunter2", "PRIVACY_MASTER_KEY": "hunter2"})
    with pytest.raises(CannotStart, match=r"^audit\.signing_key \(AUDIT_SIGNING_KEY\) is \*\*\*: "):
        signer_of(settings)
    with pytest.raises(CannotStart, match=r"^privacy\.master_key \(PRIVACY_MASTER_KEY\) is \*\*\*; "):
        master_key_of(settings, makes_one=False)
