"""Documents in Cosmos DB: an item a document, with the version of its stream in a property beside its own."""

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
"""What is wrong is the document; no waiting mends it."""

log = structlog.get_logger(__name__)

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class CosmosDocuments:
    """The documents where other services may read them.

    A document holds its own ``id`` and ``tenantId``; names that begin with ``_`` are Cosmos DB's.
    """

    keeps_text = False

    def __init__(self, database: CosmosDatabase) -> None:
        self._database = database
        self._containers = CosmosContainers(database)
        self._asked = "containers"

    async def missing(self, containers: Sequence[Container]) -> list[Container]:
        """Those that are not there, or not any more: whoever follows the log for them has to begin anew."""
        return [each for each in containers if not await self._containers.exists(each.name)]

    async def create(self, containers: Sequence[Container]) -> None:
        """Make the containers, and their indexes on orders and lists, that are missing.

        Raises:
            Unusable: a container has another partition key.
        """
        for container in containers:
            await self._containers.ensure(container.name, policy_of(container))
            self._asked = container.name

    async def get(self, container: Container, tenant: str, id: str) -> Document | None:
        """One document of a tenant."""
        item = await Items(self._database, container.name).read(tenant, id)
        return None if item is None else _document(tenant, item)

    async def get_many(
        self, container: Container, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Document]:
        """Those of the (tenant, id) keys that exist, by a point read each."""
        items = Items(self._database, container.name)
        found: dict[tuple[str, str], Document] = {}

        async def read(key: tuple[str, str]) -> None:
            item = await items.read(*key)
            if item is not None:
                found[key] = _document(key[0], item)

        await self._database.for_each(dict.fromkeys(keys), read)
        return found

    async def put(self, container: Container, documents: Sequence[Document]) -> None:
        """Write documents; one that is there at the same or a later version stays as it is.

        There is no transaction: after a failure some are written. The batch comes again. What Cosmos DB would
        refuse each time is left out, and the log says so.

        Raises:
            StoreUnavailable: also where a document was made out of one that is not there. A replica may
                lag behind what another process wrote; a fold over it would lose events for ever.
        """
        items = Items(self._database, container.name)

        async def put(document: Document) -> None:
            with _refusals_told(container, document):
                await _put(items, document)

        await self._database.for_each(documents, put)

    async def query(self, container: Container, tenant: str, query: Query) -> Page:
        """A page of a tenant's documents, the newest first unless the query says otherwise."""
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
        """Every document of the tenants, in the order of the ids. No call asks for all tenants' at once."""
        items = Items(self._database, container.name)
        statement = f"SELECT TOP {_PAGE} * FROM c WHERE c.id > @after ORDER BY c.id"
        for tenant in dict.fromkeys((*tenants, SYSTEM_TENANT)):
            after = ""
            while rows := await items.query(tenant, statement, {"@after": after}, operation="scan"):
                yield [_document(tenant, row) for row in rows]
                after = rows[-1]["id"]

    async def of_another(self, container: Container) -> AsyncIterator[Sequence[Item]]:
        """What another service has put into a container, whoever's it is; nothing is known of its form."""
        items = Items(self._database, container.name)
        async for page in items.everywhere(f"SELECT * FROM c WHERE {_OF_ANOTHER}"):
            yield [_own(item) for item in page]

    async def replace(
        self, container: Container, replacements: Mapping[Key, tuple[Document | None, Document | None]]
    ) -> set[Key]:
        """Replace, make or take away what is still as it was found; the keys of what is not.

        What Cosmos DB would refuse each time is left as it is, and the log says so.
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
        """Delete every document that is ours, and the container with them, which is made again; but where
        another service has put some there, one by one.
        """
        if await self._containers.exists(container.name) and await self._first(container, of_another=True):
            items = Items(self._database, container.name)

            async def delete(item: Item) -> None:
                await items.delete(item[PARTITION_KEY], item["id"])

            while ours := await self._first(container, of_another=False):
                await self._database.for_each(ours, delete)
        else:
            await self._containers.empty(container.name, policy_of(container))

    async def _first(self, container: Container, *, of_another: bool) -> Sequence[Item]:
        """The first that there are of another service, or of ours, whoever's they are."""
        what = _OF_ANOTHER if of_another else _OURS
        statement = f"SELECT c.id, c.{PARTITION_KEY} FROM c WHERE {what}"
        async with aclosing(Items(self._database, container.name).everywhere(statement)) as answers:
            async for rows in answers:
                if rows:
                    return rows
        return ()

    async def ping(self) -> None:
        """Ask for an item that is not there: the cheapest question, and it goes all the way."""
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
    """What is not Cosmos DB's, nor ours beside the document."""
    return {name: value for name, value in item.items() if name != VERSION and not name.startswith("_")}


def _matching(container: Container, query: Query) -> tuple[list[str], dict[str, object]]:
    """The conditions of a query, without where its page begins; the tenant is the partition."""
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
    """By time, behind fields that all rows have in common: so a composite index serves both.

    An index that descends serves what ascends in all its fields as well.
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
