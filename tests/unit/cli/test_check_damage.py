"""`fastobj check`: each kind of damage is found and named."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from fastobj.core.segments import SEGMENT_LOG, SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.meta.base import Add
from fastobj.objects import configs
from fastobj.storage.base import Location
from fastobj.storage.segment_files import segment_path
from tests.unit.cli.checking import BROKEN, LARGE, UPLOAD_ID, damage, run


async def _flipped_record(site):
    await site.flip((await site.row(b"small")).location)


async def _flipped_piece(site):
    await site.flip((await site.row(b"large")).location, 1000)


async def _flipped_shared_body(site):
    data_id = (await site.row(b"copy")).data_id
    value, _ = await site.store.meta.get(keys.SHARED, data_id)
    await site.flip(records.decode(records.SharedRecord, value).location)


async def _flipped_part(site):
    for row in await site.rows(keys.PARTS):
        record = records.decode(records.PartRecord, row.value)
        if record.size > len(LARGE):
            await site.flip(record.location)


async def _flipped_manifest(site):
    data_id = (await site.row(b"parts")).data_id
    value, _ = await site.store.meta.get(keys.SHARED, data_id)
    await site.flip(records.decode(records.SharedRecord, value).location, 3)


async def _broken_object(site):
    await site.write(keys.CURRENT, site.key(), BROKEN)


async def _broken_bucket(site):
    await site.write(keys.BUCKETS, b"broken", BROKEN)


async def _wrong_key(site):
    record = await site.row(b"empty")
    adds = [Add(keys.CURRENT, site.bucket.record.id, (1, 0))]
    await site.write(keys.CURRENT, site.key(b"\xff\xfe"), records.encode(record), adds)


async def _object_without_bucket(site):
    record = await site.row(b"empty")
    adds = [Add(keys.CURRENT, b"nobucket", (1, 0))]
    await site.write(keys.CURRENT, b"nobucket/key", records.encode(record), adds)


async def _upload_without_bucket(site):
    (row,) = await site.rows(keys.UPLOADS)
    await site.write(keys.UPLOADS, keys.upload(b"nobucket", b"key", UPLOAD_ID), row.value)


async def _one_id_for_two_buckets(site):
    await site.write(keys.BUCKETS, b"twin", records.encode(site.bucket.record))


async def _unknown_segment(site):
    place = Location.decode((await site.row()).location)
    await site.change(location=place._replace(segment=4711).encode())


async def _wrong_generation(site):
    place = Location.decode((await site.row()).location)
    await site.change(location=place._replace(generation=4711).encode())


async def _wrong_volume(site):
    place = Location.decode((await site.row()).location)
    await site.change(location=place._replace(volume=2).encode())


async def _outside_its_file(site):
    place = Location.decode((await site.row(b"large")).location)
    await site.change(b"large", location=place._replace(offset=1 << 40).encode())


async def _overlap(site):
    record = await site.row(b"small")
    place = Location.decode(record.location)
    adds = [
        Add(keys.SEGMENTS, keys.segment(place.segment), (48 + 4, 1)),
        Add(keys.CURRENT, site.bucket.record.id, (1, 4)),
    ]
    await site.write(keys.CURRENT, site.key(b"twin"), records.encode(record), adds)


async def _bucket_counter(site):
    await site.write(keys.BUCKETS, b"bucket", 0, [Add(keys.CURRENT, site.bucket.record.id, (1, 7))])


async def _events_counter(site):
    add = Add(keys.OUTBOX, keys.OUTBOX_COUNTER, (3,))
    await site.write(keys.BUCKETS, b"bucket", 0, [add])


async def _segment_counter(site):
    key, _ = await site.segment((await site.row()).location)
    await site.write(keys.BUCKETS, b"bucket", 0, [Add(keys.SEGMENTS, key, (-10, 0))])


async def _shared_count(site):
    data_id = (await site.row(b"copy")).data_id
    value, _ = await site.store.meta.get(keys.SHARED, data_id)
    wrong = msgspec.structs.replace(records.decode(records.SharedRecord, value), count=5)
    await site.write(keys.SHARED, data_id, records.encode(wrong))


async def _missing_shared_row(site):
    data_id = (await site.row(b"copy")).data_id
    await site.write(keys.SHARED, data_id, None)


async def _missing_part_row(site):
    upload_id = (await site.row(b"parts")).upload_id
    rows = [row for row in await site.rows(keys.PARTS) if row.key.startswith(upload_id)]
    await site.write(keys.PARTS, rows[0].key, None)


async def _parts_of_nothing(site):
    rows = await site.rows(keys.PARTS)
    empty = next(row for row in rows if not records.decode(records.PartRecord, row.value).size)
    await site.write(keys.PARTS, keys.part(UPLOAD_ID, 1, b"uniq"), empty.value)


async def _upload_that_never_expires(site):
    for row in await site.rows(keys.DUE):
        if keys.due_of(row.key)[1] == keys.DUE_UPLOAD:
            await site.write(keys.DUE, row.key, None)


async def _missing_file(site):
    place = Location.decode((await site.row(b"large")).location)
    os.unlink(segment_path(str(site.root), place.segment))


async def _short_file(site):
    place = Location.decode((await site.row(b"large")).location)
    os.truncate(segment_path(str(site.root), place.segment), 10_000)


async def _short_log_file(site):
    """One that the database and the chain of the log no longer need."""
    record = records.SegmentRecord(1, SEGMENT_LOG, SEGMENT_SEALED, 1, 8192, 1, 1)
    await site.write(keys.SEGMENTS, keys.segment((1 << 62) + 5), records.encode(record))
    Path(segment_path(str(site.root), (1 << 62) + 5)).write_bytes(bytes(4096))


async def _file_without_row(site):
    (site.root / "extents/8000000000000001.ext").write_bytes(b"something")


async def _due_that_is_none(site):
    await site.write(keys.DUE, keys.due(5, 99, UPLOAD_ID), BROKEN)


def _config_key(site, bucket_id=None, kind=configs.TAGGING.number, chunk=0):
    return keys.config(bucket_id or site.bucket.record.id, kind, chunk)


async def _config_without_bucket(site):
    (row,) = await site.rows(keys.CONFIGS)
    await site.write(keys.CONFIGS, _config_key(site, b"nobucket"), row.value)


async def _config_that_nobody_knows_of(site):
    (row,) = await site.rows(keys.CONFIGS)
    await site.write(keys.CONFIGS, _config_key(site, kind=configs.CORS.number), row.value)


async def _missing_config(site):
    await site.write(keys.CONFIGS, _config_key(site), None)


async def _broken_config(site):
    value = records.encode(records.ConfigRecord(1, 1, b"\x91\x07"))
    await site.write(keys.CONFIGS, _config_key(site), value)


async def _part_of_a_config(site):
    value = records.encode(records.ConfigRecord(1, 2, b"\x91\x80"))
    await site.write(keys.CONFIGS, _config_key(site), value)


async def _config_of_no_kind(site):
    record = msgspec.structs.replace(site.bucket.record, configs=1 << 60)
    await site.write(keys.BUCKETS, b"bucket", records.encode(record))


@pytest.mark.parametrize(
    ("harm", "kind", "words"),
    [
        (_flipped_record, "body", ['object "bucket/small" at log/', "restore the object"]),
        (_flipped_piece, "body", ['object "bucket/large" at extents/', "bytes that were written"]),
        (_flipped_shared_body, "body", ["shared body", 'object "bucket/copy"', "bucket/shared"]),
        (_flipped_part, "body", ["part 1 of upload", 'object "bucket/parts"', "part 1:"]),
        (_flipped_manifest, "body", ['object "bucket/parts"', 'object "bucket/parts too"']),
        (_broken_object, "row", ['object "bucket/small"', "does not decode"]),
        (_broken_bucket, "row", ['bucket "broken"', "does not decode"]),
        (_wrong_key, "row", ["is no key"]),
        (_object_without_bucket, "row", ["its bucket has no row", "id 6e6f6275636b6574"]),
        (_upload_without_bucket, "row", ["upload", "its bucket has no row"]),
        (_one_id_for_two_buckets, "row", ['it has the id of the bucket "bucket"']),
        (_unknown_segment, "body", ['object "bucket/small"', "is gone"]),
        (_wrong_generation, "body", ['object "bucket/small"', "no longer holds this body"]),
        (_wrong_volume, "place", ['object "bucket/small"', "volume 2"]),
        (_outside_its_file, "body", ['object "bucket/large"']),
        (_overlap, "overlap", ['object "bucket/small', "reaches into it"]),
        (_bucket_counter, "counter", ['bucket "bucket"', "9 objects and", "8 objects and"]),
        (_events_counter, "counter", ["counter of the outbox", "3 events", "0 events"]),
        (_segment_counter, "counter", ["counter of segment", "live bytes", "too early"]),
        (_shared_count, "counter", ["count of shared body", "5 objects", "2 objects"]),
        (_missing_shared_row, "body", ['object "bucket/copy"', "where its shared body is"]),
        (_missing_part_row, "body", ['object "bucket/parts"', "the rows of 1 of its parts"]),
        (_parts_of_nothing, "part", [UPLOAD_ID.hex(), "neither open nor an object"]),
        (_upload_that_never_expires, "row", ['upload "bucket/open"', "by which it expires"]),
        (_missing_file, "file", ["extents/", "the file is missing", 'object "bucket/large"']),
        (_short_file, "body", ['object "bucket/large"']),
        (_short_log_file, "file", ["log/4000000000000005.log", "4096 bytes", "says 8192"]),
        (_file_without_row, "file", ["extents/8000000000000001.ext", "no row names the file"]),
        (_due_that_is_none, "row", ["due", "is no key"]),
        (_config_without_bucket, "row", ["configuration", "its bucket has no row"]),
        (_config_that_nobody_knows_of, "row", ['configuration "bucket"', "that it has none"]),
        (_missing_config, "row", ['configuration "bucket"', "it has no rows"]),
        (_broken_config, "row", ['configuration "bucket"', "a tagging", "does not decode"]),
        (_part_of_a_config, "row", ['configuration "bucket"', "do not belong together"]),
        (_config_of_no_kind, "row", ['configuration "bucket"', "no configuration has this kind"]),
    ],
)
def test_damage_is_found_and_named(capsys, directory, harm, kind, words):
    asyncio.run(damage(directory, harm))
    status, lines, _ = run(capsys, directory)
    assert status == 1, lines
    assert any(line.startswith(f"{kind}: ") for line in lines), lines
    assert lines[-1].startswith("damaged: ")
    problems = "\n".join(lines[:-1])
    assert [word for word in words if word not in problems] == []
    assert all(". Cure: " in line for line in lines[:-1])


PLACES = [_unknown_segment, _wrong_generation, _outside_its_file, _short_file, _missing_file]


@pytest.mark.parametrize("harm", PLACES)
def test_places_are_compared_without_reading_bodies(capsys, directory, harm):
    asyncio.run(damage(directory, harm))
    status, lines, _ = run(capsys, directory, "--quick")
    assert status == 1
    assert any(line.startswith("place: object") for line in lines), lines
