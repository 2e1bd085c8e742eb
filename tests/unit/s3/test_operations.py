"""The table of operations agrees with itself, with botocore's model of S3, and with the router."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from urllib.parse import urlsplit

import botocore.session
import pytest

import fastobj.s3.handlers
from fastobj.core.errors import S3Error
from fastobj.core.op import Body, Op, Scope, Support
from fastobj.s3 import headers
from fastobj.s3.absent import ANSWERS, Absent
from fastobj.s3.dispatch import find_handlers, handler_name
from fastobj.s3.names import parse_query
from fastobj.s3.operations import ALIASES, OPERATIONS
from fastobj.s3.router import SUBRESOURCES, resolve
from fastobj.s3.shapes import SHAPES

MODEL = botocore.session.get_session().get_service_model("s3", "2006-03-01")
ROWS = {op.name: op for op in OPERATIONS}
# Not in the model: the form upload, and what browsers ask first.
OURS = {"PostObject", "PreflightBucket", "PreflightObject"}
# The model tells these from others by endpoint, or not at all.
TOLD_APART_BY_US = {"ListDirectoryBuckets": {"max-directory-buckets"}}
SERVED = {
    "ListBuckets",
    "CreateBucket",
    "HeadBucket",
    "DeleteBucket",
    "GetBucketLocation",
    "PutObject",
    "CopyObject",
    "GetObject",
    "HeadObject",
    "DeleteObject",
    "DeleteObjects",
    "ListObjects",
    "ListObjectsV2",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "ListParts",
    "ListMultipartUploads",
    "GetBucketAcl",
    "PutBucketAcl",
    "PutBucketVersioning",
    "GetBucketVersioning",
    "GetObjectAcl",
    "PutObjectAcl",
    "GetObjectAttributes",
    "RenameObject",
    "GetObjectTagging",
    "PutObjectTagging",
    "DeleteObjectTagging",
    "ListObjectVersions",
    "PostObject",
    *ANSWERS,
    *headers.CONFIGURATION_PUTS,
    "GetBucketTagging",
    "GetBucketNotificationConfiguration",
    "DeleteBucketTagging",
    "GetBucketCors",
    "DeleteBucketCors",
    "PreflightBucket",
    "PreflightObject",
    "GetBucketLifecycleConfiguration",
    "DeleteBucketLifecycle",
    "GetBucketEncryption",
    "DeleteBucketEncryption",
    "GetBucketOwnershipControls",
    "DeleteBucketOwnershipControls",
    "GetObjectLockConfiguration",
    "PutObjectLockConfiguration",
    "GetObjectRetention",
    "PutObjectRetention",
    "GetObjectLegalHold",
    "PutObjectLegalHold",
}


def matcher(op: Op) -> tuple[object, ...]:
    return (op.method, op.scope, frozenset(op.query), frozenset(op.pinned), op.header)


def minimal_query(op: Op) -> str:
    pairs = [(key, "1") for key in op.query] + list(op.pinned)
    return "&".join(f"{key}={value}" for key, value in pairs)


def minimal_path(op: Op) -> str:
    return {Scope.SERVICE: "/", Scope.BUCKET: "/bucket", Scope.OBJECT: "/bucket/key"}[op.scope]


def minimal_headers(op: Op) -> dict[str, str]:
    return {op.header: "bucket/source"} if op.header else {}


def route(method: str, scope: Scope, query: str = "", *headers: str) -> str:
    found = {name.encode(): b"value" for name in headers}
    return resolve(method.encode(), scope, parse_query(query.encode()), found.get).name


def code_of(method: str, scope: Scope, query: str) -> str:
    with pytest.raises(S3Error) as caught:
        route(method, scope, query)
    return caught.value.code.name


def test_names_are_unique() -> None:
    assert len(ROWS) == len(OPERATIONS)


def test_no_two_rows_have_one_matcher() -> None:
    matchers = [matcher(op) for op in OPERATIONS]
    assert len(set(matchers)) == len(matchers)


def test_every_operation_of_the_api_has_a_row() -> None:
    assert set(MODEL.operation_names) == (set(ROWS) - OURS) | set(ALIASES)
    assert set(ALIASES.values()) <= set(ROWS)


@pytest.mark.parametrize("name", MODEL.operation_names)
def test_a_row_agrees_with_the_model(name: str) -> None:
    model = MODEL.operation_model(name)
    op = ROWS[ALIASES.get(name, name)]
    uri = urlsplit(model.http["requestUri"])
    scope = {"/": Scope.SERVICE, "/{Bucket}/{Key+}": Scope.OBJECT}.get(uri.path, Scope.BUCKET)
    keys = set(parse_query(uri.query.encode())) | TOLD_APART_BY_US.get(name, set())
    required = model.input_shape.required_members if model.input_shape else []
    for member in required:
        serialized = model.input_shape.members[member].serialization
        if serialized.get("location") == "querystring":
            keys.add(serialized["name"])
    assert (op.method, op.scope) == (model.http["method"], scope)
    assert set(op.query) | {key for key, _ in op.pinned} == keys


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
def test_a_row_is_reached_by_its_own_minimal_request(op: Op) -> None:
    assert route(op.method, op.scope, minimal_query(op), *minimal_headers(op)) == op.name


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
def test_unknown_query_keys_change_nothing(op: Op) -> None:
    query = f"x-id={op.name}&{minimal_query(op)}&foo"
    assert route(op.method, op.scope, query, *minimal_headers(op)) == op.name


def test_what_is_served() -> None:
    assert {op.name for op in OPERATIONS if op.support is Support.YES} == SERVED


def test_shapes_and_bodies_of_rows() -> None:
    for op in OPERATIONS:
        assert {op.xml_in, op.xml_out} - {None} <= set(SHAPES)
        assert (op.xml_in is None) == (op.body is not Body.XML)


def test_what_says_that_there_is_none() -> None:
    for name, answer in ANSWERS.items():
        assert (ROWS[name].xml_out is None) == isinstance(answer, Absent)
        if not isinstance(answer, Absent):
            fields = {field.name for field in SHAPES[ROWS[name].xml_out or ""].fields}
            assert set(answer) <= fields


def test_each_row_has_an_action() -> None:
    # Nobody signs a preflight.
    assert {op.name for op in OPERATIONS if not op.action} == {"PreflightBucket", "PreflightObject"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("scope", [Scope.BUCKET, Scope.OBJECT])
def test_a_known_subresource_wins_over_the_plain_row(method: str, scope: Scope) -> None:
    rows = [op for op in OPERATIONS if (op.method, op.scope) == (method, scope)]
    for key in SUBRESOURCES[scope]:
        if any(op.query == (key,) and not op.pinned for op in rows):
            assert ROWS[route(method, scope, key)].query == (key,)
        else:
            assert code_of(method, scope, key) == "MethodNotAllowed"


def test_subresources_that_have_no_row_for_the_method() -> None:
    assert code_of("DELETE", Scope.BUCKET, "acl") == "MethodNotAllowed"
    assert code_of("PUT", Scope.OBJECT, "uploadId=1") == "MethodNotAllowed"
    assert code_of("POST", Scope.OBJECT, "") == "MethodNotAllowed"
    assert code_of("PATCH", Scope.OBJECT, "") == "MethodNotAllowed"
    assert code_of("HEAD", Scope.SERVICE, "") == "MethodNotAllowed"


def test_two_subresources_are_refused() -> None:
    assert code_of("GET", Scope.BUCKET, "acl&policy") == "InvalidArgument"


def test_not_allowed_names_the_methods_that_are() -> None:
    with pytest.raises(S3Error) as caught:
        route("PATCH", Scope.BUCKET)
    assert caught.value.headers == ((b"allow", b"DELETE, GET, HEAD, OPTIONS, POST, PUT"),)


def test_what_is_slow_answers_a_document() -> None:
    """Its status and headers may have left before its result is there."""
    slow = [op for op in OPERATIONS if op.is_slow]
    assert {op.name for op in slow} == {"CompleteMultipartUpload", "CopyObject", "UploadPartCopy"}
    for op in slow:
        assert op.xml_out
        assert op.body is not Body.STREAM


def test_the_longest_matcher_wins() -> None:
    assert route("GET", Scope.BUCKET, "list-type=2&prefix=a") == "ListObjectsV2"
    assert route("GET", Scope.BUCKET, "list-type=1") == "ListObjects"
    assert route("GET", Scope.BUCKET, "analytics&id=a") == "GetBucketAnalyticsConfiguration"
    assert route("GET", Scope.BUCKET, "analytics") == "ListBucketAnalyticsConfigurations"
    assert route("PUT", Scope.OBJECT, "", "x-amz-copy-source") == "CopyObject"
    assert route("PUT", Scope.OBJECT, "acl", "x-amz-copy-source") == "PutObjectAcl"
    assert route("PUT", Scope.OBJECT, "partNumber=1&uploadId=2") == "UploadPart"
    copied = route("PUT", Scope.OBJECT, "partNumber=1&uploadId=2", "x-amz-copy-source")
    assert copied == "UploadPartCopy"
    assert route("GET", Scope.OBJECT, "partNumber=1&versionId=null") == "GetObject"
    assert route("POST", Scope.OBJECT, "uploads=") == "CreateMultipartUpload"


def handler_modules() -> list[ModuleType]:
    package = fastobj.s3.handlers
    return [
        importlib.import_module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    ]


def test_each_served_row_has_one_handler() -> None:
    assert set(find_handlers(handler_modules())) == SERVED


def test_each_handler_has_a_row() -> None:
    names = {handler_name(name) for name in SERVED}
    for module in handler_modules():
        for name, found in vars(module).items():
            is_here = getattr(found, "__module__", "") == module.__name__
            if inspect.iscoroutinefunction(found) and is_here and not name.startswith("_"):
                assert name in names
        assert set(getattr(module, "HANDLERS", {})) <= SERVED


def test_names_of_handlers() -> None:
    assert handler_name("ListObjectsV2") == "list_objects_v2"
    assert handler_name("PutObject") == "put_object"
