"""11: a signature is good for its time only."""

from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from tests.hardening.raw import Caller, Connection, Entry


@pytest.fixture
def ask(server, bucket):
    """Asks for the listing of a bucket, signed by a clock that is off; changes what it is told."""
    made = {auth: Caller(server, Entry(auth, "path")) for auth in ("header", "query")}

    def send(auth, off_s, *changes):
        when = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=off_s)
        with mock.patch("botocore.auth.get_current_datetime", return_value=when):
            head = made[auth].head("GET", bucket)
        for old, new in changes:
            assert old in head
            head = head.replace(old, new)
        with Connection(server.port) as connection:
            connection.send(head)
            return connection.answer()

    return send


@pytest.mark.parametrize("auth", ["header", "query"])
def test_now(ask, auth):
    assert ask(auth, 0).status == 200
    assert ask(auth, -14 * 60).status == 200
    assert ask(auth, 14 * 60).status == 200


@pytest.mark.parametrize("off_s", [-16 * 60, 16 * 60, -86_400, 400 * 86_400])
def test_a_replay_after_fifteen_minutes(ask, off_s):
    answer = ask("header", off_s)
    assert (answer.status, answer.code) == (403, "RequestTimeTooSkewed")


def test_a_presigned_url_before_and_after_its_time(ask):
    for off_s in (-3601, -86_400, 16 * 60):  # botocore's URLs live for an hour
        answer = ask("query", off_s)
        assert (answer.status, answer.code) == (403, "AccessDenied")


@pytest.mark.parametrize("expires", [b"0", b"-1", b"604801", b"1e99", b"1.5", b"", b"9" * 40])
def test_lives_out_of_range(ask, expires):
    answer = ask("query", 0, (b"X-Amz-Expires=3600", b"X-Amz-Expires=" + expires))
    assert (answer.status, answer.code) == (400, "AuthorizationQueryParametersError")


def test_a_life_longer_than_was_signed(ask):
    answer = ask("query", 0, (b"X-Amz-Expires=3600", b"X-Amz-Expires=604800"))
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")


def test_another_day_in_the_scope(ask):
    today = datetime.now(UTC)
    scope = [f"/{(today - timedelta(days=days)):%Y%m%d}/".encode() for days in (0, 1)]
    answer = ask("header", 0, scope)
    assert (answer.status, answer.code) == (400, "AuthorizationHeaderMalformed")
    escaped = [text.replace(b"/", b"%2F") for text in scope]
    answer = ask("query", 0, escaped)
    assert (answer.status, answer.code) == (400, "AuthorizationQueryParametersError")
