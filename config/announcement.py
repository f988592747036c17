"""Logs at the start what is on, what is off, and why."""

import socket

import structlog

from application.integration import JOB_TRIGGER
from config.approvals import ApprovalParts
from config.audit import NO_SIGNING_KEY, anchor_file_of
from config.container import Container
from config.kinds import ROLES
from config.master_key import master_key_file_of
from config.sections import Settings
from config.urls import mask_url
from domain.job import JobDefinition
from domain.values import timestamp
from infrastructure.clock import SystemClock
from interfaces.approvals.file import EVERYONE_ELSE
from interfaces.scheduling.heartbeat import EVERY_SECONDS

log = structlog.get_logger("startup")


def announce(container: Container, listener: socket.socket) -> None:
    """Log one line per part."""
    settings = container.settings
    host, port = listener.getsockname()[:2]
    if left_out := [role for role in ROLES if role not in settings.service.roles]:
        log.info("roles", on=list(settings.service.roles), off=left_out, why="service.roles says so")
    store = mask_url(settings.storage.effective_event_store_url.get_secret_value())
    why = (
        "" if settings.storage.event_store_url.get_secret_value() else " (storage.event_store_url is not set)"
    )
    where = f"{mask_url(str(settings.cosmos_db.endpoint))} {settings.cosmos_db.database_id}"
    log.info("event_store", on=f"Cosmos DB {where}" if settings.storage.is_in_cosmos else store + why)
    if settings.cosmos_db.endpoint:
        log.info("documents", on=f"Cosmos DB {where}")
    else:
        log.info("documents", on=f"SQLite in {settings.storage.data_dir} (cosmos_db.endpoint is not set)")
    broker = settings.rabbitmq.url.get_secret_value()
    if broker:
        log.info("broker", on=mask_url(broker), exchange=settings.rabbitmq.exchange)
    else:
        log.info("broker", off="rabbitmq.url is not set: an in-process bus, messages reach no other service")
    shipped = [f"{each.name} {each.version}" for each in container.shipped.by_name.values()]
    log.info("definitions", shipped=shipped, more="tenants' own, through /api/v1/workflow-definitions")
    announce_approvals(settings, container.approvals)
    _announce_auth(container)
    _announce_audit(container)
    _announce_privacy(settings)
    _announce_console(settings)
    if "publisher" in settings.service.roles:
        signed = bool(settings.jwt.secret.get_secret_value())
        bearer = "signed with jwt.secret" if signed else "none: jwt.secret is not set"
        log.info("http_steps", on=settings.services.urls, bearer=bearer)
    if settings.metrics.require_auth:
        log.info("metrics", on=settings.metrics.path, bearer="required")
    else:
        log.info("metrics", on=settings.metrics.path)
    if settings.metrics.applicationinsights_connection_string.get_secret_value():
        log.warning(
            "application_insights", off="set, but this version sends nothing there; scrape the metrics"
        )
    if "scheduler" in settings.service.roles:
        _announce_jobs(container)
    shown = f"[{host}]" if ":" in host else host
    log.info("serving", url=f"http://{shown}:{port}", docs=f"http://{shown}:{port}/docs")


def _announce_privacy(settings: Settings) -> None:
    """Log whether personal fields are sealed, and where the master key is."""
    if settings.privacy.master_key.get_secret_value():
        log.info("privacy", on="personal fields are sealed; the master key is privacy.master_key")
    elif (file := master_key_file_of(settings)) is not None:
        log.info("privacy", on=f"personal fields are sealed; the master key is in {file}: keep a copy of it")
    else:
        why = "neither privacy.master_key nor privacy.master_key_file is set"
        log.warning("privacy", off=f"personal fields are stored in clear, and cannot be erased: {why}")


def announce_approvals(settings: Settings, approvals: ApprovalParts) -> None:
    """Log which policies there are, where groups come from, and who may not approve."""
    told = {
        "policies": _policies(settings, approvals),
        "groups": _groups(settings, approvals),
        "links": settings.approvals.url_template or "none but those of requests",
    }
    if settings.approvals.separation_of_duties:
        kept = "on: who asks for an approval, owns the deal or is a delegate of theirs cannot approve it"
        log.info("approvals", **told, separation_of_duties=kept)
    else:
        alone = "off: who asks for an approval, or owns the deal, may approve it all alone"
        log.warning("approvals", **told, separation_of_duties=alone)
    if not settings.approvals.directory_url and (empty := _empty_groups(approvals)):
        log.warning("empty_groups", groups=empty, why="policies name them, and nobody is in them")


def _policies(settings: Settings, approvals: ApprovalParts) -> str:
    if approvals.file is None:
        return "those of requests alone: approvals.file is not set"
    having = [name for name, laid_down in approvals.file.tenants().items() if laid_down.terms.policies]
    named = len([name for name in having if name != EVERYONE_ELSE])
    others = " and all others" if EVERYONE_ELSE in having else ""
    return f"tenants by name: {named}{others}; in {settings.approvals.file}"


def _groups(settings: Settings, approvals: ApprovalParts) -> str:
    if settings.approvals.directory_url:
        bearer = "" if settings.jwt.secret.get_secret_value() else ", without a token: jwt.secret is not set"
        return f"user-management at {mask_url(settings.approvals.directory_url)}{bearer}"
    if approvals.file is None:
        return "none: neither approvals.file nor approvals.directory_url is set"
    return f"those in {settings.approvals.file}"


def _empty_groups(approvals: ApprovalParts) -> list[str]:
    tenants = approvals.file.tenants() if approvals.file else {}
    return [f"{name}: {group}" for name, laid_down in tenants.items() for group in laid_down.empty_groups]


def _announce_jobs(container: Container) -> None:
    now = SystemClock().now()
    for job, schedule in container.schedules.items():
        if container.jobs.find(job).enabled:
            log.info(
                "job",
                job=job,
                cron=schedule.expression,
                zone=schedule.time_zone.key,
                next_firing=timestamp(schedule.next_after(now)),
                **_way_of(container.settings, container.jobs.find(job)),
            )
        else:
            why = (
                f"batch_jobs.jobs.{job}.enabled"
                if container.settings.batch_jobs.enabled
                else "batch_jobs.enabled"
            )
            log.info("job", job=job, off=f"{why} is false")
    heartbeat = container.settings.batch_jobs.heartbeat_url
    if not container.settings.batch_jobs.enabled:
        log.info("heartbeat", off="batch_jobs.enabled is false")
    elif heartbeat.get_secret_value():
        log.info("heartbeat", on=str(heartbeat), every_seconds=EVERY_SECONDS)
    else:
        log.info("heartbeat", off="batch_jobs.heartbeat_url is not set: nobody outside misses the scheduler")


def _way_of(settings: Settings, job: JobDefinition) -> dict[str, str]:
    """Return where the triggers of a job go, if not where the platform's do."""
    if job.message_type == JOB_TRIGGER:
        return {}
    queue = settings.batch_jobs.queues.get(job.message_type)
    return {"message_type": job.message_type, "queue": queue or "none of its own: whoever has bound one"}


def _announce_audit(container: Container) -> None:
    settings, signer = container.settings, container.signer
    if signer is None:
        off = f"off: {NO_SIGNING_KEY}, and only a signed head proves anything"
        log.warning("audit", chain="on", anchors=off)
        return
    log.info(
        "audit",
        chain="on",
        anchors=str(anchor_file_of(settings) or "messages alone: audit.anchor_file is none"),
        every_seconds=settings.audit.anchor_every_seconds,
        key=signer.key_id,
    )


def _announce_console(settings: Settings) -> None:
    if not settings.console.enabled:
        log.info("console", off="console.enabled is false")
    elif "api" not in settings.service.roles:
        log.info("console", off="api is not a role of this process")
    else:
        log.info("console", on="/console", sign_in=_sign_in(settings))


def _sign_in(settings: Settings) -> str:
    if settings.effective_auth_mode == "jwt":
        return "with a token"
    if settings.console.trusts_visitors:
        return "visitors say who they are, and are believed: console.trusts_visitors"
    return "by the gateway's headers alone (console.trusts_visitors is false)"


def _announce_auth(container: Container) -> None:
    settings = container.settings
    if settings.effective_auth_mode == "jwt":
        log.info("auth", mode="jwt", issuer=settings.jwt.issuer)
        return
    trusts = "X-Tenant-ID, X-User-ID and X-User-Roles as they come"
    if settings.is_a_trial:
        hosts = "localhost and loopback addresses alone; by other names all is answered 421"
        why = "no jwt.secret, on a loopback address"
        log.warning("auth", mode="gateway", why=why, trusts=trusts, hosts=hosts)
    else:
        log.warning("auth", mode="gateway", why="auth.mode says so", trusts=trusts)
