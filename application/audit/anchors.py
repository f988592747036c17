"""Anchors: signed heads of tenants' chains, to be kept where nobody who can change the log can change them.

Each names the one before it by its id, and its place among its tenant's, so that none can be taken out
unseen. What is signed is a few lines of text, which anybody can put together again: see ``docs/audit.md``.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Protocol

import msgspec

from application.audit.chain import FORMAT, Head
from application.ports import PublicMessage
from domain.lease import Lease
from domain.values import SYSTEM_TENANT, derived_id

ANCHORED = "workflow.audit.anchored"


class Signer(Protocol):
    """Signs with the service's key."""

    @property
    def key_id(self) -> str:
        """The fingerprint of the public key."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a text."""
        ...


class PublicKey(Protocol):
    """Verifies what was signed with the private key that belongs to it."""

    @property
    def key_id(self) -> str:
        """The fingerprint of this key."""
        ...

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Return whether a signature is of that text and this key."""
        ...


class Signed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A signed head. Hashes and signatures are in hexadecimal digits."""

    tenant_id: str
    number: int
    position: int
    hash: str
    signed_at: str
    key_id: str
    signature: str

    @property
    def text(self) -> bytes:
        """The text that is signed."""
        return _lines(
            f"{FORMAT} head",
            self.tenant_id,
            self.number,
            self.position,
            self.hash,
            self.signed_at,
            self.key_id,
        )


class Anchor(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A signed head with its place among those of its tenant.

    ``previous`` is the id of the one before, empty in the first. ``previous_held`` tells whether the head of
    that one was still on the chain when this one was made: if not, the log was changed, or is another.
    """

    tenant_id: str
    sequence: int
    number: int
    position: int
    hash: str
    anchored_at: str
    key_id: str
    previous: str
    previous_held: bool
    signature: str

    @property
    def text(self) -> bytes:
        """The text that is signed."""
        return _lines(
            f"{FORMAT} anchor",
            self.tenant_id,
            self.sequence,
            self.number,
            self.position,
            self.hash,
            self.anchored_at,
            self.key_id,
            self.previous,
            "held" if self.previous_held else "lost",
        )

    @property
    def id(self) -> str:
        """The name by which the next anchor refers to this one: SHA-256 of the signed text."""
        return sha256(self.text).hexdigest()


def signed_head(head: Head, signed_at: str, signer: Signer) -> Signed:
    """Sign a head."""
    unsigned = Signed(
        tenant_id=head.tenant,
        number=head.number,
        position=head.position,
        hash=head.chain.hex(),
        signed_at=signed_at,
        key_id=signer.key_id,
        signature="",
    )
    return msgspec.structs.replace(unsigned, signature=signer.sign(unsigned.text).hex())


def anchor_of(
    head: Head, previous: Anchor | None, *, previous_held: bool, anchored_at: str, signer: Signer
) -> Anchor:
    """Return the anchor of a head, which follows its tenant's last anchor."""
    unsigned = Anchor(
        tenant_id=head.tenant,
        sequence=1 if previous is None else previous.sequence + 1,
        number=head.number,
        position=head.position,
        hash=head.chain.hex(),
        anchored_at=anchored_at,
        key_id=signer.key_id,
        previous="" if previous is None else previous.id,
        previous_held=previous_held,
        signature="",
    )
    return msgspec.structs.replace(unsigned, signature=signer.sign(unsigned.text).hex())


def message_of(anchor: Anchor) -> PublicMessage:
    """Return the message that publishes an anchor: the head and its proof, without any payload."""
    return PublicMessage(
        id=derived_id("audit anchor", anchor.id),
        type=ANCHORED,
        tenant=SYSTEM_TENANT,
        timestamp=datetime.fromisoformat(anchor.anchored_at),
        data=msgspec.to_builtins(anchor),
        metadata={},
    )


class AnchorBook(Protocol):
    """The last anchor of each tenant, stored beside the log before it is published.

    All raise StoreUnavailable when the store is away, and LeaseLost if a lease is given and has passed on.
    """

    async def last(self) -> Sequence[Anchor]:
        """Return the last anchor of each tenant."""
        ...

    async def of(self, tenant: str) -> Anchor | None:
        """Return the last anchor of a tenant, if it has one."""
        ...

    async def waiting(self) -> Sequence[Anchor]:
        """Return the last anchors that are not known to be published."""
        ...

    async def keep(self, anchors: Sequence[Anchor], lease: Lease) -> None:
        """Store each anchor as its tenant's last one, not yet published. All are stored, or none."""
        ...

    async def note_out(self, anchors: Sequence[Anchor], lease: Lease) -> None:
        """Note that these anchors are published."""
        ...


class AnchorFile(Protocol):
    """Keeps anchors in a file, outside of the store."""

    async def append(self, anchors: Sequence[Anchor]) -> None:
        """Append anchors. They are on the disk when the call returns.

        Raises:
            AnchorFileUnavailable: it is not known whether they are in the file.
        """
        ...

    async def last(self) -> Sequence[Anchor]:
        """Return the last anchor of each tenant in the file, or none if there is no file."""
        ...


def _lines(*parts: str | int) -> bytes:
    return "".join(f"{part}\n" for part in parts).encode()


def bytes_in(digits: str) -> bytes:
    """Return the bytes that hexadecimal digits stand for, or none if the text has other characters."""
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""
