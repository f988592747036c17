"""The kinds of values that settings have, each with the words for what it allows and how it may be shown.

pydantic's own messages are for programmers. A fault is for whoever wrote the value, so every kind says itself
what is allowed.
"""

import ipaddress
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from application.approval_terms import APPROVAL_ID
from config.urls import MASK, SecretPathUrl, SecretUrl, mask_path, mask_url, require_url
from domain.json_schema import schema_faults
from domain.suggestions import did_you_mean
from interfaces.scheduling.cron import InvalidCron, UnixCron
from interfaces.time_zones import require_time_zone

_LONGEST_SHOWN = 80
_LONGEST_PATH = 4096
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?[0-9]{1,18}(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})?")
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.IGNORECASE
)
_WEB_ADDRESS = re.compile(r"https?://[^\x00-\x20\x7f]+")
_LONGEST_URL_TEMPLATE = 2000
_SERVED = ("/health", "/ready", "/openapi.yaml", "/asyncapi.yaml", "/docs", "/api", "/console")


def quoted(text: str) -> str:
    """Return a value on one line, shortened."""
    return _on_one_line(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")


def whole_path(text: str) -> str:
    """Return a path on one line, whole unless it is absurdly long, because its end tells most."""
    return _on_one_line(text if len(text) <= _LONGEST_PATH else "…" + text[-_LONGEST_PATH:])


def _on_one_line(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def hidden(text: str) -> str:
    """Return a masked secret. An empty one may be seen to be empty."""
    return MASK if text else '""'


def masked_url(text: str) -> str:
    """Return an address without its password."""
    return quoted(mask_url(text))


def public_url(text: str) -> str:
    """Return an address that should hold no password, without one that somebody put in nevertheless."""
    return quoted(mask_url(text) if "@" in text or "?" in text else text)


def masked_path(text: str) -> str:
    """Return an address without what follows its host."""
    return quoted(mask_path(text))


class Allowed(msgspec.Struct, frozen=True):
    """What a setting accepts, in words, and how its value may be shown in a message."""

    words: str
    show: Callable[[str], str] = quoted


def _scalar(text: object) -> object:
    """Read a text as YAML would, without YAML's traps: 03051 is not octal, and 30:51 not base 60."""
    if not isinstance(text, str):
        return text
    text = text.strip()
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return _FLAGS.get(text.lower(), text)


def _split(text: object) -> object:
    if not isinstance(text, str):
        return text
    return [part.strip().lower() for part in text.split(",") if part.strip()]


def _roles(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in ROLES]
    if unknown:
        raise ValueError(f"there is no role {unknown[0]}{did_you_mean(unknown[0], ROLES)}")
    if not names:
        raise ValueError("a process needs at least one role")
    return tuple(role for role in ROLES if role in names)


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _cron(text: str) -> str:
    try:
        UnixCron(text, ZoneInfo("UTC"))
    except InvalidCron as error:
        raise ValueError(error.reason) from None
    return text


_WORDS = frozenset(("$ref", "$schema", "$comment", "title", "description", "pattern", "format"))
_BY_NAME = frozenset(("properties", "patternProperties", "$defs", "dependentSchemas"))


def _typed(schema: object) -> object:
    """Read a schema of texts as YAML would. What is always a text stays one, and so do names."""
    if isinstance(schema, dict):
        return {
            keyword: value
            if keyword in _WORDS and isinstance(value, str)
            else {name: _typed(each) for name, each in value.items()}
            if keyword in _BY_NAME and isinstance(value, dict)
            else _typed(value)
            for keyword, value in schema.items()
        }
    if isinstance(schema, list):
        return [_typed(each) for each in schema]
    return _scalar(schema)


def _json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if faults := schema_faults(schema):
        told = (f"{each.field}: {each.message}" if each.field else each.message for each in faults[:3])
        raise ValueError("; ".join(told))
    types = schema.get("type", "object")
    if "object" not in ([types] if isinstance(types, str) else types):
        raise ValueError("it must allow an object, as metadata is one")
    return schema


def _host(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not _HOST_NAME.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
            raise ValueError("it is neither an IP address nor a host name") from None
    return text


def _metrics_path(text: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-]", text):
        raise ValueError("it is not a path such as /metrics")
    if any(text == served or text.startswith(f"{served}/") for served in _SERVED):
        raise ValueError("something else is served at that path")
    return text


COSMOS_URL = "cosmos://"
"""The event store in the account of the documents."""


def _store_url(url: SecretUrl) -> SecretUrl:
    text = url.get_secret_value()
    if text.startswith("sqlite:"):
        if not re.fullmatch(r"sqlite:///[^?#\x00]+", text) or ":memory:" in text:
            raise ValueError("SQLite needs sqlite:/// and a file's path, without parameters")
    elif text.startswith("cosmos:"):
        if text != COSMOS_URL:
            raise ValueError("it must be just cosmos://: set the endpoint and key in the section cosmos_db")
    elif text:
        require_url(text, ("postgresql", "sqlite", "cosmos"), host=False)
    return url


def _broker_url(url: SecretUrl) -> SecretUrl:
    if url.get_secret_value():
        require_url(url.get_secret_value(), ("amqp", "amqps"))
    return url


def _http_url(text: str) -> str:
    require_url(text, ("http", "https"), credentials=False)
    return text


def _optional_http_url(text: str) -> str:
    return _http_url(text) if text else text


def _secret_path_url(url: SecretPathUrl) -> SecretPathUrl:
    _optional_http_url(url.get_secret_value())
    return url


def _url_template(text: str) -> str:
    """A page may use what follows a ``#``."""
    if not text:
        return text
    if APPROVAL_ID not in text:
        raise ValueError(f"it does not contain {APPROVAL_ID}")
    filled = text.replace(APPROVAL_ID, "0" * 36)
    if not _WEB_ADDRESS.fullmatch(filled) or "{" in filled or "}" in filled:
        raise ValueError(f"it contains white space, or braces other than {APPROVAL_ID}")
    require_url(filled.partition("#")[0], ("http", "https"), credentials=False)
    return text


def _credential(secret: SecretStr) -> SecretStr:
    """Refuse white space at the ends: a newline of a file would be part of the secret, and every caller would
    be refused."""
    text = secret.get_secret_value()
    if text != text.strip():
        raise ValueError("it begins or ends with white space, such as the newline of a file")
    return secret


def _path_or_none(text: object) -> object:
    return None if text == "" else text


Text = Annotated[str, Field(min_length=1), Allowed("a non-empty string")]
Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_.:-]{1,255}$"),
    Allowed("1 to 255 letters, digits and . _ : -"),
]
Host = Annotated[str, AfterValidator(_host), Allowed("an IP address or a host name")]
Directory = Annotated[Path, Field(), Allowed("a directory's path", whole_path)]
OptionalFile = Annotated[
    Path | None, BeforeValidator(_path_or_none), Allowed("a file's path, or empty", whole_path)
]
NO_FILE: Literal["none"] = "none"
"""What is given instead of a file's path."""

FileOrNone = Annotated[
    Path | Literal["none"] | None,
    BeforeValidator(_path_or_none),
    Allowed("a file's path, none, or empty", whole_path),
]
Flag = Annotated[bool, Field(strict=True), BeforeValidator(_scalar), Allowed("true or false")]
Port = Annotated[
    int, Field(strict=True, ge=1, le=65535), BeforeValidator(_scalar), Allowed("a whole number, 1 to 65535")
]
Count = Annotated[
    int, Field(strict=True, ge=1, le=65535), BeforeValidator(_scalar), Allowed("a whole number, 1 to 65535")
]
SegmentBytes = Annotated[
    int,
    Field(strict=True, ge=10_000, le=16_000_000_000),
    BeforeValidator(_scalar),
    Allowed("a whole number of bytes, 10000 to 16000000000"),
]
PoolSize = Annotated[
    int, Field(strict=True, ge=4, le=200), BeforeValidator(_scalar), Allowed("a whole number, 4 to 200")
]
Seconds = Annotated[
    float,
    Field(strict=True, gt=0, le=31_622_400, allow_inf_nan=False),
    BeforeValidator(_scalar),
    Allowed("a number of seconds above 0, at most a year"),
]
Delay = Annotated[
    float,
    Field(strict=True, ge=0, le=86_400, allow_inf_nan=False),
    BeforeValidator(_scalar),
    Allowed("a number of seconds, at most a day"),
]
Factor = Annotated[
    float,
    Field(strict=True, ge=1, le=100, allow_inf_nan=False),
    BeforeValidator(_scalar),
    Allowed("a number from 1 to 100"),
]
PerSecond = Annotated[
    float,
    Field(strict=True, gt=0, le=100_000, allow_inf_nan=False),
    BeforeValidator(_scalar),
    Allowed("a number per second above 0, at most 100000"),
]
Cron = Annotated[
    str,
    AfterValidator(_cron),
    Allowed("a Unix cron expression: minute hour day-of-month month day-of-week"),
]
TimeZone = Annotated[
    str, AfterValidator(require_time_zone), Allowed("an IANA time zone such as Europe/Berlin")
]
MetricsPath = Annotated[
    str, AfterValidator(_metrics_path), Allowed("a path that begins with / and is not served already")
]
ServiceUrl = Annotated[
    str,
    AfterValidator(_http_url),
    Allowed("http://host:port or https://host:port, without user and password", public_url),
]
OptionalHttpUrl = Annotated[
    str, AfterValidator(_optional_http_url), Allowed("http:// or https://, or empty", public_url)
]
OptionalSecretPathUrl = Annotated[
    SecretPathUrl,
    AfterValidator(_secret_path_url),
    Allowed("http:// or https://, without user and password, or empty", masked_path),
]
UrlTemplate = Annotated[
    str,
    Field(max_length=_LONGEST_URL_TEMPLATE),
    AfterValidator(_url_template),
    Allowed(f"http:// or https:// with {APPROVAL_ID} in it, or empty", public_url),
]
StoreUrl = Annotated[
    SecretUrl,
    AfterValidator(_store_url),
    Allowed("sqlite:///path, postgresql://user:password@host:port/database, cosmos://, or empty", masked_url),
]
BrokerUrl = Annotated[
    SecretUrl,
    AfterValidator(_broker_url),
    Allowed("amqp:// or amqps://user:password@host:port/vhost, or empty", masked_url),
]
Credential = Annotated[
    SecretStr,
    AfterValidator(_credential),
    Allowed("a string without white space at its ends, or empty", hidden),
]
SecretText = Annotated[SecretStr, Field(), Allowed("a string, or empty", hidden)]

AuthMode = Annotated[
    Literal["", "jwt", "gateway"], BeforeValidator(_lower), Allowed("jwt, gateway, or empty")
]
Overlapping = Annotated[
    Literal["allow", "skip", "queue_one"], BeforeValidator(_lower), Allowed("allow, skip or queue_one")
]
CatchingUp = Annotated[
    Literal["none", "latest", "all"], BeforeValidator(_lower), Allowed("none, latest or all")
]
JsonSchema = Annotated[
    dict[str, Any],
    BeforeValidator(_typed),
    AfterValidator(_json_schema),
    Allowed("a JSON Schema, as in workflow definitions"),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error", "critical"],
    BeforeValidator(_lower),
    Allowed("debug, info, warning, error or critical"),
]
LogFormat = Annotated[
    Literal["auto", "json", "console"], BeforeValidator(_lower), Allowed("auto, json or console")
]

ROLES = ("api", "consumer", "projector", "publisher", "scheduler")
Roles = Annotated[
    tuple[str, ...],
    BeforeValidator(_split),
    AfterValidator(_roles),
    Allowed(f"one or more of {', '.join(ROLES)}, joined by commas"),
]
