"""What the commands print and how they end."""

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.harness import run_command
from tests.services import free_port


def only_line(output: str) -> str:
    """The one line that an operator is told."""
    assert "Traceback" not in output
    (line,) = output.strip().splitlines()
    return line


def refused(tmp_path: Path, *arguments: str, **environ: str) -> str:
    """The one line of a start that is refused."""
    environ = {"DATA_DIR": str(tmp_path / "data"), "PORT": str(free_port()), **environ}
    ended = run_command(*(arguments or ("serve",)), timeout=30, **environ)
    assert ended.returncode not in (0, None)
    assert ended.stdout == ""
    return only_line(ended.stderr)


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("serve", "--help")])
def test_help_says_what_there_is(arguments: Sequence[str]) -> None:
    helped = run_command(*arguments)
    assert helped.returncode == 0
    assert helped.stderr == ""
    if "serve" not in arguments:
        for command in (
            "serve",
            "config",
            "migrate",
            "copy-log",
            "rebuild",
            "projections",
            "neighbours",
            "demo",
        ):
            assert f"  {command}" in helped.stdout
    assert "--config" in run_command("serve", "--help").stdout


def test_an_unknown_command_is_refused() -> None:
    ended = run_command("sevre")
    assert ended.returncode == 2
    assert "sevre" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = refused(tmp_path, PORT=port)
    assert port in line
    assert "server.port" in line
    assert not (tmp_path / "data").exists()


def test_a_bad_cron_is_told(tmp_path: Path) -> None:
    line = refused(tmp_path, PROPAGATION_CRON="0 25 * * *")
    assert "batch_jobs.propagation_cron" in line
    assert "PROPAGATION_CRON" in line
    assert "0 25 * * *" in line


def test_an_unknown_setting_is_told(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump({"rabbitmq": {"exchnge": "coder_events"}}))
    line = refused(tmp_path, "serve", "--config", str(config))
    assert "rabbitmq.exchnge" in line
    assert "exchange" in line.replace("exchnge", "")


def test_a_settings_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    line = refused(tmp_path, "serve", "--config", str(tmp_path / "none.yaml"))
    assert "none.yaml" in line


def test_serving_strangers_without_a_secret_is_refused(tmp_path: Path) -> None:
    line = refused(tmp_path, HOST="0.0.0.0")
    assert "server.host" in line
    assert "JWT_SECRET" in line


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hush-hush@127.0.0.1/events",
        "sqlite:events.db",
        "postgresql://user:hush-hush@127.0.0.1:port/events",
    ],
)
def test_an_event_store_url_that_is_none_is_told_without_its_password(tmp_path: Path, url: str) -> None:
    line = refused(tmp_path, EVENT_STORE_URL=url)
    assert "storage.event_store_url" in line
    assert "hush-hush" not in line


def test_an_event_store_parameter_that_postgresql_does_not_know_is_told(tmp_path: Path) -> None:
    line = refused(
        tmp_path,
        EVENT_STORE_URL="postgresql://user:hush-hush@127.0.0.1:1/events?nonsense=1",
        STORE_STARTUP_TIMEOUT_SECONDS="1",
    )
    assert "nonsense" in line
    assert "hush-hush" not in line


def test_a_data_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refused(tmp_path, DATA_DIR=str(tmp_path / "file" / "data"))
    assert "storage.data_dir" in line
    assert str(tmp_path / "file" / "data") in line


@pytest.mark.parametrize("name", ["documents.db", "events.db", "events-followers.db"])
def test_a_data_file_that_is_no_database_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text("this is no database, and long enough to be seen as none. " * 20)
    assert name in refused(tmp_path)


@pytest.mark.parametrize("name", ["documents.db", "events.db", "events-followers.db"])
def test_a_data_file_that_cannot_be_opened_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "data" / name).mkdir(parents=True)
    assert name in refused(tmp_path)


def test_neighbours_without_a_broker_are_refused(tmp_path: Path) -> None:
    line = refused(tmp_path, "neighbours")
    assert "RABBITMQ_URL" in line


def test_config_shows_what_holds_and_no_secret(tmp_path: Path) -> None:
    secret = "a-secret-of-more-than-thirty-two-bytes"
    shown = run_command(
        "config",
        PORT="4711",
        JWT_SECRET=secret,
        RABBITMQ_URL="amqp://user:hush-hush@broker:5672/",
        EVENT_STORE_URL="postgresql://user:hush-hush@store/events",
        METRICS_REQUIRE_AUTH="true",
        METRICS_BEARER_TOKEN="hush-token",
    )
    assert shown.returncode == 0, shown.stderr
    settings = yaml.safe_load(shown.stdout)
    assert str(settings["server"]["port"]) == "4711"
    assert settings["rabbitmq"]["url"] == "amqp://user:***@broker:5672/"
    for hidden in (secret, "hush-hush", "hush-token"):
        assert hidden not in shown.stdout + shown.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("erase", "--subject", "ada", "--dry-run"),
        ("archive", "--dry-run"),
        ("audit", "export"),
        ("audit", "head"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_tenant_that_is_no_uuid_is_refused_and_not_taken_for_one_without_events(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    ended = run_command(*command, "--tenant", "7d0f3f2e", DATA_DIR=str(tmp_path))
    assert ended.returncode == 2
    assert "'--tenant': '7d0f3f2e' is not a valid UUID" in ended.stderr
