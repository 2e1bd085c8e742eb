"""Messages with two readings: a request to store `first`, and inside it one to store `smuggled`."""

from typing import NamedTuple

FIRST = "first"
SMUGGLED = "smuggled"

# Lines of a head, and the statuses that refuse it; {n} is the body's length in bytes.
_UNCLEAR = {
    "CL and TE": "Content-Length: {n}|Transfer-Encoding: chunked|",
    "TE and CL": "Transfer-Encoding: chunked|Content-Length: {n}|",
    "CL of zero and TE": "Content-Length: 0|Transfer-Encoding: chunked|",
    "two CL": "Content-Length: {n}|Content-Length: 0|",
    "two equal CL": "Content-Length: {n}|Content-Length: {n}|",
    "list of CL": "Content-Length: {n}, {n}|",
    "list of two CL": "Content-Length: 0, {n}|",
    "CL with a plus": "Content-Length: +{n}|",
    "CL with a minus": "Content-Length: -{n}|",
    "CL of minus zero": "Content-Length: -0|",
    "CL in hex": "Content-Length: 0x{n}|",
    "CL in hex digits": "Content-Length: {n}a|",
    "CL in octal": "Content-Length: 0o{n}|",
    "CL with an underscore": "Content-Length: 1_{n}|",
    "CL with a fraction": "Content-Length: {n}.0|",
    "CL with an exponent": "Content-Length: 1e2|",
    "CL with a blank": "Content-Length: 1 {n}|",
    "CL with a tab": "Content-Length: 1\t{n}|",
    "CL with a semicolon": "Content-Length: {n};|",
    "CL in quotes": 'Content-Length: "{n}"|',
    "CL of other digits": "Content-Length: \u00b2|",
    "CL of nothing": "Content-Length:|",
    "CL above 2^64": "Content-Length: 1844674407370955161{n}|",
    "CL with a blank before its colon": "Content-Length : {n}|",
    "CL with a tab before its colon": "Content-Length\t: {n}|",
    "CL behind a blank": " Content-Length: {n}|",
    "CL folded": "Content-Length:| {n}|",
    "TE twice": "Transfer-Encoding: chunked|Transfer-Encoding: chunked|",
    "TE and another TE": "Transfer-Encoding: chunked|Transfer-Encoding: identity|",
    "other TE and TE": "Transfer-Encoding: identity|Transfer-Encoding: chunked|",
    "TE of two": "Transfer-Encoding: chunked, chunked|",
    "TE of identity": "Transfer-Encoding: identity|",
    "TE of x": "Transfer-Encoding: xchunked|",
    "TE of gzip": "Transfer-Encoding: gzip, chunked|",
    "TE of gzip alone": "Transfer-Encoding: gzip|",
    "TE with gzip last": "Transfer-Encoding: chunked, gzip|",
    "TE with a parameter": "Transfer-Encoding: chunked;q=1|",
    "TE in quotes": 'Transfer-Encoding: "chunked"|',
    "TE with a control character": "Transfer-Encoding: \x0bchunked|",
    "TE with one behind": "Transfer-Encoding: chunked\x0c|",
    "TE of nothing": "Transfer-Encoding:|",
    "TE with a comma": "Transfer-Encoding: ,chunked|",
    "TE with a blank before its colon": "Transfer-Encoding : chunked|",
    "TE behind a blank": " Transfer-Encoding: chunked|",
    "TE folded": "Transfer-Encoding:| chunked|",
    "TE behind a bare line feed": "X: a\nTransfer-Encoding: chunked|",
    "TE behind a bare return": "X: a\rTransfer-Encoding: chunked|",
    "CL behind a bare line feed": "X: a\nContent-Length: {n}|",
    "folded line": "X: a| b|Content-Length: {n}|",
    "folded first line": " a: b|Content-Length: {n}|",
    "zero byte": "X: a\0b|Content-Length: {n}|",
    "zero byte in a name": "X\0: a|Content-Length: {n}|",
    "line without colon": "X|Content-Length: {n}|",
    "line without name": ": a|Content-Length: {n}|",
    "other Host": "Host: other|Content-Length: {n}|",
}
UNCLEAR = {name: lines.replace("|", "\r\n").encode("latin-1") for name, lines in _UNCLEAR.items()}
UNKNOWN_CODING = {name for name in UNCLEAR if "gzip" in name} | {"TE with a comma"}

LENGTH = b"Content-Length: {n}\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
# {n} is the size of the chunk {data} in hex.
MALFORMED_CHUNKS = {
    "sign": b"+{n}\r\n{data}\r\n0\r\n\r\n",
    "minus": b"-{n}\r\n{data}\r\n0\r\n\r\n",
    "prefix": b"0x{n}\r\n{data}\r\n0\r\n\r\n",
    "underscore": b"0_{n}\r\n{data}\r\n0\r\n\r\n",
    "blank before": b" {n}\r\n{data}\r\n0\r\n\r\n",
    "blank behind": b"{n} \r\n{data}\r\n0\r\n\r\n",
    "above 2^64": b"1{n:0>16}\r\n{data}\r\n0\r\n\r\n",
    "no size": b"\r\n{data}\r\n0\r\n\r\n",
    "other letter": b"{n}g\r\n{data}\r\n0\r\n\r\n",
    "bare line feed": b"{n}\n{data}\r\n0\r\n\r\n",
    "bare line feed behind": b"{n}\r\n{data}\n0\r\n\r\n",
    "bare return": b"{n}\r{data}\r\n0\r\n\r\n",
    "nothing behind": b"{n}\r\n{data}0\r\n\r\n",
    "too long": b"{n}\r\n{data}a\r\n0\r\n\r\n",
    "line feed in an extension": b"{n};a\n{data}\r\n0\r\n\r\n",
    "return in an extension": b"{n};a\rb\r\n{data}\r\n0\r\n\r\n",
    "zero byte in an extension": b"{n};a\0\r\n{data}\r\n0\r\n\r\n",
    "line feed in quotes": b'{n};a="\n"\r\n{data}\r\n0\r\n\r\n',
    "line feed in a trailer": b"0\r\na: b\n\r\n{data}",
    "folded trailer": b"0\r\na: b\r\n c\r\n\r\n{data}",
    "trailer without colon": b"0\r\na\r\n\r\n{data}",
    "bare line feed at the end": b"0\r\n\n{data}",
    "bare line feeds at the end": b"0\n\n{data}",
}


class Attack(NamedTuple):
    """One message, and whether an unknown coding may be the reason to refuse it."""

    data: bytes
    has_unknown_coding: bool = False


def chunk(data):
    """All of a chunked body."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)


def smuggled_request(caller, bucket):
    """The request inside, which would be served if it were one."""
    return caller.request("PUT", bucket, SMUGGLED, body=b"evil")


def unclear_heads(caller, bucket, name):
    """The attacks by one row of lines: as if the body had a length, or were chunked, or ended."""
    yield from heads(caller, bucket, UNCLEAR[name], name in UNKNOWN_CODING)


def heads(caller, bucket, lines, has_unknown_coding=False):
    """The attacks by these lines, and by them with a length where they say none."""
    inside = smuggled_request(caller, bucket)
    variants = [lines] if b"Content-Length" in lines else [lines, lines + LENGTH, LENGTH + lines]
    for body in (inside, b"0\r\n\r\n" + inside, chunk(inside)):
        for variant in variants:
            counted = variant.replace(b"{n}", b"%d" % len(body))
            head = caller.head("PUT", bucket, FIRST, lines=counted)
            yield Attack(head + body, has_unknown_coding)


def malformed_chunks(caller, bucket, name):
    """The attack by one form of chunks, in a request whose body is read: it deletes `first`."""
    inside = smuggled_request(caller, bucket)
    for data in (inside, b"<Delete><Object><Key>first</Key></Object></Delete>"):
        size = f"{len(data):x}"
        body = MALFORMED_CHUNKS[name].replace(b"{n:0>16}", f"{size:0>16}".encode())
        body = body.replace(b"{n}", size.encode()).replace(b"{data}", data)
        head = caller.head("POST", bucket, query="delete", lines=CHUNKED)
        yield Attack(head + body + inside)


def other_line_ends(caller, bucket):
    """Heads whose lines end in another way, by name."""
    inside = smuggled_request(caller, bucket)
    head = caller.head("PUT", bucket, FIRST, lines=b"Content-Length: %d\r\n" % len(inside))
    return {
        "line feeds alone": head.replace(b"\r\n", b"\n") + inside,
        "returns alone": head.replace(b"\r\n", b"\r") + inside,
        "a line feed at the end": head[:-2] + b"\n" + inside,
        "a line feed behind the request line": head.replace(b"\r\n", b"\n", 1) + inside,
        "two returns": head.replace(b"\r\n", b"\r\r\n") + inside,
        "chunks in 1.0": caller.head("PUT", bucket, FIRST, lines=CHUNKED).replace(
            b"HTTP/1.1", b"HTTP/1.0", 1
        )
        + b"0\r\n\r\n"
        + inside,
    }
