"""``workflow-orchestrator audit``: proofs on the command line."""

from pathlib import Path
from typing import Protocol

import click

from interfaces.outcome import CANNOT_TELL, CarryOut, Option
from interfaces.tenant_option import tenant_option


class AuditActions(Protocol):
    """The actions on the audit trail."""

    def verify(
        self,
        config: Path | None,
        *,
        export: Path | None,
        public_keys: tuple[Path, ...],
        anchors: tuple[Path, ...],
        as_json: bool,
    ) -> bool:
        """Check an export, or the live store. Return whether everything is sound."""
        ...

    def export(self, config: Path | None, *, tenant: str, out: Path | None, filters: dict[str, str]) -> None:
        """Write a tenant's events."""
        ...

    def head(self, config: Path | None, *, tenant: str | None, as_json: bool) -> None:
        """Print where each tenant's hash chain ends."""
        ...

    def keygen(self, file: Path) -> None:
        """Create a signing key."""
        ...


def audit_commands(actions: AuditActions, config_option: Option, carry_out: CarryOut) -> click.Group:
    """Return the commands for these actions."""
    file = click.Path(path_type=Path, dir_okay=False)
    json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

    @click.group()
    def audit() -> None:
        """Prove that nobody has changed the event log: see docs/audit.md."""

    @audit.command()
    @config_option
    @click.option("--export", type=file, help="An export to check offline, instead of the configured store.")
    @click.option(
        "--public-key",
        "public_keys",
        type=file,
        multiple=True,
        help="A public key of the service. Give every key that the service has had.",
    )
    @click.option(
        "--anchors",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Anchors kept elsewhere: the anchor file, a file of anchor messages (one per line), or a folder"
        " of such files.",
    )
    @json_option
    def verify(
        config: Path | None,
        export: Path | None,
        public_keys: tuple[Path, ...],
        anchors: tuple[Path, ...],
        as_json: bool,
    ) -> None:
        """Compute the hash chain again, and name what has changed since it was written.

        The exit code is 0 if nothing was found, 1 if something was found, 2 if that cannot be told.
        """
        carry_out(
            lambda: actions.verify(
                config, export=export, public_keys=public_keys, anchors=anchors, as_json=as_json
            ),
            failed=CANNOT_TELL,
        )

    @audit.command()
    @config_option
    @tenant_option("The tenant whose events to export.", required=True)
    @click.option("--out", type=file, help="The file to write; the default is standard output.")
    @click.option("--type", "type_", help="Export in full only events of this type; others as hashes only.")
    @click.option("--aggregate-id", help="Likewise, only events of this workflow, approval, …")
    @click.option("--actor", help="Likewise, only events of this actor.")
    @click.option("--correlation-id", help="Likewise, only events with this correlation id.")
    @click.option("--after", help="Begin after this time, or after this position in the log.")
    @click.option("--before", help="Export events from this time or position on as hashes only.")
    def export(
        config: Path | None, tenant: str, out: Path | None, type_: str | None, **rest: str | None
    ) -> None:
        """Export a tenant's events as NDJSON, with the hashes and the signed head that prove them."""
        given = {"type": type_, **rest}
        filters = {name: value for name, value in given.items() if value is not None}
        carry_out(lambda: actions.export(config, tenant=tenant, out=out, filters=filters))

    @audit.command()
    @config_option
    @tenant_option("Only this tenant; the default is all tenants.")
    @json_option
    def head(config: Path | None, tenant: str | None, as_json: bool) -> None:
        """Print where each tenant's hash chain ends."""
        carry_out(lambda: actions.head(config, tenant=tenant, as_json=as_json))

    @audit.command()
    @click.argument("file", type=file)
    def keygen(file: Path) -> None:
        """Create an Ed25519 signing key in FILE, and its public key beside it."""
        carry_out(lambda: actions.keygen(file))

    return audit
