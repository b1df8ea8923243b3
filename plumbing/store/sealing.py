"""Identifiers at rest: a keyed digest to find them by, and their value encrypted for those who may see it.

Both keys are derived from one secret (HKDF, RFC 5869): HMAC-SHA-256 truncated to 16 bytes for the digest, AES-256-GCM
with a random 12-byte nonce in front for the value. Without the secret the store names nobody.
"""

import hmac
from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from journey.errors import Misconfigured

_NONCE_BYTES = 12
_DIGEST_BYTES = 16
SHORTEST_SECRET = 32
"""Bytes that `JALON_SECRET_KEY` must have at least."""


class Sealer:
    """Digests and encrypts identifier values under one secret (`SHORTEST_SECRET` bytes or more).

    Raises `Misconfigured` when the secret is too short.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SHORTEST_SECRET:
            raise Misconfigured(f"JALON_SECRET_KEY must have at least {SHORTEST_SECRET} bytes")
        self._digest_key = _derive(secret, b"jalon identifier digest")
        self._cipher = AESGCM(_derive(secret, b"jalon identifier value"))

    def digest(self, kind: str, value: str, scope: str = "") -> bytes:
        """16 bytes that stand for the identifier, their hex a customer id. `scope` is the source it counts in."""
        message = b"\0".join((kind.encode(), scope.encode(), value.encode()))
        return hmac.digest(self._digest_key, message, "sha256")[:_DIGEST_BYTES]

    def seal(self, value: str) -> bytes:
        nonce = urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value.encode(), None)

    def unseal(self, sealed: bytes) -> str:
        """The value that `seal` was given.

        Raises `Misconfigured` when it was sealed under another secret.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None).decode()
        except InvalidTag:
            raise Misconfigured("JALON_SECRET_KEY is not the one that this store was written under") from None


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret)
