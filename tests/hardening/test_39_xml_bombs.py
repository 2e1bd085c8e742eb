"""Check 39: XML that grows, nests or never ends is refused, and costs no more than its size."""

import pytest

from fastobj.core import limits
from fastobj.core.limits import PART_NUMBER_MAX
from fastobj.s3.shapes import SHAPES
from tests.hardening.processes import MIB, workers_stay_below
from tests.hardening.raw import UNSIGNED, Connection
from tests.hardening.rows import WITH_XML, minimal, place

GROWTH_BYTES_MAX = 96 * MIB
HUGE_BYTES = 100 * MIB
FULL = limits.XML_BODY_BYTES_MAX


def repeated(text, size=FULL - 200):
    """As many whole texts as fit."""
    return text * (size // len(text))


def numbered(template, count):
    return "".join(template.format(number) for number in range(count))


LAUGHS = '<!ENTITY e0 "ha">' + "".join(
    f'<!ENTITY e{number} "{f"&e{number - 1};" * 10}">' for number in range(1, 12)
)
# What stands before and inside the root. None of it may be served, for no row has such elements.
BOMBS = {
    "laughs": (f"<!DOCTYPE r [{LAUGHS}]>", "&e11;"),
    "quadratic": (f'<!DOCTYPE r [<!ENTITY e "{"a" * 100_000}">]>', "&e;" * 100_000),
    "parameters": ('<!DOCTYPE r [<!ENTITY % a "%b;%b;"><!ENTITY % b "%a;%a;"> %a;]>', ""),
    "deep": ("", repeated("<a>")),
    "deep and closed": ("", repeated("<a>", FULL // 3) + repeated("</a>", FULL // 9 * 4)),
    "wide": ("", repeated("<a/>")),
    "names": ("", numbered("<a{0}/>", 150_000)),
    "nested namespaces": ("", numbered('<a xmlns:a{0}="a{0}">', 60_000)),
    "one name": ("", "<" + "a" * (FULL - 300)),
    "one attribute": ("", f'<a b="{"c" * (FULL - 300)}'),
    "open comment": ("", "<!--" + "a" * (FULL - 300)),
    "open section": ("", "<![CDATA[" + "]" * (FULL - 300)),
}
# Well-formed and useless: what a row makes of it is its own affair, as long as it stays small.
LITTER = {
    "attributes": "<a " + numbered('a{0}="" ', 130_000) + "/>",
    "namespaces": "<a " + numbered('xmlns:a{0}="a" ', 90_000) + "/>",
    "comments": repeated("<!--a-->"),
    "instructions": repeated("<?a b?>"),
    "sections": repeated("<![CDATA[a]]>"),
    "references": repeated("&#97;"),
    "markup": repeated("&lt;&amp;"),
    "text": "a" * (FULL - 300),
    "line ends": "\r\n" * (FULL // 2 - 200),
}


def ask(caller, op, bucket, body):
    return caller(op.method, *place(op, bucket, "key"), query=minimal(op).query, body=body)


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("op", WITH_XML, ids=lambda op: op.name)
def test_bombs_are_refused(call, server, bucket, op, bomb):
    before, inside = BOMBS[bomb]
    root = SHAPES[op.xml_in].root
    body = f"{before}<{root}>{inside}</{root}>".encode()
    assert len(body) <= FULL
    with workers_stay_below(server, GROWTH_BYTES_MAX):
        answer = ask(call, op, bucket, body)
    assert (answer.status, answer.code) == (400, "MalformedXML")


@pytest.mark.parametrize("litter", LITTER)
@pytest.mark.parametrize("op", WITH_XML, ids=lambda op: op.name)
def test_litter_stays_small(call, server, bucket, op, litter):
    root = SHAPES[op.xml_in].root
    with workers_stay_below(server, GROWTH_BYTES_MAX):
        answer = ask(call, op, bucket, f"<{root}>{LITTER[litter]}</{root}>".encode())
    assert answer.status < 500


@pytest.mark.parametrize("framing", ["length", "chunked", "length alone"])
@pytest.mark.parametrize("op", WITH_XML, ids=lambda op: op.name)
def test_a_huge_body_is_not_read(caller, server, bucket, op, framing):
    lines = b"Transfer-Encoding: chunked\r\n"
    if framing != "chunked":
        lines = b"Content-Length: %d\r\n" % HUGE_BYTES
    head = caller.head(
        op.method, *place(op, bucket, "key"), query=minimal(op).query, payload=UNSIGNED, lines=lines
    )
    block = b"<a>" * (MIB // 3)
    with workers_stay_below(server, GROWTH_BYTES_MAX), Connection(server.port) as connection:
        connection.send(head)
        for _ in range(0 if framing == "length alone" else HUGE_BYTES // MIB):
            size = b"%x\r\n" % len(block) if framing == "chunked" else b""
            connection.send(size + block + (b"\r\n" if size else b""))
        answer = connection.answer()
        assert (answer.status, answer.code) == (400, "MalformedXML")
        assert connection.rest() == b""


@pytest.mark.parametrize("op", WITH_XML, ids=lambda op: op.name)
def test_a_million_levels_are_too_large_to_be_read(call, server, bucket, op):
    with workers_stay_below(server, GROWTH_BYTES_MAX):
        answer = ask(call, op, bucket, b"<a>" * 1_000_000)
    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_unknown_encodings_leave_nothing_behind(call, server, bucket):
    """Python keeps each encoding that it is asked for, found or not, for as long as it runs."""
    with workers_stay_below(server, GROWTH_BYTES_MAX // 2):
        for number in range(64):
            name = f"e{number}{'a' * MIB}"
            body = f'<?xml version="1.0" encoding="{name}"?><Delete></Delete>'.encode()
            answer = call("POST", bucket, query="delete", body=body)
            assert (answer.status, answer.code) == (400, "MalformedXML")
            assert len(answer.body) < MIB


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        (range(1, PART_NUMBER_MAX + 1), "InvalidPart"),
        (range(1, PART_NUMBER_MAX + 2), "InvalidArgument"),
        (range(1, 30_000), "InvalidArgument"),
        ([*range(1, PART_NUMBER_MAX + 1), PART_NUMBER_MAX], "InvalidPartOrder"),
        ([1] * 30_000, "InvalidPartOrder"),
    ],
    ids=["10,000", "10,001", "30,000", "one twice", "one 30,000 times"],
)
def test_the_number_of_parts_is_bounded(caller, server, s3, bucket, numbers, code):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    part = "<Part><PartNumber>{0}</PartNumber><ETag>a</ETag></Part>"
    listed = "".join(part.format(number) for number in numbers)
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    with workers_stay_below(server, GROWTH_BYTES_MAX):
        answer = caller("POST", bucket, "key", query=f"uploadId={upload}", body=body)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize(("count", "status"), [(1000, 200), (1001, 400)])
def test_the_number_of_deletes_is_bounded(caller, s3, bucket, count, status):
    s3.put_object(Bucket=bucket, Key="key", Body=b"kept")
    keys = numbered("<Object><Key>{0}</Key></Object>", count - 1)
    body = f"<Delete>{keys}<Object><Key>key</Key></Object></Delete>".encode()
    answer = caller("POST", bucket, query="delete", body=body)
    assert answer.status == status
    assert answer.code == (None if status == 200 else "MalformedXML")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == (0 if status == 200 else 1)
