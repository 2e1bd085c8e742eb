"""The byte tables of docs/format.md say what the code does."""

import re
import struct
from pathlib import Path

import pytest

from fastobj._ext import blocks, segio
from fastobj._ext.crc import crc32c
from fastobj.meta import keys, records, sqlite_batch
from fastobj.objects import configs, lifecycle_rules, notifications
from fastobj.objects.cors import CorsRule
from fastobj.objects.encoded import BodyPlace
from fastobj.storage import base, log_format
from fastobj.storage.log_format import BlockHead, BlockRef

DOCUMENT = Path(__file__).parents[3] / "docs/format.md"


def table(name):
    """The rows of a table, as lists of texts."""
    text = DOCUMENT.read_text()
    (found,) = re.findall(rf"<!-- table: {name} -->\n\|.*\n\|[-:|]*\n((?:\|.*\n)+)", text)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found.splitlines()]


def fields(name):
    """Offset, size and words of each field."""
    return [(int(offset), int(size), words) for offset, size, words in table(name)]


SIZES = {
    "location": base.LOCATION_BYTES,
    "block head": log_format.BLOCK_HEAD_BYTES,
    "record head": log_format.RECORD_HEAD_BYTES,
    "piece head": segio.PIECE_HEAD_BYTES,
    "log position": sqlite_batch._POSITION.size,
}


@pytest.mark.parametrize("name", SIZES)
def test_fields_follow_each_other_without_gaps(name):
    end = 0
    for offset, size, words in fields(name):
        assert offset == end, words
        end += size
    assert end == SIZES[name]


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("location", base._LOCATION),
        ("block head", log_format._BLOCK),
        ("record head", log_format._RECORD),
        ("log position", sqlite_batch._POSITION),
    ],
)
def test_fields_have_the_sizes_of_the_structs(name, layout):
    codes = re.findall(r"\d+s|[A-Z]", layout.format[1:])
    sizes = [struct.calcsize(f"<{code}") for code in codes]
    documented = [size for _, size, _ in fields(name)]
    assert documented[: len(sizes)] == sizes


def _at(raw, name, words):
    """The bytes of the field whose description begins with `words`."""
    ((offset, size),) = [(o, s) for o, s, found in fields(name) if found.startswith(words)]
    return raw[offset : offset + size]


def _number(raw, name, words):
    return int.from_bytes(_at(raw, name, words), "little")


def test_a_block_head_is_as_documented():
    before = BlockRef(101, 102, 103, 41, 105)
    head = BlockHead(b"0123456789abcdef", 1, 2, 42, before, 3, 8192, 5, 6, 7, 200, 8, 9)
    raw = log_format.encode_block_head(head)
    values = {
        "segment id": 1,
        "generation": 2,
        "number of records": 7,
        "sequence": 42,
        "the block before: its segment": 101,
        "the block before: generation": 102,
        "the block before: CRC32C": 105,
        "the block before: offset": 103,
        "covered": 3,
        "length of the block": 8192,
        "number of transactions": 5,
        "bytes of the transactions": 6,
        "offset of the first record": 200,
        "bytes of the records": 8,
        "CRC32C of the block": 9,
    }
    assert _at(raw, "block head", "magic") == b"fobjblk1"
    assert _at(raw, "block head", "store id") == head.store
    assert {words: _number(raw, "block head", words) for words in values} == values


def test_a_record_head_is_as_documented():
    body, at = b"body", 256
    place = BodyPlace(b"0123456789abcdef", crc32c(body), b"hint.", len(body), 0, 32)
    made = blocks.Block(4096, at, volume=1, segment=1, generation=2, offset=0, counter_key=bytes(8))
    made.add(bytes(40), [place], [body])
    raw = bytes(made.finish(bytes(128), 4096)[1][at:])
    values = {"sum kind": 1, "length of the hint": 5, "segment id": 1, "generation": 2}
    values |= {"sum of the body": crc32c(body), "length of the body": 4}
    assert _at(raw, "record head", "magic") == b"FOBR"
    assert _at(raw, "record head", "data id") == b"0123456789abcdef"
    assert {words: _number(raw, "record head", words) for words in values} == values


def test_a_piece_head_is_as_documented():
    raw = segio.encode_piece_head(b"payload", b"0123456789abcdef", 1, 2, 3)
    values = {"version": 1, "sum kind": 1, "segment id": 1, "generation": 2, "part": 0}
    values |= {"index of the piece": 3, "length of the payload": 7}
    assert _at(raw, "piece head", "magic") == b"fobjpce1"
    assert _at(raw, "piece head", "data id") == b"0123456789abcdef"
    assert {words: _number(raw, "piece head", words) for words in values} == values


def test_spaces_and_values_are_as_documented():
    spaces = {int(row[0]): row[1] for row in table("spaces")}
    assert spaces == {
        keys.BUCKETS: "buckets",
        keys.CURRENT: "current objects",
        keys.SEGMENTS: "segments",
        keys.SHARED: "shared bodies",
        keys.UPLOADS: "uploads",
        keys.PARTS: "parts",
        keys.DUE: "time index",
        keys.JOBS: "jobs",
        keys.DAMAGED: "damage",
        keys.HISTORY: "versions",
        keys.STAMPS: "stamps",
        keys.CONFIGS: "configurations",
        keys.OUTBOX: "events",
        keys.CURSORS: "cursors",
        keys.KMS_KEYS: "keys of the key service",
    }
    values = {name: re.findall("`(.*?)`", text) for name, text in table("values")}
    assert values == {
        "bucket": list(records.BucketRecord.__struct_fields__),
        "object": list(records.ObjectRecord.__struct_fields__),
        "upload": list(records.UploadRecord.__struct_fields__),
        "part": list(records.PartRecord.__struct_fields__),
        "parts due": list(records.PartsDue.__struct_fields__),
        "upload due": list(records.UploadDue.__struct_fields__),
        "version due": list(records.VersionDue.__struct_fields__),
        "rules due": list(records.RulesDue.__struct_fields__),
        "segment": list(records.SegmentRecord.__struct_fields__),
        "shared body": list(records.SharedRecord.__struct_fields__),
        "scrub": list(records.ScrubRecord.__struct_fields__),
        "damage": list(records.DamageRecord.__struct_fields__),
        "configuration": list(records.ConfigRecord.__struct_fields__),
        "stamp": list(records.StampRecord.__struct_fields__),
        "trusted time": list(records.TrustedTimeRecord.__struct_fields__),
        "event": list(records.EventRecord.__struct_fields__),
        "cursor": list(records.CursorRecord.__struct_fields__),
        "key of the key service": list(records.KmsKeyRecord.__struct_fields__),
        "rewrap": list(records.RewrapRecord.__struct_fields__),
    }
    assert records.FORMAT == 1


def test_configurations_are_as_documented():
    documented = {
        int(row[0]): (row[1], re.findall("`(.*?)`", row[2])) for row in table("configurations")
    }
    inside = {
        configs.CORS: ("rules", CorsRule),
        configs.LIFECYCLE: ("rules", lifecycle_rules.Rule),
        configs.NOTIFICATION: ("rows", notifications.Notification),
    }
    for kind in configs.KINDS.values():
        fields = list(kind.record.__struct_fields__)
        if kind in inside:
            name, row = inside[kind]
            at = fields.index(name) + 1
            fields[at:at] = row.__struct_fields__
        assert documented.pop(kind.number) == (kind.name, fields)
    assert not documented
