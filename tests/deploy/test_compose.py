"""compose.yaml against the specification's schema, and against the service."""

import re
import subprocess
import sys
from typing import Any

import pytest

from config.settings import SettingsError, load_settings
from tests.deploy.files import (
    COMMANDS,
    DEPLOY,
    GIVEN,
    IMAGE,
    KNOWN,
    PORT,
    SHUTDOWN_SECONDS,
    Missing,
    compose,
    compose_environment,
    image_user,
    interpolated,
    seconds,
)

SERVICES: dict[str, dict[str, Any]] = compose()["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith(f"{IMAGE}:")]
ENV_EXAMPLE = dict(
    line.split("=", 1) for line in (DEPLOY / ".env.example").read_text().splitlines() if line[:1].isalpha()
)


def test_it_keeps_to_the_compose_specification() -> None:
    """The schema that check-jsonschema brings along; it asks nobody on the network."""
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*check, str(DEPLOY / "compose.yaml")], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_service_has_its_name_on_the_platform_and_runs_twice() -> None:
    assert SERVICES["workflow-orchestrator"]["deploy"]["replicas"] == 2
    assert set(OURS) == {"workflow-orchestrator", "migrate", "rebuild", "neighbours"}


@pytest.mark.parametrize("name", OURS)
def test_each_runs_a_command_of_the_service_with_variables_that_it_knows(name: str) -> None:
    (command,) = SERVICES[name]["command"]
    assert command in COMMANDS
    assert SERVICES[name]["environment"].keys() <= KNOWN


@pytest.mark.parametrize("name", OURS)
def test_the_service_takes_each_ones_settings(name: str) -> None:
    settings = load_settings(None, compose_environment(name, GIVEN))
    assert settings.server.port == PORT
    assert settings.effective_auth_mode == (
        "jwt" if name in ("workflow-orchestrator", "rebuild") else "gateway"
    )


def test_it_does_not_start_with_too_short_a_secret() -> None:
    with pytest.raises(SettingsError, match=r"jwt\.secret"):
        load_settings(None, compose_environment("workflow-orchestrator", {**GIVEN, "JWT_SECRET": "short"}))


@pytest.mark.parametrize("name", GIVEN)
def test_a_secret_that_is_missing_stops_it_with_a_word_on_what_to_do(name: str) -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    with pytest.raises(Missing, match=rf"{name}: set it in deploy/\.env"):
        interpolated(text, {**GIVEN, name: ""})


def test_the_example_names_each_secret_and_gives_none() -> None:
    required = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    assert dict.fromkeys(required, "") == ENV_EXAMPLE
    assert required == GIVEN.keys()


@pytest.mark.parametrize("name", [*OURS, "gateway"])
def test_what_is_ours_may_do_nothing_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service


@pytest.mark.parametrize("name", OURS)
def test_its_user_can_write_to_its_folders(name: str) -> None:
    mounts = dict(mount.split(":", 1) for mount in SERVICES[name]["tmpfs"])
    assert mounts.keys() == ({"/tmp"} if name == "rebuild" else {"/data", "/tmp"})
    assert f"uid={image_user()}" in mounts.get("/data", f"uid={image_user()}")
    assert "mode=1777" in mounts["/tmp"]


def test_a_rebuild_has_the_settings_of_the_service_and_a_volume_to_build_in_when_it_is_asked_for() -> None:
    rebuild = SERVICES["rebuild"]
    assert rebuild["environment"] == SERVICES["workflow-orchestrator"]["environment"]
    assert rebuild["volumes"] == ["rebuild:/data"]
    assert "rebuild" in compose()["volumes"]
    assert rebuild["profiles"] == ["rebuild"]


@pytest.mark.parametrize("name", SERVICES)
def test_each_has_limits_and_gains_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory"}
    assert set(service.get("cap_add", ())) <= {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}


def test_it_has_longer_to_stop_than_it_takes() -> None:
    assert seconds(SERVICES["workflow-orchestrator"]["stop_grace_period"]) > SHUTDOWN_SECONDS + 5


def test_each_waits_for_what_can_be_waited_for() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                check = SERVICES[other].get("healthcheck", {})
                assert "test" in check or (other == "workflow-orchestrator" and not check), (name, other)
            else:
                assert how["condition"] == "service_completed_successfully"
                assert SERVICES[other]["restart"] == "no", (name, other)
    assert SERVICES["workflow-orchestrator"]["depends_on"].keys() == {
        "migrate",
        "postgres",
        "rabbitmq",
        "cosmos",
    }


def test_the_gateway_alone_is_reached_from_outside_and_from_this_machine_alone() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"gateway": [f"127.0.0.1:{PORT}:8080"]}
    assert compose()["networks"]["stores"] == {"internal": True}
    assert "stores" not in SERVICES["gateway"]["networks"]


def test_each_file_that_is_mounted_is_there_and_read_only() -> None:
    mounted = [volume for service in SERVICES.values() for volume in service.get("volumes", ())]
    files = [volume for volume in mounted if volume.startswith("./")]
    assert len(files) == 2
    for source, _, mode in (volume.split(":") for volume in files):
        assert (DEPLOY / source).is_file()
        assert mode == "ro"
