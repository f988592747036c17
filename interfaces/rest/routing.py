"""Starlette's router, except that a route is found by the path's segments.

Starlette's own tries the pattern of each route in turn, which costs as much as the rest of a short request.
"""

from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

_ANY = None
"""The key of a ``{name}`` among the literal segments."""


class PreparedRouter(Router):
    """Routes whose paths consist of literal segments and ``{names}``. The last segment may be a
    ``{name:path}``, which matches the rest of the path.

    A literal segment takes precedence over a name.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        known = list(routes)
        super().__init__(routes=known, redirect_slashes=False)
        self._root = _Node()
        for route in known:
            self._root.add(route)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to its route.

        Raises:
            HTTPException: 404, or 405 with the methods of the path in ``Allow``.
        """
        if scope["type"] != "http":
            await super().app(scope, receive, send)
            return
        node, values = self._root.find(scope["path"])
        if node is None or not node.routes:
            raise HTTPException(404)
        route = node.routes.get(scope["method"])
        if route is None:
            scope["route"] = next(iter(node.routes.values()))
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(node.routes))})
        scope["route"] = route
        scope["path_params"] = dict(zip(route.param_convertors, values, strict=True))
        await route.app(scope, receive, send)


class _Node:
    """A node in the tree of paths."""

    __slots__ = ("children", "rest", "routes")

    def __init__(self) -> None:
        self.children: dict[str | None, _Node] = {}
        self.rest: _Node | None = None
        """The node of a ``{name:path}``."""
        self.routes: dict[str, Route] = {}

    def add(self, route: Route) -> None:
        node = self
        for segment in route.path.split("/"):
            if segment.endswith(":path}"):
                node.rest = node = node.rest or _Node()
                continue
            name = _ANY if segment.startswith("{") else segment
            node = node.children.setdefault(name, _Node())
        node.routes.update(dict.fromkeys(route.methods or (), route))

    def find(self, path: str) -> "tuple[_Node | None, list[str]]":
        """Return the node of a path, or None, and the values of its names from left to right."""
        node: _Node | None = self
        values: list[str] = []
        segments = path.split("/")
        for number, segment in enumerate(segments):
            assert node is not None
            child = node.children.get(segment)
            if child is None and node.rest is not None:
                values.append("/".join(segments[number:]))
                return node.rest if values[-1] else None, values
            if child is None:
                child = node.children.get(_ANY) if segment else None
                if child is None:
                    return None, values
                values.append(segment)
            node = child
        return node, values
