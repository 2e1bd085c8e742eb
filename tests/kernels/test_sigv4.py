"""The sigv4 kernel against published examples, its rules, the reference and botocore."""

import hashlib
import hmac
import re
from math import isqrt
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from fastobj._ext import sigv4 as kernel
from tests.kernels.memory import aligned
from tests.reference import sigv4 as reference

SECRET = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # the one of the AWS documents
EMPTY_HASH = hashlib.sha256(b"").hexdigest().encode()
SHA256_SOURCE = Path(__file__).parents[2] / "src/fastobj/_ext/digest_sha256.c"

DATE = b"20130524T000000Z"
SCOPE = b"20130524/us-east-1/s3/aws4_request"
HOST = (b"host", b"examplebucket.s3.amazonaws.com")

# S3 API reference, "Signature Calculations for the Authorization Header" (transferring the payload
# in a single chunk) and "Authenticating Requests: Using Query Parameters": method, path, query,
# headers beside host, payload hash, signature.
PUBLISHED = [
    (
        b"GET",
        b"/test.txt",
        b"",
        [(b"range", b"bytes=0-9"), (b"x-amz-content-sha256", EMPTY_HASH), (b"x-amz-date", DATE)],
        EMPTY_HASH,
        b"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    (
        b"PUT",
        b"/test$file.text",
        b"",
        [
            (b"date", b"Fri, 24 May 2013 00:00:00 GMT"),
            (
                b"x-amz-content-sha256",
                b"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            ),
            (b"x-amz-date", DATE),
            (b"x-amz-storage-class", b"REDUCED_REDUNDANCY"),
        ],
        b"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        b"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    (
        b"GET",
        b"/",
        b"lifecycle",
        [(b"x-amz-content-sha256", EMPTY_HASH), (b"x-amz-date", DATE)],
        EMPTY_HASH,
        b"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    (
        b"GET",
        b"/",
        b"max-keys=2&prefix=J",
        [(b"x-amz-content-sha256", EMPTY_HASH), (b"x-amz-date", DATE)],
        EMPTY_HASH,
        b"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
    (
        b"GET",
        b"/test.txt",
        b"X-Amz-Algorithm=AWS4-HMAC-SHA256"
        b"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        b"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        b"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        [],
        b"UNSIGNED-PAYLOAD",
        b"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    ),
]


def _arguments(method, path, query, extra, payload_hash):
    headers = [HOST, *extra]
    signed = b";".join(name for name, _ in sorted(headers))
    key = reference.signing_key(SECRET, b"20130524", b"us-east-1", b"s3")
    return method, path, query, headers, signed, payload_hash, DATE, SCOPE, key


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row[-1][:8].decode())
def test_published_examples(sigv4, row):
    arguments, expected = _arguments(*row[:-1]), row[-1]
    assert reference.signature(*arguments) == expected
    assert sigv4.signature(*arguments) == expected
    assert sigv4.verify(*arguments, expected) is True


# --- SHA-256, HMAC, keys -------------------------------------------------------------------------


def _first_primes(count):
    primes, number = [], 2
    while len(primes) < count:
        if all(number % prime for prime in primes):
            primes.append(number)
        number += 1
    return primes


def _cube_root(number):
    low, high = 0, number
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= number else (low, middle - 1)
    return low


def test_round_constants_are_roots_of_primes():
    written = [int(word, 16) for word in re.findall(r"0x[0-9a-f]{8}\b", SHA256_SOURCE.read_text())]
    cubes = [_cube_root(prime << 96) % 2**32 for prime in _first_primes(64)]
    squares = [isqrt(prime << 64) % 2**32 for prime in _first_primes(8)]
    assert written == cubes + squares


@pytest.mark.parametrize(
    ("content", "digest"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (b"a" * 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ],
)
def test_sha256_of_fips_180(sigv4, content, digest):
    assert sigv4.sha256(content).hex() == digest


def test_sha256_of_every_length_and_alignment(sigv4, rng):
    content = rng.randbytes(300)
    expected = [hashlib.sha256(content[:length]).digest() for length in range(301)]
    for alignment in range(64):
        view = aligned(content, alignment)
        assert [sigv4.sha256(view[:length]) for length in range(301)] == expected, alignment


def test_sha256_reads_nothing_beyond_either_end(sigv4, guarded_page, rng):
    content = rng.randbytes(guarded_page.size)
    for length in [*range(301), guarded_page.size]:
        expected = hashlib.sha256(content[:length]).digest()
        assert sigv4.sha256(guarded_page.at_end(content[:length])) == expected, length
        assert sigv4.sha256(guarded_page.at_start(content[:length])) == expected, length


@pytest.mark.parametrize("length", [4096, 4097, 100_000])
def test_sha256_with_and_without_the_gil(sigv4, length, rng):
    content = rng.randbytes(length)
    assert sigv4.sha256(bytearray(content)) == hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    ("key", "content", "digest"),
    [
        (
            b"\x0b" * 20,
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            b"\xaa" * 131,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ],
)
def test_hmac_of_rfc_4231(sigv4, key, content, digest):
    assert sigv4.hmac_sha256(key, content).hex() == digest


def test_hmac_of_every_key_length(sigv4, rng):
    for length in range(200):
        key, content = rng.randbytes(length), rng.randbytes(rng.randrange(300))
        expected = hmac.new(key, content, hashlib.sha256).digest()
        assert sigv4.hmac_sha256(key, content) == expected, length


def test_signing_key_of_the_aws_documents(sigv4):
    key = sigv4.signing_key(
        b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", b"20120215", b"us-east-1", b"iam"
    )
    assert key.hex() == "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"


def test_signing_key_of_every_secret_length(sigv4, rng):
    for length in range(140):
        parts = rng.randbytes(length), b"20261120", rng.randbytes(length % 20), b"s3"
        assert sigv4.signing_key(*parts) == reference.signing_key(*parts), length


# --- rules of the canonical request --------------------------------------------------------------


def _canonical(kernel, path=b"/", query=b"", headers=(), signed=b"host"):
    return kernel.canonical_request(b"GET", path, query, list(headers), signed, b"hash")


@pytest.fixture(scope="session", params=["kernel", "reference"])
def either(request, sigv4):
    """The kernel and the reference: each rule below is stated once and holds for both."""
    return sigv4 if request.param == "kernel" else reference


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"", b"/"),
        (b"/", b"/"),
        (b"//a//b/", b"//a//b/"),
        (b"/a/../b/./c", b"/a/../b/./c"),
        (b"/-._~azAZ09", b"/-._~azAZ09"),
        (b"/%2d%2E%5f%7e%61", b"/-._~a"),
        (b"/a%2Fb", b"/a/b"),
        (b"/a+b", b"/a%2Bb"),
        (b"/a%20b c", b"/a%20b%20c"),
        (b"/%c3%bc", b"/%C3%BC"),
        (b"/\xc3\xbc", b"/%C3%BC"),
        (b"/%252F", b"/%252F"),
        (b"/%zz", b"/%25zz"),
        (b"/%4", b"/%254"),
        (b"/%", b"/%25"),
        (b"/%%41", b"/%25A"),
        (b"/%4%41", b"/%254A"),
        (b"/%g1%1g", b"/%25g1%251g"),
        (b"/\x00\xff%00", b"/%00%FF%00"),
        (b"/a=b&c;d:@,$!*'()", b"/a%3Db%26c%3Bd%3A%40%2C%24%21%2A%27%28%29"),
    ],
)
def test_path(either, path, expected):
    assert _canonical(either, path=path).split(b"\n")[1] == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", b""),
        (b"uploads", b"uploads="),
        (b"uploads=", b"uploads="),
        (b"b=2&a=1", b"a=1&b=2"),
        (b"a=2&a=1&a", b"a=&a=1&a=2"),
        (b"a=1&a=1", b"a=1&a=1"),
        (b"&&a&", b"a="),
        (b"&", b""),
        (b"=", b"="),
        (b"=v&=u", b"=u&=v"),
        (b"a=b=c", b"a=b%3Dc"),
        (b"a=/x", b"a=%2Fx"),
        (b"a=x+y", b"a=x%20y"),
        (b"a%2Bb=x%2By", b"a%2Bb=x%2By"),
        (b"%61=%7e", b"a=~"),
        (b"a=%zz%4", b"a=%25zz%254"),
        (b"a%26b=%3D%26", b"a%26b=%3D%26"),
        (b"a-b=1&a=2&a%20=3&a.=4", b"a=2&a%20=3&a-b=1&a.=4"),
        (b"A=1&a=2&B=3", b"A=1&B=3&a=2"),
        (b"\xff=1&~=2", b"%FF=1&~=2"),
        (b"X-Amz-Signature=abc&X-Amz-Date=d", b"X-Amz-Date=d"),
        (b"X-Amz-Signature", b""),
        (b"X%2DAmz-Signature=a&X-Amz-Signature=b", b""),
        (b"x-amz-signature=a&X-Amz-Signatur=b", b"X-Amz-Signatur=b&x-amz-signature=a"),
        (b"z=1&X-Amz-Signature=q&a=2", b"a=2&z=1"),
    ],
)
def test_query(either, query, expected):
    assert _canonical(either, query=query).split(b"\n")[2] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], b""),
        ([b""], b""),
        ([b"  \t "], b""),
        ([b" a"], b"a"),
        ([b"a \t"], b"a"),
        ([b"a   b \t c"], b"a b c"),
        ([b"a\tb"], b"a b"),
        ([b'"a   b"'], b'"a b"'),
        ([b"a", b"b"], b"a,b"),
        ([b"b ", b" a", b""], b"b,a,"),
        ([b"", b""], b","),
        ([b"a,b", b"c"], b"a,b,c"),
        ([b"\x00\xff\xa0"], b"\x00\xff\xa0"),
    ],
)
def test_header_values(either, values, expected):
    headers = [(b"other", b"x"), *((b"host", value) for value in values), (b"hos", b"y")]
    assert _canonical(either, headers=headers).split(b"\n")[3] == b"host:" + expected


def test_whole_text(either):
    headers = [(b"x-amz-date", b"d"), (b"host", b"h:1"), (b"unsigned", b"u")]
    text = _canonical(either, b"/k", b"q", headers, b"host;x-amz-date")
    assert text == b"GET\n/k\nq=\nhost:h:1\nx-amz-date:d\n\nhost;x-amz-date\nhash"


def test_signed_headers_stay_as_sent(either):
    headers = [(b"a", b"1"), (b"b", b"2")]
    text = _canonical(either, headers=headers, signed=b"b;a;b;;absent")
    assert text == b"GET\n/\n\nb:2\na:1\nb:2\n:\nabsent:\n\nb;a;b;;absent\nhash"
    assert _canonical(either, signed=b"") == b"GET\n/\n\n:\n\n\nhash"


@pytest.mark.parametrize("count", [63, 64, 65, 500])
def test_many_headers(sigv4, count):
    headers = [(b"x-%d" % i, b"v%d" % i) for i in range(count)]
    signed = b";".join(name for name, _ in headers)
    expected = _canonical(reference, headers=headers, signed=signed)
    assert _canonical(sigv4, headers=headers, signed=signed) == expected


def test_many_query_items(sigv4, rng):
    items = [b"k%d=%d" % (rng.randrange(1000), rng.randrange(10)) for _ in range(5000)]
    query = b"&".join(items)
    assert _canonical(sigv4, query=query) == _canonical(reference, query=query)


# --- size limit ----------------------------------------------------------------------------------


def _request(path=b"/", headers=(), signed=b"host"):
    return b"GET", path, b"", list(headers), signed, b"hash", DATE, SCOPE, b"k" * 32


@pytest.mark.parametrize("part", ["path", "header"])
def test_limit_of_the_canonical_request(sigv4, part):
    def request(length):
        if part == "path":
            return _request(path=b"/" * length)
        return _request(headers=[(b"host", b"v" * length)])

    # A byte of a path counts three times, because it may need as many.
    near = reference.CANONICAL_BYTES_MAX // (3 if part == "path" else 1)
    fits = request(near - 50)
    assert sigv4.verify(*fits, reference.signature(*fits))
    above = request(near + 1)
    for function in (sigv4.signature, lambda *all_: sigv4.canonical_request(*all_[:6])):
        with pytest.raises(ValueError, match="too large"):
            function(*above)
    assert sigv4.verify(*above, reference.signature(*above)) is False


def test_repeated_signed_names_cannot_multiply_a_header(sigv4):
    request = _request(headers=[(b"a", b"v" * 8000)], signed=b";".join([b"a"] * 8000))
    with pytest.raises(ValueError, match="too large"):
        sigv4.signature(*request)


@pytest.mark.parametrize("position", [0, 3, 4, 5, 6, 7])
def test_refuses_line_feeds_where_they_would_be_copied(sigv4, position):
    request = list(_request(headers=[(b"host", b"h")]))
    request[position] = [(b"host", b"h\n")] if position == 3 else request[position] + b"\n"
    with pytest.raises(ValueError, match="line feed"):
        sigv4.signature(*request)
    assert sigv4.verify(*request, b"0" * 64) is False


# --- against the reference -----------------------------------------------------------------------

ODD_PIECES = (
    b"% %4 %zz %41 %2f & = + / ~ ; a \xff \0 \n \t X-Amz-Signature X-Amz-Signature=1".split(b" ")
)
_pieces = st.sampled_from([*ODD_PIECES, b" "])
_text = st.one_of(st.binary(max_size=40), st.lists(_pieces, max_size=30).map(b"".join))
_names = st.sampled_from([b"host", b"x-amz-date", b"x-amz-meta-a", b"range", b""])
_headers = st.lists(st.tuples(st.one_of(_names, _text), _text), max_size=12)
_signed = st.one_of(_text, st.lists(_names, max_size=6).map(b";".join))
_requests = st.tuples(_text, _text, _text, _headers, _signed, _text, _text, _text, _text)


def _result(function, *arguments):
    try:
        return function(*arguments)
    except ValueError:
        return None


@settings(max_examples=1000)
@given(request=_requests)
def test_any_bytes_sign_as_in_the_reference(sigv4, request):
    canonical = _result(reference.canonical_request, *request[:6])
    assert _result(sigv4.canonical_request, *request[:6]) == canonical
    expected = _result(reference.signature, *request)
    assert _result(sigv4.signature, *request) == expected
    assert sigv4.verify(*request, expected or b"0" * 64) is (expected is not None)


# --- verify --------------------------------------------------------------------------------------


def test_verify_refuses_every_other_signature(sigv4):
    arguments, right = _arguments(*PUBLISHED[0][:-1]), PUBLISHED[0][-1]
    wrong = [right[:i] + bytes([right[i] ^ 1 << bit]) + right[i + 1 :]
             for i in range(64) for bit in range(8)]  # fmt: skip
    wrong += [b"", right[:-1], right + b"0", right.upper(), b" " + right, right + b"\n"]
    assert not any(sigv4.verify(*arguments, other) for other in wrong)


def test_every_argument_is_signed(sigv4):
    arguments, right = list(_arguments(*PUBLISHED[0][:-1])), PUBLISHED[0][-1]
    for position, value in enumerate(arguments):
        changed = arguments.copy()
        changed[position] = [*value[1:]] if isinstance(value, list) else value + b"x"
        assert not sigv4.verify(*changed, right), position


@pytest.mark.parametrize("position", range(10))
@pytest.mark.parametrize("wrong", [None, "text", 1, bytearray(b"x")])
def test_refuses_other_types(sigv4, position, wrong):
    arguments = [*_arguments(*PUBLISHED[0][:-1]), PUBLISHED[0][-1]]
    arguments[position] = wrong
    with pytest.raises(TypeError):
        sigv4.verify(*arguments)


NO_HEADERS = [None, b"ab", [b"a", b"b"], ("a", b"b"), (b"a", None), (None, b""), (), (b"a",)]


@pytest.mark.parametrize("row", [*NO_HEADERS, (b"a", b"b", b"c")])
def test_refuses_headers_of_other_types(sigv4, row):
    request = _request(headers=[(b"host", b"h"), row])
    with pytest.raises(TypeError):
        sigv4.canonical_request(*request[:6])
    with pytest.raises(TypeError):
        sigv4.verify(*request, b"0" * 64)


# --- against botocore ----------------------------------------------------------------------------

BOTOCORE_CASES = 20_000
CREDENTIALS = Credentials("AKIDEXAMPLE", SECRET.decode())
KEY_CHARACTERS = "aZ09-._~/ +%&=?#;:@,$!*'()\"<>[]{}|\\^`\t\u00fc\u0301\u20ac\U0001f600"
VALUE_CHARACTERS = "abcXYZ019-_.;,=/()\"'*%+ " + " " * 6


def _random_text(rng, characters, length_max):
    return "".join(rng.choices(characters, k=rng.randrange(length_max)))


def _random_query(rng):
    names = ["uploads", "list-type", "prefix", "x-id", "versionId", "partNumber"]
    names.append(_random_text(rng, KEY_CHARACTERS, 8))
    pairs = [
        (rng.choice(names), rng.choice(["", "2", _random_text(rng, KEY_CHARACTERS, 20)]))
        for _ in range(rng.randrange(5))
    ]
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


def _random_request(rng):
    """A request as botocore signs it: path and query are encoded, header values are not."""
    path = quote("/bucket/" + _random_text(rng, KEY_CHARACTERS, 40), safe="/-._~")
    query = _random_query(rng)
    url = f"http://localhost:9000{path}" + (f"?{query}" if query else "")
    request = AWSRequest(rng.choice(["GET", "PUT", "POST", "DELETE", "HEAD"]), url)
    for _ in range(rng.randrange(6)):
        name = rng.choice(["Range", "X-Amz-Meta-A", "x-amz-meta-b", "Content-Type", "If-Match"])
        request.headers.add_header(name, _random_text(rng, VALUE_CHARACTERS, 30))
    return request


def _wire(request):
    """Path, query and headers as a server takes them off the wire."""
    url = urlsplit(request.url)
    headers = [
        (name.lower().encode(), str(value).encode()) for name, value in request.headers.items()
    ]
    if not any(name == b"host" for name, _ in headers):
        headers.append((b"host", url.netloc.encode()))
    return url.path.encode(), url.query.encode(), headers


def test_canonical_request_is_that_of_botocore(sigv4, rng):
    signer = S3SigV4Auth(CREDENTIALS, "s3", "us-east-1")
    for _ in range(BOTOCORE_CASES):
        request = _random_request(rng)
        request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
        expected = signer.canonical_request(request).encode()
        path, query, headers = _wire(request)
        rng.shuffle(query_items := query.split(b"&"))
        signed = signer.signed_headers(signer.headers_to_sign(request)).encode()
        arguments = path, b"&".join(query_items), headers, signed, b"UNSIGNED-PAYLOAD"
        method = request.method.encode()
        assert sigv4.canonical_request(method, *arguments) == expected, (method, arguments)
        assert reference.canonical_request(method, *arguments) == expected, (method, arguments)


def _key_of(scope):
    date, region, service, _ = scope.split(b"/")
    return reference.signing_key(SECRET, date, region, service)


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_verifies_what_botocore_signs(sigv4, rng, region):
    signer = S3SigV4Auth(CREDENTIALS, "s3", region)
    for _ in range(500):
        request = _random_request(rng)
        signer.add_auth(request)
        path, query, headers = _wire(request)
        fields = dict(headers)
        found = re.fullmatch(
            rb"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/(.+), SignedHeaders=(.+), Signature=(.+)",
            fields[b"authorization"],
        )
        scope, signed, sent = found.groups()
        arguments = [request.method.encode(), path, query, headers, signed]
        arguments += [fields[b"x-amz-content-sha256"], fields[b"x-amz-date"], scope, _key_of(scope)]
        assert sigv4.verify(*arguments, sent), arguments


def test_verifies_what_botocore_presigns(sigv4, rng):
    signer = S3SigV4QueryAuth(CREDENTIALS, "s3", "us-east-1", expires=600)
    for _ in range(500):
        path = quote("/bucket/" + _random_text(rng, KEY_CHARACTERS, 40), safe="/-._~")
        request = AWSRequest("GET", f"http://localhost:9000{path}")
        signer.add_auth(request)
        path, query, headers = _wire(request)
        fields = dict(item.split(b"=") for item in query.split(b"&"))
        scope = fields[b"X-Amz-Credential"].replace(b"%2F", b"/").partition(b"/")[2]
        arguments = [b"GET", path, query, headers, fields[b"X-Amz-SignedHeaders"]]
        arguments += [b"UNSIGNED-PAYLOAD", fields[b"X-Amz-Date"], scope, _key_of(scope)]
        assert sigv4.verify(*arguments, fields[b"X-Amz-Signature"]), arguments


NAMES = st.sampled_from([b"host", b"x-amz-date", b"x-amz-", b"x-amz", b"date", b"", b"range"])


@given(present=st.lists(NAMES, max_size=80), signed=st.lists(NAMES, max_size=12))
def test_what_a_signature_has_to_cover(present, signed):
    headers = [(name, b"value") for name in present]
    text = b";".join(signed)
    assert kernel.covers(headers, text) == reference.covers(headers, text)


@pytest.mark.parametrize("header", [(b"n", None), (b"n",), b"nv", 5])
def test_only_headers_are_covered(header):
    with pytest.raises(TypeError):
        kernel.covers([header], b"host")
