"""What every store of personal keys does, on SQLite, on PostgreSQL and in Cosmos DB."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from secrets import token_hex

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError
from psycopg.errors import ProgramLimitExceeded

from application.privacy.ports import Erasure, PersonalKeys, Rewrapped
from domain.privacy import kept_subject
from infrastructure.cosmos.personal_keys import POLICY, CosmosPersonalKeys
from infrastructure.cosmos.threaded import ThreadedContainer
from infrastructure.postgres.personal_keys import PostgresPersonalKeys
from infrastructure.sqlite.personal_keys import SqlitePersonalKeys
from tests.application.logs import UNVERIFIED, LostAnswer
from tests.builders import NOW, OTHER_TENANT, TENANT, after
from tests.cosmos import Account, fresh_database

Keys = SqlitePersonalKeys | PostgresPersonalKeys | CosmosPersonalKeys


def container_in(account: Account, database: str) -> ThreadedContainer:
    return ThreadedContainer(account.endpoint, account.key, database, "workflow_personal_keys", POLICY)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("cosmos", marks=[pytest.mark.cosmos, UNVERIFIED]),
    ]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], PersonalKeys]]:
    """One more process's keys, in one place."""
    place = ""
    if request.param == "postgres":
        place = request.getfixturevalue("postgres_store_url")
    elif request.param == "cosmos":
        account, place = request.getfixturevalue("cosmos"), fresh_database()
    with ExitStack() as stack:

        def keys() -> PersonalKeys:
            made: Keys
            if request.param == "sqlite":
                made = SqlitePersonalKeys(tmp_path / "keys.db")
            elif request.param == "postgres":
                made = PostgresPersonalKeys(place)
            else:
                made = CosmosPersonalKeys(container_in(account, place))
            stack.callback(made.close)
            return made

        yield keys


@pytest.fixture
def keys(opened: Callable[[], PersonalKeys]) -> PersonalKeys:
    return opened()


def test_where_nothing_was_kept_there_is_nothing(keys: PersonalKeys) -> None:
    assert keys.any() is None
    assert keys.of(TENANT, "ada") is None
    assert keys.named(["k1", "k2"]) == {}
    assert keys.named([]) == {}
    assert (keys.erasures(), list(keys.untold())) == (0, [])
    assert not keys.destroy(TENANT, ["ada"], "asked to", NOW)
    assert keys.destroy_again(TENANT, ["k1"], NOW) == 0
    assert keys.erasures() == 0


def test_a_subject_of_a_tenant_has_one_key(keys: PersonalKeys) -> None:
    assert keys.put(TENANT, "ada/#?", "k1", b"\x00one") == ("k1", b"\x00one")
    assert keys.put(TENANT, "ada/#?", "k2", b"two") == ("k1", b"\x00one")
    assert keys.put(OTHER_TENANT, "ada/#?", "k3", b"three") == ("k3", b"three")
    assert keys.of(TENANT, "ada/#?") == ("k1", b"\x00one")
    assert keys.of(OTHER_TENANT, "ada/#?") == ("k3", b"three")
    assert keys.named(["k1", "k2", "k3"]) == {"k1": b"\x00one", "k3": b"three"}
    assert keys.any() in [("k1", b"\x00one"), ("k3", b"three")]


@pytest.mark.parametrize(
    "subject", ["ada\x00", "x" * 1_000, token_hex(20_000)], ids=["NUL", "long", "longer"]
)
def test_a_subject_of_any_form_has_a_key(keys: PersonalKeys, subject: str) -> None:
    """Whoever names it in a message must not have it taken for an outage."""
    kept = kept_subject(subject)
    assert keys.put(TENANT, kept, "k1", b"one") == ("k1", b"one")
    assert keys.of(TENANT, kept_subject(subject)) == ("k1", b"one")
    assert keys.of(TENANT, kept_subject(f"{subject}.")) is None
    assert keys.destroy(TENANT, [kept], None, NOW) == 1


@pytest.mark.postgres
def test_what_no_index_of_postgresql_takes_is_no_outage(postgres_store_url: str) -> None:
    with closing(PostgresPersonalKeys(postgres_store_url)) as keys:
        with pytest.raises(ProgramLimitExceeded):
            keys.put(TENANT, token_hex(20_000), "k1", b"one")
        assert keys.put(TENANT, "ada", "k2", b"two") == ("k2", b"two")


def test_many_are_added_whose_subjects_have_none(opened: Callable[[], Keys]) -> None:
    keys = opened()
    keys.put(TENANT, "subject-120", "theirs", b"theirs")
    given = sorted((f"k{n:03}", TENANT, f"subject-{n}", f"wrapped {n}".encode()) for n in range(250))
    keys.add(given)
    expected = [*given[:120], *given[121:], ("theirs", TENANT, "subject-120", b"theirs")]
    assert sorted(keys.all()) == expected
    keys.add(given)
    keys.add([])
    assert sorted(keys.all()) == expected


@pytest.mark.cosmos
@UNVERIFIED
def test_those_that_are_added_go_in_batches(cosmos: Account) -> None:
    told: list[str] = []
    container = container_in(cosmos, fresh_database())
    with closing(CosmosPersonalKeys(container)) as keys:
        container.tell(lambda _, operation, *__: told.append(operation))
        keys.add([(f"k{n}", TENANT, f"subject-{n}", b"wrapped") for n in range(250)])
        assert told == ["batch"] * 3


def test_what_is_destroyed_is_gone_and_is_noted_until_the_log_tells_of_it(keys: PersonalKeys) -> None:
    for subject in ("ada", "bob"):
        keys.put(TENANT, subject, f"of {subject}", b"key")
    assert keys.destroy(TENANT, ["ada"], "asked to", NOW)
    assert not keys.destroy(TENANT, ["ada"], "asked to", NOW)
    assert keys.destroy(TENANT, ["bob"], None, after(seconds=1))
    assert keys.of(TENANT, "ada") is None
    assert keys.named(["of ada", "of bob"]) == {}
    first, second = [
        Erasure(number=1, tenant=TENANT, key_id="of ada", reason="asked to", erased_at=NOW),
        Erasure(number=2, tenant=TENANT, key_id="of bob", reason=None, erased_at=after(seconds=1)),
    ]
    assert list(keys.untold()) == [first, second]
    keys.note_told(1)
    keys.note_told(1)
    assert list(keys.untold()) == [second]
    assert keys.erasures() == 2


def test_keys_of_many_subjects_are_destroyed_in_their_order(keys: PersonalKeys) -> None:
    subjects = [f"subject-{number}" for number in range(60)]
    for subject in subjects:
        keys.put(TENANT, subject, f"of {subject}", b"key")
    assert keys.destroy(TENANT, [*subjects, "nobody"], "asked to", NOW) == 60
    assert sorted(each.key_id for each in keys.untold()) == sorted(f"of {each}" for each in subjects)
    assert [each.number for each in keys.untold()] == [*range(1, 61)]
    assert keys.erasures() == 60


def test_a_subject_that_comes_again_has_another_key(keys: PersonalKeys) -> None:
    keys.put(TENANT, "ada", "k1", b"one")
    assert keys.destroy(TENANT, ["ada"], None, NOW)
    assert keys.put(TENANT, "ada", "k2", b"two") == ("k2", b"two")
    assert keys.destroy(TENANT, ["ada"], None, NOW)
    assert [erasure.key_id for erasure in keys.untold()] == ["k1", "k2"]


def test_keys_that_a_backup_brought_back_are_destroyed_again_by_their_ids(keys: PersonalKeys) -> None:
    for tenant, id in ((TENANT, "k1"), (TENANT, "k2"), (OTHER_TENANT, "k3")):
        keys.put(tenant, id, id, b"key")
    assert keys.destroy_again(TENANT, ["k1", "k3", "never there"], NOW) == 1
    assert set(keys.named(["k1", "k2", "k3"])) == {"k2", "k3"}
    assert [(erasure.key_id, erasure.reason) for erasure in keys.untold()] == [("k1", None)]


def test_keys_are_told_page_by_page(keys: PersonalKeys) -> None:
    ids = sorted(f"{number:x}f" for number in range(16))
    for id in reversed(ids):
        keys.put(TENANT, f"of {id}", id, id.encode())
    keys.destroy(TENANT, [f"of {ids[3]}"], None, NOW)
    found, after = list[tuple[str, bytes]](), ""
    while page := keys.page(after, 4):
        assert len(page) <= 4
        found += page
        after = page[-1][0]
    assert found == [(id, id.encode()) for id in ids if id != ids[3]]


def test_a_key_is_wrapped_anew_in_place_of_what_it_was_alone(keys: PersonalKeys) -> None:
    for id in ("k1", "k2", "k3"):
        keys.put(TENANT, f"of {id}", id, b"was")
    keys.destroy(TENANT, ["of k2"], None, NOW)
    wanted = [
        Rewrapped("k1", b"was", b"\x00is"),
        Rewrapped("k2", b"was", b"is"),
        Rewrapped("k3", b"else", b"is"),
    ]
    assert keys.rewrap(wanted) == 1
    assert keys.named(["k1", "k2", "k3"]) == {"k1": b"\x00is", "k3": b"was"}
    assert keys.of(TENANT, "of k1") == ("k1", b"\x00is")
    assert keys.erasures() == 1


def test_another_process_sees_the_keys_and_the_count(opened: Callable[[], PersonalKeys]) -> None:
    here, there = opened(), opened()
    here.put(TENANT, "ada", "k1", b"one")
    assert there.of(TENANT, "ada") == ("k1", b"one")
    assert there.destroy(TENANT, ["ada"], None, NOW)
    assert here.of(TENANT, "ada") is None
    assert here.erasures() == 1


def test_of_many_at_once_each_is_destroyed_once_and_counted(opened: Callable[[], PersonalKeys]) -> None:
    processes = [opened() for _ in range(2)]
    subjects = [f"s{number}" for number in range(4)]
    for subject in subjects:
        processes[0].put(TENANT, subject, f"of {subject}", b"key")
    with ThreadPoolExecutor(4) as threads:
        asked = [(keys, subject) for subject in subjects for keys in processes]
        done = list(threads.map(lambda each: each[0].destroy(TENANT, [each[1]], None, NOW), asked))
    assert sum(done) == len(subjects)
    assert processes[0].erasures() == len(subjects)
    assert {erasure.key_id for erasure in processes[1].untold()} == {f"of {each}" for each in subjects}


@pytest.mark.cosmos
@UNVERIFIED
def test_a_key_whose_destruction_was_not_answered_is_destroyed_and_noted_once(cosmos: Account) -> None:
    container = container_in(cosmos, fresh_database())
    keys = CosmosPersonalKeys(container)
    keys.put(TENANT, "ada", "k1", b"one")
    timed_out = CosmosHttpResponseError(408, "Request timed out")  # type: ignore[no-untyped-call]
    lost = LostAnswer(container, timed_out)
    lost.arm()
    keys.destroy(TENANT, ["ada"], "asked to", NOW)
    assert lost.lost == 1
    assert keys.of(TENANT, "ada") is None
    assert [(erasure.number, erasure.key_id) for erasure in keys.untold()] == [(1, "k1")]
    keys.close()
