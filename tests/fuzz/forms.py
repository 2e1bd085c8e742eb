"""Forms and their policies: damaged, read in buffers of any size, and against a slow reading."""

from __future__ import annotations

import base64
import json
import random
import re
from typing import Any, NamedTuple

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.limits import FORM_BYTES_MAX
from fastobj.http.message import BodyTooLarge, BytesBody, Request
from fastobj.s3 import form, headers, policy_document
from tests.fuzz.harness import attempt
from tests.fuzz.mutations import NUMBERS, mutate

BOUNDARIES = (b"a", b"--a", b"a:b", b"----WebKitFormBoundary7MA4YWxkTrZu0gW", b"x" * 70)
NAMES = ("key", "KEY", "policy", "acl", "x-amz-meta-a", "x-ignore-a", "success_action_status", "ü")
TEXTS = ("", "a", "in/${filename}", "ü€", "a\r\nb", "--a", "\r\n--", "\r\n--b", '"', "x" * 3000)
FILENAMES = ("", "a.txt", "C:\\\\a\\\\b.txt", "x/y", 'a\\"b', "ü", "${filename}")
REFUSED = {
    codes.MALFORMED_POST_REQUEST,
    codes.MAX_POST_PRE_DATA_LENGTH_EXCEEDED,
    codes.INVALID_ARGUMENT,
}


class Read(NamedTuple):
    """What a form holds."""

    fields: dict[str, str]
    filename: str
    content: bytes


def words(boundary: bytes) -> tuple[bytes, ...]:
    """The tokens of the language."""
    limit = b"--" + boundary
    head = b'Content-Disposition: form-data; name="file"; filename="a"'
    return (
        *NUMBERS,
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"--",
        limit,
        b"\r\n" + limit,
        b"\r\n" + limit + b"\r\n",
        b"\r\n" + limit + b"--",
        b"\r\n" + limit[:-1],
        head,
        b"\r\n" + limit + b"\r\n" + head + b"\r\n\r\n",
        b'; name="key"',
        b"; name=key",
        b'\\"',
        b"Content-Type: text/plain\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"\xff",
        b"x" * FORM_BYTES_MAX,
    )


def written(rng: random.Random, boundary: bytes) -> bytes:
    """A form as a browser writes it; contents may hold what looks like its end."""
    limit = b"--" + boundary
    parts = []
    for name in rng.sample(NAMES, rng.randint(0, 4)):
        parts.append(_part(limit, f'name="{name}"', rng.choice(TEXTS).encode()))
    content = b"".join(
        rng.choice((b"", b"\r", b"\n", b"\r\n--", b"\r\n" + limit[:-1], rng.randbytes(20)))
        for _ in range(rng.randint(0, 6))
    )
    if rng.random() < 0.1:
        content += rng.randbytes(rng.randint(0, 100_000))
    named = f'name="file"; filename="{rng.choice(FILENAMES)}"'
    parts.append(_part(limit, named, content))
    parts += [_part(limit, 'name="more"', b"x")] if rng.random() < 0.2 else []
    return b"".join(parts) + limit + rng.choice((b"--\r\n", b"--", b"--\r\nepilogue"))


def _part(limit: bytes, named: str, value: bytes) -> bytes:
    head = f"Content-Disposition: form-data; {named}".encode()
    return limit + b"\r\n" + head + b"\r\n\r\n" + value + b"\r\n"


async def one(rng: random.Random) -> None:
    """One form, as it was written or damaged."""
    boundary = rng.choice(BOUNDARIES)
    body = written(rng, boundary)
    if rng.random() < 0.7:
        body = mutate(rng, body, words(boundary))
    size = rng.choice((1, 2, 3, 7, 64, 4096, 200_000)) if len(body) < 2000 else 65_536
    found, refusal = None, None
    try:
        found = await _read(body, boundary, size)
    except S3Error as error:
        refusal = error.code
    assert refusal is None or refusal in REFUSED
    assert found == _slowly(body, boundary)
    if found is not None:
        await _read_whole(body, boundary, found)
        _check_headers(found.fields)


async def _opened(body: bytes, boundary: bytes) -> form.Form:
    kind = b'multipart/form-data; boundary="' + boundary + b'"'
    return await form.read(Request(b"POST", b"/b", [(b"content-type", kind)], BytesBody(body)))


async def _read(body: bytes, boundary: bytes, size: int) -> Read:
    """The form, its file in buffers of that size."""
    made = await _opened(body, boundary)
    content, buffer = bytearray(), bytearray(size)
    while count := await made.file.readinto(memoryview(buffer)):
        content += memoryview(buffer)[:count]
        if count < size:
            assert await made.file.readinto(memoryview(buffer)) == 0
    assert len(content) <= made.file.length <= len(content) + FORM_BYTES_MAX
    return Read(dict(made.fields), made.filename, bytes(content))


async def _read_whole(body: bytes, boundary: bytes, found: Read) -> None:
    """The file at once, and with less room than it needs."""
    length = len(found.content)
    assert await (await _opened(body, boundary)).file.read(length) == found.content
    if length:
        try:
            await (await _opened(body, boundary)).file.read(length - 1)
        except BodyTooLarge:
            return
        raise AssertionError("a file has more bytes than were asked for")


def _check_headers(fields: dict[str, str]) -> None:
    """No field becomes more than one line."""
    made, error = attempt(headers.of_form, fields)
    assert error is None or error.code in (codes.INVALID_ARGUMENT, codes.NOT_IMPLEMENTED)
    for name, value in made or ():
        assert not re.search(rb"[\x00-\x1f\x7f]", name + value)


# --- the slow reading


def _slowly(body: bytes, boundary: bytes) -> Read | None:
    delimiter = b"\r\n--" + boundary
    first, *parts = (b"\r\n" + body).split(delimiter)
    if first not in (b"", b"\r\n"):
        return None
    fields: dict[str, str] = {}
    for index, part in enumerate(parts):
        head, blank, value = part.partition(b"\r\n\r\n")
        names = _names(head.split(b"\r\n")) if part[:2] == b"\r\n" and blank else None
        if names is None:
            return None
        if names[0] == "file":
            behind = delimiter.join(parts[index + 1 :])
            is_ended = index + 1 < len(parts) and behind[:2] in (b"--", b"\r\n")
            before = len(body) - len(value) - len(delimiter) - len(behind)
            is_bounded = before <= FORM_BYTES_MAX and len(behind) - 2 <= FORM_BYTES_MAX
            return Read(fields, names[1], value) if is_ended and is_bounded else None
        if names[0] in fields or not _is_text(value):
            return None
        fields[names[0]] = value.decode()
    return None


def _names(lines: list[bytes]) -> tuple[str, str] | None:
    """The lines of a part's head behind the first, which is empty."""
    found: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or name != name.strip() or name.lower() in found:
            return None
        found[name.lower()] = value.strip(b" \t")
    coding = found.get(b"content-transfer-encoding", b"8bit").lower()
    kind, semicolon, rest = found.get(b"content-disposition", b"").partition(b";")
    said = _parameters(semicolon + rest)
    if kind.strip().lower() != b"form-data" or said is None:
        return None
    name, filename = said.get(b"name", b""), said.get(b"filename", b"")
    if not name or coding not in (b"7bit", b"8bit", b"binary"):
        return None
    if not _is_text(name) or not _is_text(filename):
        return None
    return name.decode().lower(), re.split(r"[/\\]", filename.decode())[-1]


def _parameters(text: bytes) -> dict[bytes, bytes] | None:
    """Byte by byte."""
    found: dict[bytes, bytes] = {}
    left = text
    while left:
        if left[:1] != b";":
            return None
        name, equals, left = left[1:].partition(b"=")
        name = name.strip(b" \t").lower()
        if not equals or not name or name in found or re.search(rb'[\s;"]', name):
            return None
        left = left.lstrip(b" \t")
        value = b""
        if left[:1] == b'"':
            left = left[1:]
            while left[:1] != b'"':
                if not left:
                    return None
                step = 2 if left[:1] == b"\\" and len(left) > 1 else 1
                kept = left[step - 1 : step] if left[:2] in (b"\\\\", b'\\"') else left[:step]
                value, left = value + kept, left[step:]
            left = left[1:]
        else:
            while left and not re.match(rb'[;"\s]', left):
                value, left = value + left[:1], left[1:]
        found[name] = value
        left = left.lstrip(b" \t")
    return found


def _is_text(value: bytes) -> bool:
    return value.decode("utf-8", "replace").encode() == value


# --- policies

FIELDS = {"key": "in/a", "acl": "private", "content-type": "a/b,a/c", "x-amz-meta-a": "ü"}
CONDITIONS = (
    {"bucket": "b"},
    {"acl": "private"},
    {"Key": "in/a"},
    ["starts-with", "$key", "in/"],
    ["starts-with", "$content-type", "a/"],
    ["eq", "$x-amz-meta-a", "ü"],
    ["starts-with", "$x-amz-meta-a", ""],
    ["eq", "$x-amz-meta-a", 7],
    ["content-length-range", 5, 10],
    ["content-length-range", "0", "7"],
)
JSON_WORDS = (
    *NUMBERS,
    *(json.dumps(condition).encode() for condition in CONDITIONS),
    b'{"key":"a","key":"in/a"}',
    b'"expiration":',
    b'"conditions":',
    b'"$key"',
    b"\\$",
    b"\\u0024",
    b"\\ud800",
    b"NaN",
    b"1e400",
    b"null",
    b"true",
    b"[" * 2000,
    b'{"a":' * 500,
    b",",
    b"]",
    b"}",
)


def policies(rng: random.Random) -> None:
    """One policy, as it was written or damaged, and a form that it lets through or does not."""
    conditions = rng.sample(CONDITIONS, rng.randint(0, len(CONDITIONS)))
    year = rng.choice((2020, 2040))
    document = {"expiration": f"{year}-01-01T00:00:00Z", "conditions": conditions}
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5).encode()
    if rng.random() < 0.6:
        text = mutate(rng, text, JSON_WORDS)
    policy, error = attempt(policy_document.parse, base64.b64encode(text).decode())
    assert error is None or error.code is codes.INVALID_POLICY_DOCUMENT
    if policy is None:
        return
    fields = {name: FIELDS[name] for name in rng.sample(list(FIELDS), rng.randint(0, 4))}
    _, refusal = attempt(policy.check, "b", fields, 1_800_000_000)
    assert refusal is None or refusal.code is codes.ACCESS_DENIED
    assert (refusal is None) == _allows(json.loads(text.replace(b"\\$", b"$")), fields)


def _allows(document: dict[str, Any], fields: dict[str, str]) -> bool:
    """The same from the JSON itself, in another way."""
    if document["expiration"] < "2027-01-15T08:00:00Z":
        return False
    sent, named = {**fields, "bucket": "b"}, set()
    for condition in document["conditions"]:
        if isinstance(condition, dict):
            [(name, wanted)] = condition.items()
            operation, name = "eq", "$" + name
        else:
            operation, name, wanted = condition
        operation, name = operation.lower(), str(name).lower()
        if operation == "content-length-range":
            continue
        if name[:1] != "$" or name[1:] not in sent:
            return False
        named.add(name[1:])
        value, wanted = sent[name[1:]], str(wanted)
        if operation == "eq":
            holds = value == wanted
        elif name == "$content-type":
            holds = all(re.match(re.escape(wanted), one.strip()) for one in value.split(","))
        else:
            holds = re.match(re.escape(wanted), value) is not None
        if not holds:
            return False
    return named >= set(sent)
