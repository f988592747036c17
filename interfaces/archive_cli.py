"""``workflow-orchestrator archive`` and ``archive-restore``: move what has ended to files, and back."""

from pathlib import Path
from typing import Protocol

import click

from interfaces.outcome import CarryOut, Option
from interfaces.tenant_option import tenant_option


class ArchiveActions(Protocol):
    """The actions on archives."""

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
        """Move the events of what has ended to files."""
        ...

    def restore(self, config: Path | None, files: tuple[Path, ...], public_keys: tuple[Path, ...]) -> None:
        """Put the events of files back in the log."""
        ...


def archive_commands(
    actions: ArchiveActions, config_option: Option, carry_out: CarryOut
) -> list[click.Command]:
    """Return the commands for these actions."""
    file = click.Path(path_type=Path, dir_okay=False)

    @click.command()
    @config_option
    @click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="The folder for the files.")
    @click.option(
        "--older-than",
        default="90d",
        show_default=True,
        help="Archive what had its last event at least this long ago, such as 90d or 12h.",
    )
    @tenant_option("Archive this tenant only.")
    @click.option("--reason", help="The reason. It is noted in the log with the hashes that stay there.")
    @click.option("--dry-run", is_flag=True, help="Print how much would be archived, and change nothing.")
    @click.option(
        "--public-key",
        "public_keys",
        type=file,
        multiple=True,
        help="A former public key of the service, if an archive that has to be finished was signed with it.",
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
        """Move what has ended out of the log, to files that `audit verify --export` verifies.

        The command archives workflows with all that belongs to them, approvals, tasks and backfills. Their
        hashes stay in the log, and their documents stay. With PostgreSQL and Cosmos DB the services can keep
        running; with SQLite stop the service first. If the command is killed, run it again with the same
        --out: it finishes the work.
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
    @click.option("--public-key", "public_keys", type=file, multiple=True, help="The signer's public key.")
    def restore(config: Path | None, files: tuple[Path, ...], public_keys: tuple[Path, ...]) -> None:
        """Put the events of archives (FILE...) back in their places in the log."""
        carry_out(lambda: actions.restore(config, files, public_keys))

    return [archive, restore]
