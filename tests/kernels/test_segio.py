"""The segio kernel: piece heads, verified reads, the pool of threads, failing system calls."""

import errno
import os
import resource
import select
import signal

import pytest

from fastobj._ext import segio
from fastobj.core import limits
from tests.reference import crc as reference_crc
from tests.reference import segio as reference
from tests.reference.blocks import record_head

HEAD = limits.PIECE_HEAD_BYTES
FRAME = limits.PIECE_FRAME_BYTES
DATA_ID = bytes(range(16))
SEGMENT = (1 << 63) + 5
GENERATION = 0xFFFF_FFF0
PLACE = (DATA_ID, SEGMENT, GENERATION)
EDGES = sorted(
    {1, 2, HEAD, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, limits.PIECE_BYTES - 1, limits.PIECE_BYTES}
)


class Driver:
    """A pool with a file, waited for without a loop."""

    def __init__(self, path, threads=2, capacity=256):
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT)
        self.pool = segio.Pool(threads, capacity)

    def wait(self, count=1):
        ended = []
        while len(ended) < count:
            ready, _, _ = select.select([self.pool.eventfd], [], [], 30)
            assert ready, f"{count - len(ended)} jobs did not end"
            ended += self.pool.completions()
        return ended

    def write(self, payload, offset=0, index=0, early_sync=True):
        buffer = bytearray(HEAD) + payload
        self.pool.write_piece(
            self.fd, self.path, offset, buffer, len(payload), *PLACE, index, early_sync, "write"
        )
        assert self.wait() == [("write", 0)]
        return buffer

    def read(self, length, begin=0, size=None, offset=0, index=0, place=PLACE):
        size = length - begin if size is None else size
        buffer = bytearray(HEAD + length)
        self.pool.read_piece(self.fd, offset, buffer, begin, size, length, *place, index, "read")
        [(_, status)] = self.wait()
        return status, bytes(buffer[HEAD + begin : HEAD + begin + size])

    def close(self):
        self.pool.close()
        os.close(self.fd)


@pytest.fixture
def driver(tmp_path):
    driver = Driver(tmp_path / "file")
    yield driver
    driver.close()


def test_numbers_are_those_of_limits():
    assert segio.PIECE_HEAD_BYTES == limits.PIECE_HEAD_BYTES
    assert segio.PIECE_BYTES == limits.PIECE_BYTES
    assert segio.PIECE_FRAME_BYTES == limits.PIECE_FRAME_BYTES


def test_a_head_has_not_changed():
    head = segio.encode_piece_head(b"abc", DATA_ID, 0x0102030405060708, 0x11121314, 7)
    assert head[:128].hex() == (
        "666f626a7063653101000100000000000001020304050607"
        "08090a0b0c0d0e0f0807060504030201141312110000000007000000"
        "03000000b73f4b36" + "00" * 64 + head[124:128].hex()
    )
    assert head[128:] == bytes(HEAD - 128)


@pytest.mark.parametrize("length", EDGES)
def test_heads_are_those_of_the_reference(length, rng):
    payload = rng.randbytes(length)
    head = segio.encode_piece_head(payload, *PLACE, 3)
    assert head == reference.piece_head(payload, *PLACE, 3)
    assert segio.check_piece_head(head, *PLACE, 3, length) == 0


def test_heads_of_others_are_stale_and_misplaced_ones_damaged():
    head = segio.encode_piece_head(b"x", *PLACE, 3)
    check = segio.check_piece_head
    assert check(bytes(HEAD), *PLACE, 3, 1) == segio.STALE
    assert check(head, bytes(16), SEGMENT, GENERATION, 3, 1) == segio.STALE
    assert check(head, DATA_ID, SEGMENT + 1, GENERATION, 3, 1) == segio.STALE
    assert check(head, DATA_ID, SEGMENT, GENERATION + 1, 3, 1) == segio.STALE
    assert check(head, *PLACE, 4, 1) == segio.CHECKSUM
    assert check(head, *PLACE, 3, 2) == segio.CHECKSUM
    other_part = reference.piece_head(b"x", *PLACE, 3, part=1)
    assert check(other_part, *PLACE, 3, 1) == segio.CHECKSUM


def test_every_bit_of_the_head_counts():
    head = bytearray(segio.encode_piece_head(b"x", *PLACE, 3))
    for bit in range(128 * 8):
        head[bit // 8] ^= 1 << bit % 8
        assert segio.check_piece_head(head, *PLACE, 3, 1) != 0, bit
        head[bit // 8] ^= 1 << bit % 8
    assert segio.check_piece_head(head, *PLACE, 3, 1) == 0


@pytest.mark.parametrize("length", EDGES)
def test_a_piece_comes_back(driver, rng, length):
    payload = rng.randbytes(length)
    buffer = driver.write(payload, offset=12288, index=2)
    on_disk = os.pread(driver.fd, HEAD + length + 1, 12288)
    assert on_disk == buffer == reference.piece_head(payload, *PLACE, 2) + payload
    assert driver.read(length, offset=12288, index=2) == (0, payload)


def test_any_range_comes_back(driver, rng):
    length = 3 * FRAME + 77
    payload = rng.randbytes(length)
    driver.write(payload)
    for begin in (0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, length - 1):
        for size in {1, 2, FRAME, length - begin}:
            if begin + size <= length:
                assert driver.read(length, begin, size) == (0, payload[begin : begin + size])


def test_only_the_frames_of_the_range_are_verified(driver, rng):
    payload = rng.randbytes(3 * FRAME)
    driver.write(payload)
    os.pwrite(driver.fd, bytes([payload[FRAME] ^ 1]), HEAD + FRAME)
    assert driver.read(len(payload), 0, FRAME) == (0, payload[:FRAME])
    assert driver.read(len(payload), 2 * FRAME, FRAME) == (0, payload[2 * FRAME :])
    assert driver.read(len(payload), FRAME - 1, 2)[0] == segio.CHECKSUM
    assert driver.read(len(payload), 2 * FRAME - 1, 1)[0] == segio.CHECKSUM


def test_a_file_that_ends_early(driver, rng):
    payload = rng.randbytes(FRAME + 5)
    driver.write(payload)
    for size, whole, second_frame in (
        (HEAD + FRAME + 4, segio.CHECKSUM, segio.CHECKSUM),
        (HEAD + FRAME, segio.CHECKSUM, segio.CHECKSUM),
        (HEAD, segio.CHECKSUM, segio.CHECKSUM),
        (HEAD - 1, segio.STALE, segio.STALE),
        (0, segio.STALE, segio.STALE),
    ):
        os.ftruncate(driver.fd, size)
        assert driver.read(len(payload))[0] == whole
        assert driver.read(len(payload), FRAME, 5)[0] == second_frame


def test_a_plain_read_is_whole_or_stale(driver):
    os.pwrite(driver.fd, b"0123456789", 0)
    buffer = bytearray(4)
    driver.pool.read(driver.fd, 3, buffer, "read")
    assert driver.wait() == [("read", 0)]
    assert buffer == b"3456"
    driver.pool.read(driver.fd, 7, buffer, "read")
    assert driver.wait() == [("read", segio.STALE)]


PACKED = (bytes(range(16)), 2**64 - 3, 2**32 - 5)  # data id, segment, generation


def packed(body):
    """Head and body of a small body, by the format of the log."""
    data_id, segment, generation = PACKED
    crc = reference_crc.crc32c(body)
    return record_head(data_id, segment, generation, crc, len(body), 7) + body


@pytest.mark.parametrize("length", [0, 1, 47, 48, 4096, FRAME, 3 * FRAME + 5])
def test_what_is_cached_is_read_at_once(tmp_path, rng, length):
    body = rng.randbytes(length)
    path = tmp_path / "file"
    path.write_bytes(b"before!" + packed(body) + b"behind")
    fd = os.open(path, os.O_RDONLY)
    try:
        assert segio.read_packed_now(fd, 7, *PACKED, length) == body
        assert segio.read_packed_now(fd, 8, *PACKED, length) == segio.STALE
        beyond = segio.read_packed_now(fd, 7, *PACKED, length + 7)
        assert beyond == -errno.EAGAIN  # the file ends before: for a read that may wait to say
    finally:
        os.close(fd)
    assert segio.read_packed_now(fd, 7, *PACKED, length) == -errno.EBADF
    assert segio.check_packed(packed(body), *PACKED, length) == 0


def test_damage_to_a_packed_body_is_told_from_another_body(rng):
    body = rng.randbytes(100)
    record = packed(body)
    for at in range(len(record)):
        damaged = bytearray(record)
        damaged[at] ^= 1 << at % 8
        found = segio.check_packed(damaged, *PACKED, len(body))
        if at in range(5, 8):  # nothing, and the length of the hint: not of this body
            assert found == 0
        elif at in range(36, 40) or at >= 48:
            assert found == segio.CHECKSUM
        else:
            assert found == segio.STALE


def test_a_packed_body_is_asked_for_by_all_that_names_it():
    data_id, segment, generation = PACKED
    record = packed(b"abc")
    for named in (
        (bytes(16), segment, generation, 3),
        (data_id, segment - 1, generation, 3),
        (data_id, segment, generation - 1, 3),
    ):
        assert segio.check_packed(record, *named) == segio.STALE
    with pytest.raises(ValueError, match="51 bytes"):
        segio.check_packed(record, *PACKED, 4)
    with pytest.raises(ValueError, match="16 bytes, not 3"):
        segio.check_packed(record, b"abc", segment, generation, 3)
    with pytest.raises(OverflowError):
        segio.read_packed_now(0, 0, *PACKED, -1)


def test_failures_are_negative_errnos(driver, tmp_path):
    driver.pool.sync(-1, "none", 1)
    assert driver.wait() == [(1, -errno.EBADF)]
    read_only = os.open(tmp_path / "file", os.O_RDONLY)
    buffer = bytearray(HEAD + 1)
    driver.pool.write_piece(read_only, "none", 0, buffer, 1, *PLACE, 0, False, 2)
    assert driver.wait() == [(2, -errno.EBADF)]
    pipe, other_end = os.pipe()
    driver.pool.fsync(pipe, "none", 3)
    assert driver.wait() == [(3, -errno.EINVAL)]
    for fd in (read_only, pipe, other_end):
        os.close(fd)


def test_a_file_size_limit_fails_the_write(driver):
    """The kernel writes a part first: the rest of a short write is tried, and then reported."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEAD + 100, before[1]))
    try:
        buffer = bytearray(HEAD + 200)
        driver.pool.write_piece(driver.fd, driver.path, 0, buffer, 200, *PLACE, 0, True, 1)
        ended = driver.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert ended == [(1, -errno.EFBIG)]
    assert driver.read(200)[0] == segio.CHECKSUM


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_device_fails_the_write(driver):
    full = os.open("/dev/full", os.O_WRONLY)
    driver.pool.write_piece(full, "full", 0, bytearray(HEAD + 1), 1, *PLACE, 0, True, 1)
    assert driver.wait() == [(1, -errno.ENOSPC)]
    os.close(full)


def test_many_jobs_on_few_threads(tmp_path, rng):
    driver = Driver(tmp_path / "file", threads=3)
    count, length = 200, 5000
    payloads = [rng.randbytes(length) for _ in range(count)]
    for index, payload in enumerate(payloads):
        buffer = bytearray(HEAD) + payload
        driver.pool.write_piece(
            driver.fd, driver.path, index * 16384, buffer, length, *PLACE, index, False, index
        )
    assert sorted(driver.wait(count)) == [(index, 0) for index in range(count)]
    buffers = [bytearray(HEAD + length) for _ in range(count)]
    for index, buffer in enumerate(buffers):
        driver.pool.read_piece(
            driver.fd, index * 16384, buffer, 0, length, length, *PLACE, index, index
        )
    assert sorted(driver.wait(count)) == [(index, 0) for index in range(count)]
    assert [bytes(buffer[HEAD:]) for buffer in buffers] == payloads
    driver.close()


def test_the_queue_is_bounded(tmp_path):
    driver = Driver(tmp_path / "file", threads=1, capacity=3)
    for token in range(3):
        driver.pool.sync(driver.fd, "file", token)
    with pytest.raises(BlockingIOError):
        driver.pool.sync(driver.fd, "file", 3)
    assert len(driver.wait(3)) == 3
    driver.pool.sync(driver.fd, "file", 4)
    assert driver.wait() == [(4, 0)]
    driver.close()


def test_closing_finishes_what_is_queued(tmp_path):
    driver = Driver(tmp_path / "file", threads=1)
    for token in range(20):
        driver.pool.fsync(driver.fd, "file", token)
    driver.close()
    assert driver.pool.completions() == [(token, 0) for token in range(20)]
    assert driver.pool.eventfd == -1
    with pytest.raises(OSError, match=r"(?i)shutdown"):
        driver.pool.sync(0, "file", 0)
    driver.pool.close()


def test_a_forgotten_pool_ends_its_threads(tmp_path):
    pool = segio.Pool(5)
    eventfd = pool.eventfd
    with open(tmp_path / "file", "wb") as file:
        pool.sync(file.fileno(), "file", object())
        del pool
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(eventfd)


def test_buffers_stay_until_the_job_ends(driver):
    """The only reference to each buffer is the job's."""
    for index in range(50):
        driver.pool.write_piece(
            driver.fd,
            str(driver.path),
            index * 8192,
            bytearray(HEAD) + b"%04d" % index,
            4,
            bytes(DATA_ID),
            SEGMENT,
            GENERATION,
            index,
            False,
            None,
        )
    assert driver.wait(50) == [(None, 0)] * 50
    for index in range(50):
        assert driver.read(4, offset=index * 8192, index=index) == (0, b"%04d" % index)


@pytest.mark.parametrize(
    ("size", "length", "data_id", "words"),
    [
        (HEAD + 9, 10, DATA_ID, "bytes, 4106 are needed"),
        (HEAD, 0, DATA_ID, "a piece holds 1 to"),
        (HEAD + limits.PIECE_BYTES + 1, limits.PIECE_BYTES + 1, DATA_ID, "a piece holds 1 to"),
        (HEAD + 1, 1, DATA_ID[:15], "a data id has 16 bytes"),
    ],
)
def test_what_does_not_fit_is_refused(driver, size, length, data_id, words):
    with pytest.raises(ValueError, match=words):
        driver.pool.write_piece(
            driver.fd, "file", 0, bytearray(size), length, data_id, 1, 1, 0, False, 0
        )
    with pytest.raises(ValueError, match=words):
        driver.pool.read_piece(
            driver.fd, 0, bytearray(size), 0, max(1, length), length, data_id, 1, 1, 0, 0
        )


def test_ranges_outside_the_piece_are_refused(driver):
    for begin, size in ((0, 0), (0, 11), (10, 1), (2**32 - 1, 2)):
        with pytest.raises(ValueError, match="not in the piece"):
            driver.read(10, begin, size)
    with pytest.raises((BufferError, TypeError)):
        driver.pool.read(driver.fd, 0, b"read only", 0)
    with pytest.raises(ValueError, match="at least one thread"):
        segio.Pool(0)
