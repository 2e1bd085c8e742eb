"""Wraps one key by another: AES-256-GCM under a key derived for this one use.

What is wrapped is a salt of 32 bytes, then the key's ciphertext, then the tag of 16 bytes. Each
wrapping key is HKDF-SHA256 of the outer key and the salt and seals nothing else, so its nonce is
always zero, and there is no bound on how many keys one outer key may wrap.
"""

from __future__ import annotations

from typing import Final

from fastobj.core.ids import random_id
from fastobj.core.secret import Secret
from fastobj.kms.base import WrapMismatch

KEY_BYTES: Final = 32
_SALT_BYTES: Final = 32
_TAG_BYTES: Final = 16
WRAPPED_BYTES: Final = _SALT_BYTES + KEY_BYTES + _TAG_BYTES
_NONCE: Final = bytes(12)
_PURPOSE: Final = b"fastobj wrap 1"


def derive(key: Secret, salt: bytes, purpose: bytes) -> bytes:
    """A key of 32 bytes for one purpose (HKDF-SHA256)."""
    # Only here, and below: a server that encrypts nothing needs none of its memory.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt, purpose).derive(key.value)


def wrap(outer: Secret, plain: Secret, context: bytes) -> bytes:
    """The key as it may be stored; `context` must be the same when it is unwrapped."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt = random_id(_SALT_BYTES)
    sealing = AESGCM(derive(outer, salt, _PURPOSE))
    return salt + sealing.encrypt(_NONCE, plain.value, context)


def unwrap(outer: Secret, wrapped: bytes, context: bytes) -> Secret:
    """The key that was wrapped. Raises WrapMismatch."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(wrapped) != WRAPPED_BYTES:
        raise WrapMismatch(f"a wrapped key has {len(wrapped)} bytes, not {WRAPPED_BYTES}")
    salt, sealed = wrapped[:_SALT_BYTES], wrapped[_SALT_BYTES:]
    opening = AESGCM(derive(outer, salt, _PURPOSE))
    try:
        return Secret(opening.decrypt(_NONCE, sealed, context))
    except InvalidTag:
        raise WrapMismatch("a wrapped key does not open with this key and context") from None
