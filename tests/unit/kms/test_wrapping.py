"""Keys wrapped by keys: what opens, and what does not."""

import os

import pytest

from fastobj.core.secret import Secret
from fastobj.kms import wrapping
from fastobj.kms.base import WrapMismatch


def secret():
    return Secret(os.urandom(32))


def test_a_wrapped_key_opens_with_its_key_and_context():
    outer, plain = secret(), secret()
    wrapped = wrapping.wrap(outer, plain, b"context")
    assert len(wrapped) == wrapping.WRAPPED_BYTES
    assert plain.value not in wrapped
    assert wrapping.unwrap(outer, wrapped, b"context") == plain
    assert wrapping.wrap(outer, plain, b"context") != wrapped


def test_nothing_else_opens_it():
    outer, plain = secret(), secret()
    wrapped = wrapping.wrap(outer, plain, b"context")
    for key, text, context in [
        (secret(), wrapped, b"context"),
        (outer, wrapped, b"contexT"),
        (outer, wrapped, b""),
        (outer, wrapped[:-1], b"context"),
        (outer, wrapped + b"x", b"context"),
        (outer, b"", b"context"),
    ]:
        with pytest.raises(WrapMismatch):
            wrapping.unwrap(key, text, context)


def test_every_bit_counts():
    outer = secret()
    wrapped = wrapping.wrap(outer, secret(), b"")
    for at in range(len(wrapped)):
        turned = bytearray(wrapped)
        turned[at] ^= 1 << at % 8
        with pytest.raises(WrapMismatch):
            wrapping.unwrap(outer, bytes(turned), b"")


def test_derived_keys_are_those_of_rfc_5869():
    """Test case 1 there, the first 32 of its 42 bytes."""
    key = Secret(bytes([0x0B]) * 22)
    derived = wrapping.derive(key, bytes(range(13)), bytes(range(0xF0, 0xFA)))
    expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
    assert derived.hex() == expected
