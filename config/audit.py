"""What signs the heads of the audit trail, and where they are sent."""

from pathlib import Path

from application.audit.anchoring import Anchoring
from application.audit.checking import Checking
from application.audit.export import Export
from application.audit.trail import Trail
from application.ports import Clock, Publisher
from config.faults import SettingFault
from config.key_files import key_text
from config.kinds import NO_FILE
from config.sections import Settings
from config.stores import Stores
from config.wrong_settings import WrongSettings, both_set
from infrastructure.anchor_file import NdjsonAnchorFile, NoAnchorFile
from infrastructure.signatures import BadKey, Ed25519Signer, signer_from
from interfaces.rest.audit import shown_event

ANCHORS = "audit-anchors.ndjson"

_KEY, _KEY_FILE = ("audit", "signing_key"), ("audit", "signing_key_file")

NO_SIGNING_KEY = "neither audit.signing_key nor audit.signing_key_file is set"
"""Why nothing is signed."""


def signer_of(settings: Settings) -> Ed25519Signer | None:
    """Return the configured key, if there is one.

    Raises:
        WrongSettings: it cannot be read, or cannot be used; or there are two.
    """
    pem, file = settings.audit.signing_key.get_secret_value().encode(), settings.audit.signing_key_file
    if pem and file is not None:
        raise WrongSettings(settings, [both_set(_KEY, _KEY_FILE)])
    where = _KEY
    if file is not None:
        where = _KEY_FILE
        try:
            pem = key_text(file)
        except OSError as error:
            raise WrongSettings(settings, [SettingFault(where, f"{error.strerror}")]) from error
    elif not pem:
        return None
    try:
        return signer_from(pem)
    except BadKey as bad:
        reason = f"{bad}; workflow-orchestrator audit keygen makes one"
        raise WrongSettings(settings, [SettingFault(where, reason)]) from None


def anchor_file_of(settings: Settings) -> Path | None:
    """Return where anchors are stored, or None if only messages are sent."""
    if settings.audit.anchor_file == NO_FILE:
        return None
    return settings.audit.anchor_file or settings.storage.data_dir / ANCHORS


def build_trail(stores: Stores, signer: Ed25519Signer | None, clock: Clock) -> tuple[Trail, Checking, Export]:
    """Build what queries the trail, what checks it, and what exports it."""
    log, index, anchors, store = (
        stores.audit.log,
        stores.audit.index,
        stores.audit.anchors,
        stores.event_store,
    )
    return (
        Trail(log, index, anchors, store.recorded),
        Checking(log, index, anchors),
        Export(log, index, store.recorded_with_keys, shown_event, signer, clock),
    )


def build_anchoring(
    settings: Settings, stores: Stores, signer: Ed25519Signer, publisher: Publisher, clock: Clock
) -> Anchoring:
    """Build the part that anchors."""
    file = anchor_file_of(settings)
    return Anchoring(
        stores.event_store,
        stores.audit.index,
        stores.audit.anchors,
        NoAnchorFile() if file is None else NdjsonAnchorFile(file),
        publisher,
        signer,
        clock,
        every_seconds=settings.audit.anchor_every_seconds,
    )
