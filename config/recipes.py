"""By what code the documents of each container were made, kept beside their positions.

A follower that goes on from its position leaves documents as a former release made them. Whether that made
them otherwise, the code cannot tell, only a comparison: so a start says which were made by another, until a
rebuild or a comparison without a difference.
"""

from collections.abc import Iterable

import structlog

import domain
import projections
from application.event_store import EventStore
from application.recipe import recipe_of
from domain.lease import Unrivalled
from projections.ports import Checkpoints

log = structlog.get_logger(__name__)

_PARTITION = "recipe"
"""No tenant is called so, nor is any log's partition: among a follower's positions, it is none."""

_UNKNOWN = "of a release that has not noted it"


def recipe_now() -> str:
    """By what documents are made now: another release may fold otherwise, and does not go on with a build."""
    return recipe_of(domain, projections)


async def tell_of_other_recipes(names: Iterable[str], positions: Checkpoints, store: EventStore) -> None:
    """Note the recipe of containers that nothing has followed into yet, and name those of another one.

    Raises:
        StoreUnavailable: the positions or the log cannot be reached.
    """
    now, others = recipe_now(), []
    for name in names:
        lease = Unrivalled(name)
        known = await positions.load(name, _PARTITION, lease)
        if known is None:
            followed = await positions.load_all(name, await store.partitions(), lease)
            known = _UNKNOWN if any(followed.values()) else now
            await positions.save(name, _PARTITION, known, lease)
        if known != now:
            others.append(name)
    if others:
        log.warning(
            "documents_of_another_recipe",
            containers=others,
            why="another release has made them, and they stay so: an approval may be in nobody's inbox",
            command="workflow-orchestrator rebuild --verify names those that differ;"
            f" workflow-orchestrator rebuild {' '.join(others)} makes them anew",
        )


async def note_recipe(names: Iterable[str], positions: Checkpoints) -> None:
    """They are as this release makes them.

    Raises:
        StoreUnavailable: the positions cannot be reached.
    """
    now = recipe_now()
    for name in names:
        await positions.save(name, _PARTITION, now, Unrivalled(name))
