"""Groups that are listed in the configuration."""

from collections.abc import Callable, Mapping

Groups = Mapping[str, frozenset[str]]


class ListedDirectory:
    """Looks up a tenant's groups as the configuration lists them now."""

    def __init__(self, groups_in: Callable[[str], Groups]) -> None:
        self._groups_in = groups_in

    async def members_of(self, tenant: str, group: str) -> frozenset[str]:
        """Return everybody in a group."""
        return self._groups_in(tenant).get(group, frozenset())

    async def groups_of(self, tenant: str, person: str) -> frozenset[str]:
        """Return every group that somebody is in."""
        groups = self._groups_in(tenant)
        return frozenset(group for group, members in groups.items() if person in members)
