"""Check 36: the key that is signed and authorised is the key that is stored, decoded once."""

import ast
from pathlib import Path
from urllib.parse import quote

import pytest

import fastobj.s3
from fastobj.core.op import Scope
from tests.hardening.rows import SERVED, minimal
from tests.hardening.test_34_keys import SPELLINGS, keys_of
from tests.unit.s3 import signing
from tests.unit.s3.test_dispatch import Recorder, ask

S3 = Path(fastobj.s3.__file__).parent
# Who looks at the path as it came: to decode it, to verify the signature, to name it in an error or
# in the URL of what a form has stored.
READERS_OF_THE_PATH = {
    *("dispatch.py", "auth_session.py", "auth_v2.py", "errors.py"),
    "post_object.py",
}
DECODERS = {"names.py"}
# Signed for the first, sent as the second: two keys, whatever some proxy would make of it.
DISGUISES = [
    ("a/b", "a%252Fb"),
    ("b", "a/../b"),
    ("a", "./a"),
    ("../a", "%252e%252e/a"),
    ("a%20b", "a+b"),
    ("a", "A"),
    ("a/b", "a//b"),
    ("%C3%A9", "e%CC%81"),
    ("a", "a/"),
    ("a%00", "a"),
]


def modules_that(condition):
    """Names of modules of s3 in whose code something holds for some node."""
    return {
        path.name
        for path in S3.rglob("*.py")
        if any(condition(node) for node in ast.walk(ast.parse(path.read_text())))
    }


def test_the_path_has_few_readers_and_one_decoder():
    assert (
        modules_that(
            lambda node: isinstance(node, ast.Attribute) and node.attr in ("path", "target")
        )
        == READERS_OF_THE_PATH
    )
    assert (
        modules_that(
            lambda node: (
                isinstance(node, ast.ImportFrom)
                and any(name.name.startswith(("unquote", "parse_qs")) for name in node.names)
            )
        )
        == DECODERS
    )


@pytest.mark.parametrize(
    "op", [op for op in SERVED if op.scope is Scope.OBJECT], ids=lambda op: op.name
)
@pytest.mark.parametrize("sign", [signing.signed, signing.presigned])
async def test_a_handler_gets_the_key_that_was_signed(op, sign):
    handler = Recorder()
    for raw, key in SPELLINGS.items():
        asked = minimal(op)
        canonical = sign(
            op.method, f"/bucket/{quote(key)}?{asked.query}", asked.headers, asked.body
        )
        request = sign(op.method, f"/bucket/{raw}?{asked.query}", asked.headers, asked.body)
        assert request.headers == canonical.headers  # one signature for all spellings
        assert (await ask(request, handler)).status == 200
        assert handler.seen.pop().key == key


@pytest.mark.parametrize(("signed", "sent"), DISGUISES)
def test_a_signature_is_for_one_key(caller, s3, bucket, signed, sent):
    request = caller.request("PUT", bucket, signed, body=b"body")
    _, path = caller.place(bucket, signed)
    _, other = caller.place(bucket, sent)
    disguised = request.replace(f" {path}".encode(), f" {other}".encode(), 1)
    assert disguised != request
    answer = caller.exchange(disguised)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert keys_of(s3, bucket) == []
