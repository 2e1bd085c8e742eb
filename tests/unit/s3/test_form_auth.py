"""Claims of forms: which versions are taken, for how long, and whose they are."""

from datetime import timedelta

import pytest

from fastobj.core.clock import FixedClock
from fastobj.core.errors import S3Error
from fastobj.iam.identity import Identities
from fastobj.s3 import form
from fastobj.s3.auth import Authenticator, OpenAuthenticator, Rules
from fastobj.s3.auth_claim import is_claimed
from fastobj.s3.names import parse_query
from tests.s3.forms import policy_of, sign_v2
from tests.unit.s3 import signing
from tests.unit.s3.signing import FORGER, NOW, NOW_NS, OTHER, OWNER, STRANGER

V2 = {name.lower(): value for name, value in sign_v2(policy_of([]), OWNER).items()}


def authenticator(**rules):
    return Authenticator(
        Identities([OWNER, OTHER]), Rules(signing.REGION, **rules), FixedClock(NOW_NS)
    )


async def sender(request, **rules):
    """Who made the form of a request."""
    fields = (await form.read(request)).fields
    server = authenticator(**rules)
    return server.verify(request, {}, server.claim_form(request, fields)).identity


def code_of(fields, **rules):
    request, server = signing.unsigned("POST", "/bucket"), authenticator(**rules)

    def verify():
        server.verify(request, {}, server.claim_form(request, fields))

    with pytest.raises(S3Error) as caught:
        verify()
    return caught.value.code.name


async def test_version_4():
    for identity in (OWNER, OTHER):
        assert await sender(signing.form("/bucket", identity=identity)) is identity
    for identity in (FORGER, STRANGER):
        with pytest.raises(S3Error):
            await sender(signing.form("/bucket", identity=identity))


@pytest.mark.parametrize("mode", ["off", "presigned", "all"])
def test_version_2_is_taken_where_it_is_in_urls(mode):
    server, request = authenticator(signature_v2=mode), signing.unsigned("POST", "/bucket")
    if mode == "off":
        assert code_of(V2, signature_v2=mode) == "InvalidRequest"
    else:
        assert server.verify(request, {}, server.claim_form(request, V2)).identity is OWNER


@pytest.mark.parametrize(
    ("ago", "most", "is_taken"),
    [
        (timedelta(hours=1), 3600, True),
        (timedelta(hours=1, seconds=1), 3600, False),
        (timedelta(days=7), 7 * 24 * 3600, True),
        (timedelta(minutes=-15), 3600, True),
        (timedelta(minutes=-16), 3600, False),
    ],
)
async def test_how_long_a_form_may_be_used(ago, most, is_taken):
    """As long as a URL at most, whatever its policy says."""
    request = signing.form("/bucket", when=NOW - ago, expires=30 * 24 * 3600)
    if is_taken:
        assert await sender(request, expires_s_max=most) is OWNER
        return
    with pytest.raises(S3Error, check=lambda error: error.code.name == "AccessDenied"):
        await sender(request, expires_s_max=most)


async def test_a_signature_of_a_form_is_none_of_a_request():
    """Nor the other way round: what is signed is never both."""
    request = signing.form("/bucket")
    fields = (await form.read(request)).fields
    for policy in ("", "AWS4-HMAC-SHA256\n20261120T120000Z\nscope\nhash"):
        assert code_of({**fields, "policy": policy}) == "SignatureDoesNotMatch"
    server = authenticator()
    server.verify(request, {}, server.claim_form(request, fields))
    assert server.recognise(request, {}) is None


def test_where_a_claim_is_looked_for():
    unsigned = signing.unsigned("POST", "/bucket")
    assert not is_claimed(unsigned, {"x-id": "PostObject"})
    assert is_claimed(signing.signed("POST", "/bucket"), {})
    for made in (signing.presigned("POST", "/bucket"), signing.presigned_v2("POST", "/bucket")):
        assert is_claimed(made, parse_query(made.query))


def test_an_open_server_asks_no_form_for_a_signature():
    server, request = OpenAuthenticator(OWNER), signing.unsigned("POST", "/bucket")
    assert server.verify(request, {}, server.claim_form(request, {})).identity is OWNER
