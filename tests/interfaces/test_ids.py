"""New ids are UUIDs of version 4, and each is new."""

from uuid import RFC_4122, UUID

from domain.values import is_uuid
from interfaces.ids import new_id


def test_a_new_id_is_a_uuid_of_version_4_and_no_other_is_the_same() -> None:
    ids = [new_id() for _ in range(2_000)]
    assert len(set(ids)) == len(ids)
    for id in ids:
        assert is_uuid(id)
        assert (UUID(id).version, UUID(id).variant) == (4, RFC_4122)
        assert str(UUID(id)) == id


def test_every_bit_that_is_free_is_random() -> None:
    seen_set, seen_clear = 0, (1 << 128) - 1
    for _ in range(2_000):
        number = UUID(new_id()).int
        seen_set, seen_clear = seen_set | number, seen_clear & number
    fixed = 0xF << 76 | 0b11 << 62
    assert seen_set | fixed == (1 << 128) - 1
    assert seen_clear & ~fixed == 0
