"""What this version answers, and no more.

openapi.yaml leaves its answers open to later versions, so that a client that was generated from it reads
them, and says in words only what a value may be. The tests hold the service to more.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Json = dict[str, Any]

_NO_NUL = {"pattern": r"^[^\x00]*$"}

_VALUE = {"$ref": "#/components/schemas/JsonValue"}

VALUES: dict[str, Json] = {
    "JsonObject": {"type": "object", "propertyNames": _NO_NUL, "additionalProperties": _VALUE},
    "JsonValue": {
        "type": ["object", "array", "string", "number", "boolean", "null"],
        **_NO_NUL,
        "minimum": -(2**53) + 1,
        "maximum": 2**53 - 1,
        "items": _VALUE,
        "propertyNames": _NO_NUL,
        "additionalProperties": _VALUE,
    },
}
"""The bounds that the contract has in words: generators of clients choke on a schema that leads to itself."""

TENANT: Json = {"type": "string", "format": "uuid"}
"""The contract has a pattern, since of this generators make what httpx sends in no header.

Of this schemathesis makes a tenant that it comes back to, and so it finds what it has made before.
"""


def strict(published: Json) -> Json:
    """A contract with closed objects, but for those that may hold anything, with values within their bounds,
    with the codes of this version, and with tenants that are UUIDs.
    """
    document = deepcopy(published)
    schemas = document["components"]["schemas"]
    bases = {
        each["$ref"].rpartition("/")[2]
        for schema in schemas.values()
        for node in parts(schema)
        for each in node.get("allOf", ())
    }
    for name, schema in schemas.items():
        for node in parts(schema):
            if "allOf" in node:
                node["unevaluatedProperties"] = False
            elif "properties" in node and not (node is schema and name in bases):
                node.setdefault("additionalProperties", False)
    schemas["ErrorCode"] = {"$ref": "#/components/schemas/KnownErrorCode"}
    schemas.update(deepcopy(VALUES))
    document["components"]["parameters"]["TenantId"]["schema"] = deepcopy(TENANT)
    return document


def parts(schema: Json) -> Iterator[Json]:
    """A schema and those within it, but for what it refers to."""
    yield schema
    within = [*schema.get("properties", {}).values()]
    within += [each for keyword in ("allOf", "anyOf", "oneOf") for each in schema.get(keyword, ())]
    within += [schema[name] for name in ("items", "additionalProperties", "contentSchema") if name in schema]
    for each in within:
        if isinstance(each, dict):
            yield from parts(each)
