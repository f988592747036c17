"""``/workflow-definitions``: publish, list, read, retire, validate and draw definitions."""

from collections.abc import Collection
from functools import partial
from typing import Any

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.catalogue import Catalogue, not_found
from application.deciders import Committed
from application.definition_commands import PublishDefinition, RetireDefinition
from application.inputs import in_turn
from application.requests import AcceptRequest
from domain.definition import WorkflowDefinition
from domain.definition_rules import NAME
from domain.event import Metadata
from domain.faults import Fault, listed, path_of
from domain.published_definition import definition_stream
from interfaces.definitions.graph import mermaid
from interfaces.definitions.reader import MOST_BYTES, BadDocument, checked, read_definition
from interfaces.definitions.yaml_reader import InvalidYaml, read_yaml
from interfaces.rest.answers import JSON, etag, json_response, stored_json
from interfaces.rest.decoding import decoded_body
from interfaces.rest.definition_list import definition_page
from interfaces.rest.definition_names import DefinitionNames
from interfaces.rest.errors import ApiError, Invalid
from interfaces.rest.folded import document_after, folded
from interfaces.rest.idempotency import id_to_make, idempotency_key
from interfaces.rest.identity import Caller, Publishers
from interfaces.rest.media_types import media_type, require_readable
from interfaces.rest.models import NoQuery, Paging, WhichVersion
from interfaces.rest.requests import (
    caused_by,
    expected_version,
    head_faults,
    json_object,
    raw_body,
    read_head,
    read_query,
    with_faults,
)
from interfaces.rest.service import Service, command_headers
from projections.definitions import Definitions, shipped_document, version_document

PREFIX = "/api/v1/workflow-definitions"
YAML = "application/yaml"
MERMAID = "text/vnd.mermaid"


class DefinitionRoutes:
    """The routes of workflow definitions. ``wire_types`` are additional types of the platform's own messages,
    and ``received`` are the types that reach the service."""

    def __init__(
        self,
        service: Service,
        definitions: Definitions,
        catalogue: Catalogue,
        names: DefinitionNames,
        publishers: Publishers,
        *,
        wire_types: Collection[str] = (),
        received: Collection[str],
    ) -> None:
        self._read = partial(read_definition, wire_types=wire_types)
        self._checked = partial(checked, wire_types=wire_types, received=received)
        self._service = service
        self._names = names
        self._publishers = publishers
        self._definitions = definitions
        self._catalogue = catalogue
        self._shipped = catalogue.shipped.by_name

    def routes(self) -> list[Route]:
        """Return all routes."""
        route, suggesting = self._service.route, self._names.suggesting
        return [
            route(PREFIX, self.list, "GET"),
            route(PREFIX, self.create, "POST"),
            route(f"{PREFIX}/validate", self.validate, "POST"),
            route(f"{PREFIX}/{{name}}", suggesting(self.get), "GET"),
            route(f"{PREFIX}/{{name}}", self.put, "PUT", versioned=True),
            route(f"{PREFIX}/{{name}}", suggesting(self.retire), "DELETE", versioned=True),
            route(f"{PREFIX}/{{name}}/graph", suggesting(self.graph), "GET"),
            route(f"{PREFIX}/{{name}}/events", suggesting(self.events), "GET", reads=[]),
        ]

    async def list(self, request: Request, caller: Caller) -> Response:
        """Return the tenant's own definitions, newest first, followed by the shipped ones."""
        paging = read_query(request, Paging)
        shipped = {name: msgspec.json.encode(shipped_document(each)) for name, each in self._shipped.items()}
        return await definition_page(
            self._service, request, self._definitions.container, caller, paging, shipped
        )

    async def create(self, request: Request, caller: Caller) -> Response:
        """Publish a definition with a new name."""
        self._publishers.require(caller)
        definition = await self._definition(request)
        meta = caused_by(request, caller)
        if idempotency_key(request) is not None:
            await self._accept(id_to_make(request, caller), definition.name, meta)
        committed = await self._publish(request, meta, definition, as_new=True)
        return await self._published(definition.name, committed, created=_has_published(committed, meta))

    async def put(self, request: Request, caller: Caller) -> Response:
        """Publish a definition's next version, or its first."""
        self._publishers.require(caller)
        definition = await self._definition(request)
        name = request.path_params["name"]
        if definition.name != name:
            raise Invalid([Fault("name", f"is not {name}, the name in the path")])
        meta = caused_by(request, caller)
        committed = await self._publish(request, meta, definition, as_new=False)
        created = _has_published(committed, meta) and committed.version == 1
        return await self._published(name, committed, created=created)

    async def get(self, request: Request, caller: Caller) -> Response:
        """Return a definition, in its newest or in the requested version."""
        version, name = read_query(request, WhichVersion).version, _name(request)
        if name in self._shipped:
            definition = await self._catalogue.shipped.find(caller.tenant, name, version)
            return json_response(shipped_document(definition), headers={"ETag": etag(definition.version)})
        container = self._definitions.container
        known = await self._service.documents.get(container, caller.tenant, name)
        if known is not None and version is None:
            return stored_json(known.body, headers={"ETag": etag(known.version)})
        published = await self._catalogue.published(caller.tenant, name)
        if published is None or (version is not None and published.version(version) is None):
            raise not_found(name, version)
        parts = self._service.store.parts_of(definition_stream(caller.tenant, name))
        body, _, at = await folded(self._definitions, name, parts)
        if version is not None:
            body = msgspec.json.encode(version_document(msgspec.json.decode(body), published, version))
        return stored_json(body, headers={"ETag": etag(at)})

    async def retire(self, request: Request, caller: Caller) -> Response:
        """Retire a definition or one of its versions, so that it starts no more workflows."""
        self._publishers.require(caller)
        version, name = read_head(request, WhichVersion).version, _name(request)
        committed = await self._service.dispatch(
            RetireDefinition(
                meta=caused_by(request, caller),
                name=name,
                version=version,
                expected_version=expected_version(request),
            )
        )
        return await self._published(name, committed)

    async def validate(self, request: Request, caller: Caller) -> Response:
        """Return all faults of a document and, if it has none, the messages that it waits for in vain."""
        read_query(request, NoQuery)
        document = await _document(request)
        faults, warnings = await in_turn(caller.tenant, lambda: self._checked(document))
        return json_response({"valid": not faults, "faults": listed(faults), "warnings": listed(warnings)})

    async def graph(self, request: Request, caller: Caller) -> Response:
        """Return a definition's steps as a Mermaid flowchart."""
        version, name = read_query(request, WhichVersion).version, _name(request)
        if name in self._shipped:
            definition = await self._catalogue.shipped.find(caller.tenant, name, version)
        else:
            published = await self._catalogue.published(caller.tenant, name)
            if published is None:
                raise not_found(name, version)
            last = published.newest or published.version(published.last_version)
            chosen = last if version is None else published.version(version)
            if chosen is None:
                raise not_found(name, version)
            definition = chosen
        return Response(mermaid(definition), media_type=MERMAID)

    async def events(self, request: Request, caller: Caller) -> Response:
        """Return a definition's audit trail. That of a shipped definition is empty."""
        paging, name = read_query(request, Paging), _name(request)
        missing = None if name in self._shipped else not_found(name)
        stream = definition_stream(caller.tenant, name)
        return await self._service.history_of(request, stream, paging, missing)

    async def _definition(self, request: Request) -> WorkflowDefinition:
        """Return the definition in the body. A thread reads it, for the tenants in turn, so that long
        documents of one do not block the requests of others."""
        found = head_faults(request, NoQuery)
        try:
            document = await _document(request)
            definition = await in_turn(request.state.tenant, lambda: self._read(document))
        except BadDocument as bad:
            found += [Fault(field or "body", message) for field, message in bad.faults]
        except ApiError as error:
            raise with_faults(found, error) from None
        if found:
            raise Invalid(found)
        return definition

    async def _accept(self, request_id: str, name: str, meta: Metadata) -> None:
        """Record the name to be published: a repeat with another name, in another stream, would not be
        detected otherwise."""
        await self._service.dispatch(AcceptRequest(meta=meta, request_id=request_id, things=(name,), total=1))

    async def _publish(
        self, request: Request, meta: Metadata, definition: WorkflowDefinition, *, as_new: bool
    ) -> Committed:
        return await self._service.dispatch(
            PublishDefinition(
                meta=meta,
                definition=definition,
                as_new=as_new,
                expected_version=None if as_new else expected_version(request),
            )
        )

    async def _published(self, name: str, committed: Committed, *, created: bool = False) -> Response:
        headers = command_headers(committed.version, committed.position)
        if created:
            headers["Location"] = f"{PREFIX}/{name}"
        body = await document_after(self._service.store, self._definitions, name, committed)
        return stored_json(body, status=201 if created else 200, headers=headers)


def _has_published(committed: Committed, meta: Metadata) -> bool:
    """Return whether the command has created a version, now or at its first request."""
    return meta.command_id in committed.past.commands


def _name(request: Request) -> str:
    """Return the name in the path.

    Raises:
        DefinitionNotFound: it is not a valid name of a definition.
    """
    name: str = request.path_params["name"]
    if not NAME.fullmatch(name):
        raise not_found(name)
    return name


async def _document(request: Request) -> dict[str, Any]:
    """Return the document in the body, JSON or YAML, and keep it for the digest of an ``Idempotency-Key``."""
    request.state.body = document = await _read_document(request)
    return document


async def _read_document(request: Request) -> dict[str, Any]:
    raw = await raw_body(request, MOST_BYTES)
    require_readable(request, raw, JSON, YAML)
    await decoded_body(request).enter(len(raw))
    if media_type(request) == JSON:
        return json_object(raw, path_of)
    try:
        document = await anyio.to_thread.run_sync(read_yaml, raw)
    except InvalidYaml as error:
        raise Invalid([Fault("body", str(error))]) from None
    if not isinstance(document, dict):
        raise Invalid([Fault("body", "must be a mapping")])
    return document
