"""The name that somebody may have meant by one that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, names: Iterable[str], otherwise: str, prefix: str = "") -> str:
    """The end of a sentence about an unknown word: the known name like it, else other advice.

    A `prefix` that all have is left out of the comparison: it would make all alike.
    """
    from difflib import get_close_matches

    stems = [name.removeprefix(prefix) for name in names]
    found = get_close_matches(word.removeprefix(prefix), stems, n=1)
    return f"; the nearest is {prefix + found[0]!r}" if found else f"; {otherwise}"
