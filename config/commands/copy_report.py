"""What a copy of a log prints while it runs, and at its end."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter

import click

from application.event_log import PARTITION, is_position
from application.log_copy import Copied, Digest, FollowerPosition
from config.urls import SecretUrl

_MOST_TENANTS_TOLD = 20

Named = tuple[str, SecretUrl]


@contextmanager
def bar(doing: str, events: int) -> Iterator[Callable[[int], None]]:
    """Show how far a pass over the events has come, and how fast it is."""
    began = perf_counter()
    done = 0

    def rate(_: object) -> str:
        return f"{done / (perf_counter() - began):,.0f}/s"

    with click.progressbar(length=events, label=f"{doing:<24}", show_pos=True, item_show_func=rate) as shown:

        def update(count: int) -> None:
            nonlocal done
            done += count
            shown.update(count)

        yield update


def tell(copied: Copied, keys: int, source: Named, target: Named, notes: Sequence[str]) -> None:
    """Print what both sides hold, each with its option and its URL, then notes, and the result."""
    for (option, url), digest in ((source, copied.source), (target, copied.target)):
        click.echo(f"{option:<7} {digest}  {url}")
    for line in _tenants(copied.target.tenants):
        click.echo(line)
    positions = ", ".join(_positions(copied.positions))
    click.echo(
        f"beside it: {copied.timers} timers, {copied.step_calls} calls, positions: {positions or 'none'}"
    )
    if keys:
        click.echo(f"{keys} personal keys: the new store needs the same privacy master key")
    for note in notes:
        click.echo(note)
    click.echo("verified: the same log was there already" if copied.was_there else "copied and verified")


def _tenants(digests: Mapping[str, Digest]) -> Iterator[str]:
    """Yield what is the same on both sides, in each tenant's order."""
    for name, digest in sorted(digests.items())[:_MOST_TENANTS_TOLD]:
        yield f"  {name}: {digest}"
    if len(digests) > _MOST_TENANTS_TOLD:
        yield f"  and {len(digests) - _MOST_TENANTS_TOLD} tenants more"


def _positions(saved: Sequence[FollowerPosition]) -> Iterator[str]:
    """Yield the number of a follower's positions in tenants' orders, or else the partition if there are
    several."""
    of = Counter(each.follower for each in saved)
    told: set[str] = set()
    for each in saved:
        if each.partition != PARTITION and is_position(each.position):
            if each.follower not in told:
                told.add(each.follower)
                yield f"{each.follower} of {of[each.follower]} tenants"
            continue
        name = each.follower if of[each.follower] == 1 else f"{each.follower} {each.partition}"
        yield f"{name} {each.position}"
