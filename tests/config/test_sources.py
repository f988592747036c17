"""Files of the operator's own, laid over the defaults, and references into the environment."""

from pathlib import Path

import pytest

from config.settings import Settings, SettingsError, load_settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def load(file: Path, text: str, **environ: str) -> Settings:
    file.write_text(text, "utf-8")
    return load_settings(file, environ)


def refusal(file: Path, text: str, **environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        load(file, text, **environ)
    assert str(refused.value).splitlines() == list(refused.value.lines)
    return refused.value.lines


def test_a_file_needs_to_hold_only_what_differs(file: Path) -> None:
    settings = load(
        file, "server: {port: 4000}\nrabbitmq:\n  type_aliases: {shard.updated: data.shard.updated}\n"
    )
    assert (settings.server.port, settings.server.host) == (4000, "127.0.0.1")
    assert settings.rabbitmq.type_aliases == {"shard.updated": "data.shard.updated"}


def test_what_the_file_says_outright_the_environment_does_not_change(file: Path) -> None:
    assert load(file, "server: {port: 4000}", PORT="5000").server.port == 4000


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "server:\n", "server: {port: }", "server: {port: ~}", "jwt: null"]
)
def test_what_is_left_empty_stays_as_it_was(file: Path, text: str) -> None:
    assert load(file, text) == load_settings(environ={})


def test_a_list_replaces_a_list(file: Path) -> None:
    settings = load(file, "workflows: {opportunity_shard_types: [deal]}")
    assert settings.workflows.opportunity_shard_types == ("deal",)


def test_references_may_stand_within_a_text_and_more_than_one(file: Path) -> None:
    text = "rabbitmq:\n  url: amqp://${MQ_USER}:${MQ_PASSWORD}@${MQ_HOST:-mq}:${MQ_PORT:-5672}/\n"
    settings = load(file, text, MQ_USER="u", MQ_PASSWORD="${MQ_USER:-x}", MQ_PORT="")
    assert settings.rabbitmq.url.get_secret_value() == "amqp://u:${MQ_USER:-x}@mq:5672/"


def test_a_number_is_a_number_also_in_quotes_or_put_together(file: Path) -> None:
    assert load(file, 'server: {port: "${BASE:-30}51"}').server.port == 3051


def test_a_variable_without_default_must_be_set(file: Path) -> None:
    lines = refusal(file, "jwt:\n  secret: ${JWT_SECRET}\nserver:\n  port: 0\n")
    assert lines == (
        (
            "jwt.secret: the environment variable JWT_SECRET is not set; "
            "set it, or write ${JWT_SECRET:-default} in the file"
        ),
        'server.port is "0"; allowed: a whole number, 1 to 65535',
    )


def test_a_variable_without_default_may_be_empty(file: Path) -> None:
    assert load(file, "jwt:\n  secret: ${JWT_SECRET}\n", JWT_SECRET="") == load_settings(environ={})


@pytest.mark.parametrize("text", ["${}", "${1X}", "${NAME", "${NAME-x}", "${A:-${B}}", "a${NAME:+x}b"])
def test_a_reference_that_is_not_understood_is_refused(file: Path, text: str) -> None:
    [line] = refusal(file, f"jwt:\n  issuer: '{text}'\n", NAME="x", A="x", B="x")
    assert line.startswith("jwt.issuer: a reference to the environment is not valid; write ${NAME}")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("server: {prot: 1}", "server.prot: unknown setting; did you mean server.port?"),
        ("sever: {port: 1}", "sever: unknown setting; did you mean server?"),
        ("port: 3051", "port: unknown setting; did you mean server.port?"),
        ("batch-jobs: {enabled: true}", "batch-jobs: unknown setting; did you mean batch_jobs?"),
        ("batch_jobs: {outcome_sync: x}", "did you mean batch_jobs.outcome_sync_cron?"),
        ("services: {ml_service: {uri: x}}", "services.ml_service.uri: unknown setting; did you mean"),
        ("zzz: ~", "zzz: unknown setting"),
        ("cosmos_db: {containers: {zzz: x}}", "cosmos_db.containers.zzz: unknown setting"),
    ],
)
def test_an_unknown_setting_is_named_with_the_one_that_was_meant(file: Path, text: str, line: str) -> None:
    lines = refusal(file, text)
    assert len(lines) == 1
    assert line in lines[0]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("server: 3051", "server: it must be a section with port, host, shutdown_seconds"),
        ("server: [1]", "server: it must be a section with port, host, shutdown_seconds"),
        ("services: {ml_service: http://x}", "services.ml_service: it must be a section with url"),
        ("server: {port: [1]}", "server.port; allowed: a whole number, 1 to 65535"),
        ("server: {port: {a: 1}}", "server.port; allowed: a whole number, 1 to 65535"),
        ("workflows: {opportunity_shard_types: deal}", "workflows.opportunity_shard_types is"),
        ("workflows: {opportunity_shard_types: []}", "allowed: one or more types"),
        ("workflows: {opportunity_shard_types: [a, '']}", 'workflows.opportunity_shard_types.1 is ""'),
        ("workflows: {step_timeouts: {forcast: 5}}", "workflows.step_timeouts.forcast"),
        ("workflows: {step_timeouts: {forecast: 0}}", 'workflows.step_timeouts.forecast is "0"'),
        ("followers: {poll_seconds: 0}", 'followers.poll_seconds is "0"'),
        ("followers: {batch_size: -5}", 'followers.batch_size is "-5"'),
        ("rabbitmq: {prefetch: 0}", 'rabbitmq.prefetch is "0"'),
        (
            "rabbitmq: {queue: bi_batch_jobs}",
            'rabbitmq.job_queue is "bi_batch_jobs": queue has the same name',
        ),
        ("cosmos_db: {containers: {steps: hitl_approvals}}", "steps has the same name"),
        ("jwt: {issuer: ''}", 'jwt.issuer is ""; allowed: a non-empty string'),
    ],
)
def test_a_wrong_shape_is_refused_in_one_line(file: Path, text: str, line: str) -> None:
    lines = refusal(file, text)
    assert len(lines) == 1
    assert line in lines[0]


@pytest.mark.parametrize(
    ("aliases", "reasons"),
    [
        ("{shard.updatd: a.b}", ["no such type in the wire contract; did you mean shard.updated?"]),
        ("{shard.updated: ''}", ['rabbitmq.type_aliases.shard.updated is ""; allowed: a type']),
        ("{shard.updated: 'a.#'}", ['is "a.#"; allowed: a type']),
        ("{shard.updated: a.b, forecast.completed: a.b}", ["another type has the same alias"] * 2),
        ("{shard.updated: forecast.completed}", ["that is itself a documented type"]),
    ],
)
def test_an_alias_stands_for_one_documented_type(file: Path, aliases: str, reasons: list[str]) -> None:
    lines = refusal(file, f"rabbitmq: {{type_aliases: {aliases}}}")
    assert len(lines) == len(reasons)
    assert all(reason in line for reason, line in zip(reasons, lines, strict=True))


LAUGHS = "\n".join(
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)),
    ]
)
"""Twelve lines, and a thousand billions of texts."""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("server:\n\tport: 1", ", line 2, column 1: not YAML: found character"),
        ("server: {port: 1", ", line 2, column 1: not YAML: did not find expected ',' or '}'"),
        ("jwt: {secret: 'hunter2}", "not YAML: found unexpected end of stream"),
        ("a: 1\n---\nb: 2", "not YAML: but found another document"),
        ("a: \x01", "not YAML: it holds characters that YAML does not allow"),
        ("- a", "the settings must be sections"),
        ("hunter2", "the settings must be sections"),
        ("server: {port: 1, port: 2}", ", line 1, column 19: server.port is given twice"),
        ("? [a]\n: 1", "a key must be a plain string"),
        ("a: &a {b: *a}", "is nested too deeply"),
        ("a: " + "[" * 200_000, "is nested too deeply"),
        ("a: " + "[" * 200_000 + "]" * 200_000, "is nested too deeply"),
        (LAUGHS, "line 5, column 45: there are more than 100,000 values"),
        (f"a: {'x' * 5_000_000}", "settings must be at most 4,194,304 bytes"),
    ],
)
def test_a_file_that_is_no_settings_is_one_clear_line(file: Path, text: str, line: str) -> None:
    lines = refusal(file, text)
    assert len(lines) == 1
    assert lines[0].startswith(str(file))
    assert line in lines[0]
    assert "hunter2" not in lines[0]


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    for path, reason in [(tmp_path / "none.yaml", "No such file or directory"), (tmp_path, "Is a directory")]:
        with pytest.raises(SettingsError) as refused:
            load_settings(path, {})
        assert refused.value.lines == (f"cannot read the settings file {path}: {reason}",)
    (tmp_path / "latin.yaml").write_bytes(b"service: {name: \xe9}")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(tmp_path / "latin.yaml", {})


def test_an_alias_says_again_what_was_said(file: Path) -> None:
    file.write_text("server: {host: &here 127.0.0.2}\nservice: {name: *here}")
    assert load_settings(file, {}).service.name == "127.0.0.2"
