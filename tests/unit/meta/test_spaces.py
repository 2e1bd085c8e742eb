"""Every space is in the table, and a row is read by it or refused."""

import pytest

from fastobj.core.errors import StoreDamaged, UnknownFormat
from fastobj.core.limits import KEY_BYTES_MAX
from fastobj.meta import keys, records, spaces
from fastobj.objects import verify

ID8, ID16 = b"8 bytes.", b"sixteen bytes..."
OBJECT = records.ObjectRecord(1, bytes(32), b"", 0, "etag", 7)
ROWS = {
    keys.BUCKETS: (b"bucket", records.BucketRecord(1, ID8, "owner", 7, "here")),
    keys.CURRENT: (keys.current(ID8, "kéy".encode()), OBJECT),
    keys.SEGMENTS: (keys.segment(1 << 63), records.SegmentRecord(1, 0, 0, 1, 9, 9)),
    keys.SHARED: (ID16, records.SharedRecord(1, bytes(32), 2)),
    keys.UPLOADS: (keys.upload(ID8, b"k\0y", ID16), records.UploadRecord(1, "owner", 7, 0)),
    keys.PARTS: (keys.part(ID16, 10_000, b"uniq"), records.PartRecord(1, b"", b"", 0, "", 7)),
    keys.DUE: (keys.due(7, keys.DUE_PARTS, ID16), records.PartsDue(1)),
    keys.JOBS: (keys.JOB_SCRUB, records.ScrubRecord(1, 1, 7)),
    keys.DAMAGED: (keys.damaged_row(2, b"key"), records.DamageRecord(1, 2, b"", b"", 7, "why")),
    keys.HISTORY: (keys.history(ID8, b"k\0y", 7), OBJECT),
    keys.STAMPS: (keys.stamp(ID8, "kéy".encode()), records.StampRecord(1, 7, 9)),
    keys.CONFIGS: (keys.config(ID8, 1, 0), records.ConfigRecord(1, 1, b"content")),
    keys.OUTBOX: (
        keys.in_order(keys.outbox(1), 2**63, 7),
        records.EventRecord(1, "s3:ObjectCreated:Put", 7, "bucket", "", "", "kéy", (("a", "b"),)),
    ),
    keys.CURSORS: (b"target", records.CursorRecord(1, keys.outbox(0))),
    keys.KMS_KEYS: (b"default", records.KmsKeyRecord(1, 3)),
}


NAMES = {
    "BUCKETS",
    "CURRENT",
    "SEGMENTS",
    "SHARED",
    "UPLOADS",
    "PARTS",
    "DUE",
    "JOBS",
    "DAMAGED",
    "HISTORY",
    "STAMPS",
    "CONFIGS",
    "OUTBOX",
    "CURSORS",
    "KMS_KEYS",
}


def test_every_space_is_there_once():
    numbers = {value for name, value in vars(keys).items() if name in NAMES}
    assert set(spaces.SPACES) == set(ROWS) == numbers
    assert sorted(verify.SPACES) == sorted(spaces.SPACES)


@pytest.mark.parametrize("space", ROWS)
def test_a_row_is_read(space):
    key, record = ROWS[space]
    assert spaces.decode(space, key, records.encode(record)) == record


def test_each_job_has_a_record_of_its_own():
    record = records.TrustedTimeRecord(1, 7, "boot", 9)
    assert spaces.decode(keys.JOBS, keys.JOB_TRUSTED_TIME, records.encode(record)) == record


@pytest.mark.parametrize("space", ROWS)
def test_what_is_no_record_is_refused(space):
    key, record = ROWS[space]
    with pytest.raises(StoreDamaged):
        spaces.decode(space, key, b"\xc1")
    newer = records.encode(record).replace(b"\x01", b"\x02", 1)
    with pytest.raises(UnknownFormat):
        spaces.decode(space, key, newer)


@pytest.mark.parametrize(
    ("space", "key"),
    [
        (keys.BUCKETS, b""),
        (keys.BUCKETS, b"\xff"),
        (keys.CURRENT, b""),
        (keys.CURRENT, ID8),
        (keys.CURRENT, ID8 + b"\xc3"),
        (keys.CURRENT, ID8 + b"k" * (KEY_BYTES_MAX + 1)),
        (keys.SEGMENTS, b"7 bytes"),
        (keys.SHARED, ID8),
        (keys.UPLOADS, b""),
        (keys.UPLOADS, ID8 + b"key" + ID16),
        (keys.UPLOADS, keys.upload(ID8, b"", ID16)),
        (keys.UPLOADS, ID8 + b"k\0y\0\0" + ID16),
        (keys.PARTS, ID16),
        (keys.DUE, keys.due(7, keys.DUE_PARTS, ID8)),
        (keys.DUE, keys.due(7, 99, ID16)),
        (keys.DUE, b""),
        (keys.DUE, keys.due(0, keys.DUE_RULES, ID16)),
        (keys.DUE, keys.due_version(7, ID8, b"key", b"seven b")),
        (keys.DUE, keys.due_version(7, ID8, b"")),
        (keys.DUE, keys.due_version(7, ID8, b"\xff")),
        (keys.DUE, keys.due_version(7, ID8, b"k" * (KEY_BYTES_MAX + 1))),
        (keys.DUE, keys.due_version(7, ID8, b"key")[:-2]),
        (keys.DUE, keys.due(8, keys.DUE_VERSION, keys.due_version(7, ID8, b"key")[5:])),
        (keys.JOBS, b"unknown"),
        (keys.DAMAGED, b""),
        (keys.DAMAGED, bytes([keys.DAMAGED_ROW])),
        (keys.DAMAGED, keys.damaged_body(ID8)),
        (keys.DAMAGED, b"\x03" + ID16),
        (keys.CONFIGS, ID8),
        (keys.OUTBOX, ID16),
        (keys.CURSORS, b""),
        (keys.KMS_KEYS, b""),
        (keys.KMS_KEYS, b"\xff"),
    ],
)
def test_a_key_that_no_row_can_have_is_refused(space, key):
    with pytest.raises(StoreDamaged, match="is no key"):
        spaces.decode(space, key, records.encode(ROWS[space][1]))


@pytest.mark.parametrize("key", [b"k", b"k\0y\0", b"\0", b"k" * KEY_BYTES_MAX])
@pytest.mark.parametrize("of", [b"", keys.of_version(0), keys.of_pushed(2**63), ID16])
def test_what_rules_may_act_on_is_told_by_its_key(key, of):
    at_ns = 2**62 + 7
    row_key = keys.due_version(at_ns, ID8, key, of)
    assert keys.due_version_of(row_key) == (at_ns, ID8, key, of)
    due = records.VersionDue(1, "bucket")
    assert spaces.decode(keys.DUE, row_key, records.encode(due)) == due
    assert keys.due_version(at_ns - 1, ID8, b"\x7f" * 9) < row_key < keys.due_version_end(at_ns)
    assert keys.due_version_end(at_ns) <= keys.due_version(at_ns + 1, bytes(8), b"\1")


def test_changed_rules_are_told_by_their_row():
    due = records.RulesDue(1, "bucket", keys.CURRENT, b"key")
    row_key = keys.due(keys.AT_ONCE, keys.DUE_RULES, ID8)
    assert spaces.decode(keys.DUE, row_key, records.encode(due)) == due


@pytest.mark.parametrize(
    ("job", "record"),
    [
        (keys.JOB_SCRUB, records.ScrubRecord(1, 1, 7)),
        (keys.JOB_REWRAP, records.RewrapRecord(1, 7, {"key": 2}, failed={"key": 1})),
    ],
)
def test_each_job_has_its_record(job, record):
    assert spaces.decode(keys.JOBS, job, records.encode(record)) == record
