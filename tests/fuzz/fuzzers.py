"""The table of the fuzzers, and how many rounds of each a normal run has."""

from __future__ import annotations

from tests.fuzz import (
    blocks,
    chunks,
    digests,
    documents,
    entries,
    forms,
    heads,
    link_frames,
    manifests,
    pages,
    pieces,
    rows,
    segments,
    shards,
    signatures,
    uploads,
    values,
)
from tests.fuzz.harness import Fuzzer

_ROWS = (
    Fuzzer("heads", heads.one, 6_000),
    Fuzzer("chunks", chunks.one, 2_000),
    Fuzzer("signatures", signatures.one, 6_000),
    Fuzzer("signing-keys", signatures.keys, 2_000),
    Fuzzer("uploads", uploads.one, 1_500),
    Fuzzer("documents", documents.one, 6_000),
    Fuzzer("values", values.one, 6_000),
    Fuzzer("rows", rows.one, 6_000),
    Fuzzer("manifests", manifests.one, 3_000),
    Fuzzer("entries", entries.one, 6_000),
    Fuzzer("blocks", blocks.one, 4_000),
    Fuzzer("sections", blocks.sections, 6_000),
    Fuzzer("segments", segments.one, 1_500),
    Fuzzer("piece-heads", pieces.heads, 3_000),
    Fuzzer("pieces", pieces.one, 3_000),
    Fuzzer("sums", pieces.sums, 1_500),
    Fuzzer("pages", pages.one, 300),
    Fuzzer("shards", shards.one, 1_000),
    Fuzzer("digests", digests.one, 1_500),
    Fuzzer("link-frames", link_frames.one, 6_000),
    Fuzzer("forms", forms.one, 4_000),
    Fuzzer("policies", forms.policies, 6_000),
)

FUZZERS = {fuzzer.name: fuzzer for fuzzer in _ROWS}
