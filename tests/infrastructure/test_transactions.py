"""How operations are divided into batches that Cosmos DB takes."""

from infrastructure.cosmos.items import Operation
from infrastructure.cosmos.transactions import MOST_BYTES, MOST_OPERATIONS, parts, size_of, takes


def put(id: str, text: str = "") -> Operation:
    return ("upsert", ({"id": id, "text": text},), {})


def test_a_batch_has_no_more_operations_than_it_takes_beside_the_others() -> None:
    operations = [put(str(number)) for number in range(2 * MOST_OPERATIONS)]
    assert [len(part) for part in parts(operations)] == [MOST_OPERATIONS - 1, MOST_OPERATIONS - 1, 2]
    assert [len(part) for part in parts(operations, beside=0)] == [MOST_OPERATIONS, MOST_OPERATIONS]
    assert [each for part in parts(operations) for each in part] == operations
    assert list(parts([])) == []


def test_a_batch_has_no_more_bytes_than_it_takes() -> None:
    operations = [put(str(number), "x" * (MOST_BYTES // 2 - 100)) for number in range(3)]
    assert [len(part) for part in parts(operations)] == [2, 1]


def test_what_is_too_large_for_any_batch_comes_alone() -> None:
    operations = [put("a"), put("b", "x" * MOST_BYTES), put("c")]
    assert [len(part) for part in parts(operations)] == [1, 1, 1]


def test_bytes_are_counted_as_they_are_sent() -> None:
    assert size_of([{"id": "ü😀"}]) == len('[{"id": "\\u00fc\\ud83d\\ude00"}]')


def test_a_batch_is_full_by_what_goes_beside() -> None:
    assert takes(MOST_OPERATIONS - 1, MOST_BYTES, beside=1)
    assert not takes(MOST_OPERATIONS, 0, beside=1)
    assert not takes(1, MOST_BYTES + 1, beside=0)
