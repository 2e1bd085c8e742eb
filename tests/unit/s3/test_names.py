"""Paths and queries are decoded once, to exact bytes, or refused."""

import pytest

from fastobj.core.errors import S3Error
from fastobj.core.op import Scope
from fastobj.objects import versions
from fastobj.s3.names import (
    Names,
    bucket_of_host,
    copy_source,
    is_bucket_name,
    locate,
    parse_query,
    split_path,
)


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


DOMAINS = ("s3.example.com", "eu.s3.example.com", "localhost")


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        (b"photos.s3.example.com", "photos"),
        (b"photos.s3.example.com:9000", "photos"),
        (b"Photos.S3.Example.COM", "photos"),
        (b"photos.s3.example.com.", "photos"),
        (b"a.b.s3.example.com", "a.b"),
        (b"photos.eu.s3.example.com", "photos"),  # the longer domain
        (b"photos.localhost:9000", "photos"),
        (b"s3.example.com", ""),
        (b"eu.s3.example.com", ""),
        (b"localhost:9000", ""),
        (b".s3.example.com", ""),
        (b"photos.example.com", ""),
        (b"xs3.example.com", ""),
        (b"127.0.0.1:9000", ""),
        (b"[::1]:9000", ""),
        (b"", ""),
        (None, ""),
    ],
)
def test_hosts_that_name_a_bucket(host: bytes | None, bucket: str) -> None:
    assert bucket_of_host(host, DOMAINS) == bucket
    assert bucket_of_host(host, ()) == ""


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (b"/", Names(Scope.BUCKET, "photos")),
        (b"/k", Names(Scope.OBJECT, "photos", b"k")),
        (b"//k/", Names(Scope.OBJECT, "photos", b"/k/")),
        (b"/photos/k", Names(Scope.OBJECT, "photos", b"photos/k")),
        (b"/metrics", Names(Scope.OBJECT, "photos", b"metrics")),
        (b"/%2e%2E/%2fk", Names(Scope.OBJECT, "photos", b"..//k")),
    ],
)
def test_virtual_host_style(path: bytes, names: Names) -> None:
    assert locate(path, b"photos.s3.example.com", DOMAINS) == names
    assert locate(path, b"s3.example.com", DOMAINS) == split_path(path)


@pytest.mark.parametrize("path", [b"/" + b"k" * 1025, b"/%ff", b"/%zz", b"k"])
def test_what_is_refused_in_virtual_host_style(path: bytes) -> None:
    with pytest.raises(S3Error):
        locate(path, b"photos.s3.example.com", DOMAINS)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"bucket/key", b"key"),
        (b"/bucket/key", b"key"),
        (b"%2Fbucket%2fkey", b"key"),
        (b"bucket/a/b", b"a/b"),
        (b"bucket//a", b"/a"),
        (b"bucket/../other/key", b"../other/key"),
        (b"bucket/%2e%2e%2Fkey", b"../key"),
        (b"bucket/%252e", b"%2e"),
        (b"bucket/a+b%2Bc", b"a b+c"),
        (b"bucket/a b\xc3\xa9", b"a b\xc3\xa9"),
        (b"bucket/%C3%A9", b"\xc3\xa9"),
        (b"bucket/%00", b"\0"),
        (b"bucket/key?versionId=null", b"key"),
        (b"bucket/key%3FversionId=abc", b"key?versionId=abc"),
        (b"bucket/" + b"a" * 1024, b"a" * 1024),
    ],
)
def test_sources_of_copies(value: bytes, key: bytes) -> None:
    version = b"" if value.endswith(b"?versionId=null") else None
    assert copy_source(value) == ("bucket", key, version)


def test_a_source_by_version() -> None:
    version = versions.new_id(7)
    source = b"bucket/key?versionId=" + versions.id_text(version).encode()
    assert copy_source(source) == ("bucket", b"key", version)


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"/", b"//", b"///", b"bucket", b"bucket/", b"/bucket/", b"?", b"/?versionId=null"),
        *(
            b"//bucket/key",
            b"../key",
            b"./key",
            b"Bucket/key",
            b"b/key",
            b"arn:aws:s3:::bucket/key",
        ),
        *(b"bucket/%", b"bucket/%zz", b"%ff/key", b"bucket/%ff", b"bucket/\xff", b"\xff/key"),
        *(b"bucket/%c0%af", b"bucket/%ed%a0%80", b"http://h/bucket/key", b"buck%00et/key"),
        *(b"bucket/key?", b"bucket/key?versionId", b"bucket/key?versionId=", b"bucket/key?a=b"),
        *(b"bucket/key?versionid=null", b"bucket/key?a&versionId=null"),
    ],
)
def test_bad_sources_of_copies(value: bytes) -> None:
    assert code_of_source(value) == "InvalidArgument"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"bucket/key?versionId=abc", "InvalidArgument"),
        (b"bucket/key?versionId=\xff", "InvalidArgument"),
        (b"bucket/key?versionId=null&a", "InvalidArgument"),
        (b"bucket/" + b"a" * 1025, "KeyTooLongError"),
    ],
)
def test_sources_that_are_not_there(value: bytes, code: str) -> None:
    assert code_of_source(value) == code


def code_of_source(value: bytes) -> str:
    with pytest.raises(S3Error) as caught:
        copy_source(value)
    return caught.value.code.name
