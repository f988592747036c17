"""``workflow-orchestrator audit``: proofs on the command line."""

from pathlib import Path
from typing import Protocol

import click

from interfaces.outcome import CANNOT_TELL, CarryOut, Option
from interfaces.tenant_option import tenant_option


class AuditActions(Protocol):
    """What can be asked for about the audit trail."""

    def verify(
        self,
        config: Path | None,
        *,
        export: Path | None,
        public_keys: tuple[Path, ...],
        anchors: tuple[Path, ...],
        as_json: bool,
    ) -> bool:
        """Check an export, or the live store; whether all of it is sound."""
        ...

    def export(self, config: Path | None, *, tenant: str, out: Path | None, filters: dict[str, str]) -> None:
        """Write a tenant's events."""
        ...

    def head(self, config: Path | None, *, tenant: str | None, as_json: bool) -> None:
        """Print where chains end."""
        ...

    def keygen(self, file: Path) -> None:
        """Make a key to sign with."""
        ...


def audit_commands(actions: AuditActions, config_option: Option, carry_out: CarryOut) -> click.Group:
    """The commands, over what carries them out."""
    file = click.Path(path_type=Path, dir_okay=False)
    json_option = click.option("--json", "as_json", is_flag=True, help="In JSON.")

    @click.group()
    def audit() -> None:
        """Prove that nobody has changed the record: see docs/audit.md."""

    @audit.command()
    @config_option
    @click.option("--export", type=file, help="An export to check offline; else the configured store is.")
    @click.option(
        "--public-key", "public_keys", type=file, multiple=True, help="Of the service; all that it has had."
    )
    @click.option(
        "--anchors",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Anchors from outside: the file, or messages, line by line; or a folder of such files.",
    )
    @json_option
    def verify(
        config: Path | None,
        export: Path | None,
        public_keys: tuple[Path, ...],
        anchors: tuple[Path, ...],
        as_json: bool,
    ) -> None:
        """Compute the chain anew and name what is not as it was written.

        Ends with 0 where nothing was found, with 1 where something was, with 2 where it cannot be told.
        """
        carry_out(
            lambda: actions.verify(
                config, export=export, public_keys=public_keys, anchors=anchors, as_json=as_json
            ),
            failed=CANNOT_TELL,
        )

    @audit.command()
    @config_option
    @tenant_option("Whose events.", required=True)
    @click.option("--out", type=file, help="Where to; else to the standard output.")
    @click.option("--type", "type_", help="Events of that type; of the others, the hashes alone.")
    @click.option("--aggregate-id", help="Likewise, of that workflow, approval, …")
    @click.option("--actor", help="Likewise, by whom.")
    @click.option("--correlation-id", help="Likewise, under that correlation id.")
    @click.option("--after", help="Begin after that time, or that position of the log.")
    @click.option("--before", help="Of events from that time or position on, the hashes alone.")
    def export(
        config: Path | None, tenant: str, out: Path | None, type_: str | None, **rest: str | None
    ) -> None:
        """Write a tenant's events as NDJSON, with the hashes and the signed head that prove them."""
        given = {"type": type_, **rest}
        filters = {name: value for name, value in given.items() if value is not None}
        carry_out(lambda: actions.export(config, tenant=tenant, out=out, filters=filters))

    @audit.command()
    @config_option
    @tenant_option("Of that tenant; else of all.")
    @json_option
    def head(config: Path | None, tenant: str | None, as_json: bool) -> None:
        """Print where the tenants' chains end."""
        carry_out(lambda: actions.head(config, tenant=tenant, as_json=as_json))

    @audit.command()
    @click.argument("file", type=file)
    def keygen(file: Path) -> None:
        """Make an Ed25519 key to sign with, in FILE, and its public key beside it."""
        carry_out(lambda: actions.keygen(file))

    return audit
