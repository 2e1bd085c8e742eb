"""Manifests: every range is found in them; damaged ones are refused, or are others."""

from __future__ import annotations

import random

from fastobj.core.errors import StoreDamaged, UnknownFormat
from fastobj.objects import manifest
from fastobj.objects.manifest import ManifestPart, Parts
from fastobj.storage.base import LOCATION_BYTES, NO_LOCATION, new_data_id
from tests.fuzz.mutations import mutate
from tests.fuzz.rows import WORDS


def _part(rng: random.Random, number: int) -> ManifestPart:
    size = rng.choice((0, 1, 2, 5, 1 << 20, 5 << 30))
    if not size:
        return ManifestPart(number, 0, b"", rng.choice((b"", NO_LOCATION)))
    return ManifestPart(number, size, new_data_id(), rng.randbytes(LOCATION_BYTES))


def _check(rng: random.Random, parts: Parts) -> None:
    """A random range is covered, piece by piece, without a gap."""
    if not parts.size:
        return
    offset = rng.randrange(parts.size)
    length = rng.randint(1, parts.size - offset)
    pieces = list(parts.pieces(offset, length))
    assert sum(piece.length for piece in pieces) == length
    assert all(piece.length > 0 for piece in pieces)
    assert all(piece.offset == 0 for piece in pieces[1:])


def one(rng: random.Random) -> None:
    """One manifest, as it was written and damaged."""
    numbers = sorted(rng.sample(range(1, 10_001), rng.randrange(8)))
    listed = [_part(rng, number) for number in numbers]
    body = manifest.encode(listed)
    assert manifest.decode(body) == listed
    _check(rng, Parts(listed))
    try:
        found = manifest.decode(mutate(rng, body, WORDS))
        parts = Parts(found)
    except (StoreDamaged, UnknownFormat):
        return
    _check(rng, parts)
