"""The cryptography: one key a subject, one key a value derived from it, and a master key over all.

A value has a key of its own, so that an export can prove one value without giving away another. It is bound
to its place: a sealed value that is moved to another event or field opens no more.
"""

import base64
import hmac
import os
from binascii import a2b_base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32

_SALT_BYTES = 16
_SALT_TEXT = 24
"""Characters of base64 that hold it."""

_NONCE_BYTES = 12
_NONCE = bytes(_NONCE_BYTES)
"""A value's key is used once."""

_VALUE = b"workflow-orchestrator personal value v1\n"

_TAG = b"workflow-orchestrator tag v1\n"

_FINGERPRINT = b"workflow-orchestrator fingerprint v1\n"
_FINGERPRINT_BYTES = 4


class WrongMasterKey(Exception):
    """A personal key was wrapped by another master key."""


class MasterKey:
    """Wraps personal keys, each bound to its id; and tags what is kept where others may write.

    What ``others`` have wrapped is opened too: while one key takes the place of another, both are in use.
    """

    def __init__(self, key: bytes, *others: bytes) -> None:
        self._cipher = AESGCM(key)
        self._others = [AESGCM(other) for other in others]
        self._tags_with = hmac.digest(key, _TAG, "sha256")

    @property
    def fingerprint(self) -> str:
        """By which it is told from another, and nothing is learnt of it."""
        return self.tag(_FINGERPRINT)[:_FINGERPRINT_BYTES].hex()

    def tag(self, content: bytes) -> bytes:
        """What nobody without the master key can make of a content."""
        return hmac.digest(self._tags_with, content, "sha256")

    def wrap(self, id: str, key: bytes) -> bytes:
        """The key as it may be stored."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, id.encode())

    def unwrap(self, id: str, wrapped: bytes) -> bytes:
        """The key again.

        Raises:
            WrongMasterKey: it was wrapped by another.
        """
        for cipher in (self._cipher, *self._others):
            key = _decrypted(cipher, id, wrapped)
            if key is not None:
                return key
        raise WrongMasterKey(f"the personal key {id} was wrapped by another master key")

    def has_wrapped(self, id: str, wrapped: bytes) -> bool:
        """Whether it was this key that has wrapped one, and none of the others."""
        return _decrypted(self._cipher, id, wrapped) is not None


def _decrypted(cipher: AESGCM, id: str, wrapped: bytes) -> bytes | None:
    try:
        return cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], id.encode())
    except InvalidTag:
        return None


def new_key() -> bytes:
    """A personal key."""
    return os.urandom(KEY_BYTES)


def new_id() -> str:
    """A key's id, which says nothing of whose it is."""
    return os.urandom(_SALT_BYTES).hex()


def seal(key: bytes, value: bytes, place: bytes) -> str:
    """A value under a subject's key, bound to its place."""
    salt = os.urandom(_SALT_BYTES)
    sealed = AESGCM(_value_key(key, salt)).encrypt(_NONCE, value, place)
    return base64.b64encode(salt + sealed).decode()


def value_key_of(key: bytes, sealed: str) -> bytes:
    """The key that opens this value and no other."""
    return _value_key(key, a2b_base64(sealed[:_SALT_TEXT])[:_SALT_BYTES])


def opened(value_key: bytes, sealed: str, place: bytes) -> bytes | None:
    """The value again; none where it does not open: another key, another place, or it was altered."""
    try:
        return AESGCM(value_key).decrypt(_NONCE, a2b_base64(sealed)[_SALT_BYTES:], place)
    except (InvalidTag, ValueError):
        return None


def _value_key(key: bytes, salt: bytes) -> bytes:
    return hmac.digest(key, _VALUE + salt, "sha256")
