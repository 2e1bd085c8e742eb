"""The httphead kernel: what it takes of heads, what it leaves to the general parser, and writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastobj._ext import httphead
from fastobj.http.head import HeadParser

GOOD = (
    b"PUT /b/k%20?partNumber=1&uploadId=x HTTP/1.1\r\n"
    b"Host: 127.0.0.1:9000\r\n"
    b"X-Amz-Date:20260101T000000Z\r\n"
    b"x-amz-meta-A: \t one  two \t\r\n"
    b"x-amz-meta-a:\r\n"
    b"Content-Length: 5\r\n"
    b"Expect: 100-continue\r\n"
    b"Connection: Close\r\n"
    b"\r\n"
)


def read(head):
    return httphead.read(bytearray(head), len(head))


def test_an_ordinary_head():
    headers = [
        (b"host", b"127.0.0.1:9000"),
        (b"x-amz-date", b"20260101T000000Z"),
        (b"x-amz-meta-a", b"one  two"),
        (b"x-amz-meta-a", b""),
        (b"content-length", b"5"),
        (b"expect", b"100-continue"),
        (b"connection", b"Close"),
    ]
    target = b"/b/k%20?partNumber=1&uploadId=x"
    path, _, query = target.partition(b"?")
    first = dict(reversed(headers))
    whole = (len(GOOD), b"PUT", target, path, query, headers, first, 5, False, True)
    assert read(GOOD + b"12345") == whole
    assert httphead.read(bytearray(GOOD + b"behind"), len(GOOD)) == whole


def test_names_in_frequent_use_are_one_object_each():
    first, second = read(GOOD), read(GOOD)
    assert first[5][1][0] is second[5][1][0]


@pytest.mark.parametrize("stop", [*range(len(GOOD)), -1])
def test_a_part_of_a_head_is_none(stop):
    assert httphead.read(bytearray(GOOD), stop) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"PUT", b"PATCH"),
        (b"PUT", b"put"),
        (b"PUT ", b"PUT  "),
        (b"/b", b"b"),
        (b"/b", b"http://h/b"),
        (b"/b", b"/\xc3\xbc"),
        (b"/b", b"/#"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"HTTP/1.1", b"http/1.1"),
        (b"HTTP/1.1\r\n", b"HTTP/1.1\n"),
        (b"Host:", b"Hosts:"),
        (b"Host:", b"Host :"),
        (b"Host:", b"Host: a\r\nHost:"),
        (b"Host:", b"Transfer-Encoding: chunked\r\nHost:"),
        (b"Host:", b"Upgrade: h2c\r\nHost:"),
        (b"Host:", b"Proxy-Connection: close\r\nHost:"),
        (b"Host:", b" folded\r\nHost:"),
        (b"Host:", b"\xc3: v\r\nHost:"),
        (b"Host:", b": v\r\nHost:"),
        (b"one", b"o\0ne"),
        (b"one", b"o\rne"),
        (b"one", b"o\nne"),
        (b"one", b"o\x7fne"),
        (b": 5", b": +5"),
        (b": 5", b": 5, 5"),
        (b": 5", b":"),
        (b": 5", b": " + b"1" * 19),
        (b": 5", b": 5\r\nContent-Length: 5"),
        (b"Expect: 100-continue", b"Expect: something"),
        (b"Connection: Close", b"Connection: Upgrade"),
        (b"Connection: Close", b"Connection: close, close"),
        (b"x-amz-meta-a:", b"h: v\r\n" * 64 + b"x-amz-meta-a:"),
    ],
)
def test_what_is_not_ordinary_is_for_the_general_parser(old, new):
    head = GOOD.replace(old, new, 1)
    assert head != GOOD
    assert read(head) is None


VALUES = st.text(st.characters(max_codepoint=255, exclude_characters="\n\r\0")).map(
    lambda text: text.encode("latin-1")
)
FIELDS = st.tuples(st.sampled_from([b"Host", b"x-a", b"X-B", b"Content-Length", b"Expect"]), VALUES)


@given(
    target=st.text(st.characters(min_codepoint=33, max_codepoint=126)).map(str.encode),
    fields=st.lists(FIELDS, max_size=4),
)
def test_what_is_taken_is_what_the_general_parser_reads(target, fields):
    lines = [b"GET /" + target + b" HTTP/1.1", b"host: h"]
    lines += [b"%b: %b" % field for field in fields]
    head = b"\r\n".join([*lines, b"", b""])
    found = read(head)
    if found is None:
        return
    parser = HeadParser()
    for at in range(len(head)):  # byte by byte: never a whole head
        parser.feed(bytearray(head[at : at + 1]), 1)
    general = (parser.method, parser.target, parser.path, parser.query, parser.headers)
    assert parser.complete
    assert found[1:6] == general
    assert found[6:] == (parser.index, parser.length, parser.keep_alive, parser.expects_continue)


def test_a_head_ends_at_a_guarded_page(guarded_page):
    at_end = guarded_page.at_end(GOOD)
    assert read(bytes(at_end)) == read(GOOD)


def test_a_response_head():
    headers = [(b"etag", b'"x"'), (b"x-amz-meta-t", b"a\tb\xff"), (b"empty", b"")]
    assert httphead.render(b"start\r\n", headers, b"\r\n") == (
        b'start\r\netag: "x"\r\nx-amz-meta-t: a\tb\xff\r\nempty: \r\n\r\n'
    )
    assert httphead.render(b"", [], b"") == b""


@pytest.mark.parametrize("code", [*range(9), *range(10, 32), 127])
def test_a_control_character_is_refused(code):
    for header in ((b"n" + bytes([code]), b"v"), (b"n", b"v" + bytes([code]))):
        with pytest.raises(ValueError, match="control character"):
            httphead.render(b"", [(b"a", b"b"), header], b"")


@pytest.mark.parametrize("header", [(b"n", None), (None, b"v"), (b"n", "v"), (b"n",), b"nv", 5])
def test_what_is_no_header_is_refused(header):
    with pytest.raises((TypeError, ValueError)):
        httphead.render(b"", [header], b"")
