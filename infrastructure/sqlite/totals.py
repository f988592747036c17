"""How many documents a query matches: a number that is kept, or a count, by indexes as far as possible.

A query for lists is counted along their rows. Looking up another row costs ten times as much as walking along
one, which shows with 100,000 documents in an inbox. So what must not be counted, or not twice, is excluded in
the cheaper of two ways.
"""

import sqlite3
from collections.abc import Sequence

from infrastructure.sqlite.conditions import Conditions, Holding
from infrastructure.sqlite.counts import kept_count
from infrastructure.sqlite.lists import table_of
from projections.ports import Container, Query

_LOOK_UP = 3
"""The cost of looking up a row, if recognizing a row that was seen before costs 1."""


def total_of(connection: sqlite3.Connection, container: Container, tenant: str, query: Query) -> int:
    """Return how many documents a query matches in all, whichever page it asks for."""
    return _Count(connection, container, tenant, query).total()


class _Count:
    def __init__(
        self, connection: sqlite3.Connection, container: Container, tenant: str, query: Query
    ) -> None:
        self._connection = connection
        self._container = container
        self._tenant = tenant
        self._query = query
        self._conditions = Conditions(container, tenant, query)
        self._rows: dict[Holding, dict[str, int]] = {}

    def total(self) -> int:
        return self._matching(self._conditions.held, self._conditions.not_held)

    def _matching(self, held: Sequence[Holding], not_held: Sequence[Holding]) -> int:
        """Return how many documents match. Those that hold an unwanted text are counted and subtracted if
        they are few."""
        if not held and not not_held:
            return self._documents()
        for few in not_held:
            if not held or self._are_few(few, held):
                rest = [each for each in not_held if each is not few]
                return self._matching(held, rest) - self._matching([*held, few], rest)
        return self._holding(held, not_held)

    def _documents(self) -> int:
        kept = kept_count(self._connection, self._container, self._tenant, self._query)
        if kept is not None:
            return kept
        where = " AND ".join(self._conditions.of_documents())
        return self._number(f'SELECT COUNT(*) FROM "{self._container.name}" AS document WHERE {where}')

    def _holding(self, held: Sequence[Holding], not_held: Sequence[Holding]) -> int:
        """Count along the rows of one list, and look up the other lists.

        If the most common text outweighs the others, its rows are counted as they are, and those of the
        others only if they do not hold it too. Otherwise all rows are told apart.
        """
        if not all(map(self._rows_of, held)):
            return 0
        walked = min(held, key=lambda each: self._cost(each, held))
        others = [Holding(each.field, tuple(self._rows_of(each))) for each in held if each is not walked]
        looked_up = [
            *(self._conditions.holds(each) for each in others),
            *(f"NOT {self._conditions.holds(each)}" for each in not_held),
            *self._conditions.told_by_documents(),
        ]
        rows = self._rows_of(walked)
        common, *rarer = sorted(rows, key=rows.__getitem__, reverse=True)
        if rows[common] < _LOOK_UP * sum(rows[text] for text in rarer):
            return self._counted(walked.field, [common, *rarer], looked_up)
        number = self._counted(walked.field, [common], looked_up) if looked_up else rows[common]
        if rarer:
            uncommon = f"NOT {self._conditions.holds(Holding(walked.field, (common,)))}"
            number += self._counted(walked.field, rarer, [*looked_up, uncommon])
        return number

    def _counted(self, field: str, texts: Sequence[str], looked_up: Sequence[str]) -> int:
        """Return how many documents have a list that holds one of the texts, each counted once."""
        rows = [*self._conditions.of_rows(field), f"value IN {self._conditions.one_of(tuple(texts))}"]
        return self._number(
            f"SELECT COUNT(*) FROM (SELECT {'DISTINCT' if len(texts) > 1 else ''} sort, id"
            f" FROM {table_of(self._container)} AS held WHERE {' AND '.join(rows)}) AS held"
            f" WHERE {' AND '.join(looked_up) or 'TRUE'}"
        )

    def _are_few(self, holding: Holding, among: Sequence[Holding]) -> bool:
        """Return whether walking along these rows and looking up ``among`` costs less than the reverse."""
        each = 1 + sum(len(self._rows_of(other)) for other in among)
        most = min(self._cost(other, among) for other in among) // each
        return sum(self._rows_of(holding, most).values()) < most

    def _cost(self, walked: Holding, held: Sequence[Holding]) -> int:
        """Return the cost: the rows to walk along, and for each the texts to look up."""
        looked_up = sum(len(self._rows_of(each)) for each in held if each is not walked)
        return sum(self._rows_of(walked).values()) * (1 + looked_up)

    def _rows_of(self, holding: Holding, most: int = -1) -> dict[str, int]:
        """Return the texts that lists hold at all, with the number of rows that may match, up to ``most``."""
        if holding in self._rows:
            return self._rows[holding]
        rows = [*self._conditions.of_rows(holding.field), "value = :text"]
        statement = (
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {table_of(self._container)} AS held"
            f" WHERE {' AND '.join(rows)} LIMIT {most:d})"
        )
        counted = {text: self._number(statement, text=text) for text in holding.texts}
        found = {text: number for text, number in counted.items() if number}
        if most not in counted.values():
            self._rows[holding] = found
        return found

    def _number(self, statement: str, **more: str) -> int:
        (number,) = self._connection.execute(statement, self._conditions.parameters | more).fetchone()
        return int(number)
