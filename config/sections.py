"""The settings, section by section. Their defaults are in `default.yaml` and nowhere else."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from application.integration import JOB_TRIGGER
from config.kinds import (
    COSMOS_URL,
    Allowed,
    AuthMode,
    BrokerUrl,
    CatchingUp,
    Count,
    Credential,
    Cron,
    Delay,
    Directory,
    Factor,
    FileOrNone,
    Flag,
    Host,
    JsonSchema,
    LogFormat,
    LogLevel,
    MetricsPath,
    Name,
    OptionalFile,
    OptionalHttpUrl,
    OptionalSecretPathUrl,
    Overlapping,
    PerSecond,
    PoolSize,
    Port,
    Roles,
    Seconds,
    SecretText,
    SegmentBytes,
    ServiceUrl,
    StoreUrl,
    Text,
    TimeZone,
    UrlTemplate,
)
from config.origins import Origins
from config.urls import SecretUrl
from domain.job import JobDefinition, JobPolicy, Retries, Schedule
from domain.job.policy import DEFAULT_DEADLINE_SECONDS

Step = Literal["risk_analysis", "risk_scoring", "forecast", "recommendation"]


class Section(BaseModel):
    """Frozen, and strict about names, because a misspelt setting must not silently have no effect."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


class Service(Section):
    """The service's name (`app_id`, `source.service`, in logs), and what this process does."""

    name: Name
    roles: Roles


class Server(Section):
    """Where REST is served, how much of it at once, and how long a stop may take."""

    port: Port
    host: Host
    shutdown_seconds: Seconds
    max_requests: Count
    max_streams: Count
    max_streams_per_tenant: Count
    max_stream_seconds: Seconds


class Storage(Section):
    """Where events are stored, and documents if they are embedded."""

    data_dir: Directory
    event_store_url: StoreUrl
    startup_timeout_seconds: Seconds
    pool_size: PoolSize
    group_commit: Flag

    @property
    def effective_event_store_url(self) -> SecretUrl:
        """`event_store_url`, or SQLite below `data_dir`."""
        if self.event_store_url.get_secret_value():
            return self.event_store_url
        return SecretUrl(f"sqlite:///{self.data_dir / 'events.db'}")

    @property
    def is_in_cosmos(self) -> bool:
        """Whether the event store is in the account of the documents."""
        return self.event_store_url.get_secret_value() == COSMOS_URL

    @property
    def is_shared(self) -> bool:
        """Whether other processes can use the same event store."""
        return not self.effective_event_store_url.get_secret_value().startswith("sqlite:")


class Auth(Section):
    """How callers are identified; see `Settings.effective_auth_mode`."""

    mode: AuthMode


class Console(Section):
    """Whether there are web pages, how long a sign-in there lasts, and whether a name alone is enough."""

    enabled: Flag
    session_seconds: Seconds
    trusts_visitors: Flag


class Jwt(Section):
    """The tokens of the platform."""

    secret: Credential
    issuer: Text


class Containers(Section):
    """The documents' containers, by what is in them. Only we use ``positions``, and only in Cosmos DB."""

    workflows: Name
    steps: Name
    executions: Name
    approvals: Name
    delegations: Name
    job_runs: Name
    backfills: Name
    tasks: Name
    definitions: Name
    positions: Name


class CosmosDb(Section):
    """The platform's document database. Without an endpoint documents are embedded."""

    endpoint: OptionalHttpUrl
    key: Credential
    database_id: Name
    log_segment_bytes: SegmentBytes
    containers: Containers


class RabbitMq(Section):
    """The platform's broker. Without a URL the bus is in the process."""

    url: BrokerUrl
    exchange: Name
    queue: Name
    job_queue: Name
    dead_letter_queue: Name
    prefetch: Count
    at_once: Count
    publish_in_flight: Count
    message_types: tuple[Text, ...]
    type_aliases: Annotated[
        Mapping[str, str], Field(), Allowed("documented type: type on the wire, each once")
    ]


class Neighbour(Section):
    """A service beside this one."""

    url: ServiceUrl


class Services(Section):
    """The services that workflow steps may call, and how: see `default.yaml`."""

    timeout_seconds: Seconds
    calls_at_once: Count
    circuit_failures: Count
    circuit_seconds: Seconds
    integration_manager: Neighbour
    risk_analytics: Neighbour
    ml_service: Neighbour
    forecasting: Neighbour
    recommendations: Neighbour
    adaptive_learning: Neighbour

    @property
    def urls(self) -> dict[str, str]:
        """Where each service is, by its name."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: each.url for name, each in given.items() if isinstance(each, Neighbour)}


class JobRetries(Section):
    """How often a run is tried at most, and when again after a failure."""

    attempts: Count = 1
    delay_seconds: Delay = 300.0
    factor: Factor = 2.0


class JobRules(Section):
    """The rules of one job. A job that the platform does not have needs a ``cron``."""

    cron: Cron | None = None
    enabled: Flag = True
    time_zone: TimeZone | None = None
    overlap: Overlapping = "allow"
    catch_up: CatchingUp = "all"
    catch_up_seconds: Seconds | None = None
    jitter_seconds: Delay = 0.0
    deadline_seconds: Seconds = DEFAULT_DEADLINE_SECONDS
    retries: JobRetries = JobRetries()
    message_type: Text = JOB_TRIGGER
    queue: Name | None = None
    metadata_schema: JsonSchema = {}


class BatchJobs(Section):
    """The batch jobs of the platform, and further ones."""

    enabled: Flag
    time_zone: TimeZone
    catch_up_seconds: Seconds
    heartbeat_url: OptionalSecretPathUrl
    risk_snapshot_backfill_cron: Cron
    outcome_sync_cron: Cron
    industry_benchmarks_cron: Cron
    risk_clustering_cron: Cron
    account_health_cron: Cron
    propagation_cron: Cron
    model_monitoring_cron: Cron
    cais_learning_cron: Cron
    jobs: Annotated[Mapping[Name, JobRules], Field(), Allowed("rules by the job's name")]

    @property
    def crons(self) -> dict[str, str]:
        """Each job's cron expression, by the job's name on the wire."""
        keys = [key for key in type(self).model_fields if key.endswith("_cron")]
        own = {name: rules.cron for name, rules in self.jobs.items() if rules.cron is not None}
        return {key.removesuffix("_cron").replace("_", "-"): getattr(self, key) for key in keys} | own

    @property
    def definitions(self) -> list[JobDefinition]:
        """The jobs with their rules, in the order of the contract, and further ones after them."""
        return [self._definition(name, cron) for name, cron in self.crons.items()]

    def _definition(self, name: str, cron: str) -> JobDefinition:
        rules = self.jobs.get(name, JobRules())
        return JobDefinition(
            name=name,
            schedule=Schedule(cron=cron, time_zone=rules.time_zone or self.time_zone),
            enabled=self.enabled and rules.enabled,
            policy=JobPolicy(
                overlap=rules.overlap,
                catch_up=rules.catch_up,
                catch_up_seconds=rules.catch_up_seconds or self.catch_up_seconds,
                jitter_seconds=rules.jitter_seconds,
                deadline_seconds=rules.deadline_seconds,
                retries=Retries(
                    attempts=rules.retries.attempts,
                    delay_seconds=rules.retries.delay_seconds,
                    factor=rules.retries.factor,
                ),
            ),
            message_type=rules.message_type,
            metadata_schema=rules.metadata_schema,
        )

    @property
    def queues(self) -> dict[str, str]:
        """The queues of further jobs, by the type of the messages that go there."""
        return {each.message_type: each.queue for each in self.jobs.values() if each.queue is not None}


class Workflows(Section):
    """What starts a workflow, how fast, who may publish definitions, and how long a step may stay
    unanswered."""

    opportunity_shard_types: Annotated[tuple[Text, ...], Field(min_length=1), Allowed("one or more types")]
    publisher_roles: Annotated[tuple[Text, ...], Field(), Allowed("a list of roles")]
    starts_per_second: PerSecond
    starts_at_once: Count
    step_timeout_seconds: Seconds
    step_timeouts: Annotated[
        Mapping[Step, Seconds],
        Field(),
        Allowed("seconds above 0 for risk_analysis, risk_scoring, forecast or recommendation"),
    ]


class Approvals(Section):
    """Who decides, and what applies to every tenant. What each tenant has configured is in ``file``."""

    file: OptionalFile
    directory_url: OptionalHttpUrl
    directory_cache_seconds: Seconds
    directory_timeout_seconds: Seconds
    separation_of_duties: Flag
    reason_on_rejection: Flag
    operator_roles: Annotated[tuple[Text, ...], Field(), Allowed("a list of roles")]
    url_template: UrlTemplate
    look_again_seconds: Seconds


class Audit(Section):
    """How to prove that nobody has changed the log: see `docs/audit.md`."""

    signing_key: SecretText
    signing_key_file: OptionalFile
    anchor_every_seconds: Seconds
    anchor_file: FileOrNone
    max_exports: Count
    max_exports_per_tenant: Count
    max_export_seconds: Seconds


class Privacy(Section):
    """What is personal in events, and the key over its keys: see `docs/erasure.md`."""

    master_key: SecretText
    master_key_file: OptionalFile
    other_master_key: SecretText
    other_master_key_file: OptionalFile
    fresh_seconds: Seconds
    personal_fields: Annotated[
        Mapping[Name, Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{0,255}$")]],
        Field(),
        Allowed("names of members, each with the name of the member that says whose it is, or with nothing"),
    ]


class Followers(Section):
    """How the log is read."""

    poll_seconds: Seconds
    batch_size: Count


class Metrics(Section):
    """Where metrics are served, and to whom."""

    path: MetricsPath
    require_auth: Flag
    bearer_token: Credential
    applicationinsights_connection_string: SecretText


class Logging(Section):
    """What is logged, and in which form."""

    level: LogLevel
    format: LogFormat


class Settings(Section):
    """Everything that can be set."""

    service: Service
    server: Server
    storage: Storage
    auth: Auth
    jwt: Jwt
    console: Console
    cosmos_db: CosmosDb
    rabbitmq: RabbitMq
    services: Services
    batch_jobs: BatchJobs
    workflows: Workflows
    approvals: Approvals
    audit: Audit
    privacy: Privacy
    followers: Followers
    metrics: Metrics
    logging: Logging

    _origins: Origins = PrivateAttr(default_factory=Origins)

    @property
    def origins(self) -> Origins:
        """Where settings come from that are not defaults."""
        return self._origins

    def coming_from(self, origins: Origins) -> Self:
        """Return the same settings, with their origins."""
        told = self.model_copy()
        told._origins = origins
        return told

    @property
    def effective_auth_mode(self) -> Literal["jwt", "gateway"]:
        """`auth.mode`, or its value if not given: `jwt` once there is a secret (api.md, "modes")."""
        return self.auth.mode or ("jwt" if self.jwt.secret.get_secret_value() else "gateway")

    @property
    def is_a_trial(self) -> bool:
        """Whether callers are trusted only because nobody but this machine should reach the address."""
        return not self.auth.mode and not self.jwt.secret.get_secret_value()
