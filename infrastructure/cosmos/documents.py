"""Documents in Cosmos DB: one item per document, with the version of its stream in a property of ours."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any

import msgspec
import structlog
from azure.cosmos.exceptions import CosmosHttpResponseError

from application.log_batches import page_of
from domain.errors import StoreUnavailable
from domain.values import SYSTEM_TENANT
from infrastructure.cosmos.containers import CosmosContainers, policy_of
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.failures import first_line
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items, nothing
from projections.ports import Container, Document, Page, Query

VERSION = "streamVersion"

Key = tuple[str, str]

_OURS = f'IS_DEFINED(c["{VERSION}"])'
_OF_ANOTHER = f"NOT {_OURS}"

_MOST_RACES = 20
_PAGE = 500
_REFUSED = (400, 413)
"""The document itself is at fault. Waiting does not help."""

log = structlog.get_logger(__name__)

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class CosmosDocuments:
    """The documents, where other services may read them.

    A document holds its own ``id`` and ``tenantId``. Names that begin with ``_`` belong to Cosmos DB.
    """

    keeps_text = False

    def __init__(self, database: CosmosDatabase) -> None:
        self._database = database
        self._containers = CosmosContainers(database)
        self._asked = "containers"

    async def missing(self, containers: Sequence[Container]) -> list[Container]:
        """Return the containers that do not exist, or exist no more. The followers that fill them must begin
        again."""
        return [each for each in containers if not await self._containers.exists(each.name)]

    async def create(self, containers: Sequence[Container]) -> None:
        """Create missing containers, and their missing indexes on orders and lists.

        Raises:
            Unusable: a container has another partition key.
        """
        for container in containers:
            await self._containers.ensure(container.name, policy_of(container))
            self._asked = container.name

    async def get(self, container: Container, tenant: str, id: str) -> Document | None:
        """Return one document of a tenant, if it exists."""
        item = await Items(self._database, container.name).read(tenant, id)
        return None if item is None else _document(tenant, item)

    async def get_many(
        self, container: Container, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Document]:
        """Return the documents of those (tenant, id) keys that exist, by one point read each."""
        items = Items(self._database, container.name)
        found: dict[tuple[str, str], Document] = {}

        async def read(key: tuple[str, str]) -> None:
            item = await items.read(*key)
            if item is not None:
                found[key] = _document(key[0], item)

        await self._database.for_each(dict.fromkeys(keys), read)
        return found

    async def put(self, container: Container, documents: Sequence[Document]) -> None:
        """Write documents. A stored document of the same or a later version stays as it is.

        There is no transaction: after a failure, some documents are written, and the caller sends the batch
        again. A document that Cosmos DB would refuse every time is left out, and the log says so.

        Raises:
            StoreUnavailable: also if a document was made out of one that is not the stored one. A replica may
                lag behind what another process wrote, and folding over a stale document would lose events for
                ever.
        """
        items = Items(self._database, container.name)

        async def put(document: Document) -> None:
            with _refusals_told(container, document):
                await _put(items, document)

        await self._database.for_each(documents, put)

    async def query(self, container: Container, tenant: str, query: Query) -> Page:
        """Return a page of a tenant's documents, the newest first unless the query says otherwise."""
        items = Items(self._database, container.name)
        where, parameters = _matching(container, query)
        sort = _field(container.sort_field)
        page, page_parameters = list(where), dict(parameters)
        if query.after is not None:
            beyond = ">" if query.oldest_first else "<"
            page.append(f"({sort} {beyond} @sort OR ({sort} = @sort AND c.id {beyond} @id))")
            page_parameters |= {"@sort": query.after[0], "@id": query.after[1]}
        rows = await items.query(
            tenant,
            f"SELECT TOP {query.limit + 1:d} * FROM c {_where(page)} ORDER BY {_order(container, query)}",
            page_parameters,
            size=nothing if query.room is None else _size,
            room=query.room or 1,
            one_more=True,
        )
        shown, more = page_of(rows, query.limit, _size, query.room)
        total = len(shown)
        if query.counted and (more or query.after is not None):
            counted = await items.query(
                tenant, f"SELECT VALUE COUNT(1) FROM c {_where(where)}", parameters, operation="count"
            )
            total = sum(counted)  # each page of an answer counts what it has seen
        return Page(
            tuple(_document(tenant, item) for item in shown),
            total,
            (shown[-1][container.sort_field], shown[-1]["id"]) if more else None,
        )

    async def scan(self, container: Container, tenants: Sequence[str]) -> AsyncIterator[Sequence[Document]]:
        """Yield every document of the tenants, ordered by id. No request asks for all tenants' documents at
        once."""
        items = Items(self._database, container.name)
        statement = f"SELECT TOP {_PAGE} * FROM c WHERE c.id > @after ORDER BY c.id"
        for tenant in dict.fromkeys((*tenants, SYSTEM_TENANT)):
            after = ""
            while rows := await items.query(tenant, statement, {"@after": after}, operation="scan"):
                yield [_document(tenant, row) for row in rows]
                after = rows[-1]["id"]

    async def of_another(self, container: Container) -> AsyncIterator[Sequence[Item]]:
        """Yield what another service has put into a container, for all tenants. Its form is not known."""
        items = Items(self._database, container.name)
        async for page in items.everywhere(f"SELECT * FROM c WHERE {_OF_ANOTHER}"):
            yield [_own(item) for item in page]

    async def replace(
        self, container: Container, replacements: Mapping[Key, tuple[Document | None, Document | None]]
    ) -> set[Key]:
        """Replace, create or delete documents that are still as they were found. Return the keys of the
        others.

        A document that Cosmos DB would refuse every time is left as it is, and the log says so.
        """
        items = Items(self._database, container.name)
        left: set[Key] = set()

        async def replace(key: Key) -> None:
            found, right = replacements[key]
            there = await items.read(*key)
            if (None if there is None else _document(key[0], there)) != found:
                left.add(key)
            elif right is None:
                if there is not None and not await items.delete_unchanged(there):
                    left.add(key)
            else:
                with _refusals_told(container, right):
                    item = _decode(right.body) | {VERSION: right.version}
                    if not await items.put_in_place_of(there, item):
                        left.add(key)

        await self._database.for_each(replacements, replace)
        return left

    async def clear(self, container: Container) -> None:
        """Delete our documents. The container is deleted and created again. If another service has put
        documents there, ours are deleted one by one."""
        if await self._containers.exists(container.name) and await self._first(container, of_another=True):
            items = Items(self._database, container.name)

            async def delete(item: Item) -> None:
                await items.delete(item[PARTITION_KEY], item["id"])

            while ours := await self._first(container, of_another=False):
                await self._database.for_each(ours, delete)
        else:
            await self._containers.empty(container.name, policy_of(container))

    async def _first(self, container: Container, *, of_another: bool) -> Sequence[Item]:
        """Return the items of the first answer that has any: those of another service, or ours, of any
        tenant."""
        what = _OF_ANOTHER if of_another else _OURS
        statement = f"SELECT c.id, c.{PARTITION_KEY} FROM c WHERE {what}"
        async with aclosing(Items(self._database, container.name).everywhere(statement)) as answers:
            async for rows in answers:
                if rows:
                    return rows
        return ()

    async def ping(self) -> None:
        """Ask for an item that does not exist: this is the cheapest query, and it goes all the way."""
        await Items(self._database, self._asked).read(SYSTEM_TENANT, "ping")


@contextmanager
def _refusals_told(container: Container, document: Document) -> Iterator[None]:
    try:
        yield
    except CosmosHttpResponseError as error:
        if error.status_code not in _REFUSED:
            raise
        log.error(
            "document_refused",
            container=container.name,
            tenant=document.tenant,
            id=document.id,
            error=first_line(error),
        )


async def _put(items: Items, document: Document) -> None:
    item = _decode(document.body)
    if (item.get("id"), item.get(PARTITION_KEY)) != (document.id, document.tenant):
        raise ValueError(f"document {document.id} does not hold its own id and {PARTITION_KEY}")
    item[VERSION] = document.version
    for _ in range(_MOST_RACES):
        there = await items.read(document.tenant, document.id)
        version = 0 if there is None else there.get(VERSION, 0)
        if version >= document.version:
            return
        if document.based_on not in (None, version):
            raise StoreUnavailable(
                f"document {document.id} is at version {version}, and was read at {document.based_on}"
            )
        if await items.put_in_place_of(there, item):
            return
    raise StoreUnavailable(f"document {document.id} is too busy: {_MOST_RACES} writes lost the race")


def _document(tenant: str, item: Item) -> Document:
    return Document(tenant, item["id"], item.get(VERSION, 0), _encode(_own(item)))


def _own(item: Item) -> Item:
    """Return the document's own properties, without those of Cosmos DB and of ours."""
    return {name: value for name, value in item.items() if name != VERSION and not name.startswith("_")}


def _matching(container: Container, query: Query) -> tuple[list[str], dict[str, object]]:
    """Return the conditions of a query, without the one on where its page begins. The tenant is the
    partition."""
    where: list[str] = []
    parameters: dict[str, object] = {}
    for number, (name, value) in enumerate(query.equal.items()):
        where.append(f"{_field(name)} = @equal{number}")
        parameters[f"@equal{number}"] = value
    for number, (name, texts) in enumerate(query.any_of.items()):
        one = {f"@any{number}_{place}": text for place, text in enumerate(texts)}
        held = " OR ".join(f"ARRAY_CONTAINS({_field(name)}, {text})" for text in one)
        where.append(f"({held or 'false'})")
        parameters |= one
    for number, (name, text) in enumerate(query.none_of.items()):
        held = f"ARRAY_CONTAINS({_field(name)}, @none{number})"
        where.append(f"(NOT IS_ARRAY({_field(name)}) OR NOT {held})")
        parameters[f"@none{number}"] = text
    for number, (name, text) in enumerate(query.below.items()):
        where.append(f"(IS_DEFINED({_field(name)}) AND {_field(name)} < @below{number})")
        parameters[f"@below{number}"] = text
    sort = _field(container.sort_field)
    if query.sort_from is not None:
        where.append(f"{sort} >= @from")
        parameters["@from"] = query.sort_from
    if query.sort_before is not None:
        where.append(f"{sort} < @before")
        parameters["@before"] = query.sort_before
    return where, parameters


def _order(container: Container, query: Query) -> str:
    """Return the order: by time, behind fields that are equal in all rows, so that a composite index serves
    both.

    An index that descends in all its fields also serves the ascending order.
    """
    known = [*container.filters_together, *((field,) for field in container.filter_fields)]
    filtered = next((fields for fields in known if query.equal.keys() >= set(fields)), ())
    direction = "ASC" if query.oldest_first else "DESC"
    return ", ".join(f"{_field(field)} {direction}" for field in (*filtered, container.sort_field, "id"))


def _where(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _field(name: str) -> str:
    return f'c["{name}"]'


def _size(item: Item) -> int:
    return len(_encode(item))
