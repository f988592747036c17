"""``workflow-orchestrator archive``: what is finished goes to files, and comes back."""

from pathlib import Path
from typing import Protocol

import click

from interfaces.outcome import CarryOut, Option
from interfaces.tenant_option import tenant_option


class ArchiveActions(Protocol):
    """What can be asked for about archives."""

    def archive(
        self,
        config: Path | None,
        out: Path | None,
        *,
        older_than: str,
        tenant: str | None,
        reason: str | None,
        dry_run: bool,
        public_keys: tuple[Path, ...],
    ) -> None:
        """Move what is finished to files."""
        ...

    def restore(self, config: Path | None, files: tuple[Path, ...], public_keys: tuple[Path, ...]) -> None:
        """Put the events of files back."""
        ...


def archive_commands(
    actions: ArchiveActions, config_option: Option, carry_out: CarryOut
) -> list[click.Command]:
    """The commands, over what carries them out."""
    file = click.Path(path_type=Path, dir_okay=False)

    @click.command()
    @config_option
    @click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="The folder for the files.")
    @click.option(
        "--older-than",
        default="90d",
        show_default=True,
        help="Such as 90d or 12h; by the last event of a thing.",
    )
    @tenant_option("Of that tenant alone.")
    @click.option("--reason", help="Why; it is noted with what is left in the log.")
    @click.option("--dry-run", is_flag=True, help="Tell how much it would be, and change nothing.")
    @click.option(
        "--public-key",
        "public_keys",
        type=file,
        multiple=True,
        help="Of before the key was changed: of who signed what is to be finished.",
    )
    def archive(
        config: Path | None,
        out: Path | None,
        older_than: str,
        tenant: str | None,
        reason: str | None,
        dry_run: bool,
        public_keys: tuple[Path, ...],
    ) -> None:
        """Move finished things out of the log, to files that `audit verify --export` verifies.

        Workflows with all that belongs to them, approvals, tasks and backfills. Their hashes stay, and so do
        their documents. On PostgreSQL and in Cosmos DB services may go on meanwhile; on SQLite stop
        the service first. What was killed is finished by the next one with the same --out.
        """
        carry_out(
            lambda: actions.archive(
                config,
                out,
                older_than=older_than,
                tenant=tenant,
                reason=reason,
                dry_run=dry_run,
                public_keys=public_keys,
            )
        )

    @click.command("archive-restore")
    @config_option
    @click.argument("files", metavar="FILE...", type=file, nargs=-1, required=True)
    @click.option("--public-key", "public_keys", type=file, multiple=True, help="Of who signed it.")
    def restore(config: Path | None, files: tuple[Path, ...], public_keys: tuple[Path, ...]) -> None:
        """Put the events of archives (FILE...) back in their places in the log."""
        carry_out(lambda: actions.restore(config, files, public_keys))

    return [archive, restore]
