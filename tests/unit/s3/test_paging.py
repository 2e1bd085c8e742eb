"""What listings share: counts, tokens, encoding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.s3.paging import decode_token, encode_token, entries_max, text_encoder


def refuses():
    return pytest.raises(S3Error, check=lambda error: error.code is codes.INVALID_ARGUMENT)


@given(st.binary(max_size=1024))
def test_token_round_trip(name):
    assert decode_token(encode_token(name)) == name


@given(st.text(max_size=40))
def test_any_text_is_a_token_or_refused(token):
    try:
        name = decode_token(token)
    except S3Error:
        return
    assert encode_token(name) == token


@pytest.mark.parametrize(
    ("text", "expected"), [("", 1000), ("0", 0), ("7", 7), ("1000", 1000), ("2147483647", 1000)]
)
def test_counts(text, expected):
    assert entries_max({"max-keys": text}, "max-keys", 1000) == expected
    assert entries_max({}, "max-keys", 1000) == 1000


@pytest.mark.parametrize("text", ["-1", "+1", " 1", "1.0", "x", "2147483648", "9" * 40, "٣"])
def test_bad_counts(text):
    with refuses():
        entries_max({"max-keys": text}, "max-keys", 1000)


def test_encodings():
    name = "a b+c/ü~.-_*%\n".encode()
    assert text_encoder({})(name) == name.decode()
    assert text_encoder({"encoding-type": "url"})(name) == "a%20b%2Bc/%C3%BC~.-_%2A%25%0A"
    with refuses():
        text_encoder({"encoding-type": "base64"})
