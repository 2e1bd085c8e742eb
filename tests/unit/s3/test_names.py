"""Paths and queries are decoded once, to exact bytes, or refused."""

import pytest

from fastobj.core.errors import S3Error
from fastobj.core.op import Scope
from fastobj.s3.names import Names, is_bucket_name, parse_query, split_path


def path_code(path: bytes) -> str:
    with pytest.raises(S3Error) as caught:
        split_path(path)
    return caught.value.code.name


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (b"/", Names(Scope.SERVICE)),
        (b"/b", Names(Scope.BUCKET, "b")),
        (b"/b/", Names(Scope.BUCKET, "b")),
        (b"//", Names(Scope.BUCKET, "")),
        (b"//k", Names(Scope.OBJECT, "", b"k")),
        (b"/b/k", Names(Scope.OBJECT, "b", b"k")),
        (b"/b//", Names(Scope.OBJECT, "b", b"/")),
        (b"/b//k//", Names(Scope.OBJECT, "b", b"/k//")),
        (b"/b/../other/k", Names(Scope.OBJECT, "b", b"../other/k")),
        (b"/b/%2e%2E/%2fk", Names(Scope.OBJECT, "b", b"..//k")),
        (b"/b/%252e", Names(Scope.OBJECT, "b", b"%2e")),
        (b"/b/a+b%20c", Names(Scope.OBJECT, "b", b"a+b c")),
        (b"/b/%00%0a\\", Names(Scope.OBJECT, "b", b"\0\n\\")),
        (b"/b/%C3%A9", Names(Scope.OBJECT, "b", "é".encode())),
        (b"/b/e%CC%81", Names(Scope.OBJECT, "b", b"e\xcc\x81")),
        (b"/b%2Fk", Names(Scope.BUCKET, "b/k")),
        (b"/$extremelyunlikelytoexist$", Names(Scope.BUCKET, "$extremelyunlikelytoexist$")),
    ],
)
def test_split(path: bytes, names: Names) -> None:
    assert split_path(path) == names


def test_length_of_keys() -> None:
    assert len(split_path(b"/b/" + b"k" * 1024).key) == 1024
    assert len(split_path(b"/b/" + b"%6b" * 1024).key) == 1024
    assert path_code(b"/b/" + b"k" * 1025) == "KeyTooLongError"
    assert path_code(b"/b/" + "é".encode() * 513) == "KeyTooLongError"


@pytest.mark.parametrize(
    "path", [b"", b"*", b"b/k", b"/b/%", b"/b/%4", b"/b/%zz", b"/%/k", b"/b/%ff", b"/b/%ED%A0%80"]
)
def test_bad_paths(path: bytes) -> None:
    assert path_code(path) == "InvalidURI"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (b"", {}),
        (b"&", {}),
        (b"uploads", {"uploads": ""}),
        (b"uploads=", {"uploads": ""}),
        (b"a=1&b=2&a=3", {"a": "1", "b": "2"}),
        (b"prefix=a%2Fb/c&marker=a+b%2B", {"prefix": "a/b/c", "marker": "a b+"}),
        (b"a=b=c&&=d", {"a": "b=c", "": "d"}),
        (b"%70refix=%C3%A9", {"prefix": "é"}),
        (b"delimiter=%26", {"delimiter": "&"}),
    ],
)
def test_queries(query: bytes, found: dict[str, str]) -> None:
    assert parse_query(query) == found


@pytest.mark.parametrize("query", [b"a=%", b"%zz", b"a=%ff", b"a=\xff"])
def test_bad_queries(query: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        parse_query(query)
    assert caught.value.code.name == "InvalidURI"


@pytest.mark.parametrize(
    "name", ["abc", "a" * 63, "my-bucket.v2", "0a0", "1.2.3", "1.2.3.4.5", "xn-a", "a--b"]
)
def test_good_bucket_names(name: str) -> None:
    assert is_bucket_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "a" * 64,
        "Abc",
        "a_b",
        "-abc",
        "abc-",
        ".abc",
        "abc.",
        "a..b",
        "a.-b",
        "a-.b",
        "192.168.5.4",
        "xn--abc",
        "sthree-abc",
        "abc-s3alias",
        "abc--ol-s3",
        "abc.mrap",
        "abc--x-s3",
        "abc--table-s3",
        "abc\n",
        "ab/c",
        "äbc",
        "ab٣",
        "$extremelyunlikelytoexist$",
    ],
)
def test_bad_bucket_names(name: str) -> None:
    assert not is_bucket_name(name)
