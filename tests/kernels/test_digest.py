"""The digest kernel against published digests, the reference and hashlib, at every ISA level."""

import array
import hashlib
import itertools
import random
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.memory import aligned
from tests.kernels.test_kernels_table import FOLDER
from tests.reference import digest as reference

NAMES = ("md5", "sha1", "sha256")
IN_LANES = ("md5", "sha256")
GIL_HELD_BYTES_MAX = 4096
LANES_MAX = 32

# RFC 1321, A.5, and the examples of FIPS 180-4 that NIST publishes.
LONG = b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
LONG += b"lmnopqrsmnopqrstnopqrstu"
PUBLISHED = [
    ("md5", b"", "d41d8cd98f00b204e9800998ecf8427e"),
    ("md5", b"a", "0cc175b9c0f1b6a831c399e269772661"),
    ("md5", b"abc", "900150983cd24fb0d6963f7d28e17f72"),
    ("md5", b"message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
    ("md5", b"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
    (
        "md5",
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        "d174ab98d277d9f5a5611c2c9f419d9f",
    ),
    ("md5", b"1234567890" * 8, "57edf4a22be3c955ac49da2e2107b67a"),
    ("sha1", b"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ("sha1", b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    (
        "sha1",
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
    ),
    ("sha1", LONG, "a49b2446a02c645bf419f995b67091253a04a259"),
    ("sha1", b"a" * 1_000_000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
    ("sha256", b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("sha256", b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        "sha256",
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ),
    ("sha256", LONG, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"),
    (
        "sha256",
        b"a" * 1_000_000,
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    ),
]


@pytest.fixture(scope="session", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="session")
def begin(digest, name):
    """Begins a running digest of the kernel."""
    return getattr(digest, name.capitalize())


@pytest.fixture(scope="session", params=IN_LANES)
def lane_name(request):
    return request.param


@pytest.fixture
def many(digest, lane_name):
    return getattr(digest, f"{lane_name}_many")


@pytest.fixture
def update_many(digest, lane_name):
    return getattr(digest, f"{lane_name}_update_many")


@pytest.fixture
def begin_lane(digest, lane_name):
    return getattr(digest, lane_name.capitalize())


def _digest(begin, *parts):
    running = begin()
    for part in parts:
        running.update(part)
    return running.digest()


def _expected(name, content):
    return hashlib.new(name, content, usedforsecurity=False).digest()


# --- the reference


@pytest.mark.parametrize(("name", "content", "expected"), PUBLISHED)
def test_published_digests(digest, name, content, expected):
    assert _digest(getattr(digest, name.capitalize()), content).hex() == expected
    assert hashlib.new(name, content, usedforsecurity=False).hexdigest() == expected
    if len(content) < 1000:
        assert getattr(reference, name)(content).hex() == expected
    if name in IN_LANES:
        many = getattr(digest, f"{name}_many")([content] * (LANES_MAX + 1))
        assert {each.hex() for each in many} == {expected}


def test_reference_is_hashlib(name, rng):
    for length in [*range(300), 1000]:
        content = rng.randbytes(length)
        assert getattr(reference, name)(content) == _expected(name, content), length


def test_steps_of_md5_are_those_of_the_reference():
    pattern = r"STEP\(([FGHI]), (\w), (\w), (\w), (\w), (\d+), (0x[0-9a-f]{8}), (\d+)\)"
    rows = re.findall(pattern, (FOLDER / "digest_md5.h").read_text())
    assert len(rows) == 64
    for step, (function, *letters, word, constant, count) in enumerate(rows):
        assert function == "FGHI"[step // 16]
        assert "".join(letters) == ("abcd" * 2)[-step % 4 : -step % 4 + 4]
        assert int(word) == reference.md5_word(step)
        assert int(constant, 16) == reference.MD5_SINES[step]
        assert int(count) == reference.MD5_ROTATIONS[step // 16][step % 4]


# --- one stream


def test_every_length(begin, name, rng):
    content = rng.randbytes(300)
    for length in range(301):
        assert _digest(begin, content[:length]) == _expected(name, content[:length]), length


def test_every_alignment(begin, name, rng):
    content = rng.randbytes(300)
    expected = [_expected(name, content[:length]) for length in range(301)]
    for alignment in range(64):
        view = aligned(content, alignment)
        assert [_digest(begin, view[:length]) for length in range(301)] == expected, alignment


def test_reads_nothing_beyond_either_end(begin, name, guarded_page, rng):
    content = rng.randbytes(guarded_page.size)
    for length in [*range(301), 1024, guarded_page.size - 1, guarded_page.size]:
        expected = _expected(name, content[:length])
        assert _digest(begin, guarded_page.at_end(content[:length])) == expected, length
        assert _digest(begin, guarded_page.at_start(content[:length])) == expected, length


def test_every_cut_in_two(begin, name, rng):
    content = rng.randbytes(200)
    expected = _expected(name, content)
    for cut in range(201):
        assert _digest(begin, content[:cut], content[cut:]) == expected, cut


@given(seed=st.integers(0), length=st.integers(0, 5000), count=st.integers(0, 20))
def test_any_cuts(digest, name, seed, length, count):
    rng = random.Random(seed)
    content = rng.randbytes(length)
    cuts = [0, *sorted(rng.randint(0, length) for _ in range(count)), length]
    parts = [content[a:b] for a, b in itertools.pairwise(cuts)]
    assert _digest(getattr(digest, name.capitalize()), *parts) == _expected(name, content)


def test_digest_leaves_it_running(begin, name):
    running = begin()
    running.update(b"a" * 60)
    assert running.digest() == running.digest() == _expected(name, b"a" * 60)
    running.update(b"b")
    assert running.hexdigest() == _expected(name, b"a" * 60 + b"b").hex()


@pytest.mark.parametrize("length", [GIL_HELD_BYTES_MAX, GIL_HELD_BYTES_MAX + 1, 1_000_003])
def test_same_digest_with_and_without_the_gil(begin, name, length, rng):
    content = rng.randbytes(length)
    assert _digest(begin, content) == _expected(name, content)


def test_threads_do_not_disturb_each_other(begin, name, rng):
    contents = [rng.randbytes(100_000 + i) for i in range(8)]
    expected = [_expected(name, content) for content in contents]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(lambda content: _digest(begin, content), contents)) == expected


def test_any_contiguous_buffer(begin):
    expected = _digest(begin, b"abcdefgh")
    words = array.array("I", [int.from_bytes(b"abcd", "little"), int.from_bytes(b"efgh", "little")])
    for content in (bytearray(b"abcdefgh"), memoryview(b"-abcdefgh-")[1:-1], words):
        assert _digest(begin, content) == expected


def test_releases_the_buffer(begin):
    content = bytearray(b"abc")
    begin().update(content)
    content.append(0)  # BufferError while somebody holds it


def test_refuses_what_is_no_flat_buffer(begin):
    with pytest.raises(BufferError):
        begin().update(memoryview(b"abcdef")[::2])
    for wrong in ("text", 1, None):
        with pytest.raises(TypeError):
            begin().update(wrong)


# --- many streams


def test_every_count_of_streams(many, lane_name, rng):
    for count in range(2 * LANES_MAX + 3):
        contents = [rng.randbytes(640) for _ in range(count)]
        assert many(contents) == [_expected(lane_name, each) for each in contents], count


def test_every_length_in_a_lane(many, lane_name, rng):
    contents = [rng.randbytes(length) for length in range(301)]
    assert many(contents) == [_expected(lane_name, each) for each in contents]


def test_one_stream_is_longer_than_all_others(many, lane_name, rng):
    for place in range(LANES_MAX + 1):
        contents = [rng.randbytes(rng.randrange(200)) for _ in range(LANES_MAX + 1)]
        contents[place] = rng.randbytes(20_000)
        assert many(contents) == [_expected(lane_name, each) for each in contents], place


@pytest.mark.parametrize("longest", [10, 70, 200, 5000])
def test_unequal_streams(many, lane_name, longest, rng):
    for _ in range(30):
        lengths = [rng.randrange(longest) for _ in range(rng.randrange(80))]
        contents = [rng.randbytes(length) for length in lengths]
        assert many(contents) == [_expected(lane_name, each) for each in contents], lengths


def test_every_alignment_of_lanes(many, lane_name, rng):
    contents = [rng.randbytes(400) for _ in range(64)]
    views = [aligned(content, alignment) for alignment, content in enumerate(contents)]
    assert many(views) == [_expected(lane_name, each) for each in contents]


def test_lanes_read_nothing_beyond_either_end(many, lane_name, guarded_page, rng):
    """A lane that ends at the page and others that go on, or that stand idle."""
    for length in [*range(130), 192, 1024, guarded_page.size]:
        content, other = rng.randbytes(length), rng.randbytes(200)
        expected = [_expected(lane_name, content), *[_expected(lane_name, other)] * 4]
        for count in (1, 2, 3, 5):
            for place in (guarded_page.at_end(content), guarded_page.at_start(content)):
                assert many([place, *[other] * (count - 1)]) == expected[:count], length


def test_streams_go_on_in_lanes_and_alone(begin_lane, lane_name, update_many, rng):
    for _ in range(30):
        streams = [(begin_lane(), bytearray()) for _ in range(rng.randrange(1, 40))]
        for _ in range(rng.randrange(6)):
            chosen = rng.sample(streams, rng.randint(0, len(streams)))
            parts = [rng.randbytes(rng.randrange(rng.choice((3, 65, 1000)))) for _ in chosen]
            if rng.random() < 0.3:
                for (running, _), part in zip(chosen, parts, strict=True):
                    running.update(part)
            else:
                update_many([running for running, _ in chosen], parts)
            for (_, content), part in zip(chosen, parts, strict=True):
                content += part
        for running, content in streams:
            assert running.digest() == _expected(lane_name, content)


@pytest.mark.parametrize("length", [GIL_HELD_BYTES_MAX // 4, GIL_HELD_BYTES_MAX // 4 + 1])
def test_lanes_with_and_without_the_gil(many, lane_name, length, rng):
    contents = [rng.randbytes(length) for _ in range(4)]
    assert many(contents) == [_expected(lane_name, each) for each in contents]


def test_lanes_of_several_threads(many, lane_name, rng):
    batches = [[rng.randbytes(3000 + i) for _ in range(20)] for i in range(8)]
    expected = [[_expected(lane_name, each) for each in batch] for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(many, batches)) == expected


def test_nothing_is_no_error(many, update_many):
    assert many([]) == []
    update_many([], [])


def test_any_iterable(many, begin_lane, update_many):
    assert many(iter([b"a", bytearray(b"a")])) == [_digest(begin_lane, b"a")] * 2
    running = begin_lane()
    update_many(iter([running]), (each for each in [b"a"]))
    assert running.digest() == _digest(begin_lane, b"a")


def test_lanes_release_their_buffers(many, begin_lane, update_many):
    content = bytearray(b"abc")
    many([content, b"", content])
    update_many([begin_lane()], [content])
    for call in (many, lambda buffers: update_many([begin_lane()] * len(buffers), buffers)):
        with pytest.raises(TypeError):
            call([content, "text"])
    content.append(0)  # BufferError while somebody holds it


def test_refuses_wrong_streams(digest, begin_lane, lane_name, update_many):
    running, other = begin_lane(), begin_lane()
    with pytest.raises(ValueError, match="1 digests cannot take 2 buffers"):
        update_many([running], [b"a", b"b"])
    with pytest.raises(ValueError, match="a digest is given twice"):
        update_many([running, other, running], [b"a", b"b", b"c"])
    wrong = digest.Sha1() if lane_name == "md5" else digest.Md5()
    for each in (wrong, None, hashlib.sha256()):
        with pytest.raises(TypeError):
            update_many([running, each], [b"a", b"b"])
    assert running.digest() == _digest(begin_lane)
