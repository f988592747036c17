"""The conditions of a query in SQL, on the rows of documents and on the rows of their lists."""

import msgspec

from infrastructure.sqlite.lists import carried, table_of
from infrastructure.sqlite.tables import column_of, in_document
from projections.ports import Container, Query


class Holding(msgspec.Struct, frozen=True):
    """The condition that a list field holds at least one of some texts."""

    field: str
    texts: tuple[str, ...]


class Conditions:
    """The conditions of one query. They call a document's row ``document``, and a list's row ``held``.

    ``parameters`` holds their named values. The texts of a list are added when a condition on it is asked
    for.

    Raises:
        ValueError: the query asks for lists in a field in which the container keeps none.
    """

    def __init__(self, container: Container, tenant: str, query: Query) -> None:
        unknown = {*query.any_of, *query.none_of}.difference(container.list_fields)
        if unknown:
            raise ValueError(f"{container.name} keeps no lists in {', '.join(sorted(unknown))}")
        self._container = container
        self._query = query
        self._carried = carried(container)
        self.held = [Holding(field, tuple(dict.fromkeys(texts))) for field, texts in query.any_of.items()]
        self.not_held = [Holding(field, (text,)) for field, text in query.none_of.items()]
        times = {"sort_from": query.sort_from, "sort_before": query.sort_before}
        self.parameters = {name: time for name, time in times.items() if time is not None}
        self.parameters["tenant"] = tenant
        self.parameters |= {f"equal{number}": text for number, text in enumerate(query.equal.values())}
        self.parameters |= {f"below{number}": text for number, text in enumerate(query.below.values())}
        if query.after is not None:
            self.parameters |= {"after_sort": query.after[0], "after_id": query.after[1]}

    def of_documents(self) -> list[str]:
        """Return the conditions on a document, except those on its lists."""
        sort = in_document(self._container.sort_field)
        below = self._below_in_column("document", self._container.below_fields)
        below += self._below_in_body(but=self._container.below_fields)
        return ["document.tenant = :tenant", *self._equal(), *self._times(sort), *below]

    def of_rows(self, field: str) -> list[str]:
        """Return the conditions that a list's row can answer, except the one on its text."""
        of_list = ["held.tenant = :tenant", f"held.field = '{field}'"]
        equal = [
            f"held.{column_of(name)} = :equal{number}"
            for number, name in enumerate(self._query.equal)
            if name in self._carried
        ]
        return [*of_list, *equal, *self._times("held.sort"), *self._below_in_column("held", self._carried)]

    def told_by_documents(self) -> list[str]:
        """Return the conditions on a list's row that only its document can answer."""
        asked = [*self._equal(but=self._carried), *self._below_in_body(but=self._carried)]
        if not asked:
            return []
        return [
            f'EXISTS (SELECT 1 FROM "{self._container.name}" AS document WHERE document.tenant = :tenant'
            f" AND document.id = held.id AND {' AND '.join(asked)})"
        ]

    def holds(self, holding: Holding, sort: str = "held.sort", id: str = "held.id") -> str:
        """Return the condition that the document at a sort value and an id has a list that holds one of the
        texts."""
        return (
            f"EXISTS (SELECT 1 FROM {table_of(self._container)} AS other WHERE other.tenant = :tenant"
            f" AND other.field = '{holding.field}' AND other.value IN {self.one_of(holding.texts)}"
            f" AND other.sort = {sort} AND other.id = {id})"
        )

    def one_of(self, texts: tuple[str, ...]) -> str:
        """Return a set of texts for ``IN``, however many they are."""
        name = f"texts{len(self.parameters)}"
        self.parameters[name] = msgspec.json.encode(texts).decode()
        return f"(SELECT value FROM json_each(:{name}))"

    def beyond(self, sort: str, id: str) -> list[str]:
        """Return the condition on where a page begins."""
        if self._query.after is None:
            return []
        return [f"({sort}, {id}) {'>' if self._query.oldest_first else '<'} (:after_sort, :after_id)"]

    def _equal(self, but: tuple[str, ...] = ()) -> list[str]:
        return [
            f"{in_document(name)} = :equal{number}"
            for number, name in enumerate(self._query.equal)
            if name not in but
        ]

    def _times(self, sort: str) -> list[str]:
        cuts = {"sort_from": f"{sort} >= :sort_from", "sort_before": f"{sort} < :sort_before"}
        return [cut for name, cut in cuts.items() if name in self.parameters]

    def _below_in_column(self, row: str, columns: tuple[str, ...]) -> list[str]:
        """In SQLite every number is less than every text, so values that are no texts are excluded."""
        return [
            f"typeof({row}.{column_of(name)}) = 'text' AND {row}.{column_of(name)} < :below{number}"
            for number, name in enumerate(self._query.below)
            if name in columns
        ]

    def _below_in_body(self, but: tuple[str, ...]) -> list[str]:
        return [
            f"json_type(document.body, '$.{name}') = 'text' AND {in_document(name)} < :below{number}"
            for number, name in enumerate(self._query.below)
            if name not in but
        ]
