"""The xmlout kernel against the table of XML shapes."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastobj._ext import xmlout
from fastobj.meta import records
from fastobj.meta.records import ObjectRecord
from tests.reference import xmlout as reference

NAME, TAIL = b"Contents", b"<StorageClass>STANDARD</StorageClass>"
LOCATION = bytes(32)
DAY_NS = 86_400 * 10**9


def record(**more):
    fields = {"size": 5, "etag": "0" * 32, "modified_ns": 1_780_000_000 * 10**9, **more}
    return ObjectRecord(records.FORMAT, LOCATION, bytes(16), **fields)


def same(rows, url=False):
    """Asserts that kernel and reference agree, and returns what they say."""
    found = xmlout.entries(rows, NAME, TAIL, url)
    assert found == reference.entries(rows, NAME, TAIL, url)
    return found


def test_an_entry_by_hand():
    value = record(modified_ns=0, checksums={"crc32": "AAAAAA==", "sha256": "x-3"})
    assert xmlout.entries([(b"a/b", records.encode(value))], b"Version", b"<Tail/>", False) == (
        b"<Version><Key>a/b</Key><LastModified>1970-01-01T00:00:00.000Z</LastModified>"
        b"<ETag>&quot;00000000000000000000000000000000&quot;</ETag>"
        b"<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA256</ChecksumAlgorithm>"
        b"<ChecksumType>COMPOSITE</ChecksumType><Size>5</Size><Tail/></Version>"
    )


def test_no_entries():
    assert xmlout.entries([], NAME, TAIL, False) == b""


@pytest.mark.parametrize("url", [False, True])
def test_every_character(url):
    value = records.encode(record())
    characters = [chr(code) for code in range(0x11_0000) if not 0xD800 <= code < 0xE000]
    step = 256
    same([("".join(characters[at : at + step]).encode(), value)
          for at in range(0, len(characters), step)], url)  # fmt: skip


@pytest.mark.parametrize("length", range(301))
def test_every_length_of_a_key_up_to_a_guarded_page(length, guarded_page):
    value = records.encode(record())
    key = bytes(guarded_page.at_end(b"&" * length))
    same([(key, value)])


def test_every_day_of_four_centuries():
    days = range(0, 400 * 366, 1)
    moments = [day * DAY_NS for day in days if day * DAY_NS < 2**63]
    same([(b"k", records.encode(record(modified_ns=at))) for at in moments])


@given(
    size=st.integers(0, 2**63 - 1),
    modified_ns=st.integers(0, 2**63 - 1),
    etag=st.text("0123456789abcdef-", max_size=128),
    headers=st.dictionaries(st.text(max_size=40), st.text(max_size=300), max_size=20),
    metadata=st.dictionaries(st.text(max_size=40), st.text(max_size=70_000), max_size=3),
    checksums=st.dictionaries(
        st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=16),
        st.text(max_size=50),
        max_size=8,
    ),
    parts=st.integers(0, 10_000),
    url=st.booleans(),
    key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
@example(0, 0, "", {}, {}, {}, 0, False, "\ufffe\uffff\uefff")
def test_any_record(size, modified_ns, etag, headers, metadata, checksums, parts, url, key):
    made = record(
        size=size,
        etag=etag,
        modified_ns=modified_ns,
        headers=headers,
        metadata=metadata,
        checksums=checksums,
        parts=parts,
    )
    same([(key.encode(), records.encode(made))] * 2, url)


def test_records_that_end_early_are_older_ones():
    whole = msgspec.msgpack.decode(records.encode(record()))
    for fields in range(6, len(whole)):
        same([(b"k", msgspec.msgpack.encode(whole[:fields]))])


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x90",
        b"text",
        records.encode(record())[:30],
        records.encode(msgspec.structs.replace(record(), format=records.FORMAT + 1)),
        records.encode(record(etag="e" * 129)),
        records.encode(record(checksums={f"a{number}": "" for number in range(9)})),
        records.encode(record(checksums={"a" * 17: ""})),
    ],
)
def test_what_it_cannot_read_is_named_by_its_index(value):
    rows = [(b"first", records.encode(record())), (b"second", value)]
    with pytest.raises(ValueError, match=r"^1$"):
        xmlout.entries(rows, NAME, TAIL, False)
