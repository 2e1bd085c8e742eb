"""The chunked kernel against published examples, clients and the reference."""

import io
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum

from tests.kernels.chunked_cases import (
    CHECKSUM,
    DATE,
    KEY,
    SCOPE,
    SEED,
    SIGNED,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    cut,
    decode,
    decoder,
    each_mode,
    encode,
    expected,
    minio_go,
)
from tests.kernels.conftest import CHUNKED_LEVELS, _load_or_skip
from tests.reference.chunked import Code, Decoded, Mode

MIB = 1 << 20


@pytest.fixture(scope="session", params=CHUNKED_LEVELS)
def chunked(request, load_kernel):
    """The chunked kernel, at every level that it knows."""
    return _load_or_skip(load_kernel, "chunked", request.param)


# --- published examples, and what clients send ---------------------------------------------------

# S3 API reference, "Transferring Payload in Multiple Chunks" and "Including Trailing Headers":
# seed, and the signatures of the chunks and of the trailer.
PUBLISHED = [
    (
        SIGNED,
        SEED,
        b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        b"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        None,
    ),
    (
        SIGNED_TRAILER,
        b"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        b"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        b"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        b"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
    ),
]


def published_body(first, second, last, trailer):
    """The body of the example: 65 KiB of the letter a."""
    head = b"%x;chunk-signature=%b\r\n"
    body = head % (65536, first) + b"a" * 65536 + b"\r\n"
    body += head % (1024, second) + b"a" * 1024 + b"\r\n" + head % (0, last)
    if trailer:
        body += b"%b:%b\r\nx-amz-trailer-signature:%b\r\n" % (*CHECKSUM, trailer)
    return body + b"\r\n"


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row[0].name.lower())
@pytest.mark.parametrize("ends", [2, 0], ids=["closed", "as-printed"])
def test_published_examples(chunked, row, ends):
    mode, seed, *signatures = row
    body = published_body(*signatures)
    if mode == SIGNED_TRAILER and not ends:
        body = body[:-2]  # the document shows no CRLF behind the trailer's signature
    trailers = [CHECKSUM] if mode == SIGNED_TRAILER else []
    right = Decoded(b"a" * 66560, trailers, True)
    assert expected(mode, 66560, body, seed) == right
    assert decode(chunked, mode, 66560, body, seed=seed) == right
    wrong = body.replace(b"a" * 1024 + b"\r\n", b"a" * 1023 + b"b\r\n")
    assert decode(chunked, mode, 66560, wrong, seed=seed) == Code.SIGNATURE


def test_bodies_of_botocore(chunked, rng):
    payload = rng.randbytes(200_000)
    wrapper = AwsChunkedWrapper(
        io.BytesIO(payload),
        checksum_cls=Crc32Checksum,
        checksum_name="x-amz-checksum-crc32",
        chunk_size=65536,
    )
    checksum = Crc32Checksum()
    checksum.update(payload)
    decoded = decode(chunked, UNSIGNED_TRAILER, len(payload), wrapper.read())
    trailer = (b"x-amz-checksum-crc32", checksum.b64digest().encode())
    assert decoded == Decoded(payload, [trailer], True)


@pytest.mark.parametrize("mode", [SIGNED_TRAILER, UNSIGNED_TRAILER])
@pytest.mark.parametrize("trailers", [[CHECKSUM], [CHECKSUM, (b"x-amz-checksum-sha1", b"x")]])
def test_bodies_of_minio_go(chunked, mode, trailers):
    body = minio_go(mode, [b"hello"], trailers)
    assert decode(chunked, mode, 5, body) == Decoded(b"hello", trailers, True)
    assert expected(mode, 5, body) == Decoded(b"hello", trailers, True)


@each_mode
def test_bodies_without_the_last_crlf(chunked, mode):
    """aws-sdk-java-v2 (asynchronous) and aws-sdk-js-v3 have sent such."""
    body = encode(mode, [b"hello"])
    assert decode(chunked, mode, 5, body[:-2]).complete
    assert not decode(chunked, mode, 5, body[:-1]).complete


def test_unsigned_bodies_without_trailers(chunked):
    for body in (b"5\r\nhello\r\n0\r\n", b"5\r\nhello\r\n0\r\n\r\n"):
        assert decode(chunked, UNSIGNED_TRAILER, 5, body) == Decoded(b"hello", [], True)


def test_sizes_in_upper_case(chunked):
    """aws-c-s3 and aws-sdk-cpp write them so."""
    body = b"AB\r\n" + b"x" * 0xAB + b"\r\n0\r\n\r\n"
    assert decode(chunked, UNSIGNED_TRAILER, 0xAB, body).complete


# --- lengths and cuts ----------------------------------------------------------------------------


@each_mode
def test_every_length(chunked, mode, rng):
    for length in range(301):
        payload = rng.randbytes(length)
        chunks = [payload] if payload else []
        body = encode(mode, chunks)
        decoded = decode(chunked, mode, length, body)
        assert (decoded.payload, decoded.complete) == (payload, True), length


@each_mode
@pytest.mark.parametrize("size", [65535, 65536, 65537, MIB - 1, MIB, MIB + 1])
@pytest.mark.parametrize("step", [4096, 4097, 65536, MIB, 10 * MIB])
def test_large_chunks(chunked, mode, size, step, rng):
    payload = rng.randbytes(2 * size + 10)
    chunks = [payload[at : at + size] for at in range(0, len(payload), size)]
    body = encode(mode, chunks)
    decoded = decode(chunked, mode, len(payload), body, range(step, len(body), step))
    assert decoded.payload == payload
    assert decoded.complete


@each_mode
@pytest.mark.parametrize("form", ["document", "minio-go"])
def test_every_two_cuts(chunked, mode, form):
    if form == "document" or mode == SIGNED:
        body = encode(mode, [b"ab", b"c"])
    else:
        body = minio_go(mode, [b"ab", b"c"], [CHECKSUM])
    right = expected(mode, 3, body)
    assert right.complete
    for cuts in combinations(range(len(body) + 1), 2):
        assert decode(chunked, mode, 3, body, cuts) == right, cuts


@each_mode
def test_single_bytes(chunked, mode, rng):
    chunks = [rng.randbytes(rng.randrange(1, 60)) for _ in range(5)]
    body = encode(mode, chunks)
    length = len(b"".join(chunks))
    decoded = decode(chunked, mode, length, body, range(1, len(body)))
    assert decoded == expected(mode, length, body)
    assert decoded.complete


@each_mode
def test_every_beginning_is_incomplete(chunked, mode):
    """But for one that ends at a whole trailer: that there are too few is the caller's to see."""
    body = encode(mode, [b"ab", b"c"])
    complete = [end for end in range(len(body)) if decode(chunked, mode, 3, body[:end]).complete]
    whole = [len(body) - 2]
    if mode == UNSIGNED_TRAILER:
        whole.insert(0, body.index(b"x-amz"))
    assert complete == whole


@each_mode
def test_stays_within_its_buffer(chunked, mode, guarded_page, rng):
    for length in (1, 63, 64, 65, 300, 3000):
        body = encode(mode, [rng.randbytes(length)])
        for put in (guarded_page.at_end, guarded_page.at_start):
            assert decoder(chunked, mode, length).feed(put(body), len(body)) == (len(body), length)


@each_mode
def test_payload_follows_payload_in_one_buffer(chunked, mode, rng):
    """As a piece is filled: what comes in is put behind the payload that is there."""
    payload = rng.randbytes(10_000)
    body = encode(mode, [payload[:7000], payload[7000:]])
    one, buffer, filled = decoder(chunked, mode, 10_000), bytearray(12_000), 0
    for piece in cut(body, range(997, len(body), 997)):
        buffer[filled : filled + len(piece)] = piece
        filled += one.feed(memoryview(buffer)[filled:], len(piece))[1]
    assert one.complete
    assert buffer[:filled] == payload


@each_mode
def test_decoders_in_threads(chunked, mode, rng):
    payload = rng.randbytes(MIB)
    body = encode(mode, [payload] * 3)

    def run(_):
        return decode(chunked, mode, 3 * MIB, body, range(100_000, len(body), 100_000))

    with ThreadPoolExecutor(4) as pool:
        for decoded in pool.map(run, range(8)):
            assert decoded.payload == payload * 3
            assert decoded.complete


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", CHUNKED_LEVELS)
def test_level_gives_the_code_that_sigv4_has(load_kernel, level):
    kernel = _load_or_skip(load_kernel, "chunked", level)
    assert kernel.ISA == load_kernel("sigv4", level).ISA


@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER])
@pytest.mark.parametrize("key", [b"", b"k" * 31, b"k" * 33, KEY])
@pytest.mark.parametrize("seed", [b"", SEED[1:], SEED + b"0"])
def test_signed_modes_need_a_key_and_a_seed(chunked, mode, key, seed):
    with pytest.raises(ValueError, match="needs a signing key and the seed"):
        chunked.ChunkedDecoder(mode, 0, key, DATE, SCOPE, seed)


def test_unknown_mode(chunked):
    with pytest.raises(ValueError, match="no mode"):
        chunked.ChunkedDecoder(3, 0, KEY, DATE, SCOPE, SEED)


@pytest.mark.parametrize("count", [-1, 11, 2**62])
def test_count_is_within_the_buffer(chunked, count):
    one = decoder(chunked, UNSIGNED_TRAILER, 0)
    with pytest.raises(ValueError, match="the buffer has 10 bytes"):
        one.feed(bytearray(10), count)
    assert one.feed(bytearray(b"0\r\n"), 3) == (3, 0)


def test_buffer_is_writable(chunked):
    with pytest.raises(BufferError):
        decoder(chunked, UNSIGNED_TRAILER, 0).feed(b"0\r\n", 3)


def test_modes_and_codes_are_those_of_the_reference(chunked):
    assert [(mode.name, mode.value) for mode in chunked.Mode] == [(m.name, m.value) for m in Mode]
    assert [(code.name, code.value) for code in chunked.Code] == [(c.name, c.value) for c in Code]


# --- against the reference -----------------------------------------------------------------------

SIGNS = [b"\r\n", b"\n", b"\r", b";", b":", b" ", b"\0", b"0", b"ff", b"0\r\n"]
LINES = [b";chunk-signature=", b"a:b\r\n", b"a:b\n", b"x-amz-trailer-signature:", b"x" * 20000]
WORDS = [*SIGNS, *LINES, b"0" * 64]


def random_body(rng, mode):
    """A body in one of the forms, mostly damaged, and its decoded length."""
    chunks = [rng.randbytes(rng.randrange(1, 50)) for _ in range(rng.randrange(4))]
    trailers = [CHECKSUM][: rng.randrange(4)]
    form = minio_go if mode != SIGNED and trailers and rng.random() < 0.3 else encode
    body = form(mode, chunks, trailers if mode != SIGNED else None)
    for _ in range(rng.choice((0, 1, 1, 2))):
        at, end = sorted(rng.choices(range(len(body) + 1), k=2))
        word = rng.choice(WORDS)
        changes = (
            body[:at] + word + body[at:],
            body[:at] + word + body[at + 4 :],
            body[:at] + body[min(end, at + 9) :],
            body[:at] + body[at:end] * 2 + body[end:],
            body[:end],
            body + word,
        )
        body = rng.choice(changes)
    return body, max(0, len(b"".join(chunks)) + rng.choice((0, 0, 0, 0, 1, -1)))


@each_mode
def test_random_bodies_decode_as_in_the_reference(chunked, mode, rng):
    seen = set()
    for number in range(3000):
        body, length = random_body(rng, mode)
        right = expected(mode, length, body)
        seen.add(right if isinstance(right, Code) else right.complete)
        assert decode(chunked, mode, length, body) == right, (number, body)
        cuts = sorted(rng.choices(range(len(body) + 1), k=rng.choice((1, 3, 30))))
        assert decode(chunked, mode, length, body, cuts) == right, (number, body, cuts)
    assert seen >= {True, False, Code.SIZE, Code.FRAMING, Code.LENGTH}


# --- chunks that are hashed together, and the look ahead -----------------------------------------


@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER])
def test_a_wrong_chunk_among_many_is_found_where_it_stands(chunked, mode, rng):
    """Of forty chunks in one feed, one is wrong, and what is malformed behind it does not show."""
    chunks = [rng.randbytes(rng.randrange(30, 2000)) for _ in range(40)]
    length = sum(map(len, chunks))
    body = encode(mode, chunks)
    whole = decode(chunked, mode, length, body)
    assert (whole.payload, whole.complete) == (b"".join(chunks), True)
    for number in (0, 1, 14, 15, 16, 17, 31, 39):
        at = body.index(chunks[number]) + len(chunks[number]) - 1
        wrong = bytearray(body)
        wrong[at] ^= 1
        wrong[-20] ^= 0x80
        one = decoder(chunked, mode, length)
        with pytest.raises(chunked.ChunkedError) as caught:
            one.feed(wrong, len(wrong))
        assert caught.value.code == Code.SIGNATURE
        assert one.decoded == sum(map(len, chunks[: number + 1]))


@each_mode
def test_a_plan_finds_the_payload(chunked, mode, rng):
    chunks = [rng.randbytes(rng.randrange(30, 500)) for _ in range(30)]
    length = sum(map(len, chunks))
    body = encode(mode, chunks)
    for step in (1, 7, 100, len(body)):
        plan, at, found = chunked.ChunkedPlan(mode, length), 0, 0
        while found < length:
            consumed, payload = plan.look(body[at : at + step], min(33, length - found))
            assert payload <= 33
            at, found = at + consumed, found + payload
        assert body.index(chunks[-1]) + len(chunks[-1]) == at
        assert plan.look(body[at:], 1)[1] == 0
    with pytest.raises(chunked.ChunkedError) as caught:
        chunked.ChunkedPlan(mode, length).look(b"x" + body, length)
    assert caught.value.code == Code.SIZE


@each_mode
def test_a_plan_foretells_regular_framing(chunked, mode):
    chunks = [bytes(1000)] * 5
    body = encode(mode, chunks)
    plan = chunked.ChunkedPlan(mode, 5000)
    assert plan.framing(5000) == 0
    consumed, payload = plan.look(body, 1500)
    whole = len(body[: body.rindex(bytes(1000)) + 1000])
    assert payload == 1500
    assert plan.framing(500) == 0  # the chunk has as much left
    assert whole <= consumed + 3500 + plan.framing(3500) <= whole + 2  # and the last CRLF
