"""Which code made the documents of each container. This is stored beside their positions.

A follower that continues from its position leaves documents as a former release made them. Only a comparison
can show whether that made them in another way. So a start says which containers were made by other code,
until a rebuild, or a comparison without a difference.
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
"""No tenant has this name, and no partition of a log has. So it is not a position of a follower."""

_UNKNOWN = "of a release that has not noted it"


def recipe_now() -> str:
    """Return a hash of the code that makes documents now. Another release may fold in another way, and does
    not continue a build."""
    return recipe_of(domain, projections)


async def tell_of_other_recipes(names: Iterable[str], positions: Checkpoints, store: EventStore) -> None:
    """Note the recipe of containers that no follower has filled yet, and log those with another recipe.

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
    """Note that these containers are as this release makes them.

    Raises:
        StoreUnavailable: the positions cannot be reached.
    """
    now = recipe_now()
    for name in names:
        await positions.save(name, _PARTITION, now, Unrivalled(name))
