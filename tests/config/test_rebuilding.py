"""Where a rebuild goes on that others have begun."""

from config.commands.rebuild import earliest
from projections.building import Progress
from tests.builders import NOW


def progress(handled: int, **numbers: int) -> Progress:
    positions = {partition: f"log-{number}-0123456789ab" for partition, number in numbers.items()}
    return Progress(handled, left=0, rate=1.0, at=NOW, positions=positions)


def test_each_partition_is_gone_on_with_from_where_the_last_of_them_is() -> None:
    one, other = progress(200, a=100, c=100), progress(250, a=100, b=100, c=50)
    found = earliest([one, other])
    assert found is not None
    assert found.positions == {"a": "log-100-0123456789ab", "c": "log-50-0123456789ab"}
    assert found.handled == 200


def test_where_one_has_not_begun_all_begin_anew() -> None:
    assert earliest([progress(1, a=1), None]) is None
    assert earliest([]) is None
