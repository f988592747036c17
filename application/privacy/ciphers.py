"""The cryptography: a key for each subject, a key for each value derived from it, and a master key for all.

Each value has its own key, so that an export can prove one value without revealing another. A value is bound
to its place: if it is moved to another event or field, it cannot be decrypted.
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
"""The number of base64 characters that contain the salt."""

_NONCE_BYTES = 12
_NONCE = bytes(_NONCE_BYTES)
"""The nonce can be constant, because the key of a value is used only once."""

_VALUE = b"workflow-orchestrator personal value v1\n"

_TAG = b"workflow-orchestrator tag v1\n"

_FINGERPRINT = b"workflow-orchestrator fingerprint v1\n"
_FINGERPRINT_BYTES = 4


class WrongMasterKey(Exception):
    """A personal key was wrapped with another master key."""


class MasterKey:
    """Wraps personal keys, each bound to its ID, and authenticates data that is stored where others can
    write.

    Keys that ``others`` have wrapped are unwrapped too: while one master key replaces another, both are in
    use.
    """

    def __init__(self, key: bytes, *others: bytes) -> None:
        self._cipher = AESGCM(key)
        self._others = [AESGCM(other) for other in others]
        self._tags_with = hmac.digest(key, _TAG, "sha256")

    @property
    def fingerprint(self) -> str:
        """Identifies the key without revealing anything about it."""
        return self.tag(_FINGERPRINT)[:_FINGERPRINT_BYTES].hex()

    def tag(self, content: bytes) -> bytes:
        """Return the authentication code of a content, which only the master key can create."""
        return hmac.digest(self._tags_with, content, "sha256")

    def wrap(self, id: str, key: bytes) -> bytes:
        """Return a key encrypted, for storing."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, id.encode())

    def unwrap(self, id: str, wrapped: bytes) -> bytes:
        """Return a key decrypted.

        Raises:
            WrongMasterKey: it was wrapped with another master key.
        """
        for cipher in (self._cipher, *self._others):
            key = _decrypted(cipher, id, wrapped)
            if key is not None:
                return key
        raise WrongMasterKey(f"the personal key {id} was wrapped by another master key")

    def has_wrapped(self, id: str, wrapped: bytes) -> bool:
        """Return whether a key was wrapped with this master key, and not with one of the others."""
        return _decrypted(self._cipher, id, wrapped) is not None


def _decrypted(cipher: AESGCM, id: str, wrapped: bytes) -> bytes | None:
    try:
        return cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], id.encode())
    except InvalidTag:
        return None


def new_key() -> bytes:
    """Return a new personal key."""
    return os.urandom(KEY_BYTES)


def new_id() -> str:
    """Return a new ID for a key, which does not reveal whose key it is."""
    return os.urandom(_SALT_BYTES).hex()


def seal(key: bytes, value: bytes, place: bytes) -> str:
    """Return a value encrypted with a subject's key, and bound to its place."""
    salt = os.urandom(_SALT_BYTES)
    sealed = AESGCM(_value_key(key, salt)).encrypt(_NONCE, value, place)
    return base64.b64encode(salt + sealed).decode()


def value_key_of(key: bytes, sealed: str) -> bytes:
    """Return the key that decrypts only this value."""
    return _value_key(key, a2b_base64(sealed[:_SALT_TEXT])[:_SALT_BYTES])


def opened(value_key: bytes, sealed: str, place: bytes) -> bytes | None:
    """Return a value decrypted, or None if the key or the place is another, or the value was altered."""
    try:
        return AESGCM(value_key).decrypt(_NONCE, a2b_base64(sealed)[_SALT_BYTES:], place)
    except (InvalidTag, ValueError):
        return None


def _value_key(key: bytes, salt: bytes) -> bytes:
    return hmac.digest(key, _VALUE + salt, "sha256")
