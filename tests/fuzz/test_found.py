"""What the fuzzers found, each in its shortest form."""

import encodings
import struct

import pytest

from fastobj.core.errors import S3Error, StoreDamaged
from fastobj.http.message import BytesBody, Request
from fastobj.meta import records
from fastobj.s3 import form, xml
from fastobj.storage import log_format
from fastobj.storage.log_format import BlockRef
from fastobj.storage.log_replay import discover
from fastobj.storage.spares import log_path
from tests.fuzz.blocks import CRC_AT, NOWHERE
from tests.unit.storage.logs import (
    STORE,
    Memory,
    body,
    build,
    chain,
    sequences,
    three_segments,
    writer,
)

TXN_COUNT_AT = 84  # in a block head

DELETE = "<Delete><Object><Key>{}</Key></Object></Delete>"
OBJECT = records.ObjectRecord(records.FORMAT, b"l" * 32, b"d" * 16, 5, "an etag", 7)


def _declared(encoding: str) -> bytes:
    return f'<?xml version="1.0" encoding="{encoding}"?>{DELETE.format("key")}'.encode()


@pytest.mark.parametrize("encoding", ["unicode_escape", "koi8-r", "cp037", "base64", "nobody-1"])
def test_no_encoding_is_looked_up_for_a_client(encoding):
    """Python imports the codec of that name, and keeps each name that it was asked for."""
    known = dict(encodings._cache)
    with pytest.raises(S3Error, match="use UTF-8"):
        xml.decode("Delete", _declared(encoding))
    assert encodings._cache == known


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "us-ascii"])
def test_usual_encodings_are_read(encoding):
    assert xml.decode("Delete", _declared(encoding)) == {"Object": [{"Key": "key"}]}


def test_a_declared_encoding_is_the_one_that_is_read():
    """Else a client that writes Latin-1 would delete another key than it named."""
    body = b'<?xml version="1.0" encoding="iso-8859-1"?>' + DELETE.format("Ã¼").encode("latin-1")
    assert xml.decode("Delete", body) == {"Object": [{"Key": "Ã¼"}]}


@pytest.mark.parametrize("kind", [records.ObjectRecord, records.BucketRecord])
def test_a_flipped_bit_in_a_text_is_damage(kind):
    record = OBJECT
    if kind is records.BucketRecord:
        record = records.BucketRecord(records.FORMAT, b"i" * 8, "an etag", 7, "region")
    damaged = records.encode(record).replace(b"an etag", b"an \xe5tag")
    with pytest.raises(StoreDamaged, match="does not decode"):
        records.decode(kind, damaged)


@pytest.mark.parametrize("deep", [b"\x91" * 100_000, b"\x81\xa0" * 100_000])
def test_a_row_without_bottom_is_damage(deep):
    value = records.encode(OBJECT)
    longer = b"\xdc\x00\x0a" + value[1:] + deep  # one field more than this version knows
    with pytest.raises(StoreDamaged, match="does not decode"):
        records.decode(records.ObjectRecord, longer)


@pytest.mark.parametrize("name", ["key", "file"])
async def test_a_value_that_begins_with_a_delimiter_has_two_readings(name):
    """The line end in front of it is that of its head, or the delimiter's."""
    head = f'--a\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n--a\r\n'
    file = '--a\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--a--'
    kind = (b"content-type", b"multipart/form-data; boundary=a")
    request = Request(b"POST", b"/b", [kind], BytesBody((head + file).encode()))

    async def read():
        return await (await form.read(request)).file.read(100)

    with pytest.raises(S3Error, match="not well-formed"):
        await read()


def test_a_block_that_verifies_and_contradicts_itself_is_named():
    """It must neither count as the end of the log nor end recovery with an error of its own."""
    log = writer(NOWHERE)
    log.segment = log.generation = 1
    block, _ = build(log, [b"transaction"], [body(b"x")])
    content = bytearray(block.content)
    struct.pack_into("<I", content, TXN_COUNT_AT, 3)  # one more than there are
    head = log_format.decode_block_head(content)
    assert head is not None
    struct.pack_into("<I", content, CRC_AT, log_format.block_crc(memoryview(content), head) or 0)
    with pytest.raises(StoreDamaged, match=r"memory holds at offset 0 .* outside its block"):
        Memory(content).block(BlockRef(), store=STORE)


def test_a_block_written_over_the_first_of_its_segment_is_damage(tmp_path):
    """Once the segment was taken for its own successor, and a walk from block 2 never ended."""
    refs = three_segments(tmp_path)
    path = log_path(tmp_path, 1)
    content = path.read_bytes()
    third = content[refs[2].offset :][: refs[2].offset - refs[1].offset]
    path.write_bytes(third + content[len(third) :])
    assert discover(tmp_path, STORE).rotten == {1: (path, refs[2]._replace(offset=0))}
    assert chain(tmp_path).before(1) == refs[2]
    for after in (BlockRef(), *refs[:3]):
        with pytest.raises(StoreDamaged, match="does not begin with its first block"):
            next(chain(tmp_path).walk(after))
    assert sequences(list(chain(tmp_path).walk(refs[3]))) == list(range(5, 10))
