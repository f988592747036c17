"""What the service starts with, and every way in which it refuses to."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr, ValidationError

from config.checks import DOCUMENTED
from config.settings import DEFAULT_FILE, Settings, SettingsError, load_settings
from interfaces.rest.this_machine import is_loopback
from tests.config.variables import SECRET, VARIABLES

NEEDED = {
    "METRICS_REQUIRE_AUTH": {"METRICS_BEARER_TOKEN": "t"},
    "METRICS_BEARER_TOKEN": {"METRICS_REQUIRE_AUTH": "true"},
    "SERVICE_ROLES": {
        "EVENT_STORE_URL": "postgresql://db/wo",
        "RABBITMQ_URL": "amqp://mq",
        "COSMOS_DB_ENDPOINT": "https://account.documents.azure.com:443/",
        "COSMOS_DB_KEY": "a2V5",
    },
}
"""What a variable is not allowed without."""


def value_at(settings: Settings, key: str) -> object:
    value: object = settings
    for name in key.split("."):
        value = value[name] if isinstance(value, Mapping) else getattr(value, name)
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def refusal(environ: dict[str, str] | None = None, path: Path | None = None) -> tuple[str, ...]:
    """The lines of the refusal; each is one line."""
    with pytest.raises(SettingsError) as refused:
        load_settings(path, environ or {})
    assert str(refused.value).splitlines() == list(refused.value.lines)
    return refused.value.lines


def test_the_defaults_are_those_of_the_wire_contract() -> None:
    settings = load_settings(environ={})
    assert (settings.server.port, settings.server.host, settings.jwt.issuer) == (3051, "127.0.0.1", "coder")
    assert settings.cosmos_db.database_id == "castiel"
    assert settings.cosmos_db.containers.model_dump() == {
        "workflows": "workflow_workflows",
        "steps": "workflow_steps",
        "executions": "workflow_executions",
        "approvals": "hitl_approvals",
        "delegations": "hitl_delegations",
        "positions": "workflow_positions",
        "job_runs": "workflow_job_runs",
        "backfills": "workflow_backfills",
        "tasks": "workflow_tasks",
        "definitions": "workflow_definitions",
    }
    rabbitmq = settings.rabbitmq
    assert (rabbitmq.exchange, rabbitmq.queue) == ("coder_events", "workflow_orchestrator_service")
    assert (rabbitmq.job_queue, rabbitmq.prefetch, rabbitmq.publish_in_flight) == ("bi_batch_jobs", 64, 256)
    assert settings.services.urls == {
        "integration_manager": "http://localhost:3026",
        "risk_analytics": "http://localhost:3048",
        "ml_service": "http://localhost:3033",
        "forecasting": "http://localhost:3050",
        "recommendations": "http://localhost:3049",
        "adaptive_learning": "http://localhost:3032",
    }
    assert settings.batch_jobs.enabled
    assert settings.batch_jobs.crons == {
        "risk-snapshot-backfill": "0 1 * * 0",
        "outcome-sync": "0 1 * * *",
        "industry-benchmarks": "0 4 * * *",
        "risk-clustering": "0 2 * * *",
        "account-health": "0 3 * * *",
        "propagation": "0 5 * * *",
        "model-monitoring": "0 6 * * 0",
        "cais-learning": "0 7 * * *",
    }
    off = [each.name for each in settings.batch_jobs.definitions if not each.enabled]
    assert off == ["cais-learning"]
    assert {each.schedule.time_zone for each in settings.batch_jobs.definitions} == {"UTC"}
    assert settings.workflows.opportunity_shard_types == ("opportunity", "c_opportunity")
    assert settings.metrics.path == "/metrics"


@pytest.mark.parametrize("variable", VARIABLES)
def test_each_variable_of_the_environment_sets_its_setting(variable: str) -> None:
    key, text, value = VARIABLES[variable]
    found = value_at(load_settings(environ={**NEEDED.get(variable, {}), variable: text}), key)
    assert found == value
    assert type(found) is type(value) or isinstance(value, Path)


def test_every_variable_in_the_file_is_tried_here() -> None:
    text = DEFAULT_FILE.read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    named = {part.split(":-")[0] for line in lines for part in line.split("${")[1:]}
    assert named == set(VARIABLES) | {"COSMOS_DB_ENDPOINT", "COSMOS_DB_KEY"}


def test_an_empty_variable_is_as_good_as_none() -> None:
    empty = dict.fromkeys([*VARIABLES, "COSMOS_DB_ENDPOINT", "COSMOS_DB_KEY"], "")
    assert load_settings(environ=empty) == load_settings(environ={})


def test_the_environment_of_the_process_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ.keys() & VARIABLES.keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("PORT", "4000")
    assert load_settings().server.port == 4000


def test_settings_cannot_be_changed() -> None:
    server: Any = load_settings(environ={}).server
    with pytest.raises(ValidationError, match="frozen"):
        server.port = 1


@pytest.mark.parametrize(
    "text", ["12345678901234567890123456789012", "0x" + "f" * 32, "yes" * 11, "${PORT}" * 5]
)
def test_a_secret_is_taken_to_the_letter(text: str, tmp_path: Path) -> None:
    assert load_settings(environ={"JWT_SECRET": text}).jwt.secret == SecretStr(text)
    file = tmp_path / "mine.yaml"
    file.write_text(f"jwt:\n  secret: {'0' * 40}\n")
    assert load_settings(file, {}).jwt.secret == SecretStr("0" * 40)


@pytest.mark.parametrize(
    ("text", "flag"), [("true", True), ("Yes", True), ("ON", True), ("no", False), ("off", False)]
)
def test_flags_are_read_as_yaml_reads_them(text: str, flag: bool) -> None:
    assert load_settings(environ={"BATCH_JOBS_ENABLED": text}).batch_jobs.enabled is flag


@pytest.mark.parametrize(
    ("mode", "secret", "effective"),
    [("", "", "gateway"), ("", SECRET, "jwt"), ("jwt", SECRET, "jwt"), ("gateway", SECRET, "gateway")],
)
def test_a_secret_turns_tokens_on_unless_told_otherwise(mode: str, secret: str, effective: str) -> None:
    assert load_settings(environ={"AUTH_MODE": mode, "JWT_SECRET": secret}).effective_auth_mode == effective


def test_events_are_kept_below_the_data_directory_unless_told_otherwise() -> None:
    def url(**environ: str) -> str:
        return load_settings(environ=environ).storage.effective_event_store_url.get_secret_value()

    assert url() == "sqlite:///data/events.db"
    assert url(DATA_DIR="/var/x") == "sqlite:////var/x/events.db"
    assert url(DATA_DIR="/var/x", EVENT_STORE_URL="postgresql:///wo") == "postgresql:///wo"


@pytest.mark.parametrize(
    ("variable", "text", "line"),
    [
        ("PORT", "abc", 'server.port (PORT) is "abc"; allowed: a whole number, 1 to 65535'),
        ("PORT", "0", 'server.port (PORT) is "0"; allowed: a whole number, 1 to 65535'),
        ("PORT", "65536", 'server.port (PORT) is "65536"; allowed: a whole number, 1 to 65535'),
        ("PORT", "3051.0", 'server.port (PORT) is "3051.0"'),
        ("PORT", "true", 'server.port (PORT) is "true"'),
        ("PORT", "03051", 'server.port (PORT) is "03051"'),
        ("PORT", "30:51", 'server.port (PORT) is "30:51"'),
        ("PORT", "9" * 5000, 'server.port (PORT) is "' + "9" * 80 + '…"'),
        ("PORT", "tcp://10.0.0.1:3051\nx", 'server.port (PORT) is "tcp://10.0.0.1:3051\\nx"'),
        ("HOST", "a b", 'server.host (HOST) is "a b": it is neither an IP address nor'),
        ("HOST", "127.1", 'server.host (HOST) is "127.1"'),
        ("SERVICE_NAME", "a b", 'service.name (SERVICE_NAME) is "a b"; allowed: 1 to 255'),
        ("STORE_STARTUP_TIMEOUT_SECONDS", "-1", "allowed: a number of seconds above 0"),
        ("STORE_STARTUP_TIMEOUT_SECONDS", ".inf", "allowed: a number of seconds above 0"),
        ("STORE_STARTUP_TIMEOUT_SECONDS", "nan", "allowed: a number of seconds above 0"),
        ("WORKFLOW_STEP_TIMEOUT_SECONDS", "0", 'is "0"; allowed: a number of seconds above 0'),
        (
            "BATCH_JOBS_ENABLED",
            "maybe",
            'batch_jobs.enabled (BATCH_JOBS_ENABLED) is "maybe"; allowed: true or',
        ),
        ("BATCH_JOBS_ENABLED", "1", 'is "1"; allowed: true or false'),
        ("BATCH_JOBS_TIME_ZONE", "Europe/Berln", "no such time zone; did you mean Europe/Berlin?"),
        ("BATCH_JOBS_TIME_ZONE", "Europe", "no such time zone"),
        ("BATCH_JOBS_TIME_ZONE", "../../etc/passwd", "no such time zone"),
        (
            "OUTCOME_SYNC_CRON",
            "0 1 * *",
            'batch_jobs.outcome_sync_cron (OUTCOME_SYNC_CRON) is "0 1 * *": it has 4',
        ),
        ("MODEL_MONITORING_CRON", "0 0 30 2 *", "it never fires"),
        ("EVENT_STORE_URL", "mysql://db/x", "its scheme is not postgresql or sqlite"),
        ("EVENT_STORE_URL", "sqlite://x", "SQLite needs sqlite:/// and a file's path"),
        ("EVENT_STORE_URL", "sqlite:///x?mode=ro", "SQLite needs sqlite:/// and a file's path"),
        ("EVENT_STORE_URL", "postgresql://u:100%@db/x", "in a password write % as %25"),
        ("EVENT_STORE_URL", "postgresql://u:a%3@db/x", "in a password write % as %25"),
        ("EVENT_STORE_URL", "postgresql://u:a%00@db/x", "in a password write % as %25"),
        ("RABBITMQ_URL", "amqp://u:100%@mq", "in a password write % as %25"),
        ("RABBITMQ_URL", "http://mq", "its scheme is not amqp or amqps"),
        ("RABBITMQ_URL", "amqp://", "it has no host"),
        ("RABBITMQ_URL", "amqp://mq:0", "it is not scheme://host:port"),
        ("RABBITMQ_URL", "amqp://mq\n", "it contains white space"),
        ("FORECASTING_URL", "localhost:3050", 'is "localhost:3050": it is not scheme://host:port'),
        ("FORECASTING_URL", "forecasting", "it is not scheme://host:port"),
        ("FORECASTING_URL", "http://u:p@forecasting", "it contains a user or password"),
        ("METRICS_PATH", "metrics", 'metrics.path (METRICS_PATH) is "metrics": it is not a path'),
        ("METRICS_PATH", "/api/v1/jobs", "something else is served at that path"),
        ("METRICS_PATH", "/health", "something else is served at that path"),
        ("METRICS_PATH", "/console", "something else is served at that path"),
        ("METRICS_PATH", "/console/metrics", "something else is served at that path"),
        ("AUTH_MODE", "none", 'auth.mode (AUTH_MODE) is "none"; allowed: jwt, gateway, or empty'),
        ("LOG_LEVEL", "loud", "allowed: debug, info, warning, error or critical"),
        ("LOG_FORMAT", "xml", "allowed: auto, json or console"),
        ("METRICS_REQUIRE_AUTH", "true", "nobody could read the metrics: set METRICS_BEARER_TOKEN"),
        ("METRICS_BEARER_TOKEN", "t", "(METRICS_BEARER_TOKEN) is ***: it is not used"),
        ("METRICS_BEARER_TOKEN", "t\n", "(METRICS_BEARER_TOKEN) is ***: it begins or ends with white space"),
        ("JWT_SECRET", SECRET + "\n", "jwt.secret (JWT_SECRET) is ***: it begins or ends with white space"),
        ("JWT_SECRET", " " + SECRET, "jwt.secret (JWT_SECRET) is ***: it begins or ends with white space"),
        ("COSMOS_DB_KEY", "a2V5\n", "(COSMOS_DB_KEY) is ***: it begins or ends with white space"),
        ("AUTH_MODE", "jwt", "tokens cannot be checked without a secret: set JWT_SECRET"),
        ("COSMOS_DB_KEY", "k", "cosmos_db.key (COSMOS_DB_KEY) is ***: it is set without an endpoint"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(variable: str, text: str, line: str) -> None:
    lines = refusal({variable: text})
    assert len(lines) == 1
    assert line in lines[0]
    assert f"({variable})" in lines[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LOCALHOST"])
def test_on_a_loopback_address_no_secret_is_needed(host: str) -> None:
    assert is_loopback(host)
    assert load_settings(environ={"HOST": host}).effective_auth_mode == "gateway"
    assert load_settings(environ={"HOST": host}).is_a_trial
    assert not load_settings(environ={"HOST": host, "AUTH_MODE": "gateway"}).is_a_trial
    assert not load_settings(environ={"HOST": host, "JWT_SECRET": SECRET}).is_a_trial


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.example.org"])
def test_on_any_other_address_the_service_asks_who_checks_the_callers(host: str) -> None:
    [line] = refusal({"HOST": host})
    assert line.startswith(
        f'server.host (HOST) is "{host}": without JWT_SECRET every caller would be trusted'
    )
    assert "AUTH_MODE=gateway" in line
    assert load_settings(environ={"HOST": host, "AUTH_MODE": "gateway"}).effective_auth_mode == "gateway"
    assert load_settings(environ={"HOST": host, "JWT_SECRET": SECRET}).effective_auth_mode == "jwt"


def test_visitors_are_believed_on_a_loopback_address_alone() -> None:
    believed = {"CONSOLE_TRUSTS_VISITORS": "true"}
    [line] = refusal({**believed, "HOST": "0.0.0.0", "AUTH_MODE": "gateway"})
    assert line.startswith("console.trusts_visitors (CONSOLE_TRUSTS_VISITORS) is")
    assert "visitors are not authenticated" in line
    assert load_settings(environ=believed).console.trusts_visitors
    assert load_settings(environ={**believed, "HOST": "0.0.0.0", "JWT_SECRET": SECRET}), (
        "tokens are asked for"
    )


def test_a_secret_has_at_least_the_bytes_of_the_hash() -> None:
    [line] = refusal({"JWT_SECRET": "x" * 31})
    assert line == (
        "jwt.secret (JWT_SECRET) is ***: it is shorter than HS256 needs (RFC 7518, 3.2); "
        "allowed: at least 32 bytes, or empty"
    )
    load_settings(environ={"JWT_SECRET": "é" * 16})


def test_cosmos_db_needs_an_endpoint_and_a_key_that_can_sign() -> None:
    endpoint = {"COSMOS_DB_ENDPOINT": "https://cosmos:8081"}
    assert load_settings(environ={**endpoint, "COSMOS_DB_KEY": "a2V5"}).cosmos_db.endpoint
    [line] = refusal(endpoint)
    assert "set COSMOS_DB_KEY" in line
    [line] = refusal({**endpoint, "COSMOS_DB_KEY": "no key"})
    assert line == (
        "cosmos_db.key (COSMOS_DB_KEY) is ***: it cannot be used to sign requests; "
        "allowed: an account's key, in base64"
    )


def test_a_log_in_cosmos_db_is_in_the_account_of_the_documents() -> None:
    log = {"EVENT_STORE_URL": "cosmos://"}
    account = {"COSMOS_DB_ENDPOINT": "https://cosmos:8081", "COSMOS_DB_KEY": "a2V5"}
    assert load_settings(environ={**log, **account}).storage.is_in_cosmos
    [line] = refusal(log)
    assert line.startswith("storage.event_store_url")
    assert "set COSMOS_DB_ENDPOINT" in line
    for url in ("cosmos://account", "cosmos:", "cosmos:///x", "cosmos://?database=x"):
        [line] = refusal({"EVENT_STORE_URL": url, **account})
        assert "it must be just cosmos://" in line


def test_all_faults_are_told_at_once() -> None:
    lines = refusal(
        {"PORT": "x", "HOST": "0.0.0.0", "AUTH_MODE": "none", "JWT_SECRET": "s", "LOG_LEVEL": "x"}
    )
    assert [line.split(" ")[0] for line in lines] == [
        "server.port",
        "auth.mode",
        "logging.level",
        "jwt.secret",
    ]


def test_a_mode_that_is_misspelt_is_not_taken_for_one_left_out() -> None:
    [line] = refusal({"HOST": "0.0.0.0", "AUTH_MODE": "gatway"})
    assert line.startswith("auth.mode (AUTH_MODE)")


def test_the_types_of_the_contract_are_all_known() -> None:
    assert len(DOCUMENTED) == 27


def test_the_default_file_is_yaml_for_everyone() -> None:
    assert list(yaml.safe_load(DEFAULT_FILE.read_text("utf-8"))) == list(Settings.model_fields)


SHARED = {"EVENT_STORE_URL": "postgresql://db/wo", "RABBITMQ_URL": "amqp://mq"}
COSMOS = {"COSMOS_DB_ENDPOINT": "https://account.documents.azure.com:443/", "COSMOS_DB_KEY": "a2V5"}


@pytest.mark.parametrize(
    ("roles", "environ", "reason"),
    [
        ("api", {}, "EVENT_STORE_URL"),
        ("api", {**COSMOS, "RABBITMQ_URL": "amqp://mq"}, "EVENT_STORE_URL"),
        ("api,projector", {"EVENT_STORE_URL": "postgresql://db/wo"}, "RABBITMQ_URL"),
        ("api", SHARED, "COSMOS_DB_ENDPOINT"),
        ("projector,consumer", SHARED, "COSMOS_DB_ENDPOINT"),
        ("api,worker", {**SHARED, **COSMOS}, "api, consumer, projector, publisher, scheduler"),
        ("publishr", {**SHARED, **COSMOS}, "did you mean publisher?"),
        (",", {**SHARED, **COSMOS}, "api, consumer, projector, publisher, scheduler"),
    ],
)
def test_a_role_that_nobody_could_have_elsewhere_cannot_be_left_out(
    roles: str, environ: dict[str, str], reason: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ={**environ, "SERVICE_ROLES": roles})
    (line,) = str(refused.value).splitlines()
    assert line.startswith("service.roles")
    assert reason in line


@pytest.mark.parametrize(
    ("roles", "environ"),
    [
        ("api,projector", SHARED),
        ("consumer,publisher,scheduler", SHARED),
        ("api", {**SHARED, **COSMOS}),
        ("scheduler,projector", {**SHARED, **COSMOS}),
        ("scheduler,publisher,projector,consumer,api", {}),
    ],
)
def test_a_role_may_be_left_to_another_process_on_the_same_stores(
    roles: str, environ: dict[str, str]
) -> None:
    assert set(load_settings(environ={**environ, "SERVICE_ROLES": roles}).service.roles) == set(
        roles.split(",")
    )


def test_the_roles_of_the_command_line_go_before_all_others() -> None:
    environ = {**SHARED, **COSMOS, "SERVICE_ROLES": "api"}
    assert load_settings(environ=environ, roles="scheduler,projector").service.roles == (
        "projector",
        "scheduler",
    )
