"""Who is in which group: as it is listed, and as user-management says over HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import jwt
import pytest
from structlog.testing import capture_logs

from domain.errors import DirectoryUnavailable
from infrastructure.directory.listed import ListedDirectory
from infrastructure.directory.remote import (
    AGAIN_SECONDS,
    MOST_KEPT,
    MOST_NAMES,
    SERVICE,
    STALE_SECONDS,
    HttpDirectory,
)
from infrastructure.services.caller import HttpCaller
from infrastructure.services.tokens import ServiceTokens
from tests.builders import OTHER_TENANT, TENANT
from tests.services import free_port
from tests.user_management import UserManagement, user_management

pytestmark = pytest.mark.anyio

SECRET = "a secret of at least thirty-two bytes"
KEPT_SECONDS = 30.0
FINANCE = frozenset({"ada", "bob"})


class Watch:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds


@pytest.fixture
async def service() -> AsyncIterator[UserManagement]:
    groups = {TENANT: {"finance": ["ada", "bob"], "legal": ["ada"]}, OTHER_TENANT: {"finance": ["cy"]}}
    async with user_management(groups) as service:
        yield service


@pytest.fixture
def watch() -> Watch:
    return Watch()


def directory_at(
    url: str, watch: Watch, *, secret: str = SECRET, timeout_seconds: float = 5, most_kept: int = MOST_KEPT
) -> HttpDirectory:
    tokens = ServiceTokens(secret, issuer="coder", service="workflow-orchestrator")
    caller = HttpCaller({SERVICE: url}, tokens, user_agent="tests")
    return HttpDirectory(
        caller,
        kept_seconds=KEPT_SECONDS,
        timeout_seconds=timeout_seconds,
        most_kept=most_kept,
        now=watch,
    )


@pytest.fixture
def directory(service: UserManagement, watch: Watch) -> HttpDirectory:
    return directory_at(service.url, watch)


async def test_a_list_knows_each_tenants_groups_as_they_are_now() -> None:
    groups = {TENANT: {"finance": FINANCE, "legal": frozenset({"ada"})}}
    listed = ListedDirectory(lambda tenant: groups.get(tenant, {}))
    assert await listed.members_of(TENANT, "finance") == FINANCE
    assert await listed.members_of(TENANT, "sales") == frozenset()
    assert await listed.members_of(OTHER_TENANT, "finance") == frozenset()
    assert await listed.groups_of(TENANT, "ada") == {"finance", "legal"}
    assert await listed.groups_of(TENANT, "cy") == frozenset()
    groups[TENANT] = {"finance": frozenset({"cy"})}
    assert await listed.members_of(TENANT, "finance") == {"cy"}
    assert await listed.groups_of(TENANT, "cy") == {"finance"}


async def test_user_management_is_asked_for_members_and_for_groups(
    service: UserManagement, directory: HttpDirectory
) -> None:
    assert await directory.members_of(TENANT, "finance") == FINANCE
    assert await directory.groups_of(TENANT, "ada") == {"finance", "legal"}
    assert service.paths == ["/api/v1/groups/finance/members", "/api/v1/users/ada/groups"]


async def test_each_tenant_is_asked_for_by_itself_with_a_token_of_its_own(
    service: UserManagement, directory: HttpDirectory
) -> None:
    assert await directory.members_of(TENANT, "finance") == FINANCE
    assert await directory.members_of(OTHER_TENANT, "finance") == {"cy"}
    for asked, tenant in zip(service.asked, (TENANT, OTHER_TENANT), strict=True):
        assert asked.headers["x-tenant-id"] == tenant
        token = asked.headers["authorization"].removeprefix("Bearer ")
        assert jwt.decode(token, SECRET, algorithms=["HS256"], issuer="coder")["tenantId"] == tenant


async def test_whoever_is_not_known_there_is_nobody(
    service: UserManagement, directory: HttpDirectory
) -> None:
    assert await directory.members_of(TENANT, "sales") == frozenset()
    assert await directory.groups_of(TENANT, "dee") == frozenset()
    assert await directory.members_of(TENANT, "sales") == frozenset()
    assert len(service.asked) == 2


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("EMEA/finance", "EMEA%2Ffinance"),
        ("a b?c#d%e", "a%20b%3Fc%23d%25e"),
        ("Prüfung", "Pr%C3%BCfung"),
        ("ada@example.org", "ada%40example.org"),
        ("...", "..."),
    ],
)
async def test_a_name_is_one_part_of_the_path_whatever_is_in_it(
    service: UserManagement, directory: HttpDirectory, name: str, written: str
) -> None:
    service.groups[TENANT][name] = ["ada"]
    assert await directory.members_of(TENANT, name) == {"ada"}
    assert service.paths == [f"/api/v1/groups/{written}/members"]


@pytest.mark.parametrize(
    "name", [".", "..", "../users/ada", "a/../finance", "a/..", "..\\finance", "./finance"]
)
async def test_a_name_that_would_lead_elsewhere_is_nobody_and_is_not_asked_for(
    service: UserManagement, directory: HttpDirectory, name: str
) -> None:
    assert await directory.members_of(TENANT, name) == frozenset()
    assert await directory.groups_of(TENANT, name) == frozenset()
    assert service.asked == []


async def test_an_answer_is_kept_for_a_while_and_then_asked_for_again(
    service: UserManagement, directory: HttpDirectory, watch: Watch
) -> None:
    assert await directory.members_of(TENANT, "finance") == FINANCE
    service.groups[TENANT]["finance"] = ["ada"]
    watch.forward(KEPT_SECONDS - 1)
    assert await directory.members_of(TENANT, "finance") == FINANCE
    assert len(service.asked) == 1
    watch.forward(1)
    assert await directory.members_of(TENANT, "finance") == {"ada"}
    assert len(service.asked) == 2


async def test_those_who_ask_the_same_at_once_share_one_call(
    service: UserManagement, directory: HttpDirectory
) -> None:
    service.gate.clear()
    asking = [asyncio.create_task(directory.members_of(TENANT, "finance")) for _ in range(20)]
    asking.append(asyncio.create_task(directory.members_of(OTHER_TENANT, "finance")))
    with anyio.fail_after(5):
        while len(service.asked) < 2:
            await anyio.sleep(0.01)
    service.gate.set()
    *same, other = await asyncio.gather(*asking)
    assert same == [FINANCE] * 20
    assert other == {"cy"}
    assert len(service.asked) == 2


async def test_whoever_gives_up_takes_the_answer_from_nobody_else(
    service: UserManagement, directory: HttpDirectory
) -> None:
    service.gate.clear()
    first = asyncio.create_task(directory.members_of(TENANT, "finance"))
    with anyio.fail_after(5):
        while not service.asked:
            await anyio.sleep(0.01)
    second = asyncio.create_task(directory.members_of(TENANT, "finance"))
    await anyio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    service.gate.set()
    assert await second == FINANCE
    assert len(service.asked) == 1


def answering(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body


SECRETIVE = "carol-who-must-not-be-seen"
BAD_ANSWERS: dict[str, dict[str, Any]] = {
    "an error": {"status": 500},
    "no permission": {"status": 401},
    "nothing": {"status": 204},
    "no JSON": {"raw": answering(f"<p>{SECRETIVE}</p>".encode())},
    "no object": {"body": [SECRETIVE]},
    "another object": {"body": {"users": [SECRETIVE]}},
    "null": {"body": {"members": None}},
    "one name": {"body": {"members": SECRETIVE}},
    "numbers": {"body": {"members": [SECRETIVE, 5]}},
    "an empty name": {"body": {"members": [SECRETIVE, ""]}},
    "a name that is too long": {"body": {"members": [SECRETIVE, "x" * 256]}},
    "a name of two lines": {"body": {"members": [f"{SECRETIVE}\n"]}},
    "too many names": {"body": {"members": [f"{SECRETIVE}{n}" for n in range(MOST_NAMES + 1)]}},
    "half a character": {"raw": answering(b'{"members": ["%s\\ud83d"]}' % SECRETIVE.encode())},
    "no UTF-8": {"raw": answering(b'{"members": ["\xff"]}')},
    "too deep": {"raw": answering(b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")},
    "too long": {"raw": answering(b" " * (1024 * 1024 + 1))},
    "half of it": {"raw": answering(b'{"members": []}')[:-5]},
    "no HTTP": {"raw": f'{{"members": ["{SECRETIVE}"]}}\r\n\r\n'.encode()},
    "a hang-up": {"raw": b""},
    "a redirect to elsewhere": {
        "raw": f"HTTP/1.1 302 Found\r\nLocation: http://{SECRETIVE}.invalid/\r\n\r\n".encode()
    },
}


@pytest.mark.parametrize("what", BAD_ANSWERS)
async def test_a_bad_answer_is_none_and_nothing_of_it_is_shown(
    service: UserManagement, directory: HttpDirectory, what: str
) -> None:
    for name, value in BAD_ANSWERS[what].items():
        setattr(service, name, value)
    with capture_logs() as logs, pytest.raises(DirectoryUnavailable) as unavailable:
        await directory.members_of(TENANT, "finance")
    assert "finance cannot be told now: user-management: " in str(unavailable.value)
    assert SECRETIVE not in f"{unavailable.value} {logs}"


async def test_a_byte_order_mark_before_an_answer_is_passed_over(
    service: UserManagement, directory: HttpDirectory
) -> None:
    service.raw = answering(b'\xef\xbb\xbf{"members": ["ada"]}')
    assert await directory.members_of(TENANT, "finance") == {"ada"}


async def test_as_many_names_as_there_may_be_are_taken(
    service: UserManagement, directory: HttpDirectory
) -> None:
    names = [f"person-{number}" for number in range(MOST_NAMES)]
    service.groups[TENANT]["all"] = names
    assert await directory.members_of(TENANT, "all") == frozenset(names)


async def test_a_bad_answer_is_not_kept(service: UserManagement, directory: HttpDirectory) -> None:
    service.status = 503
    with pytest.raises(DirectoryUnavailable, match="it answered 503"):
        await directory.groups_of(TENANT, "ada")
    service.status = 200
    assert await directory.groups_of(TENANT, "ada") == {"finance", "legal"}


async def test_an_answer_that_does_not_come_in_time_is_none(service: UserManagement, watch: Watch) -> None:
    directory = directory_at(service.url, watch, timeout_seconds=0.2)
    service.delay = 5
    began = time.monotonic()
    with pytest.raises(DirectoryUnavailable, match="no answer within"):
        await directory.members_of(TENANT, "finance")
    assert time.monotonic() - began < 2


async def test_nobody_there_is_said_without_an_answer(watch: Watch) -> None:
    directory = directory_at(f"http://127.0.0.1:{free_port()}", watch)
    with pytest.raises(DirectoryUnavailable, match=r"no answer: ConnectError$"):
        await directory.members_of(TENANT, "finance")


async def test_what_is_known_is_used_while_user_management_is_away_and_for_five_minutes_at_most(
    service: UserManagement, directory: HttpDirectory, watch: Watch
) -> None:
    assert await directory.members_of(TENANT, "finance") == FINANCE
    service.status = 503
    watch.forward(STALE_SECONDS)
    with capture_logs() as logs:
        assert await directory.members_of(TENANT, "finance") == FINANCE
    (told,) = logs
    assert (told["event"], told["seconds"], told["reason"]) == (
        "directory_answer_is_old",
        300,
        "it answered 503",
    )
    assert "ada" not in str(logs)
    watch.forward(1)
    with pytest.raises(DirectoryUnavailable):
        await directory.members_of(TENANT, "finance")
    with pytest.raises(DirectoryUnavailable):
        await directory.members_of(TENANT, "legal")


async def test_meanwhile_it_is_asked_again_only_so_often(
    service: UserManagement, directory: HttpDirectory, watch: Watch
) -> None:
    await directory.members_of(TENANT, "finance")
    service.status = 503
    watch.forward(KEPT_SECONDS)
    for _ in range(5):
        assert await directory.members_of(TENANT, "finance") == FINANCE
    assert len(service.asked) == 2
    watch.forward(AGAIN_SECONDS)
    service.status = 200
    service.groups[TENANT]["finance"] = ["bob"]
    assert await directory.members_of(TENANT, "finance") == {"bob"}
    assert len(service.asked) == 3


async def groups_asked_for(service: UserManagement, directory: HttpDirectory, *groups: str) -> list[str]:
    """Those of some groups that are not at hand when their members are wanted."""
    before = len(service.paths)
    for group in groups:
        await directory.members_of(TENANT, group)
    return [path.split("/")[-2] for path in service.paths[before:]]


async def test_only_so_many_answers_are_kept_and_those_of_no_use_give_way(
    service: UserManagement, watch: Watch
) -> None:
    service.groups[TENANT] = {"a": ["ada"], "b": ["bob"], "c": ["cy"]}
    directory = directory_at(service.url, watch, most_kept=110)
    assert await groups_asked_for(service, directory, *"abac") == ["a", "b", "c"]
    assert await groups_asked_for(service, directory, *"acb") == ["b"]


async def test_a_large_answer_takes_the_room_of_several(service: UserManagement, watch: Watch) -> None:
    service.groups[TENANT] = {"a": ["ada"], "b": ["bob"], "all": [f"person-{n}" for n in range(100)]}
    directory = directory_at(service.url, watch, most_kept=160)
    assert await groups_asked_for(service, directory, "a", "b", "all") == ["a", "b", "all"]
    assert await groups_asked_for(service, directory, "all", "b", "a") == ["b", "a"]
