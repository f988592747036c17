"""Checks what no single setting shows: settings that do not fit together, or are not safe together."""

import base64
import re
from collections import Counter
from collections.abc import Callable, Iterator

from application.integration import JOB_TRIGGER, PUBLISHED_TYPES
from config.faults import SettingFault
from config.kinds import ROLES
from config.sections import Settings
from domain.suggestions import did_you_mean
from interfaces.messaging.messages import CONSUMED
from interfaces.rest.this_machine import is_loopback

DOCUMENTED = frozenset((*CONSUMED, *PUBLISHED_TYPES))
"""The message types of the wire contract (section 1), which a type alias may stand for."""

SHORTEST_SECRET_BYTES = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as the hash."""

_MODE, _SECRET, _HOST = ("auth", "mode"), ("jwt", "secret"), ("server", "host")
_TYPE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def check(settings: Settings) -> Iterator[SettingFault]:
    """Yield every fault of settings that are valid by themselves."""
    for one in _CHECKS:
        yield from one(settings)


def _jwt_mode_needs_a_secret(settings: Settings) -> Iterator[SettingFault]:
    if settings.auth.mode == "jwt" and not settings.jwt.secret.get_secret_value():
        yield SettingFault(
            _MODE, "tokens cannot be checked without a secret: set JWT_SECRET", about=(_SECRET,)
        )


def _strangers_are_kept_out(settings: Settings) -> Iterator[SettingFault]:
    if settings.is_a_trial and not is_loopback(settings.server.host):
        yield SettingFault(
            _HOST,
            "without JWT_SECRET every caller would be trusted: set JWT_SECRET, or AUTH_MODE=gateway if a "
            "gateway in front checks the tokens, or serve on a loopback address such as 127.0.0.1",
            about=(_MODE, _SECRET),
        )


def _visitors_are_believed_on_this_machine_alone(settings: Settings) -> Iterator[SettingFault]:
    believed = settings.console.trusts_visitors and settings.effective_auth_mode == "gateway"
    if believed and not is_loopback(settings.server.host):
        yield SettingFault(
            ("console", "trusts_visitors"),
            "visitors are not authenticated: only allowed on a loopback address such as 127.0.0.1",
            about=(_HOST,),
        )


def _secret_is_long_enough(settings: Settings) -> Iterator[SettingFault]:
    size = len(settings.jwt.secret.get_secret_value().encode())
    if 0 < size < SHORTEST_SECRET_BYTES:
        yield SettingFault(
            _SECRET,
            "it is shorter than HS256 needs (RFC 7518, 3.2)",
            f"at least {SHORTEST_SECRET_BYTES} bytes, or empty",
        )


def _a_token_guards_the_metrics(settings: Settings) -> Iterator[SettingFault]:
    token = ("metrics", "bearer_token")
    if settings.metrics.require_auth and not settings.metrics.bearer_token.get_secret_value():
        yield SettingFault(
            ("metrics", "require_auth"),
            "nobody could read the metrics: set METRICS_BEARER_TOKEN",
            about=(token,),
        )
    if settings.metrics.bearer_token.get_secret_value() and not settings.metrics.require_auth:
        yield SettingFault(
            token,
            "it is not used: set METRICS_REQUIRE_AUTH=true, or remove the token",
            about=(("metrics", "require_auth"),),
        )


def _cosmos_has_endpoint_and_key(settings: Settings) -> Iterator[SettingFault]:
    endpoint, key = ("cosmos_db", "endpoint"), ("cosmos_db", "key")
    if settings.cosmos_db.endpoint and not settings.cosmos_db.key.get_secret_value():
        yield SettingFault(endpoint, "it is set without a key: set COSMOS_DB_KEY", about=(key,))
    if settings.cosmos_db.key.get_secret_value() and not settings.cosmos_db.endpoint:
        yield SettingFault(key, "it is set without an endpoint: set COSMOS_DB_ENDPOINT", about=(endpoint,))


def _cosmos_key_can_sign(settings: Settings) -> Iterator[SettingFault]:
    key = settings.cosmos_db.key.get_secret_value() if settings.cosmos_db.endpoint else ""
    try:
        base64.b64decode(key, validate=True)
    except ValueError:
        yield SettingFault(
            ("cosmos_db", "key"), "it cannot be used to sign requests", "an account's key, in base64"
        )


def _containers_are_apart(settings: Settings) -> Iterator[SettingFault]:
    yield from _apart(("cosmos_db", "containers"), settings.cosmos_db.containers.model_dump())


def _queues_are_apart(settings: Settings) -> Iterator[SettingFault]:
    names = settings.rabbitmq.model_dump(include={"queue", "job_queue", "dead_letter_queue"})
    yield from _apart(("rabbitmq",), names)


def _apart(section: tuple[str, ...], names: dict[str, str]) -> Iterator[SettingFault]:
    used: dict[str, str] = {}
    for key, name in names.items():
        first = used.setdefault(name, key)
        if first != key:
            yield SettingFault((*section, key), f"{first} has the same name", about=((*section, first),))


def _roles_find_what_they_need(settings: Settings) -> Iterator[SettingFault]:
    """A process may lack a role only if another can have it on the same stores."""
    roles = settings.service.roles
    left_out = ", ".join(role for role in ROLES if role not in roles)
    path, log, broker = ("service", "roles"), ("storage", "event_store_url"), ("rabbitmq", "url")
    if left_out and not settings.storage.is_shared:
        yield SettingFault(
            path,
            f"no other process can be {left_out} on an event store in SQLite: set EVENT_STORE_URL to"
            " PostgreSQL or cosmos://, or take all roles",
            about=(log,),
        )
    elif left_out and not settings.rabbitmq.url.get_secret_value():
        yield SettingFault(
            path,
            f"no other process can be {left_out} on an in-process bus: set RABBITMQ_URL, or take all roles",
            about=(broker,),
        )
    elif ("api" in roles) != ("projector" in roles) and not settings.cosmos_db.endpoint:
        yield SettingFault(
            path,
            "api and projector belong together while the documents are in this process's DATA_DIR: set"
            " COSMOS_DB_ENDPOINT, or take both roles or neither",
            about=(("cosmos_db", "endpoint"),),
        )


def _a_log_in_cosmos_has_an_account(settings: Settings) -> Iterator[SettingFault]:
    if settings.storage.is_in_cosmos and not settings.cosmos_db.endpoint:
        yield SettingFault(
            ("storage", "event_store_url"),
            "cosmos:// uses the account of the documents, which is not set: set COSMOS_DB_ENDPOINT",
            about=(("cosmos_db", "endpoint"),),
        )


def _aliases_are_unmistakable(settings: Settings) -> Iterator[SettingFault]:
    aliases = settings.rabbitmq.type_aliases
    counted = Counter(aliases.values())
    for documented, alias in aliases.items():
        path = ("rabbitmq", "type_aliases", documented)
        if documented not in DOCUMENTED:
            yield SettingFault(
                path, "no such type in the wire contract" + did_you_mean(documented, DOCUMENTED)
            )
        if not _TYPE.fullmatch(alias) or len(alias) > 255:
            yield SettingFault(path, allowed="a type: letters, digits, _ and -, in parts joined by dots")
        elif counted[alias] > 1:
            yield SettingFault(path, "another type has the same alias: messages would be ambiguous")
        elif alias in DOCUMENTED and alias != documented:
            yield SettingFault(path, "that is itself a documented type: messages would be ambiguous")


def _each_job_fires_at_some_time(settings: Settings) -> Iterator[SettingFault]:
    known = settings.batch_jobs.crons
    for job in settings.batch_jobs.jobs:
        if job not in known:
            yield SettingFault(
                ("batch_jobs", "jobs", job),
                f"it has no cron, and is not one of the platform's jobs{did_you_mean(job, known)}",
                about=(("batch_jobs", "jobs", job, "cron"),),
            )


def _job_queues_are_reached_by_one_type_each(settings: Settings) -> Iterator[SettingFault]:
    """What goes to a worker's own queue must not have the type of all other jobs."""
    own = settings.rabbitmq
    taken = {own.queue, own.job_queue, own.dead_letter_queue}
    first: dict[str, tuple[str, str | None]] = {}
    for job, rules in settings.batch_jobs.jobs.items():
        path = ("batch_jobs", "jobs", job)
        if rules.message_type == JOB_TRIGGER:
            if rules.queue is not None:
                yield SettingFault(
                    (*path, "queue"), f"{JOB_TRIGGER} goes to {own.job_queue}: give it a message_type too"
                )
            continue
        if not _TYPE.fullmatch(rules.message_type) or len(rules.message_type) > 255:
            yield SettingFault(
                (*path, "message_type"), allowed="a type: letters, digits, _ and -, in parts joined by dots"
            )
        elif rules.message_type in {*DOCUMENTED, *own.type_aliases.values()}:
            yield SettingFault((*path, "message_type"), "that type already has another meaning")
        if rules.queue in taken:
            yield SettingFault((*path, "queue"), "that queue is used by this service itself")
        elif rules.queue is not None and rules.queue.startswith("amq."):
            yield SettingFault((*path, "queue"), "names that begin with amq. are reserved for the broker")
        other, queue = first.setdefault(rules.message_type, (job, rules.queue))
        if queue != rules.queue:
            yield SettingFault((*path, "queue"), f"{other} sends the same message_type to another queue")


_CHECKS: tuple[Callable[[Settings], Iterator[SettingFault]], ...] = (
    _jwt_mode_needs_a_secret,
    _strangers_are_kept_out,
    _visitors_are_believed_on_this_machine_alone,
    _secret_is_long_enough,
    _a_token_guards_the_metrics,
    _cosmos_has_endpoint_and_key,
    _cosmos_key_can_sign,
    _containers_are_apart,
    _queues_are_apart,
    _roles_find_what_they_need,
    _a_log_in_cosmos_has_an_account,
    _aliases_are_unmistakable,
    _each_job_fires_at_some_time,
    _job_queues_are_reached_by_one_type_each,
)
