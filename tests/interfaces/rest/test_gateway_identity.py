"""Who a gateway says that it is: one person, in UTF-8, and none of ours."""

import pytest

from tests.harness import Service

pytestmark = pytest.mark.anyio

PATH = "/api/v1/hitl/approvals"
DEAL = {"opportunityId": "opp-1", "riskScore": 1, "amount": 2}


@pytest.mark.parametrize(
    "user", ["", "   ", "\xa0", "gateway:anonymous", "system:timers", "service:crm", "a\u200bb", "a" * 256]
)
async def test_what_names_no_person_is_refused(behind_gateway: Service, user: str) -> None:
    async with behind_gateway.client() as client:
        answer = await client.post(PATH, json=DEAL, headers=[(b"X-User-ID", user.encode())])
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["details"][0]["field"] == "X-User-ID"


@pytest.mark.parametrize("name", ["X-User-ID", "X-User-Roles"])
async def test_two_are_refused_and_so_is_what_is_no_utf_8(behind_gateway: Service, name: str) -> None:
    for given in ([(name, b"mallory"), (name, b"rita")], [(name, b"j\xfcrgen")]):
        async with behind_gateway.client() as client:
            headers = [(key.encode(), value) for key, value in given]
            answer = await client.post(PATH, json=DEAL, headers=headers)
            assert answer.status_code == 400, answer.text
            assert answer.json()["error"]["details"][0]["field"] == name


async def test_a_name_in_utf_8_is_the_same_everywhere(behind_gateway: Service) -> None:
    async with behind_gateway.client(**{"X-User-ID": "jürgen".encode()}) as client:  # type: ignore[arg-type]
        made = await client.post(PATH, json=DEAL)
        assert made.json()["requestedBy"] == "jürgen"
        answer = await client.post(f"{made.headers['Location']}/approve", json={"decidedBy": "jürgen"})
        assert answer.json()["error"]["code"] == "HITL_SEPARATION_OF_DUTIES"


async def test_nobody_decides_in_the_name_of_another(behind_gateway: Service) -> None:
    async with behind_gateway.client(**{"X-User-ID": "rita"}) as client:
        made = await client.post(PATH, json=DEAL)
        where = made.headers["Location"]
        for verb in ("approve", "reject"):
            answer = await client.post(f"{where}/{verb}", json={"decidedBy": "ada"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "NOT_YOURSELF")
        decision = {"approvalId": made.json()["id"], "decision": "approve", "decidedBy": "ada"}
        answer = await client.post(f"{PATH}/decisions", json={"decisions": [decision]})
        assert answer.json()["outcomes"][0]["status"] == 403
    async with behind_gateway.client() as gateway:
        assert (await gateway.post(f"{where}/approve", json={"decidedBy": "ada"})).status_code == 200


async def test_nobody_decides_in_the_name_of_what_is_no_person(behind_gateway: Service) -> None:
    async with behind_gateway.client() as gateway:
        where = (await gateway.post(PATH, json=DEAL, headers={"X-User-ID": "rita"})).headers["Location"]
        for name in ("system:timers", "gateway:anonymous", "service:crm"):
            for verb in ("approve", "reject"):
                answer = await gateway.post(f"{where}/{verb}", json={"decidedBy": name})
                assert answer.status_code == 400, answer.text
                assert answer.json()["error"]["details"][0]["field"] == "decidedBy"
        assert (await gateway.get(where)).json()["status"] == "pending"


async def test_a_key_is_of_who_has_used_it(behind_gateway: Service) -> None:
    async with behind_gateway.client(**{"Idempotency-Key": "one"}) as client:
        made = await client.post(PATH, json=DEAL, headers={"X-User-ID": "rita"})
        again = await client.post(PATH, json=DEAL, headers={"X-User-ID": "rita"})
        other = await client.post(PATH, json=DEAL, headers={"X-User-ID": "ada"})
    assert made.json() == again.json()
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert "by somebody else" in other.json()["error"]["message"]


async def test_who_asked_for_a_bare_approval_does_not_see_to_it(behind_gateway: Service) -> None:
    async with behind_gateway.client(**{"X-User-ID": "rita"}) as client:
        made = await client.post(PATH, json=DEAL)
        answer = await client.post(f"{made.headers['Location']}/claim")
        assert answer.json()["error"]["code"] == "HITL_SEPARATION_OF_DUTIES"


async def test_a_policy_of_ten_stages_with_a_group_each_is_looked_up(behind_gateway: Service) -> None:
    stages = [{"name": f"s{n}", "approvers": [{"group": f"g{n}"}]} for n in range(10)]
    async with behind_gateway.client(**{"X-User-ID": "rita"}) as client:
        answer = await client.post(PATH, json={**DEAL, "policy": {"stages": stages}})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "HITL_APPROVAL_UNDECIDABLE")
