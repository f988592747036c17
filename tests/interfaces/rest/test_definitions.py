"""``/workflow-definitions`` and what starts by them, over the whole service in this process."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from interfaces.definitions.reader import MOST_BYTES
from tests.contract.contract import validate_document
from tests.definitions import document, step
from tests.harness import OTHER_TENANT, TENANT, Service, service, settings_in

pytestmark = pytest.mark.anyio

PATH = "/api/v1/workflow-definitions"
YAML = {"Content-Type": "application/yaml"}

SCHEMA = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number"}}}


async def published(client: httpx.AsyncClient, **members: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json=document(**members))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def refused(answer: httpx.Response, status: int, code: str) -> list[str]:
    """The fields of a refusal's faults."""
    assert answer.status_code == status, answer.text
    validate_document("Error", answer.json())
    error = answer.json()["error"]
    assert error["code"] == code
    return [fault["field"] for fault in error.get("details", ()) if isinstance(fault, dict)]


async def test_a_published_definition_can_be_read_at_once_and_later(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        answer = await client.post(PATH, json=document(step("a"), step("b", "a"), inputSchema=SCHEMA))
        assert answer.status_code == 201
        assert answer.headers["location"] == f"{PATH}/deal-check"
        validate_document("WorkflowDefinition", answer.json())
        at_once = await client.get(answer.headers["location"])
        await behind_gateway.caught_up()
        stored = await client.get(answer.headers["location"])
    assert at_once.content == stored.content == answer.content
    assert at_once.headers["etag"] == stored.headers["etag"] == answer.headers["etag"] == '"1"'
    assert (answer.json()["version"], answer.json()["tenantId"]) == (1, TENANT)


async def test_what_was_read_can_be_sent_back_and_changes_nothing(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        await published(client)
        read = await client.get(f"{PATH}/deal-check")
        back = await client.put(f"{PATH}/deal-check", json=read.json())
        assert (back.status_code, back.content) == (200, read.content)
        again = await client.post(PATH, json=document())
        assert (again.status_code, again.content) == (200, read.content)


async def test_put_makes_the_next_version_or_the_first_and_versions_stay_readable(
    behind_gateway: Service,
) -> None:
    path = f"{PATH}/deal-check"
    async with behind_gateway.client() as client:
        first = await client.put(path, json=document(description="one"))
        assert (first.status_code, first.json()["version"]) == (201, 1)
        second = await client.put(path, json=document(description="two"), headers={"If-Match": '"1"'})
        assert (second.status_code, second.json()["version"]) == (200, 2)
        stale = await client.put(path, json=document(description="three"), headers={"If-Match": '"1"'})
        assert refused(stale, 412, "VERSION_MISMATCH") == []
        await behind_gateway.caught_up()
        shown = {}
        for version in (1, 2):
            answer = await client.get(path, params={"version": version})
            validate_document("WorkflowDefinition", answer.json())
            shown[version] = answer.json()["description"]
        assert shown == {1: "one", 2: "two"}
        assert (await client.get(path)).json()["description"] == "two"
        refused(await client.get(path, params={"version": 3}), 404, "DEFINITION_NOT_FOUND")
        assert refused(await client.get(path, params={"version": "1.0"}), 400, "VALIDATION_ERROR") == [
            "version"
        ]


async def test_the_names_in_path_and_document_are_the_same(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        answer = await client.put(f"{PATH}/another", json=document())
        assert refused(answer, 400, "VALIDATION_ERROR") == ["name"]
        again = await client.post(PATH, json=document())
        assert again.status_code == 201
        other = await client.post(PATH, json=document(description="other"))
        refused(other, 409, "DEFINITION_EXISTS")


async def test_yaml_is_taken_as_json_is(behind_gateway: Service) -> None:
    text = "name: deal-check\nsteps:\n- stepType: check\n  parameters: {request: deal.check.requested}\n"
    async with behind_gateway.client() as client:
        made = await client.post(PATH, content=text, headers=YAML)
        assert made.status_code == 201
        same = await client.put(f"{PATH}/deal-check", json=document())
        assert (same.status_code, same.content) == (200, made.content)
        bomb = "a: &a [x]\nb: *a\n"
        assert refused(await client.post(PATH, content=bomb, headers=YAML), 400, "VALIDATION_ERROR") == [
            "body"
        ]
        assert refused(await client.post(PATH, content="- 1", headers=YAML), 400, "VALIDATION_ERROR") == [
            "body"
        ]
        plain = await client.post(PATH, content=text, headers={"Content-Type": "text/plain"})
        refused(plain, 415, "UNSUPPORTED_MEDIA_TYPE")
        large = await client.post(PATH, content="#" * (MOST_BYTES + 1), headers=YAML)
        refused(large, 413, "PAYLOAD_TOO_LARGE")


async def test_every_fault_of_a_definition_is_told_and_nothing_is_published(behind_gateway: Service) -> None:
    bad = document(step("a", "b", kind="magic"), step("b", "a"), {"stepType": 5}, colour="red")
    told = {"colour", "steps[0].kind", "steps[0].after", "steps[2].stepType", "steps[2].parameters.request"}
    async with behind_gateway.client() as client:
        assert set(refused(await client.post(PATH, json=bad), 400, "VALIDATION_ERROR")) == told
        assert set(refused(await client.put(f"{PATH}/deal-check", json=bad), 400, "VALIDATION_ERROR")) == told
        checked = await client.post(f"{PATH}/validate", json=bad)
        assert checked.status_code == 200
        validate_document("Validation", checked.json())
        assert not checked.json()["valid"]
        assert {fault["field"] for fault in checked.json()["faults"]} == told
        refused(await client.get(f"{PATH}/deal-check"), 404, "DEFINITION_NOT_FOUND")


async def test_a_name_that_is_never_there_is_told_where_it_stands(behind_gateway: Service) -> None:
    bad = document(step("a", input={"x": "inptu.amount", "y": '"\\ud800".x'}))
    async with behind_gateway.client() as client:
        answer = await client.put(f"{PATH}/deal-check", json=bad)
        refused(answer, 400, "VALIDATION_ERROR")
    names = "available: input, results, steps, workflow"
    assert answer.json()["error"]["details"] == [
        {"field": "steps[0].input.x", "message": "there is no inptu; did you mean input?"},
        {"field": "steps[0].input.y", "message": f'there is no "\\ud800"; {names}'},
    ]


async def test_a_definition_can_be_checked_without_being_published(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        good = await client.post(f"{PATH}/validate", json=document())
        assert (good.status_code, good.json()) == (200, {"valid": True, "faults": [], "warnings": []})
        empty = await client.post(f"{PATH}/validate", content="{}", headers=YAML)
        assert [fault["field"] for fault in empty.json()["faults"]] == ["name", "steps"]
        refused(await client.post(f"{PATH}/validate", json=[]), 400, "VALIDATION_ERROR")
        refused(await client.get(f"{PATH}/deal-check"), 404, "DEFINITION_NOT_FOUND")


async def test_a_check_warns_of_a_message_that_does_not_reach_the_service(behind_gateway: Service) -> None:
    checked = document(triggers=[{"messageType": "shard.updated"}, {"messageType": "deal.won"}])
    async with behind_gateway.client() as client:
        answer = await client.post(f"{PATH}/validate", json=checked)
    validate_document("Validation", answer.json())
    assert answer.json()["valid"]
    assert [each["field"] for each in answer.json()["warnings"]] == ["triggers[1].messageType"]


async def test_a_list_shows_the_tenants_own_the_newest_first_and_at_the_end_what_is_shipped(
    behind_gateway: Service,
) -> None:
    async with behind_gateway.client() as client:
        for name in ("first", "second", "third"):
            await published(client, name=name)
        await behind_gateway.caught_up()
        whole = (await client.get(PATH)).json()
        validate_document("WorkflowDefinitionList", whole)
        names = [each["name"] for each in whole["definitions"]]
        assert names == ["third", "second", "first", "deal-review", "opportunity-analysis"]
        assert [each["shipped"] for each in whole["definitions"]] == [False] * 3 + [True] * 2
        assert (whole["total"], "nextCursor" in whole) == (5, False)
        for limit in (1, 2, 3, 4):
            paged: list[str] = []
            cursor: dict[str, str] = {}
            while True:
                page = (await client.get(PATH, params={"limit": limit, **cursor})).json()
                assert page["total"] == 5
                assert 0 < len(page["definitions"]) <= limit
                paged += [each["name"] for each in page["definitions"]]
                if "nextCursor" not in page:
                    break
                cursor = {"cursor": page["nextCursor"]}
            assert paged == names
        wrong = await client.get(PATH, params={"cursor": "bm8"})
        assert refused(wrong, 400, "VALIDATION_ERROR") == ["cursor"]


async def test_what_is_shipped_is_read_and_drawn_like_any_other_and_never_changed(
    behind_gateway: Service,
) -> None:
    path = f"{PATH}/opportunity-analysis"
    async with behind_gateway.client() as client:
        shipped = await client.get(path)
        validate_document("WorkflowDefinition", shipped.json())
        assert shipped.json()["steps"][0]["stepType"] == "risk_analysis"
        assert (await client.get(path, params={"version": 1})).content == shipped.content
        refused(await client.get(path, params={"version": 2}), 404, "DEFINITION_NOT_FOUND")
        graph = await client.get(f"{path}/graph")
        assert graph.headers["content-type"] == "text/vnd.mermaid; charset=utf-8"
        assert graph.text.startswith("flowchart TD\n")
        assert "forecast<br/>event, critical" in graph.text
        theirs = document(name="opportunity-analysis")
        refused(await client.put(path, json=theirs), 409, "DEFINITION_SHIPPED")
        refused(await client.post(PATH, json=theirs), 409, "DEFINITION_SHIPPED")
        refused(await client.delete(path), 409, "DEFINITION_SHIPPED")


async def test_a_graph_is_of_the_newest_version_or_of_the_one_that_is_asked_for(
    behind_gateway: Service,
) -> None:
    path = f"{PATH}/deal-check"
    async with behind_gateway.client() as client:
        await client.put(path, json=document(step("old")))
        await client.put(path, json=document(step("new")))
        assert '"new<br/>' in (await client.get(f"{path}/graph")).text
        assert '"old<br/>' in (await client.get(f"{path}/graph", params={"version": 1})).text
        await client.delete(path)
        assert '"new<br/>' in (await client.get(f"{path}/graph")).text
        refused(await client.get(f"{path}/graph", params={"version": 3}), 404, "DEFINITION_NOT_FOUND")


async def test_a_retired_definition_starts_nothing_and_its_workflows_go_on(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        await published(client)
        running = await client.post("/api/v1/workflows", json={"definition": "deal-check"})
        assert (running.status_code, running.json()["definitionVersion"]) == (202, 1)
        retired = await client.delete(f"{PATH}/deal-check", headers={"If-Match": '"1"'})
        validate_document("WorkflowDefinition", retired.json())
        assert (retired.status_code, retired.json()["status"]) == (200, "retired")
        again = await client.delete(f"{PATH}/deal-check")
        assert (again.status_code, again.headers["etag"]) == (200, retired.headers["etag"])
        refused(
            await client.post("/api/v1/workflows", json={"definition": "deal-check"}),
            409,
            "DEFINITION_RETIRED",
        )
        await behind_gateway.caught_up()
        workflow = await client.get(running.headers["location"])
        assert workflow.json()["status"] == "running"
        anew = await client.post(PATH, json=document())
        assert (anew.status_code, anew.json()["version"]) == (201, 2)


async def test_the_input_of_a_start_is_held_against_the_definitions_schema(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        await published(client, inputSchema=SCHEMA | {"additionalProperties": False})

        async def start(**body: Any) -> httpx.Response:
            return await client.post("/api/v1/workflows", json={"definition": "deal-check", **body})

        assert refused(await start(), 400, "VALIDATION_ERROR") == ["input.amount"]
        both = refused(await start(input={"amount": "1", "colour": 1}), 400, "VALIDATION_ERROR")
        assert sorted(both) == ["input.amount", "input.colour"]
        started = await start(input={"amount": 1.5})
        assert (started.status_code, started.json()["input"]) == (202, {"amount": 1.5})
        assert "opportunityId" not in started.json()


async def test_a_start_without_the_opportunity_that_is_needed_is_told_so(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        for body in ({}, {"definition": "opportunity-analysis"}):
            answer = await client.post("/api/v1/workflows", json=body)
            assert refused(answer, 400, "VALIDATION_ERROR") == ["opportunityId"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "?version=1"),
        ("GET", "/graph"),
        ("DELETE", ""),
        ("DELETE", "?version=1"),
    ],
)
async def test_another_tenants_definition_is_as_if_it_were_not_there(
    behind_gateway: Service, method: str, path: str
) -> None:
    async with behind_gateway.client() as owner, behind_gateway.client(OTHER_TENANT) as stranger:
        await published(owner)
        await behind_gateway.caught_up()
        theirs = await stranger.request(method, f"{PATH}/deal-check{path}")
        nobodys = await stranger.request(method, f"{PATH}/nobodys{path}")
        refused(theirs, 404, "DEFINITION_NOT_FOUND")
        refused(nobodys, 404, "DEFINITION_NOT_FOUND")
        told = theirs.json()["error"]["message"].replace("deal-check", "nobodys")
        assert told == nobodys.json()["error"]["message"]
        start = await stranger.post("/api/v1/workflows", json={"definition": "deal-check"})
        refused(start, 404, "DEFINITION_NOT_FOUND")
        assert (await owner.get(f"{PATH}/deal-check")).json()["status"] == "active"


async def test_two_tenants_have_definitions_of_the_same_name(behind_gateway: Service) -> None:
    async with behind_gateway.client() as one, behind_gateway.client(OTHER_TENANT) as other:
        await published(one, description="one's")
        await published(other, description="the other's")
        await behind_gateway.caught_up()
        for client, description in ((one, "one's"), (other, "the other's")):
            shown = (await client.get(f"{PATH}/deal-check")).json()
            assert (shown["description"], shown["version"]) == (description, 1)
            listed = (await client.get(PATH)).json()
            assert [each["description"] for each in listed["definitions"] if not each["shipped"]] == [
                description
            ]


@pytest.mark.parametrize("name", ["no such", "%2e%2e", "a%2Fb", "x" * 255, "%00", "ä"])
async def test_a_name_that_none_can_have_is_not_found(behind_gateway: Service, name: str) -> None:
    async with behind_gateway.client() as client:
        for answer in (await client.get(f"{PATH}/{name}"), await client.delete(f"{PATH}/{name}")):
            assert answer.status_code == 404, answer.text


@pytest.mark.postgres
@pytest.mark.rabbitmq
async def test_what_can_be_no_name_is_not_found(
    postgres_store_url: str, rabbitmq_url: str, tmp_path: Path
) -> None:
    settings = settings_in(
        tmp_path, EVENT_STORE_URL=postgres_store_url, RABBITMQ_URL=rabbitmq_url, BATCH_JOBS_ENABLED="false"
    )
    async with service(settings) as running, running.client() as client:
        for name in ("a%00b", "Deal", "a%0Ab"):
            for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/graph"), ("GET", "/events")):
                answer = await client.request(method, f"{PATH}/{name}{path}")
                assert refused(answer, 404, "DEFINITION_NOT_FOUND") == []


async def test_an_input_that_the_concurrency_key_does_not_fit_is_told_by_its_field(
    behind_gateway: Service,
) -> None:
    async with behind_gateway.client() as client:
        await published(client, concurrency={"policy": "queue", "key": "length(input.amount)"})
        answer = await client.post(
            "/api/v1/workflows", json={"definition": "deal-check", "input": {"amount": 7}}
        )
    assert refused(answer, 400, "VALIDATION_ERROR") == ["input"]
