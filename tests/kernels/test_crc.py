"""The crc kernel against published sums, the reference and zlib, at every ISA of the machine."""

import array
import random
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.memory import aligned
from tests.reference import crc as reference

SUMS = ("crc32", "crc32c", "crc64nvme")
KINDS = {"crc32": reference.CRC32, "crc32c": reference.CRC32C, "crc64nvme": reference.CRC64NVME}
GIL_HELD_BYTES_MAX = 4096

# The read command of RFC 3720 B.4, and the four patterns of 4 KiB of the NVM Command Set
# Specification, "64b CRC test cases".
ISCSI_READ = bytes.fromhex(
    "01c00000000000000000000000000000140000000000040000000014000000182800000000000000"
    "0200000000000000"
)
ASCENDING = bytes(range(256)) * 16
PUBLISHED = [
    ("crc32", b"", 0),
    ("crc32", b"123456789", 0xCBF43926),
    ("crc32", b"The quick brown fox jumps over the lazy dog", 0x414FA339),
    ("crc32c", b"", 0),
    ("crc32c", b"123456789", 0xE3069283),
    ("crc32c", bytes(32), 0x8A9136AA),
    ("crc32c", b"\xff" * 32, 0x62A8AB43),
    ("crc32c", bytes(range(32)), 0x46DD794E),
    ("crc32c", bytes(range(32))[::-1], 0x113FDB5C),
    ("crc32c", ISCSI_READ, 0xD9963A56),
    ("crc64nvme", b"", 0),
    ("crc64nvme", b"123456789", 0xAE8B14860A799888),
    ("crc64nvme", bytes(4096), 0x6482D367EB22B64E),
    ("crc64nvme", b"\xff" * 4096, 0xC0DDBA7302ECA3AC),
    ("crc64nvme", ASCENDING, 0x3E729F5F6750449C),
    ("crc64nvme", ASCENDING[::-1], 0x9A2DF64B8E9E517E),
]


@pytest.fixture(scope="session", params=SUMS)
def name(request):
    return request.param


@pytest.fixture
def fast(crc, name):
    return getattr(crc, name)


@pytest.fixture
def slow(name):
    return getattr(reference, name)


@pytest.mark.parametrize(("name", "content", "expected"), PUBLISHED)
def test_published_sums(crc, name, content, expected):
    assert getattr(reference, name)(content) == expected
    assert getattr(crc, name)(content) == expected


def test_every_length(fast, slow, rng):
    content = rng.randbytes(300)
    for length in range(301):
        assert fast(content[:length]) == slow(content[:length]), length


def test_every_alignment(fast, slow, rng):
    content = rng.randbytes(300)
    expected = [slow(content[:length]) for length in range(301)]
    for alignment in range(64):
        view = aligned(content, alignment)
        assert [fast(view[:length]) for length in range(301)] == expected, alignment


def test_lengths_around_each_step(fast, slow, rng):
    content = rng.randbytes(2048 + 17)
    for edge in range(256, 2049, 256):
        for length in range(edge - 17, edge + 18):
            assert fast(content[:length]) == slow(content[:length]), length


def test_reads_nothing_beyond_either_end(fast, slow, guarded_page, rng):
    content = rng.randbytes(guarded_page.size)
    lengths = [*range(301), *range(500, 530), 1024, guarded_page.size]
    for length in lengths:
        expected = slow(content[:length])
        assert fast(guarded_page.at_end(content[:length])) == expected, length
        assert fast(guarded_page.at_start(content[:length])) == expected, length


def test_long_input(fast, slow, rng):
    content = rng.randbytes(65536 + 13)
    assert fast(content) == slow(content)


def test_crc32_is_that_of_zlib(crc, rng):
    for _ in range(2000):
        content = rng.randbytes(rng.choice([rng.randrange(600), rng.randrange(20000)]))
        value = rng.getrandbits(32)
        assert crc.crc32(content, value) == zlib.crc32(content, value)


@given(content=st.binary(max_size=1500), value=st.integers(0))
def test_any_start_value(crc, name, content, value):
    value %= 2 ** KINDS[name][0]
    assert getattr(crc, name)(content, value) == getattr(reference, name)(content, value)


@given(seed=st.integers(0), length=st.integers(0, 20000), share=st.floats(0, 1))
def test_parts_chain_to_the_whole(crc, name, seed, length, share):
    function = getattr(crc, name)
    content = random.Random(seed).randbytes(length)
    cut = int(length * share)
    assert function(content[cut:], function(content[:cut])) == function(content)


@pytest.mark.parametrize("length", [GIL_HELD_BYTES_MAX, GIL_HELD_BYTES_MAX + 1])
def test_same_sum_with_and_without_the_gil(fast, slow, length, rng):
    content = rng.randbytes(length)
    assert fast(content) == slow(content)


def test_threads_do_not_disturb_each_other(fast, rng):
    contents = [rng.randbytes(100_000 + i) for i in range(8)]
    expected = [fast(content) for content in contents]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            assert list(pool.map(fast, contents)) == expected


def test_any_contiguous_buffer(fast):
    expected = fast(b"abcdefgh")
    words = array.array("I", [int.from_bytes(b"abcd", "little"), int.from_bytes(b"efgh", "little")])
    for content in (bytearray(b"abcdefgh"), memoryview(b"-abcdefgh-")[1:-1], words):
        assert fast(content) == expected
    assert fast(data=b"efgh", value=fast(b"abcd")) == expected


def test_releases_the_buffer(fast):
    content = bytearray(b"abc")
    fast(content)
    content.append(0)  # BufferError while somebody holds it


def test_refuses_what_is_no_flat_buffer(fast):
    with pytest.raises(BufferError):
        fast(memoryview(b"abcdef")[::2])
    for wrong in ("text", 1, None):
        with pytest.raises(TypeError):
            fast(wrong)


def test_refuses_values_outside_the_width(fast, name):
    limit = 2 ** KINDS[name][0]
    fast(b"", limit - 1)
    for wrong in (limit, -1):
        with pytest.raises(OverflowError):
            fast(b"", wrong)


@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_folding_keeps_the_remainder(name, slow, lanes, rng):
    content = rng.randbytes(16 * lanes * 3)
    assert reference.crc_by_folding(KINDS[name], content, lanes) == slow(content)


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    [
        ("crc32", "Crc32", 4),
        ("crc32c", "Crc32c", 4),
        ("crc64nvme", "Crc64Nvme", 8),
    ],
)
def test_running_sums_in_the_shape_of_hashlib(crc, name, kind, size, rng):
    content = rng.randbytes(20_000)
    running = getattr(crc, kind)()
    assert running.digest() == bytes(size)
    for begin, end in ((0, 1), (1, 1), (1, 9000), (9000, 20_000)):
        running.update(memoryview(content)[begin:end])
        whole = getattr(crc, name)(content[:end])
        assert running.digest() == whole.to_bytes(size, "big")
