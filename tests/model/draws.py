"""The pools that operations are drawn from: small, so that they meet; sizes at the edges of what is
stored in one way or another."""

from __future__ import annotations

import random
from functools import cache

from hypothesis import strategies as st

from fastobj.core.limits import KIB, MIB
from tests.crash.world import SMALL_BYTES_MAX
from tests.model.site import PART_BYTES_MIN
from tests.model.values import Description

TOGETHER_MAX = 4
BUCKETS = ("first", "second", "third")  # the third one is for locks
KEYS = ("a", "a/b", "a/b/c", "a/ä", "b", "b+ &", "c/")
PREFIXES = ("", "a", "a/", "b")
MARKERS = ("", "a", "a/", "a/b", "a/b/zz", "b")
SMALL_SIZES = (0, 1, 100, 900, SMALL_BYTES_MAX - 1, SMALL_BYTES_MAX)
MIDDLE_SIZES = (
    *(SMALL_BYTES_MAX + 1, PART_BYTES_MIN - 1, PART_BYTES_MIN),
    *(20 * KIB, 64 * KIB, 64 * KIB + 1),
)
LARGE_SIZES = (MIB - 1, MIB, MIB + 1, 2 * MIB + 5)
SIZES = (*SMALL_SIZES, *MIDDLE_SIZES, *LARGE_SIZES)
PART_SIZES = (100, *MIDDLE_SIZES, MIB, MIB + 1)
HEADERS = ({}, {"content-type": "text/plain", "cache-control": "no-store"})
METADATA = ({}, {"one": "1", "two": "ü"})
TAGS = ({}, {}, {"color": "red"}, {"ü b": "x+y", "empty": ""})
EDGES = (1, SMALL_BYTES_MAX, 64 * KIB, MIB, 2 * MIB)
RANGES = ("0-0", "1-", "-1", "-5000", "5-4100", "4095-4096", "1048575-1048576", "2000000-")


@cache
def content(seed: int, size: int) -> bytes:
    """One of few bodies of that size."""
    return random.Random(seed).randbytes(size)


buckets = st.sampled_from((BUCKETS[0],) * 3 + BUCKETS[1:])
keys = st.sampled_from(KEYS)
churned = st.sampled_from(KEYS[4:])
contents = st.builds(content, st.integers(0, 1), st.sampled_from(SIZES))
small_contents = st.builds(content, st.integers(0, 1), st.sampled_from(SMALL_SIZES))
part_contents = st.builds(content, st.integers(0, 1), st.sampled_from(PART_SIZES))
descriptions = st.builds(
    Description,
    st.sampled_from(HEADERS),
    st.sampled_from(METADATA),
    st.sampled_from(("", "", "crc32", "sha256")),
    st.sampled_from(TAGS),
    st.none(),
)
plain_descriptions = st.sampled_from(
    [Description({}, {}, sum) for sum in ("", "", "crc32", "sha256")]
)
tags = st.sampled_from(TAGS)
# Which etag a condition names is settled when it is used.
marks = st.sampled_from((None, None, None, "*", "present", "other"))
times = st.sampled_from((None, None, None, -1, 0))  # seconds after the object was written
writes = st.just((None, None)) | st.tuples(marks, st.sampled_from((None, None, "*")))
reads = st.just((None,) * 4) | st.tuples(marks, marks, times, times)
deletions = st.sampled_from((None, None, "*", "present", "other"))
old = st.sampled_from((None, None, None, 0, 1, 2, 3))  # which version; None: none is named
picks = st.integers(0, 5)
numbers = st.integers(1, 4)
pages = st.integers(1, 4)
# Operations on one key at the same time: kind, body, conditions, another key.
wishes = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("put", "put", "put", "delete", "delete_many", "copy", "copy from", "get"),
                *("complete", "delete version", "put tags", "rename", "append", "versioning"),
            )
        ),
        contents,
        marks,
        st.sampled_from((None, "*")),
        keys,
    ),
    min_size=2,
    max_size=TOGETHER_MAX,
)
# Writes that race on one condition.
RACERS = ("put", "put", "copy", "complete", "append", "rename")
# How a life of the store ends: whether it loses the WAL, and what stands behind the log's end.
ends = st.tuples(st.booleans(), st.sampled_from((b"", b"\xff" * 5000, b"again")))
# Of the loop, before operations end unanswered.
turns = st.sampled_from((0, 1, 2, 3, 5, 8, 13, 50, 200))
