"""Ed25519: the service's signing key, and the public keys that verify its signatures."""

from hashlib import sha256

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_NO_PRIVATE_KEY = "it is not an Ed25519 private key in PEM without a password"
_NO_PUBLIC_KEY = "it is not an Ed25519 public key in PEM"


class BadKey(ValueError):
    """The key is not of the required kind. The text says what is required, and nothing of what was given."""


class Ed25519Signer:
    """A private key, which never leaves this object."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = Ed25519Verifier(key.public_key())
        self.key_id = self.public.key_id

    def __repr__(self) -> str:
        return f"Ed25519Signer({self.key_id})"

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a text."""
        return self._key.sign(text)


class Ed25519Verifier:
    """A public key. Its id is the SHA-256 of its DER form, which ``openssl`` can also compute."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.key_id = f"sha256:{sha256(der).hexdigest()}"

    @property
    def pem(self) -> bytes:
        """The key in PEM form."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Return whether a signature is of that text and this key."""
        try:
            self._key.verify(signature, text)
        except InvalidSignature:
            return False
        return True


def signer_from(pem: bytes) -> Ed25519Signer:
    r"""Return the key in a PEM text. If the text is on one line, ``\n`` marks the ends of its lines.

    Raises:
        BadKey: there is no unencrypted Ed25519 private key in it.
    """
    try:
        key = serialization.load_pem_private_key(pem.replace(b"\\n", b"\n"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey(_NO_PRIVATE_KEY) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(_NO_PRIVATE_KEY)
    return Ed25519Signer(key)


def verifier_from(pem: bytes) -> Ed25519Verifier:
    """Return the key in a PEM text.

    Raises:
        BadKey: there is no Ed25519 public key in it.
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey(_NO_PUBLIC_KEY) from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey(_NO_PUBLIC_KEY)
    return Ed25519Verifier(key)


def new_key() -> tuple[bytes, Ed25519Signer]:
    """Return the PEM text of a new private key, and its signer."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, Ed25519Signer(key)
