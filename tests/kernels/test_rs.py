"""The rs kernel against the reference, over each ISA-L that this machine has."""

import itertools
import math
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.conftest import Loader
from tests.kernels.isal import carried_path
from tests.kernels.memory import aligned
from tests.kernels.sanitized import compiler, run
from tests.reference import rs as reference

LAYOUTS = [(1, 1), (2, 1), (3, 2), (4, 2), (2, 4), (8, 4), (15, 1), (1, 15), (8, 8)]
SYSTEM = "libisal.so.2"


@pytest.fixture(scope="session")
def load_rs(tmp_path_factory):
    """`load_rs(*candidates)`: a copy of the kernel that looks for its library only there."""

    def load(*candidates):
        module = Loader(tmp_path_factory.mktemp("rs"))("rs", "")
        module._candidates = lambda: candidates
        return module

    return load


@pytest.fixture(scope="session", params=["pyeclib", "system"])
def rs(request, load_rs):
    """The kernel with the library of the wheel, and with that of the system."""
    if request.param == "pyeclib":
        module = load_rs(carried_path())
    else:
        module = load_rs(SYSTEM)
        try:
            module.bind()
        except module.LibraryMissing as missing:  # none, or one that is too old: it says which
            pytest.skip(f"{SYSTEM} cannot be used: {missing}")
    return module


def made(rng, codec, length):
    """All shards of a stripe, by the reference."""
    data = [rng.randbytes(length) for _ in range(codec.data_count)]
    return data + reference.encode(data, codec.parity_count)


def encoded(codec, data, length):
    parity = [bytearray(length) for _ in range(codec.parity_count)]
    codec.encode(data, parity)
    return [bytes(shard) for shard in parity]


# --- vectors


# Coefficients 1/(2^0), 1/(2^1): 2 * 8E = 3 * F4 = 11C, which is 1 modulo 11D.
VECTORS = [
    ((1, 1), ["01 02 80"], ["01 02 80"]),
    ((2, 1), ["01", "00"], ["8e"]),
    ((2, 1), ["00", "01"], ["f4"]),
    ((2, 1), ["02", "03"], ["00"]),
    ((2, 2), ["01", "00"], ["8e", "f4"]),
    ((2, 2), ["00", "01"], ["f4", "8e"]),
]


@pytest.mark.parametrize(("layout", "data", "parity"), VECTORS)
def test_vectors(rs, layout, data, parity):
    data, parity = ([bytes.fromhex(shard) for shard in shards] for shards in (data, parity))
    assert reference.encode(data, layout[1]) == parity
    assert encoded(rs.Codec(*layout), data, len(data[0])) == parity


def test_the_reference_is_a_field():
    for left, right in itertools.product(range(1, 256), repeat=2):
        assert reference.PRODUCTS[left][right] == reference.PRODUCTS[right][left] != 0
    assert all(reference.PRODUCTS[x][reference.INVERSES[x]] == 1 for x in range(1, 256))


# --- lengths and places


def test_every_length(rs, rng):
    codec = rs.Codec(4, 2)
    for length in (*range(301), 511, 512, 513, 4095, 4096, 4097):
        shards = made(rng, codec, length)
        assert encoded(codec, shards[:4], length) == shards[4:], length
        wanted = {1: bytearray(length), 4: bytearray(length)}
        codec.reconstruct({0: shards[0], 2: shards[2], 3: shards[3], 5: shards[5]}, wanted)
        assert wanted == {1: shards[1], 4: shards[4]}, length


def test_every_alignment(rs, rng):
    codec = rs.Codec(3, 2)
    for alignment in range(64):
        length = rng.randrange(300)
        shards = made(rng, codec, length)
        data = [aligned(shard, (alignment + 7 * at) % 64) for at, shard in enumerate(shards[:3])]
        parity = [aligned(bytes(length), (alignment + 13 * at) % 64) for at in range(2)]
        codec.encode(data, parity)
        assert parity == shards[3:], (alignment, length)


def test_touches_nothing_beyond_either_end(rs, guarded_page, rng):
    codec = rs.Codec(4, 2)
    for length in (*range(1, 301), 1024, guarded_page.size):
        shards = made(rng, codec, length)
        there = dict(enumerate(shards))
        for place in (guarded_page.at_end, guarded_page.at_start):
            view = place(shards[0])
            assert encoded(codec, [view, *shards[1:4]], length) == shards[4:], length
            view = place(bytes(length))
            codec.reconstruct({x: there[x] for x in (1, 2, 3, 4)}, {0: view})
            assert view.raw == shards[0], length
            view = place(bytes(length))
            codec.encode(shards[:4], [view, bytearray(length)])
            assert view.raw == shards[4], length


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(rs, layout, rng):
    codec = rs.Codec(*layout)
    assert (codec.data_count, codec.parity_count) == layout
    for length in (1, 31, 32, 100, 5000):
        shards = made(rng, codec, length)
        assert encoded(codec, shards[: layout[0]], length) == shards[layout[0] :]


# --- shards that are lost


@pytest.mark.parametrize("layout", [(1, 1), (2, 1), (3, 2), (4, 2), (2, 4), (8, 4)])
def test_every_subset_gives_back_the_rest(rs, layout, rng):
    codec = rs.Codec(*layout)
    shards = made(rng, codec, 67)
    total = sum(layout)
    for chosen in itertools.combinations(range(total), layout[0]):
        wanted = {x: bytearray(67) for x in range(total) if x not in chosen}
        codec.reconstruct({x: shards[x] for x in chosen}, wanted)
        assert wanted == {x: shards[x] for x in wanted}, chosen


def test_reference_decodes_too(rs, rng):
    shards = made(rng, rs.Codec(4, 2), 40)
    for chosen in itertools.combinations(range(6), 4):
        assert reference.decode({x: shards[x] for x in chosen}, 4, 2) == shards[:4]


def test_only_what_is_wanted_is_written(rs, rng):
    codec = rs.Codec(4, 2)
    shards = made(rng, codec, 50)
    there = {x: bytearray(shards[x]) for x in (0, 2, 3, 4, 5)}
    wanted = {1: bytearray(50)}
    codec.reconstruct(there, wanted)
    assert wanted[1] == shards[1]
    assert there == {x: shards[x] for x in there}
    codec.reconstruct(there, {})


def test_too_few_shards_name_their_number(rs):
    codec = rs.Codec(4, 2)
    with pytest.raises(ValueError, match="3 of 6 shards are there, and 4 are needed"):
        codec.reconstruct(dict.fromkeys(range(3), b"abc"), {3: bytearray(3)})


# --- a data shard that changes


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_update_is_what_encoding_anew_gives(rs, layout, rng):
    codec = rs.Codec(*layout)
    for length in (0, 1, 15, 16, 31, 32, 33, 100, 4097):
        shards = made(rng, codec, length)
        data, parity = shards[: layout[0]], [bytearray(x) for x in shards[layout[0] :]]
        for index in range(layout[0]):
            after = rng.randbytes(length)
            codec.update(index, data[index], after, parity)
            data[index] = after
            assert parity == reference.encode(data, layout[1]), (length, index)


# --- the proof


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_subset_is_proven(rs, layout):
    assert rs.Codec(*layout).prove() == math.comb(sum(layout), layout[0])


# --- what does not fit


@pytest.mark.parametrize("layout", [(0, 1), (1, 0), (0, 0), (16, 1), (9, 8), (2**31, 2**31)])
def test_layouts_that_cannot_be(rs, layout):
    with pytest.raises(ValueError, match="each is 1 or more, and both together are at most 16"):
        rs.Codec(*layout)


def test_shards_that_do_not_fit(rs):
    codec = rs.Codec(2, 1)
    with pytest.raises(ValueError, match="1 shards where the layout has 2"):
        codec.encode([b"a"], [bytearray(1)])
    with pytest.raises(ValueError, match="2 shards where the layout has 1"):
        codec.encode([b"a", b"b"], [bytearray(1), bytearray(1)])
    with pytest.raises(ValueError, match="shards of 1 and of 2 bytes"):
        codec.encode([b"a", b"b"], [bytearray(2)])
    with pytest.raises(ValueError, match="shards of 2 and of 1 bytes"):
        codec.update(0, b"a", b"b", [bytearray(2)])
    with pytest.raises(ValueError, match="2 is no data shard"):
        codec.update(2, b"a", b"b", [bytearray(1)])
    with pytest.raises(ValueError, match="3 is no shard"):
        codec.reconstruct({0: b"a", 1: b"b"}, {3: bytearray(1)})
    with pytest.raises(ValueError, match="shard 1 is both there and wanted"):
        codec.reconstruct({0: b"a", 1: b"b"}, {1: bytearray(1)})
    with pytest.raises(BufferError):
        codec.encode([b"a", b"b"], [b"c"])
    with pytest.raises(TypeError):
        codec.encode([b"a", "b"], [bytearray(1)])


def test_buffers_are_let_go_after_a_refusal(rs):
    codec = rs.Codec(2, 1)
    data = bytearray(8)
    for parity in ([bytearray(9)], [b"12345678"]):
        with pytest.raises((ValueError, BufferError)):
            codec.encode([data, data], parity)
    data.append(1)  # a BufferError while somebody holds it


# --- many threads, any bytes


def test_threads_share_a_codec(rs, rng):
    codec = rs.Codec(4, 2)
    stripes = [made(rng, codec, 2000) for _ in range(8)]

    def one(stripe):
        wanted = {0: bytearray(2000), 5: bytearray(2000)}
        for _ in range(50):
            assert encoded(codec, stripe[:4], 2000) == stripe[4:]
            codec.reconstruct({x: stripe[x] for x in (1, 2, 3, 4)}, wanted)
            assert wanted == {0: stripe[0], 5: stripe[5]}

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, stripes))


@settings(max_examples=60)
@given(content=st.binary(max_size=600), layout=st.sampled_from(LAYOUTS), choice=st.randoms())
def test_any_bytes(rs, content, layout, choice):
    codec = rs.Codec(*layout)
    length = len(content) // layout[0]
    data = [content[at * length : (at + 1) * length] for at in range(layout[0])]
    shards = data + encoded(codec, data, length)
    assert shards[layout[0] :] == reference.encode(data, layout[1])
    there = choice.sample(range(sum(layout)), layout[0])
    wanted = {x: bytearray(length) for x in range(sum(layout)) if x not in there}
    codec.reconstruct({x: shards[x] for x in there}, wanted)
    assert wanted == {x: shards[x] for x in wanted}


# --- the library


def test_library_names_version_and_path(load_rs):
    name, path = load_rs(carried_path()).library()
    assert re.fullmatch(r"ISA-L 2\.[0-9]+(\.[0-9]+| or later)", name)
    assert path == carried_path()


def test_the_wheel_comes_before_the_system():
    code = "from fastobj._ext import rs; print(*rs._candidates(), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [carried_path(), SYSTEM]


def test_the_next_one_is_taken_where_one_cannot_be_loaded(load_rs, tmp_path):
    wrong = tmp_path / "wrong.so"
    wrong.write_bytes(b"no library")
    assert load_rs(str(wrong), carried_path()).library()[1] == carried_path()


def test_without_a_library_the_operation_says_what_to_install(load_rs):
    rs = load_rs("/nowhere/libisal.so.2")
    for operation in (rs.library, rs.bind, lambda: rs.Codec(4, 2)):
        with pytest.raises(rs.LibraryMissing, match=r"ISA-L 2\.30 or later") as caught:
            operation()
        for part in ("fastobj[erasure]", "apt install libisal2", "Tried: /nowhere/libisal.so.2"):
            assert part in str(caught.value)


def test_an_old_library_is_refused(load_rs, tmp_path):
    """One of 2.29 has all functions that are called, and faults that later ones mended."""
    source, built = tmp_path / "old.c", tmp_path / "old.so"
    names = ("gf_gen_cauchy1_matrix", "gf_invert_matrix", "gf_mul")
    names += ("ec_init_tables", "ec_encode_data", "ec_encode_data_update")
    source.write_text("".join(f"void {name}(void) {{}}\n" for name in names))
    run([*compiler(), "-shared", "-fPIC", str(source), "-o", str(built)])
    rs = load_rs(str(built))
    with pytest.raises(rs.LibraryMissing, match=r"old\.so has no function isal_deflate"):
        rs.Codec(4, 2)
