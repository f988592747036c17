"""The manifests against Kubernetes' own schemas, its restricted profile, and the service."""

import re
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

from config.settings import SettingsError, load_settings
from interfaces.rest.root import CHECK_TIMEOUT_SECONDS
from tests.deploy.files import (
    COMMANDS,
    GIVEN,
    IMAGE,
    KNOWN,
    KUBERNETES,
    OPENAPI,
    PORT,
    SHUTDOWN_SECONDS,
    Manifest,
    config_map,
    example_secrets,
    image_environment,
    image_user,
    manifests,
    pod_environment,
    workloads,
)

OLDEST, NEWEST = "1.27", "1.37"
"""The releases of Kubernetes whose schemas are asked; README.md says that 1.27 is needed."""

STARTUP_SECONDS = 60.0
DEPLOYMENTS = ("workflow-orchestrator-api", "workflow-orchestrator-worker")
JOB = "workflow-orchestrator-migrate"
REBUILD = "workflow-orchestrator-rebuild"
REPLACED = {
    "JWT_SECRET": GIVEN["JWT_SECRET"],
    "COSMOS_DB_KEY": "YW55IGtleSB3aWxsIGRv",
}

OBJECTS = [*manifests("base", "migrate", "optional", "")]
NATIVE = [each for each in OBJECTS if not each[1]["apiVersion"].startswith("monitoring.coreos.com/")]


def named(kind: str, name: str) -> Manifest:
    """The object of a kind and name."""
    (found,) = [each for _, each in OBJECTS if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def container(workload: str) -> dict[str, Any]:
    """The one container of a workload."""
    (one,) = workloads()[workload]["containers"]
    assert isinstance(one, dict)
    return one


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("at", range(len(NATIVE)), ids=[f"{o['kind']}-{p.stem}" for p, o in NATIVE])
def test_each_object_keeps_to_its_schema_and_has_no_field_that_is_unknown(at: int, version: str) -> None:
    kubernetes_validate.validate(NATIVE[at][1], version, strict=True)


def test_the_schemas_would_say_something() -> None:
    misspelt = yaml.safe_load(yaml.safe_dump(named("Deployment", DEPLOYMENTS[0])))
    misspelt["spec"]["template"]["spec"]["terminationGracePeriod"] = 40
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(misspelt, NEWEST, strict=True)


@pytest.mark.parametrize("name", [*DEPLOYMENTS, JOB, REBUILD])
def test_each_runs_a_command_of_the_service_with_variables_that_it_knows(name: str) -> None:
    one = container(name)
    assert one["args"] == [{JOB: "migrate", REBUILD: "rebuild"}.get(name, "serve")]
    assert COMMANDS.issuperset(one["args"])
    assert "command" not in one, "the image's entrypoint is the service"
    assert pod_environment(name).keys() <= KNOWN
    assert one["image"].startswith(f"{IMAGE}:")


@pytest.mark.parametrize("name", [*DEPLOYMENTS, JOB, REBUILD])
def test_the_service_takes_each_ones_settings(name: str) -> None:
    settings = load_settings(None, {**pod_environment(name), **(REPLACED if name != JOB else {})})
    assert settings.server.port == PORT
    if name != JOB:
        assert settings.effective_auth_mode == "jwt"
        assert settings.storage.startup_timeout_seconds == STARTUP_SECONDS
        assert settings.rabbitmq.url.get_secret_value()
        assert settings.cosmos_db.endpoint


@pytest.mark.parametrize("left", REPLACED)
def test_with_the_example_secrets_nothing_starts(left: str) -> None:
    environ = {**pod_environment(DEPLOYMENTS[0]), **REPLACED}
    environ[left] = example_secrets()["workflow-orchestrator"][left]
    with pytest.raises(SettingsError):
        load_settings(None, environ)


def test_the_roles_are_all_there_and_each_once() -> None:
    roles = [role for name in DEPLOYMENTS for role in pod_environment(name)["SERVICE_ROLES"].split(",")]
    assert sorted(roles) == ["api", "consumer", "projector", "publisher", "scheduler"]


def test_no_secret_stands_in_the_configuration() -> None:
    secret = {key for each in example_secrets().values() for key in each}
    assert secret.isdisjoint(config_map())
    assert not [path for path, each in OBJECTS if each["kind"] == "Secret" and path.parent != KUBERNETES]


@pytest.mark.parametrize("name", [*DEPLOYMENTS, JOB, REBUILD])
def test_each_pod_keeps_to_the_restricted_profile_and_writes_to_its_volumes_alone(name: str) -> None:
    pod, one = workloads()[name], container(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": image_user(),
        "runAsGroup": image_user(),
        "fsGroup": image_user(),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {each["mountPath"] for each in one["volumeMounts"]} == {image_environment()["DATA_DIR"], "/tmp"}
    lasting = [volume["name"] for volume in pod["volumes"] if "emptyDir" not in volume]
    assert lasting == (["data"] if name == REBUILD else [])
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    assert one["resources"]["requests"].keys() == one["resources"]["limits"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_probes_ask_routes_of_the_contract_on_the_port_that_is_served(name: str) -> None:
    one = container(name)
    assert one["ports"] == [{"name": "http", "containerPort": PORT}]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = one[probe]["httpGet"]
        assert asked["port"] == "http"
        assert "get" in OPENAPI["paths"][asked["path"]]
    assert one["livenessProbe"]["httpGet"]["path"] == "/health"


def test_an_outage_of_the_broker_takes_no_api_out_of_its_service() -> None:
    assert container(DEPLOYMENTS[0])["readinessProbe"]["httpGet"]["path"] == "/health"
    assert container(DEPLOYMENTS[1])["readinessProbe"]["httpGet"]["path"] == "/ready"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_start_that_waits_for_two_stores_may_end_by_itself(name: str) -> None:
    probe = container(name)["startupProbe"]
    patience = probe["periodSeconds"] * probe["failureThreshold"]
    assert patience > 2 * STARTUP_SECONDS
    assert patience < named("Deployment", name)["spec"]["progressDeadlineSeconds"]


def test_ready_has_time_to_answer_with_all_of_its_checks_timed_out() -> None:
    probe = container(DEPLOYMENTS[1])["readinessProbe"]
    assert probe["timeoutSeconds"] > 4 * CHECK_TIMEOUT_SECONDS
    assert probe["periodSeconds"] >= probe["timeoutSeconds"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_it_has_longer_to_stop_than_it_takes(name: str) -> None:
    drain = container(name).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])
    assert workloads()[name]["terminationGracePeriodSeconds"] >= float(drain[1]) + SHUTDOWN_SECONDS + 10


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_each_has_two_replicas_apart_and_one_may_go(name: str) -> None:
    deployment = named("Deployment", name)
    labels = deployment["spec"]["selector"]["matchLabels"]
    assert deployment["spec"]["replicas"] == 2
    assert labels.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert named("PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"] == labels
    assert named("NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"] == labels
    spread = workloads()[name]["topologySpreadConstraints"]
    assert all(each["labelSelector"]["matchLabels"] == labels for each in spread)


def test_the_service_leads_to_the_api_alone() -> None:
    service = named("Service", "workflow-orchestrator")
    api = named("Deployment", DEPLOYMENTS[0])
    assert service["spec"]["selector"] == api["spec"]["selector"]["matchLabels"]
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (PORT, "http")


def test_the_job_ends_and_has_rights_of_its_own() -> None:
    job = named("Job", JOB)["spec"]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert job["activeDeadlineSeconds"] > STARTUP_SECONDS
    migrates, serves = (example_secrets()[name]["EVENT_STORE_URL"] for name in (JOB, "workflow-orchestrator"))
    assert migrates.partition("@")[0] != serves.partition("@")[0]
    assert migrates.partition("@")[2] == serves.partition("@")[2]


def test_a_rebuild_is_made_when_it_is_asked_for_and_has_a_volume_of_its_own_to_build_in() -> None:
    never_fires = named("CronJob", REBUILD)["spec"]
    assert never_fires["suspend"] is True
    job = never_fires["jobTemplate"]["spec"]
    assert (job["backoffLimit"], job["template"]["spec"]["restartPolicy"]) == (0, "Never")
    (data,) = [each for each in workloads()[REBUILD]["volumes"] if each["name"] == "data"]
    claim = data["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert claim["resources"]["requests"]["storage"] == "10Gi"
    serves = {source.popitem()[1]["name"] for source in container(DEPLOYMENTS[1])["envFrom"]}
    assert {source.popitem()[1]["name"] for source in container(REBUILD)["envFrom"]} == serves
    labels = job["template"]["metadata"]["labels"]
    policy = named("NetworkPolicy", REBUILD)["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert not any(
        named("NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        for name in (*DEPLOYMENTS, JOB)
    )


def test_who_carries_out_steps_may_call_every_service_that_they_may_call() -> None:
    environ = pod_environment("workflow-orchestrator-worker") | REPLACED
    called = {urlsplit(url).port for url in load_settings(environ=environ).services.urls.values()}
    policy = named("NetworkPolicy", "workflow-orchestrator-worker")["spec"]
    open_ports = {port["port"] for rule in policy["egress"] for port in rule.get("ports", ())}
    assert len(called) == 6
    assert called <= open_ports


@pytest.mark.parametrize("name", ["workflow-orchestrator-api", "workflow-orchestrator-worker"])
def test_all_who_open_and_decide_approvals_may_ask_for_groups(name: str) -> None:
    text = (KUBERNETES / "base" / "kustomization.yaml").read_text()
    (url,) = re.findall(r"# - USER_MANAGEMENT_URL=(\S+)", text)
    asked = load_settings(environ=pod_environment(name) | REPLACED | {"USER_MANAGEMENT_URL": url})
    rules = named("NetworkPolicy", name)["spec"]["egress"]
    assert urlsplit(asked.approvals.directory_url).port in {
        port["port"] for rule in rules for port in rule.get("ports", ())
    }
