"""Documents survive the way through XML; hostile XML does not get through."""

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastobj.core.errors import S3Error
from fastobj.s3 import xml
from fastobj.s3.shapes import SHAPES, Field, Kind

# What XML 1.0 can carry at all; the rest is written as references that S3 writes too.
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"))

SCALARS: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: TEXT,
    Kind.TOKEN: st.sampled_from(["STANDARD", "CRC64NVME", "FULL_OBJECT"]),
    Kind.INT: st.integers(0, 2**63 - 1),
    Kind.SIGNED: st.integers(-(2**63), 2**63 - 1),
    Kind.BOOL: st.booleans(),
    Kind.TIME: st.integers(0, 2**32).map(lambda seconds: seconds * 10**9),
    Kind.XSI_TYPE: st.sampled_from(["CanonicalUser", "Group", '<"&' + "'"]),
    Kind.ETAG: st.from_regex("[0-9a-f]{32}(-[0-9]{1,5})?", fullmatch=True),
}


def values(field: Field) -> st.SearchStrategy[Any]:
    one = SCALARS[field.kind] if isinstance(field.kind, Kind) else documents(field.kind)
    if field.item:
        return st.lists(one, max_size=3)
    return st.lists(one, min_size=1, max_size=3) if field.many else one


def documents(fields: tuple[Field, ...]) -> st.SearchStrategy[Any]:
    plain = [field for field in fields if field.kind not in (Kind.REFUSED, Kind.PAIRS)]
    return st.fixed_dictionaries(
        {field.name: values(field) for field in plain if field.required},
        optional={field.name: values(field) for field in plain if not field.required},
    )


def decode_code(shape: str, body: bytes) -> str:
    with pytest.raises(S3Error) as caught:
        xml.decode(shape, body)
    return caught.value.code.name


@pytest.mark.parametrize("name", SHAPES)
@given(draw=st.data())
def test_every_shape_round_trips(name: str, draw: st.DataObject) -> None:
    shape = SHAPES[name]
    strategy = st.fixed_dictionaries({shape.root: TEXT}) if shape.text else documents(shape.fields)
    document = draw.draw(strategy)
    assert xml.decode(name, xml.encode(name, document)) == document


def test_a_listing_as_s3_writes_it() -> None:
    body = xml.encode(
        "ListBucketResult",
        {
            "IsTruncated": False,
            "Name": "b",
            "Prefix": "",
            "Marker": "",
            "MaxKeys": 1000,
            "NextMarker": None,
            "Contents": [
                {
                    "Key": '<a>&"\x01\r\n',
                    "LastModified": 1_255_369_850_999_000_000,
                    "ETag": "d41d8cd98f00b204e9800998ecf8427e",
                    "Size": 7,
                    "StorageClass": "STANDARD",
                }
            ],
            "CommonPrefixes": [{"Prefix": "p/"}, {"Prefix": "q/"}],
        },
    )
    assert body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        "<Name>b</Name><Prefix></Prefix><Marker></Marker><MaxKeys>1000</MaxKeys>"
        "<IsTruncated>false</IsTruncated>"
        "<Contents><Key>&lt;a&gt;&amp;&quot;&#x1;&#xD;&#xA;</Key>"
        "<LastModified>2009-10-12T17:50:50.000Z</LastModified>"
        "<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>7</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
        "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>"
        "<CommonPrefixes><Prefix>q/</Prefix></CommonPrefixes>"
        "</ListBucketResult>"
    )


def test_empty_lists() -> None:
    flat = ElementTree.fromstring(xml.encode("DeleteResult", {"Deleted": [], "Error": []}))
    assert list(flat) == []
    wrapped = ElementTree.fromstring(xml.encode("ListAllMyBucketsResult", {"Buckets": []}))
    assert [child.tag.rpartition("}")[2] for child in wrapped] == ["Buckets"]


def test_an_empty_location() -> None:
    root = ElementTree.fromstring(xml.encode("LocationConstraint", {"LocationConstraint": ""}))
    assert (root.text, len(root)) == (None, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"<Delete><Object><Key>a b</Key></Object><Quiet>true</Quiet></Delete>",
        b'<?xml version="1.0"?>\n<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\n'
        b"  <Object>\n    <Key>a b</Key>\n    </Object>\n  <Quiet> TRUE </Quiet>\n</Delete>\n",
        b'<s:Delete xmlns:s="urn:any"><s:Quiet>1</s:Quiet><s:Object><s:Key>a&#x20;b</s:Key>'
        b"<Unknown><Key>no</Key></Unknown></s:Object></s:Delete>",
        '<?xml version="1.0" encoding="UTF-16"?><Delete><Object><Key>a b</Key></Object>'
        "<Quiet>true</Quiet></Delete>".encode("utf-16"),
    ],
)
def test_requests_as_clients_write_them(body: bytes) -> None:
    assert xml.decode("Delete", body) == {"Object": [{"Key": "a b"}], "Quiet": True}


@pytest.mark.parametrize("etag", ["abc", '"abc"', "&quot;abc&quot;", '\n "abc" '])
def test_quotes_of_etags(etag: str) -> None:
    body = f"<Delete><Object><Key>k</Key><ETag>{etag}</ETag></Object></Delete>"
    assert xml.decode("Delete", body.encode())["Object"] == [{"Key": "k", "ETag": "abc"}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"not xml",
        b"<Delete>",
        b"<Delete/>",
        b"<Other><Object><Key>k</Key></Object></Other>",
        b"<Delete><Object></Object></Delete>",
        b"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        b"<Delete><Object><Key>k</Key></Object><Quiet>maybe</Quiet></Delete>",
        b"<Delete><Object><Key>\xff</Key></Object></Delete>",
        b"<Delete><Object><Key>&#1;</Key></Object></Delete>",
        b"<Delete><Object><Key>&undefined;</Key></Object></Delete>",
        b"<!DOCTYPE Delete><Delete><Object><Key>k</Key></Object></Delete>",
        b'<!DOCTYPE d [<!ENTITY e "x">]><Delete><Object><Key>&e;</Key></Object></Delete>',
        b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><Delete><Object><Key>k</Key></Object></Delete>',
        b'<!DOCTYPE d [<!ENTITY % p SYSTEM "http://127.0.0.1/"> %p;]><Delete/>',
        b'<?xml version="1.0" encoding="no-such-code"?><Delete/>',
        b"<Delete>" + b"<a>" * 100 + b"</a>" * 100 + b"</Delete>",
        b"<Delete>" + b"<a/>" * 100_001 + b"</Delete>",
        b"<p:Delete><Object><Key>k</Key></Object></p:Delete>",
    ],
)
def test_malformed(body: bytes) -> None:
    assert decode_code("Delete", body) == "MalformedXML"


def test_depth_is_bounded() -> None:
    deep = b"<a>" * 1_000_000
    assert decode_code("Delete", b"<Delete>" + deep) == "MalformedXML"


def test_elements_that_are_refused() -> None:
    body = b"<CreateBucketConfiguration><Bucket/></CreateBucketConfiguration>"
    assert decode_code("CreateBucketConfiguration", body) == "NotImplemented"


def test_what_is_unknown_is_passed_over_or_malformed() -> None:
    assert xml.decode("Delete", b"<Delete><Object><Key>k</Key></Object><More/></Delete>")
    for body in (
        b"<Tagging><TagSet/><More/></Tagging>",
        b"<Tagging><TagSet><More/></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value><More/></Tag></TagSet></Tagging>",
    ):
        assert decode_code("Tagging", body) == "MalformedXML"


def lifecycle_date(text: str) -> bytes:
    rule = f"<Expiration><Date>{text}</Date></Expiration><Status>Enabled</Status>"
    return f"<LifecycleConfiguration><Rule>{rule}</Rule></LifecycleConfiguration>".encode()


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-02", 86_400 * 10**9),
        ("1970-01-02T00:00:00Z", 86_400 * 10**9),
        ("1970-01-02T01:00:00+01:00", 86_400 * 10**9),
        ("1970-01-01T00:00:00.000001Z", 1000),
        ("9999-12-31T00:00:00.000Z", 253_402_214_400 * 10**9),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140 * 10**9),
    ],
)
def test_dates(text: str, ns: int) -> None:
    (rule,) = xml.decode("LifecycleConfiguration", lifecycle_date(text))["Rule"]
    assert rule["Expiration"]["Date"] == ns


@pytest.mark.parametrize("text", ["", "20200101", "2020-W01-1", "2020-13-01", "1", "2020-01-01T"])
def test_what_is_no_date(text: str) -> None:
    assert decode_code("LifecycleConfiguration", lifecycle_date(text)) == "MalformedXML"


def test_an_error_has_no_namespace_and_keeps_its_extras() -> None:
    root = ElementTree.fromstring(
        xml.encode("Error", {"Code": "C", "Extra": [("Region", "<r>")], "RequestId": "1"})
    )
    assert [(child.tag, child.text) for child in root] == [
        ("Code", "C"),
        ("Region", "<r>"),
        ("RequestId", "1"),
    ]


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_an_escaped_text_has_no_markup(text: str) -> None:
    escaped = xml.escape(text)
    assert not set(escaped) & set('<>"\x00\x01\r\n\x7f')
