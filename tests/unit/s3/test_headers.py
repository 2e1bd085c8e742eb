"""Each header and parameter that S3 knows for a served operation is used or refused."""

import botocore.session
import pytest

from fastobj.core.errors import S3Error
from fastobj.core.op import Op, Support
from fastobj.s3 import headers
from fastobj.s3.names import parse_query
from fastobj.s3.operations import OPERATIONS
from tests.unit.s3 import signing

MODEL = botocore.session.get_session().get_service_model("s3", "2006-03-01")
SERVED = [op for op in OPERATIONS if op.support is Support.YES]
ROWS = {op.name: op for op in OPERATIONS}


def model_names(op: Op, *locations: str) -> set[str]:
    if not op.action:  # not in the model: what browsers ask first
        return set()
    shape = MODEL.operation_model(headers.SAID_AS.get(op.name, op.name)).input_shape
    members = shape.members.values() if shape else []
    return {
        member.serialization["name"]
        for member in members
        if member.serialization.get("location") in locations
    }


def code_of(operation: str, sent: dict[str, str] | None = None, query: str = "") -> str | None:
    op = ROWS[operation]
    request = signing.unsigned(op.method, "/b/k", sent)
    try:
        headers.check(op, request, parse_query(query.encode()))
    except S3Error as error:
        assert not request.body.was_read
        return error.code.name
    return None


@pytest.mark.parametrize("op", SERVED, ids=lambda op: op.name)
def test_each_header_is_used_or_harmless_or_refused(op: Op) -> None:
    said_as = headers.SAID_AS.get(op.name, op.name)
    used = headers.USED.get(said_as, frozenset()) | headers.USED_BY_ALL
    refused = set(headers.REFUSED.get(said_as, {}))
    for name in model_names(op, "header", "headers"):
        places = [name.lower().encode() in place for place in (used, headers.HARMLESS, refused)]
        assert sum(places) == 1, name


def test_what_signs_a_url_is_no_header_of_it() -> None:
    url = signing.presigned("PUT", "/b/k?x-amz-meta-a=b&x-id=PutObject&x-amz-acl=+private ")
    found = [(b"x-amz-meta-a", b"b"), (b"x-amz-acl", b"private")]
    assert sorted(headers.moved(parse_query(url.query))) == sorted(found)
    assert headers.moved(parse_query(signing.presigned("GET", "/b/k").query)) == []


@pytest.mark.parametrize("op", SERVED, ids=lambda op: op.name)
def test_each_parameter_is_used_or_checked(op: Op) -> None:
    said_as = headers.SAID_AS.get(op.name, op.name)
    used = headers.QUERY_USED.get(said_as, frozenset())
    checked = set(headers.QUERY_CHECKS.get(said_as, {}))
    for name in model_names(op, "querystring"):
        assert (name in used) != (name in checked), name


def test_the_table_names_served_operations_in_lower_case() -> None:
    served = {op.name for op in SERVED}
    assert {*headers.USED, *headers.REFUSED, *headers.QUERY_USED, *headers.QUERY_CHECKS} <= served
    for refusals in headers.REFUSED.values():
        for name, refusal in refusals.items():
            assert name == name.lower()
            assert all(value == value.lower() for value in refusal.accepted)


@pytest.mark.parametrize("op", SERVED, ids=lambda op: op.name)
def test_every_refused_header_is_refused(op: Op) -> None:
    said_as = headers.SAID_AS.get(op.name, op.name)
    for name, refusal in headers.REFUSED.get(said_as, {}).items():
        assert code_of(op.name, {name.decode(): "something"}) == refusal.code.name
        for value in refusal.accepted:
            assert code_of(op.name, {name.decode(): value.decode().upper()}) is None


def test_some_codes() -> None:
    assert code_of("PutObject", {"x-amz-website-redirect-location": "/a"}) == "NotImplemented"
    assert code_of("PutObject", {"x-amz-storage-class": "GLACIER"}) == "InvalidStorageClass"
    assert code_of("PutObject", {"x-amz-storage-class": "STANDARD"}) is None


def test_a_refusal_does_not_repeat_the_value() -> None:
    request = signing.unsigned("PUT", "/b/k", {"x-amz-website-redirect-location": "hidden"})
    with pytest.raises(S3Error) as caught:
        headers.check(ROWS["PutObject"], request, {})
    assert "hidden" not in caught.value.message + str(caught.value.extra)


@pytest.mark.parametrize("operation", ["GetObject", "HeadObject", "DeleteObject"])
def test_versions(operation: str) -> None:
    assert code_of(operation, query="versionId=null") is None
    assert code_of(operation, query=f"versionId={'A' * 16}") is None
    for other in ("abc", "A" * 15, "A" * 20, "%C3%A9" * 8, "Null", "-" * 15 + "%3D"):
        assert code_of(operation, query=f"versionId={other}") == "InvalidArgument"
    assert code_of(operation, query="versionId=") == "InvalidArgument"


@pytest.mark.parametrize("operation", ["GetObject", "HeadObject", "UploadPart"])
def test_part_numbers(operation: str) -> None:
    assert code_of(operation, query="partNumber=1") is None
    assert code_of(operation, query="partNumber=10000") is None
    for bad in ("0", "10001", "-1", "x", "", "1.0", "%D9%A1", "9" * 5000):
        assert code_of(operation, query=f"partNumber={bad}") == "InvalidArgument"


def test_parameters_of_put() -> None:
    assert code_of("PutObject", query="versionId=null") == "InvalidArgument"
    assert code_of("PutObject", query="partNumber=1") == "InvalidArgument"
    assert code_of("PutObject", query="x-id=PutObject") is None
