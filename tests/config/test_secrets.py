"""A secret never shows: not in a refusal, not in `config`, not in a log of the settings."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import cast

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from config.masking import masked_values
from config.postgres import wait_for_postgres
from config.settings import Settings, SettingsError, load_settings, masked
from config.start import CannotStart
from config.urls import SecretUrl, mask_url

WORD = "hunter2hunter2hunter2hunter2hunter2"
SECRETS = {
    "JWT_SECRET": WORD,
    "METRICS_REQUIRE_AUTH": "true",
    "METRICS_BEARER_TOKEN": WORD,
    "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={WORD}",
    "BATCH_JOBS_HEARTBEAT_URL": f"https://beats.example:8443/{WORD}?{WORD}",
    "RABBITMQ_URL": f"amqp://user:{WORD}@mq:5672/",
    "EVENT_STORE_URL": f"postgresql://user:{WORD}@db/wo?sslpassword={WORD}&sslmode=require",
}


def test_the_effective_settings_are_shown_with_their_secrets_masked() -> None:
    settings = load_settings(environ=SECRETS)
    text = masked(settings)
    shown = yaml.safe_load(text)
    assert "hunter2" not in text
    assert list(shown) == list(Settings.model_fields)
    assert shown["jwt"]["secret"] == "***"
    assert shown["metrics"]["bearer_token"] == "***"
    assert shown["cosmos_db"]["key"] == ""
    assert shown["batch_jobs"]["heartbeat_url"] == "https://beats.example:8443/***"
    assert shown["rabbitmq"]["url"] == "amqp://user:***@mq:5672/"
    assert (
        shown["storage"]["event_store_url"] == "postgresql://user:***@db/wo?sslpassword=***&sslmode=require"
    )
    assert shown["server"]["port"] == 3051


def full_of_secrets(model: BaseModel) -> BaseModel:
    """The same settings with a word in each secret that there is, whatever its name."""
    found: dict[str, object] = {}
    for name, value in model:
        if isinstance(value, SecretStr | SecretUrl):
            is_url = isinstance(value, SecretUrl)
            found[name] = type(value)(f"amqp://u:{WORD}@h/" if is_url else WORD)
        elif isinstance(value, BaseModel):
            found[name] = full_of_secrets(value)
    return model.model_copy(update=found)


def test_no_secret_is_shown_whatever_its_name() -> None:
    settings = cast(Settings, full_of_secrets(load_settings(environ={})))
    assert len([each for each in hidden_in(settings) if WORD in each]) > 8
    assert WORD not in str(masked_values(settings))
    assert WORD not in masked(settings)


def hidden_in(model: BaseModel) -> Iterator[str]:
    for _, value in model:
        if isinstance(value, SecretStr | SecretUrl):
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from hidden_in(value)


def test_what_is_shown_of_the_defaults_can_be_read_back(tmp_path: Path) -> None:
    settings = load_settings(environ={})
    file = tmp_path / "shown.yaml"
    file.write_text(masked(settings))
    assert load_settings(file, {}) == settings


def test_settings_can_be_logged() -> None:
    settings = load_settings(environ=SECRETS)
    assert "hunter2" not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"


PASSWORDS_GONE_ASTRAY = [
    f"{scheme}://{rest}"
    for scheme in ("amqp", "postgresql", "mysql", "amqp:", "")
    for rest in (
        f"u:{WORD}@h:99999/",
        f"u:{WORD}@h:0/",
        f"u:{WORD}@",
        f"u:{WORD}/x@h/",
        f"u:1/{WORD}@h/",
        f"u:1?{WORD}@h/",
        f"u:1#{WORD}@h/",
        f"u:[{WORD}@h/",
        f"u:{WORD} x@h/",
        f"u:p@{WORD}@h:x/",
        f"u:p@{WORD}@h/",
        f"u:{WORD}@x@h/",
        f"u:{WORD}%3@h/",
        f"u:{WORD}%00@h/",
        f"u:{WORD}%@h/",
        f"h?password={WORD}#",
        f"h?p%61ssword={WORD}#",
    )
] + [f"u:{WORD}@h", f"amqp:u:{WORD}@h", f"amqp:/u:{WORD}@h", f"amqp//u:{WORD}@h"]
WITHOUT_A_HOST = [f"amqp://u:{WORD}", f"postgresql://u:{WORD}", f"://u:{WORD}", WORD]


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        *product(("RABBITMQ_URL", "EVENT_STORE_URL"), PASSWORDS_GONE_ASTRAY + WITHOUT_A_HOST),
        *product(("FORECASTING_URL", "BATCH_JOBS_HEARTBEAT_URL"), PASSWORDS_GONE_ASTRAY),
        ("BATCH_JOBS_HEARTBEAT_URL", f"ftp://beats.example/{WORD}"),
        ("BATCH_JOBS_HEARTBEAT_URL", f"https://beats.example/{WORD}#"),
    ],
)
def test_an_address_does_not_give_its_password_away_though_it_is_faulty(variable: str, url: str) -> None:
    try:
        told = masked(load_settings(environ={variable: url}))
    except SettingsError as refused:
        told = str(refused)
    assert "hunter2" not in told


@pytest.mark.parametrize("url", ["postgresql://u:{}@[::1]x/db", "postgresql://u:p@h/db?{}"])
@pytest.mark.anyio
async def test_an_address_that_only_postgres_does_not_understand_is_not_quoted(url: str) -> None:
    with pytest.raises(CannotStart) as refused:
        await wait_for_postgres(url.format(WORD), 0)
    assert str(refused.value).startswith("storage.event_store_url cannot be used: PostgreSQL does not")
    assert refused.value.__cause__ is None


def test_secrets_in_the_wrong_place_or_form_do_not_show(tmp_path: Path) -> None:
    for text in (
        f"jwt: {WORD}",
        f"jwt: {{secrte: {WORD}}}",
        f"jwt: {{secret: [{WORD}]}}",
        f"jwt: {{secret: {{a: {WORD}}}}}",
        f"rabbitmq: amqp://u:{WORD}@h",
        f"rabbitmq: {{url: [{WORD}]}}",
        f"password: {WORD}",
        f"metrics: {{bearer_tokn: {WORD}}}",
    ):
        (tmp_path / "mine.yaml").write_text(text)
        with pytest.raises(SettingsError) as refused:
            load_settings(tmp_path / "mine.yaml", {})
        assert "hunter2" not in str(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__context__ is None


@given(
    st.text(max_size=30), st.sampled_from(["amqp://u:{}@h/", "postgresql://u:{}@h:1/x?a=b", "http://u:{}@h"])
)
def test_whatever_the_password_masking_leaves_nothing_of_it(password: str, form: str) -> None:
    marked = f"hunter2{password}hunter2"
    assert "hunter2" not in mask_url(form.format(marked))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite:///data/events.db",
        "http://localhost:3026",
        "amqp://mq/",
        "amqp://guest@mq/x?heartbeat=5",
        "postgresql:///wo",
    ],
)
def test_an_address_without_a_secret_is_shown_as_it_is(url: str) -> None:
    assert mask_url(url) == url
