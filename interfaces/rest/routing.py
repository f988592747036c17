"""Starlette's router, with the routes found by a walk along the path's segments.

The stock one tries the pattern of each route in turn, which costs as much as the rest of a short request.
"""

from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

_ANY = None
"""Stands for a name among the literal segments."""


class PreparedRouter(Router):
    """Routes whose paths are literal segments and ``{names}``, each a whole segment; the last may be a
    ``{name:path}``, which takes whatever comes.

    Where a literal segment and a name stand at the same place, the literal one is taken.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        known = list(routes)
        super().__init__(routes=known, redirect_slashes=False)
        self._root = _Node()
        for route in known:
            self._root.add(route)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to its route.

        Raises:
            HTTPException: 404, or 405 with the methods that the path has.
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
    """A place in the tree of paths."""

    __slots__ = ("children", "rest", "routes")

    def __init__(self) -> None:
        self.children: dict[str | None, _Node] = {}
        self.rest: _Node | None = None
        """Where a name takes all that is left of a path."""
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
        """The place of a path, and the values of its names from left to right."""
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
