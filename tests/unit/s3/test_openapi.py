"""The OpenAPI document is valid, says what the tables say, and its examples reach their rows."""

import ast
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openapi_spec_validator
import pytest

import fastobj.objects
import fastobj.s3
from fastobj.core import codes
from fastobj.core.op import Body, Op, Scope, Support
from fastobj.core.settings import SETTINGS
from fastobj.s3 import headers, openapi, xml
from fastobj.s3.names import parse_query, split_path
from fastobj.s3.openapi_codes import possible_codes
from fastobj.s3.openapi_words import PARAMETERS
from fastobj.s3.operations import ALIASES, OPERATIONS
from fastobj.s3.router import resolve
from fastobj.s3.shapes import SHAPES, Field, Kind
from tools import docs

ROWS = {op.name: op for op in OPERATIONS}
SERVED = [op for op in OPERATIONS if op.support is Support.YES]
REFUSED = [op for op in OPERATIONS if op.support is Support.REFUSED]
DOCUMENT = json.loads(openapi.render())


def name_of(op: Op) -> str:
    return op.name


every_operation = pytest.mark.parametrize("op", OPERATIONS, ids=name_of)
served_operations = pytest.mark.parametrize("op", SERVED, ids=name_of)
refused_operations = pytest.mark.parametrize("op", REFUSED, ids=name_of)


def told(op: Op) -> dict[str, Any]:
    """What the document says of an operation."""
    found: dict[str, Any] = DOCUMENT["paths"][openapi.path_of(op)][op.method.lower()]
    return found


def parameters(op: Op, place: str) -> dict[str, dict[str, Any]]:
    """The parameters of an operation in one place, by name."""
    shared = DOCUMENT["components"]["parameters"]
    given = [shared[row["$ref"].split("/")[-1]] if "$ref" in row else row for row in _rows(op)]
    return {row["name"]: row for row in given if row["in"] == place}


def _rows(op: Op) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = told(op)["parameters"]
    return rows


def test_the_document_is_valid() -> None:
    openapi_spec_validator.validate(DOCUMENT)


def test_the_validator_sees_faults() -> None:
    broken = json.loads(openapi.render())
    broken["paths"]["/{Bucket}/{Key}"]["get"]["parameters"].pop()
    del broken["components"]["parameters"]["Key"]
    with pytest.raises(Exception, match="Key"):
        openapi_spec_validator.validate(broken)


def test_every_row_is_there_and_nothing_else() -> None:
    listed = [
        operation["operationId"]
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
    ]
    assert sorted(listed) == sorted(ROWS)


@every_operation
def test_an_operation_stands_at_its_place(op: Op) -> None:
    found = told(op)
    assert found["operationId"] == op.name
    assert found["x-support"] == ("yes" if op.support is Support.YES else "refused")
    assert found["x-actions"] == [action for action in (op.action, *op.also) if action]
    assert found["tags"] == [op.scope.name.capitalize()]
    assert found.get("x-event") == op.event
    in_head = op.action != "" and op.body is not Body.FORM  # is who sends it told
    assert (found.get("security") == [{}]) == (not in_head)


def test_old_names_are_told() -> None:
    found = {old: op.name for op in OPERATIONS for old in told(op).get("x-aliases", ())}
    assert found == ALIASES


# --- parameters


@every_operation
def test_what_a_request_must_carry_is_required(op: Op) -> None:
    query = parameters(op, "query")
    assert {name for name, row in query.items() if row["required"]} == {
        *op.query,
        *(key for key, _ in op.pinned),
    }
    for key, value in op.pinned:
        assert query[key]["schema"]["const"] == value
    required = {name for name, row in parameters(op, "header").items() if row["required"]}
    assert required == ({op.header} if op.header else set())
    in_path = {Scope.SERVICE: set(), Scope.BUCKET: {"Bucket"}, Scope.OBJECT: {"Bucket", "Key"}}
    assert set(parameters(op, "path")) == in_path[op.scope]


@served_operations
def test_what_is_used_is_told(op: Op) -> None:
    used = {name.decode() for name in headers.USED.get(op.name, ())} - {"content-type"}
    used = {"x-amz-meta-*" if name == "x-amz-meta-" else name for name in used}
    if op.scope is not Scope.SERVICE:
        used |= {name.decode() for name in headers.USED_BY_ALL}
    assert used <= set(parameters(op, "header"))
    assert headers.QUERY_USED.get(op.name, frozenset()) <= set(parameters(op, "query"))


@served_operations
def test_what_is_refused_is_no_parameter(op: Op) -> None:
    refused = headers.REFUSED.get(op.name, {})
    listed = told(op).get("x-refused-headers", {})
    assert set(listed) == {name.decode() for name in refused}
    assert not set(listed) & set(parameters(op, "header"))
    for name, row in listed.items():
        assert row["code"] == refused[name.encode()].code.name


def test_a_parameter_that_is_always_refused_is_none() -> None:
    assert "versionId" not in parameters(ROWS["PutObject"], "query")
    assert "versionId" in parameters(ROWS["GetObject"], "query")


@served_operations
def test_each_parameter_says_what_it_is(op: Op) -> None:
    optional = [row for row in _rows(op) if "$ref" not in row and not row["required"]]
    silent = [row["name"] for row in optional if row["name"] not in PARAMETERS]
    assert not silent, f"say in s3/openapi_words.py what these are: {silent}"


# --- bodies and answers


def test_each_shape_is_a_schema() -> None:
    assert set(DOCUMENT["components"]["schemas"]) == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_a_schema_has_the_elements_of_its_shape(name: str) -> None:
    shape, schema = SHAPES[name], DOCUMENT["components"]["schemas"][name]
    assert schema["xml"]["name"] == shape.root
    assert schema["xml"].get("namespace") == (xml.NAMESPACE if shape.has_namespace else None)
    assert (schema["type"] == "string") == shape.text
    _same_elements(shape.fields, schema)


def _same_elements(fields: tuple[Field, ...], schema: dict[str, Any]) -> None:
    shown = [field for field in fields if field.kind not in (Kind.PAIRS, Kind.REFUSED)]
    properties = schema.get("properties", {})
    assert list(properties) == [field.name for field in shown]
    assert schema.get("required", []) == [field.name for field in shown if field.required]
    for field in shown:
        inner = properties[field.name]
        assert (inner["type"] == "array") == (field.many or bool(field.item))
        if inner["type"] == "array":
            assert inner["items"]["xml"]["name"] == field.item or field.name
            assert inner.get("xml", {}).get("wrapped", False) == bool(field.item)
            inner = inner["items"]
        if not isinstance(field.kind, Kind):
            _same_elements(field.kind, inner)


@every_operation
def test_bodies_are_those_of_the_row(op: Op) -> None:
    body = told(op).get("requestBody", {"content": {}})["content"]
    assert (
        set(body)
        == {
            Body.NONE: set(),
            Body.XML: {"application/xml"},
            Body.STREAM: {"application/octet-stream"},
            Body.FORM: {"multipart/form-data"},
        }[op.body]
    )
    if op.xml_in:
        assert body["application/xml"]["schema"] == {"$ref": f"#/components/schemas/{op.xml_in}"}
    if op.xml_out and op.support is Support.YES:
        status = "201" if op.body is Body.FORM else "200"
        answer = told(op)["responses"][status]["content"]["application/xml"]["schema"]
        assert answer == {"$ref": f"#/components/schemas/{op.xml_out}"}


@refused_operations
def test_a_refused_operation_answers_501(op: Op) -> None:
    answers = told(op)["responses"]
    assert answers["501"]["description"] == "NotImplemented"
    assert not any(status.startswith("2") for status in answers)


@served_operations
def test_a_served_operation_has_an_answer(op: Op) -> None:
    good = {status for status in told(op)["responses"] if status.startswith("2")}
    assert good == {"204"} if op.method == "DELETE" else "200" in good
    assert ("206" in good) == (op.name in ("GetObject", "HeadObject"))


@every_operation
def test_error_codes_stand_under_their_status(op: Op) -> None:
    statuses = {code.name: str(code.status) for code in codes.ALL}
    listed = {
        name: status
        for status, answer in told(op)["responses"].items()
        if "$ref" in answer
        for name in answer["description"].split(", ")
    }
    assert listed == {code.name: statuses[code.name] for code in possible_codes(op)}


@every_operation
def test_answers_to_head_and_304_have_no_body(op: Op) -> None:
    for status, answer in told(op)["responses"].items():
        has_none = op.method == "HEAD" or status == "304"
        if "$ref" in answer:
            assert answer["$ref"].endswith("/ErrorWithoutBody") == has_none
        elif has_none:
            assert "content" not in answer


def _codes_in(folder: str) -> Iterator[str]:
    """The names on the wire of all codes that modules below a folder name."""
    for path in sorted(Path(folder).rglob("*.py")):
        if path.name.startswith("openapi"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "codes":
                code = getattr(codes, node.attr)
                if isinstance(code, codes.ErrorCode):
                    yield code.name


# Raised before a row is known, so no operation's own.
BEFORE_THE_ROW = {codes.METHOD_NOT_ALLOWED.name}
# A status that handlers answer without an error.
ANSWERED = {codes.NOT_MODIFIED.name}


RAISED = set(_codes_in(fastobj.s3.__path__[0])) | set(_codes_in(fastobj.objects.__path__[0]))
TOLD = {code.name for op in SERVED for code in possible_codes(op)}


def test_every_code_that_is_raised_is_told_by_some_operation() -> None:
    missing = RAISED - TOLD - BEFORE_THE_ROW
    assert not missing, f"say in s3/openapi_codes.py who answers these: {sorted(missing)}"


def test_no_code_is_told_that_is_never_raised() -> None:
    assert sorted(TOLD - RAISED - ANSWERED) == []


# --- examples


def parsed(command: str) -> tuple[str, str, dict[str, str]]:
    """Method, URL and headers of a curl command."""
    words = shlex.split(command.replace("\\\n", " "))
    assert words[0] == "curl"
    sent = [words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H"]
    method = "GET"
    if "--head" in words:
        method = "HEAD"
    elif "--upload-file" in words:
        method = "PUT"
    elif "-F" in words:
        method = "POST"
    elif "-X" in words:
        method = words[words.index("-X") + 1]
    return method, words[-1].removeprefix("$ENDPOINT"), dict(sent)


@every_operation
def test_an_example_reaches_its_row(op: Op) -> None:
    method, target, sent = parsed(told(op)["x-codeSamples"][0]["source"])
    url = urlsplit(target)
    names = split_path(url.path.encode())
    found = {name.encode(): value.encode() for name, value in sent.items()}
    query = parse_query(url.query.encode())
    assert resolve(method.encode(), names.scope, query, found.get) is op


@every_operation
def test_an_example_is_signed_in_a_way_that_old_curls_can(op: Op) -> None:
    command = openapi.curl(op)
    assert ("--aws-sigv4" in command) == (op.action != "" and op.body is not Body.FORM)
    query = urlsplit(parsed(command)[1]).query
    pairs = [pair.split("=") for pair in query.split("&") if pair]
    assert pairs == sorted(pairs)
    assert all(len(pair) == 2 for pair in pairs)


# --- documents in the tree


def test_the_documents_in_the_tree_are_what_the_tables_say() -> None:
    assert [path.name for path in docs.stale(docs.DOCS)] == []


def test_a_stale_document_is_found_and_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert docs.main(["--check"], tmp_path) == 1
    assert docs.main([], tmp_path) == 0
    assert docs.main(["--check"], tmp_path) == 0
    operations = tmp_path / "operations.md"
    operations.write_text(operations.read_text().replace("PutObject", "PutThing"))
    capsys.readouterr()
    assert docs.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().out.startswith("docs: operations.md is stale")


def test_every_operation_and_setting_is_in_the_documents() -> None:
    operations, settings = "\n".join(docs.operations()), "\n".join(docs.settings())
    assert all(f"\n| {op.name} | " in operations for op in OPERATIONS)
    for setting in SETTINGS:
        assert (f"\n| `{setting.name}` | " in settings) == (not setting.hidden)
