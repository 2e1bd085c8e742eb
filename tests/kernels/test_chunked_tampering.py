"""The chunked kernel against bodies that nobody may send: signatures, sizes, ends, trailers."""

import pytest

from tests.kernels.chunked_cases import (
    CHECKSUM,
    DATE,
    KEY,
    SCOPE,
    SEED,
    SIGNED,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    chain,
    decode,
    decoder,
    each_mode,
    encode,
    expected,
)
from tests.kernels.conftest import CHUNKED_LEVELS, _load_or_skip
from tests.reference import chunked as reference
from tests.reference.chunked import Code, Decoded


@pytest.fixture(scope="session", params=CHUNKED_LEVELS)
def chunked(request, load_kernel):
    """The chunked kernel, at every level that it knows."""
    return _load_or_skip(load_kernel, "chunked", request.param)


# --- tampering -----------------------------------------------------------------------------------

CHUNKS = [b"a" * 100, b"b" * 100, b"c" * 100]
OTHER_SEED = b"0" * 64


def frames(mode, seed=SEED, key=KEY):
    """The chunks of an upload one by one, and its end."""
    one = chain(seed, key)
    parts = [reference.encode_chunk(mode, one, payload) for payload in [*CHUNKS, b""]]
    if mode != SIGNED:
        parts[-1] += reference.encode_trailers(mode, one, [CHECKSUM])
    return [*parts[:-1], parts[-1] + b"\r\n"]


TAMPERED = {
    "swapped": (lambda f, _: [f[1], f[0], *f[2:]], Code.SIGNATURE),
    "repeated": (lambda f, _: [f[0], *f], Code.SIGNATURE),
    "first dropped": (lambda f, _: f[1:], Code.SIGNATURE),
    "last dropped": (lambda f, _: [*f[:2], f[3]], Code.LENGTH),
    "spliced": (lambda f, other: [f[0], other[1], *f[2:]], Code.SIGNATURE),
    "end of another": (lambda f, other: [*f[:3], other[3]], Code.SIGNATURE),
    "too many": (lambda f, _: [*f[:3], f[2], f[3]], Code.LENGTH),
    "split": (lambda f, _: [f[0].replace(b"64;", b"32;", 1), *f[1:]], Code.SIGNATURE),
}


@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER])
@pytest.mark.parametrize("case", TAMPERED)
def test_tampered_chunks(chunked, mode, case):
    change, code = TAMPERED[case]
    for other in (frames(mode, OTHER_SEED), frames(mode, SEED, b"k" * 32)):
        body = b"".join(change(frames(mode), other))
        assert decode(chunked, mode, 300, body) == code
        assert expected(mode, 300, body) == code


@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER])
def test_another_seed_or_scope(chunked, mode):
    body = b"".join(frames(mode))
    assert decode(chunked, mode, 300, body, seed=OTHER_SEED) == Code.SIGNATURE
    for arguments in [
        (b"k" * 32, DATE, SCOPE, SEED),
        (KEY, b"20130524T000001Z", SCOPE, SEED),
        (KEY, DATE, SCOPE.replace(b"east", b"west"), SEED),
    ]:
        one = chunked.ChunkedDecoder(mode, 300, *arguments)
        with pytest.raises(chunked.ChunkedError) as caught:
            one.feed(bytearray(body), len(body))
        assert caught.value.code is chunked.Code.SIGNATURE


@each_mode
def test_no_final_chunk(chunked, mode):
    body = b"".join(frames(mode)[:3])
    assert decode(chunked, mode, 300, body) == Decoded(b"".join(CHUNKS), [], False)


@each_mode
@pytest.mark.parametrize("more", [b"\0", b"\r\n", b"0\r\n\r\n", b"x"])
def test_bytes_after_the_end(chunked, mode, more):
    body = b"".join(frames(mode))
    assert decode(chunked, mode, 300, body + more) == Code.AFTER_END
    assert decode(chunked, mode, 300, body + more, range(1, len(body) + 1)) == Code.AFTER_END


def test_trailers_in_a_mode_without(chunked):
    body = b"".join(frames(SIGNED))[:-2] + b"%b:%b\r\n\r\n" % CHECKSUM
    assert decode(chunked, SIGNED, 300, body) == Code.AFTER_END


def test_every_bit_of_a_signed_body_counts(chunked):
    body = encode(SIGNED_TRAILER, [b"abc", b"d"])
    right = expected(SIGNED_TRAILER, 4, body)
    for at in range(len(body)):
        for bit in range(8):
            wrong = body[:at] + bytes([body[at] ^ 1 << bit]) + body[at + 1 :]
            decoded = decode(chunked, SIGNED_TRAILER, 4, wrong)
            assert decoded == expected(SIGNED_TRAILER, 4, wrong), (at, bit)
            # The case of a trailer's name is the one thing that is not signed.
            if isinstance(decoded, Decoded) and decoded.complete:
                assert decoded == right
                assert wrong.lower() == body.lower()


SIZES = [b"", b"0x5", b"+5", b"-5", b" 5", b"5 ", b"5_0", b"g", b"\t5", b"5h", b"5\n", b"5,"]
SIZES += [b"0" * 16 + b"5", b"f" * 17, b"f" * 16, b"140000001", b"8000000000000000", b"5" * 200]


@each_mode
@pytest.mark.parametrize("size", SIZES)
def test_sizes_that_are_none(chunked, mode, size):
    body = encode(mode, [b"hello"])
    body = size + body[1:]
    assert decode(chunked, mode, 5, body) == Code.SIZE
    assert expected(mode, 5, body) == Code.SIZE


@each_mode
def test_leading_zeros_up_to_the_limit_of_digits(chunked, mode):
    body = encode(mode, [b"hello"])
    for zeros in range(16):
        assert decode(chunked, mode, 5, b"0" * zeros + body).complete
    assert decode(chunked, mode, 5, b"0" * 16 + body) == Code.SIZE


def test_largest_chunk(chunked):
    assert chunked.CHUNK_BYTES_MAX == reference.CHUNK_BYTES_MAX == 0x140000000
    head = b"140000000\r\nx"
    decoded = decode(chunked, UNSIGNED_TRAILER, 5 << 30, head)
    assert decoded == Decoded(b"x", [], False)
    assert decode(chunked, UNSIGNED_TRAILER, (5 << 30) - 1, head) == Code.LENGTH


HEADS = [
    b"5\r\n",
    b"5;\r\n",
    b"5;chunk-signature=\r\n",
    b"5;chunk-signature=%b\n",
    b"5;chunk-signature=%b\r",
    b"5;chunk-signature=%b\r\r\n",
    b"5;chunk-signature=%b;a=b\r\n",
    b"5;a=b;chunk-signature=%b\r\n",
    b"5;chunk-signature=0%b\r\n",
    b"5;chunk-signature =%b\r\n",
    b"5; chunk-signature=%b\r\n",
    b"5;Chunk-Signature=%b\r\n",
    b"5;chunk_signature=%b\r\n",
    b'5;chunk-signature="%b"\r\n',
    b"5;chunk-signature=%b" + b" " * 100 + b"\r\n",
]


@pytest.mark.parametrize("head", HEADS)
def test_heads_of_signed_chunks(chunked, head):
    body = encode(SIGNED, [b"hello"])
    signature = body[len(b"5;chunk-signature=") :][:64]
    wrong = head.replace(b"%b", signature) + body[body.index(b"hello") :]
    assert decode(chunked, SIGNED, 5, wrong) == Code.FRAMING
    assert expected(SIGNED, 5, wrong) == Code.FRAMING


def test_signatures_are_in_lower_case(chunked):
    body = encode(SIGNED, [b"hello"])
    signature = body[len(b"5;chunk-signature=") :][:64]
    assert decode(chunked, SIGNED, 5, body.replace(signature, signature.upper())) == Code.SIGNATURE


@pytest.mark.parametrize(
    "head", [b"5;\r\n", b"5;a\r\n", b"5\r\r\n", b"5;chunk-signature=" + b"0" * 64 + b"\r\n"]
)
def test_heads_of_unsigned_chunks(chunked, head):
    wrong = head + b"hello\r\n0\r\n\r\n"
    assert decode(chunked, UNSIGNED_TRAILER, 5, wrong) == Code.FRAMING


@each_mode
@pytest.mark.parametrize("end", [b"\n\n", b"\rx", b"xx", b"\r\r\n", b"0\r\n"])
def test_ends_of_chunks(chunked, mode, end):
    body = encode(mode, [b"hello"]).replace(b"hello\r\n", b"hello" + end)
    assert decode(chunked, mode, 5, body) == Code.FRAMING


@each_mode
@pytest.mark.parametrize("length", [299, 301, 0, 1, 2**63, 2**64 - 1])
def test_decoded_length_of_others(chunked, mode, length):
    assert decode(chunked, mode, length, b"".join(frames(mode))) == Code.LENGTH


@each_mode
@pytest.mark.parametrize("length", [-1, 2**64])
def test_decoded_length_that_is_none(chunked, mode, length):
    with pytest.raises(OverflowError):
        decoder(chunked, mode, length)


@each_mode
def test_empty_bodies(chunked, mode):
    assert decode(chunked, mode, 0, encode(mode, [])).complete
    assert decode(chunked, mode, 0, b"") == Decoded(b"", [], False)
    assert decode(chunked, mode, 1, encode(mode, [])) == Code.LENGTH


@each_mode
def test_an_error_stays(chunked, mode):
    body = b"".join(frames(mode))
    one = decoder(chunked, mode, 299)
    for piece in (body, body, b"0\r\n\r\n", b"x"):
        with pytest.raises(chunked.ChunkedError, match="decoded length"):
            one.feed(bytearray(piece), len(piece))
    assert not one.complete


# --- trailers ------------------------------------------------------------------------------------


def unsigned(text):
    """What an unsigned body with this text in the place of trailers gives."""
    return b"0\r\n" + text


@pytest.mark.parametrize(
    ("text", "trailers"),
    [
        (b"a:b\r\n\r\n", [(b"a", b"b")]),
        (b"A-B:C\r\n\r\n", [(b"a-b", b"C")]),
        (b"a: \tb c\t \r\n\r\n", [(b"a", b"b c")]),
        (b"a:\r\n\r\n", [(b"a", b"")]),
        (b"a: \r\n\r\n", [(b"a", b"")]),
        (b"a:b:c\r\n\r\n", [(b"a", b"b:c")]),
        (b"b:1\r\na:2\r\nb:3\r\n\r\n", [(b"b", b"1"), (b"a", b"2"), (b"b", b"3")]),
        (b"a:b\nc:d\r\n\r\n", [(b"a", b"b"), (b"c", b"d")]),
        (b"!#$%&'*+-.^_`|~09az:x\r\n\r\n", [(b"!#$%&'*+-.^_`|~09az", b"x")]),
    ],
)
def test_trailers(chunked, text, trailers):
    body = unsigned(text)
    assert expected(UNSIGNED_TRAILER, 0, body) == Decoded(b"", trailers, True)
    assert decode(chunked, UNSIGNED_TRAILER, 0, body) == Decoded(b"", trailers, True)


@pytest.mark.parametrize(
    "text",
    [
        b":b\r\n",
        b"a\r\n",
        b" a:b\r\n",
        b"a :b\r\n",
        b"a\0:b\r\n",
        b"a:b\0\r\n",
        b"a:\x7f\r\n",
        b"a:\x80\r\n",
        b"\xe9:b\r\n",
        b"a:b\rc\r\n",
        b"a:b\r\r\n",
        b"(a):b\r\n",
        b"\n",
        b"a:b\n\n",
        b"a:b\n\r\nc:d\r\n",
        b"a:b\r\n\n",
        b"x-amz-trailer-signature:" + b"0" * 64 + b"\r\n",
    ],
)
def test_trailers_that_are_none(chunked, text):
    body = unsigned(text)
    assert expected(UNSIGNED_TRAILER, 0, body) == Code.TRAILER
    assert decode(chunked, UNSIGNED_TRAILER, 0, body) == Code.TRAILER
    assert decode(chunked, UNSIGNED_TRAILER, 0, body, range(1, len(body))) == Code.TRAILER


def test_limit_of_the_trailers(chunked):
    limit = chunked.TRAILER_BYTES_MAX
    assert limit == reference.TRAILER_BYTES_MAX == 16384
    for count in (1, 10):
        # Room must be left for the line that ends the list.
        lines = [b"a:%b\r\n" % (b"v" * (limit // count - 5)) for _ in range(count)]
        text = b"".join(lines)
        fits = unsigned(text[:-2] + b"v" * (limit - 2 - (len(text) - count)) + b"\r\n\r\n")
        assert decode(chunked, UNSIGNED_TRAILER, 0, fits) == expected(UNSIGNED_TRAILER, 0, fits)
        assert decode(chunked, UNSIGNED_TRAILER, 0, fits).complete
        above = fits.replace(b"v", b"vv", 1)
        assert decode(chunked, UNSIGNED_TRAILER, 0, above) == Code.TRAILER
        assert expected(UNSIGNED_TRAILER, 0, above) == Code.TRAILER
    for endless in (b"a" * limit, b"a:" + b"v" * limit, b"a:\r\n" * limit):
        assert decode(chunked, UNSIGNED_TRAILER, 0, unsigned(endless)) == Code.TRAILER


def signed_trailers(lines):
    """An empty signed body whose trailers are these lines; %s stands for their signature."""
    one = chain()
    body = reference.encode_chunk(SIGNED_TRAILER, one, b"")
    return body + lines.replace(b"%s", one.trailers(b"a:b\n"))


SIGNATURE = b"x-amz-trailer-signature:%s\r\n"


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        (b"a:b\r\n" + SIGNATURE, True),
        (b"a:b\r\n" + SIGNATURE + b"\r\n", True),
        (b"a: b \r\nX-Amz-Trailer-Signature: %s \r\n\r\n", True),
        (b"A:b\n\r\n" + SIGNATURE + b"\r\n", True),
        (b"", False),
        (b"a:b\r\n", False),
        (b"a:b\n", False),
        (b"a:b\n\r\n", False),
        (b"a:b\r\n" + SIGNATURE[:-1], False),
        (b"\r\n", Code.TRAILER),
        (b"a:b\r\n\r\n", Code.TRAILER),
        (b"a:b\n\r\n\r\n", Code.TRAILER),
        (b"a:b\n" + SIGNATURE, Code.TRAILER),
        (b"a:b\r\n" + SIGNATURE[:-2] + b"\n", Code.TRAILER),
        (b"a:b\r\n" + SIGNATURE * 2, Code.TRAILER),
        (b"a:b\r\n" + SIGNATURE + b"c:d\r\n", Code.TRAILER),
        (b"a:b\r\nx-amz-trailer-signature:\r\n", Code.TRAILER),
        (b"a:b\r\nx-amz-trailer-signature:0%s\r\n", Code.TRAILER),
        (b"a:b\r\nx-amz-trailer-signature:" + b"0" * 64 + b"\r\n", Code.SIGNATURE),
        (b"a:c\r\n" + SIGNATURE, Code.SIGNATURE),
        (b"a:b\r\nc:d\r\n" + SIGNATURE, Code.SIGNATURE),
        (SIGNATURE + b"a:b\r\n", Code.SIGNATURE),
        (b"a:b\r\n" + SIGNATURE + b"\r\n\r\n", Code.AFTER_END),
    ],
)
def test_signatures_of_trailers(chunked, lines, outcome):
    body = signed_trailers(lines)
    if isinstance(outcome, bool):
        outcome = Decoded(b"", [(b"a", b"b")] if outcome else [], outcome)
    assert expected(SIGNED_TRAILER, 0, body) == outcome
    assert decode(chunked, SIGNED_TRAILER, 0, body) == outcome
    assert decode(chunked, SIGNED_TRAILER, 0, body, range(1, len(body))) == outcome
