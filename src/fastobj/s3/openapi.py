"""The S3 API as an OpenAPI 3.1 document, made from the tables of operations, headers and shapes.

OpenAPI tells operations apart by path and method alone, S3 by query keys and a header as well. So
the key of a path ends with what a request must carry, behind a `#` that no client sends; the same
keys are required parameters. `x-support` is `yes` or `refused`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from fastobj import __version__
from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.op import Body, Op, Scope, Support
from fastobj.s3 import headers
from fastobj.s3.absent import ANSWERS
from fastobj.s3.openapi_codes import possible_codes
from fastobj.s3.openapi_words import FIELDS
from fastobj.s3.openapi_words import OPERATIONS as SENTENCES
from fastobj.s3.openapi_words import PARAMETERS as WORDS
from fastobj.s3.operations import ALIASES, OPERATIONS
from fastobj.s3.shapes import SHAPES, Field, Kind, Shape
from fastobj.s3.xml import NAMESPACE, XSI_NAMESPACE

Json = dict[str, Any]

PATHS: Final = {Scope.SERVICE: "/", Scope.BUCKET: "/{Bucket}", Scope.OBJECT: "/{Bucket}/{Key}"}
SUPPORT_WORDS: Final = {Support.YES: "yes", Support.REFUSED: "refused"}
XML: Final = "application/xml"
_BYTES: Final = "application/octet-stream"
_FORM: Final = "multipart/form-data"
_FILE: Final = "The bytes to store: the last field that is looked at."
_ANY_METADATA: Final = b"x-amz-meta-"
# OpenAPI says these in its own way, and ignores parameters of that name.
_NOT_PARAMETERS: Final = frozenset({b"accept", b"authorization", b"content-type"})
_NO_CONTENT: Final = "204"
_NOT_MODIFIED: Final = 304
_NUMBERS: Final = re.compile("max-.*|part-?[Nn]umber.*|.*content-length|x-amz-mp-object-size")
_CAPITAL: Final = re.compile("(?<=[a-z])(?=[A-Z])")
_DESCRIPTION: Final = """\
An S3-compatible object store. Every operation of S3 is listed: `x-support` says which are served;
the others are answered with NotImplemented (501) once the request is authenticated.

Requests are signed with Signature Version 4, in the Authorization header or in the query, by any
S3 client. Paths have the form `/bucket/key`, or `/key` where the server knows the domain that the
bucket stands in front of. What follows `#` in a path of this document is never sent: it tells
apart operations that differ in query keys or a header, which are listed as required parameters.
"""
_SUBRESOURCE: Final = "Says which operation is meant; it needs no value."
_SIGNED_HEADER: Final = "Signature Version 4 (AWS4-HMAC-SHA256) in the Authorization header."
_SIGNED_QUERY: Final = (
    "A presigned URL: X-Amz-Algorithm, X-Amz-Credential, X-Amz-Date, X-Amz-Expires,"
    " X-Amz-SignedHeaders and X-Amz-Signature; or AWSAccessKeyId, Expires and Signature."
)


def render() -> bytes:
    """The document as JSON."""
    return json.dumps(document(), separators=(",", ":"), ensure_ascii=False).encode()


def document() -> Json:
    """The document."""
    paths: defaultdict[str, Json] = defaultdict(dict)
    for op in OPERATIONS:
        paths[path_of(op)][op.method.lower()] = _operation(op)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fastobj S3 API",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The server that this document comes from."}],
        "security": [{"SignatureHeader": []}, {"SignatureQuery": []}],
        "tags": [{"name": tag_of(scope)} for scope in Scope],
        "paths": dict(paths),
        "components": _components(),
        "x-error-codes": {
            code.name: {"status": code.status, "message": code.message} for code in codes.ALL
        },
        "x-harmless-headers": sorted(map(_text, headers.HARMLESS)),
    }


# --- operations


def tag_of(scope: Scope) -> str:
    """The group that operations on a scope stand in."""
    return scope.name.capitalize()


def path_of(op: Op) -> str:
    """The key of an operation's path: the path, and behind `#` what a request must carry."""
    needs = [*op.query, *(f"{key}={value}" for key, value in op.pinned)]
    needs += [op.header] if op.header else []
    return PATHS[op.scope] + ("#" + "&".join(needs) if needs else "")


def target_of(op: Op) -> str:
    """Path, query keys and header of an operation, as a person reads them."""
    pairs = [*op.query, *(f"{key}={value}" for key, value in op.pinned)]
    query = "?" + "&".join(pairs) if pairs else ""
    return PATHS[op.scope] + query + (f" with {op.header}" if op.header else "")


def summary_of(op: Op) -> str:
    """The operation in a few words: its name, spelled out."""
    first, *others = _CAPITAL.sub(" ", op.name).split()
    return " ".join([first, *(word if word.isupper() else word.lower() for word in others)])


def sentence_of(op: Op) -> str:
    """What the operation does, in a sentence; its name where no more is known."""
    if op.name in ANSWERS:
        return "Answers that there is none: no bucket can have one yet."
    return SENTENCES.get(op.name) or f"{summary_of(op)}."


def _operation(op: Op) -> Json:
    found: Json = {
        "operationId": op.name,
        "summary": summary_of(op),
        "description": sentence_of(op),
        "tags": [tag_of(op.scope)],
        "parameters": list(_parameters(op)),
        "responses": _responses(op),
        "x-support": SUPPORT_WORDS[op.support],
        "x-actions": [action for action in (op.action, *op.also) if action],
        "x-codeSamples": [{"lang": "Shell", "label": "curl", "source": curl(op)}],
    }
    if op.body is not Body.NONE:
        found["requestBody"] = _request_body(op)
    if not op.action or op.body is Body.FORM:
        found["security"] = [{}]
    if op.event:
        found["x-event"] = op.event
    aliases = [old for old, new in ALIASES.items() if new == op.name]
    if aliases:
        found["x-aliases"] = aliases
    refused = headers.REFUSED.get(op.name)
    if refused:
        found["x-refused-headers"] = _refused_headers(refused)
    return found


def _refused_headers(refusals: headers.Refusals) -> Json:
    """Header -> the error code, and the values that are taken all the same."""
    return {
        _text(name): {
            "code": refusal.code.name,
            "accepted": sorted(map(_text, refusal.accepted)),
        }
        for name, refusal in sorted(refusals.items())
    }


# --- parameters


def _parameters(op: Op) -> Iterator[Json]:
    if op.scope is not Scope.SERVICE:
        yield {"$ref": "#/components/parameters/Bucket"}
    if op.scope is Scope.OBJECT:
        yield {"$ref": "#/components/parameters/Key"}
    for key in op.query:
        told = {"description": _SUBRESOURCE, "allowEmptyValue": True}
        yield told | _parameter(key, "query", required=True)
    for key, value in op.pinned:
        yield _parameter(key, "query", required=True, const=value)
    if op.header:
        yield _parameter(op.header, "header", required=True)
    if op.support is Support.YES:
        needed = {*op.query, *(key for key, _ in op.pinned)}
        for key in sorted(_optional_queries(op) - needed):
            yield _parameter(key, "query")
        yield from _header_parameters(op)


def _optional_queries(op: Op) -> set[str]:
    checks = headers.QUERY_CHECKS.get(op.name, {})
    taken = {key for key, check in checks.items() if _is_taken(check)}
    return taken | headers.QUERY_USED.get(op.name, frozenset())


def _is_taken(check: Any) -> bool:
    """Whether a parameter has a value that is not refused: a check may be there to refuse all."""
    for sample in ("1", "null"):
        try:
            check(sample)
        except S3Error:
            continue
        return True
    return False


def _header_parameters(op: Op) -> Iterator[Json]:
    used = headers.USED.get(op.name, frozenset())
    if op.scope is not Scope.SERVICE:
        used |= headers.USED_BY_ALL
    for name in sorted(used - _NOT_PARAMETERS):
        text = _text(name) + ("*" if name == _ANY_METADATA else "")
        if text != op.header:
            yield _parameter(text, "header")


def _parameter(name: str, place: str, *, required: bool = False, const: str = "") -> Json:
    schema = {"type": "integer" if _NUMBERS.fullmatch(name) else "string"}
    schema |= {"const": const} if const else {}
    found: Json = {"name": name, "in": place, "required": required, "schema": schema}
    if name in WORDS:
        found["description"] = WORDS[name]
    return found


def _text(name: bytes) -> str:
    return name.decode("latin-1")


# --- bodies and answers


def _request_body(op: Op) -> Json:
    if op.body is Body.FORM:
        return {"required": True, "content": {_FORM: {"schema": _form_schema()}}}
    if op.xml_in is None:
        return {"required": True, "content": {_BYTES: {}}}
    required = not SHAPES[op.xml_in].may_be_absent
    return {"required": required, "content": {XML: {"schema": _ref(op.xml_in)}}}


def _form_schema() -> Json:
    """The fields that say where a form goes and what is answered; the others are headers."""
    text = {"type": "string"}
    file = {"type": "string", "contentMediaType": _BYTES, "description": _FILE}
    fields = {name: text | {"description": words} for name, words in FIELDS.items()}
    return {
        "type": "object",
        "properties": {**fields, "file": file},
        "required": ["key", "policy", "file"],
        "additionalProperties": text,
    }


def _responses(op: Op) -> Json:
    found: Json = {}
    if op.support is Support.YES:
        if op.body is Body.FORM:
            found |= dict.fromkeys(("200", "303", _NO_CONTENT), _success(replace(op, xml_out=None)))
            found["201"] = _success(op)
        else:
            found[_NO_CONTENT if op.method == "DELETE" else "200"] = _success(op)
        if b"range" in headers.USED.get(op.name, ()):
            found["206"] = _success(op) | {"description": "The range that was asked for."}
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in possible_codes(op):
        by_status[code.status].append(code.name)
    has_body = op.method != "HEAD"
    for status, names in by_status.items():
        kind = "Error" if has_body and status != _NOT_MODIFIED else "ErrorWithoutBody"
        reference = {"$ref": f"#/components/responses/{kind}", "description": ", ".join(names)}
        found[str(status)] = reference
    return found


def _success(op: Op) -> Json:
    found: Json = {"description": "Done.", "headers": _ANSWER_HEADERS}
    if op.xml_out:
        found["content"] = {XML: {"schema": _ref(op.xml_out)}}
    elif op.method == "GET":
        found["content"] = {"*/*": {}}
    return found


_ANSWER_HEADERS: Final = {"x-amz-request-id": {"$ref": "#/components/headers/RequestId"}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


# --- schemas of XML documents

_SCALARS: Final[Mapping[Kind, Json]] = {
    Kind.TEXT: {"type": "string"},
    Kind.TOKEN: {"type": "string"},
    Kind.INT: {"type": "integer", "format": "int64"},
    Kind.SIGNED: {"type": "integer", "format": "int64"},
    Kind.BOOL: {"type": "boolean"},
    Kind.TIME: {"type": "string", "format": "date-time"},
    Kind.ETAG: {"type": "string"},
    Kind.XSI_TYPE: {
        "type": "string",
        "xml": {"name": "type", "prefix": "xsi", "namespace": XSI_NAMESPACE, "attribute": True},
    },
}
_NOT_SHOWN: Final = frozenset({Kind.PAIRS, Kind.REFUSED})


def schema_of(shape: Shape) -> Json:
    """The JSON schema of a document, with the names of its XML elements."""
    root = {"name": shape.root} | ({"namespace": NAMESPACE} if shape.has_namespace else {})
    inner: Json = {"type": "string"} if shape.text else _object(shape.fields)
    return inner | {"xml": root}


def _object(fields: tuple[Field, ...]) -> Json:
    shown = [field for field in fields if field.kind not in _NOT_SHOWN]
    found: Json = {"type": "object", "properties": {field.name: _field(field) for field in shown}}
    required = [field.name for field in shown if field.required]
    if required:
        found["required"] = required
    refused = [field.name for field in fields if field.kind is Kind.REFUSED]
    if refused:
        found["x-refused-elements"] = refused
    return found


def _field(field: Field) -> Json:
    kind = field.kind
    one = dict(_SCALARS[kind]) if isinstance(kind, Kind) else _object(kind)
    if field.item:
        items = one | {"xml": {"name": field.item}}
        return {"type": "array", "items": items, "xml": {"name": field.name, "wrapped": True}}
    if field.many:
        return {"type": "array", "items": one | {"xml": {"name": field.name}}}
    return one


def _components() -> Json:
    error = {"description": "An error.", "headers": _ANSWER_HEADERS}
    return {
        "parameters": {name: _parameter(name, "path", required=True) for name in ("Bucket", "Key")},
        "headers": {
            "RequestId": {
                "description": "Names this request in the server's log.",
                "schema": {"type": "string"},
            }
        },
        "responses": {
            "Error": error | {"content": {XML: {"schema": _ref("Error")}}},
            "ErrorWithoutBody": error,
        },
        "schemas": {name: schema_of(shape) for name, shape in SHAPES.items()},
        "securitySchemes": {
            "SignatureHeader": _scheme("header", "Authorization", _SIGNED_HEADER),
            "SignatureQuery": _scheme("query", "X-Amz-Signature", _SIGNED_QUERY),
        },
    }


def _scheme(place: str, name: str, text: str) -> Json:
    found = {"type": "apiKey", "in": place, "name": name, "description": text}
    return found | {"x-amazon-apigateway-authtype": "awsSigv4"}


# --- examples

_SIGN: Final = '--aws-sigv4 "aws:amz:$REGION:s3" --user "$ACCESS_KEY:$SECRET_KEY"'
_EXAMPLE_PATHS: Final = {
    Scope.SERVICE: "/",
    Scope.BUCKET: "/my-bucket",
    Scope.OBJECT: "/my-bucket/hello.txt",
}
_EXAMPLE_VALUES: Final = {"uploadId": "$UPLOAD_ID", "partNumber": "1", "id": "my-configuration"}
_EXAMPLE_FIELDS: Final = {
    "key": "hello.txt",
    "AWSAccessKeyId": "$ACCESS_KEY",
    "policy": "$POLICY",
    "signature": "$SIGNATURE",
    "file": "@hello.txt",
}
_EXAMPLE_SOURCE: Final = "/my-bucket/source.txt"
_PREFLIGHT: Final = "-H 'origin: https://example.com' -H 'access-control-request-method: PUT'"


def curl(op: Op) -> str:
    """A command for a shell that knows ENDPOINT, REGION, ACCESS_KEY and SECRET_KEY.

    Query keys are in order and have an `=`, as older versions of curl sign only those right.
    """
    pairs = sorted([*((key, _EXAMPLE_VALUES.get(key, "")) for key in op.query), *op.pinned])
    query = "&".join(f"{key}={value}" for key, value in pairs)
    url = "$ENDPOINT" + _EXAMPLE_PATHS[op.scope] + (f"?{query}" if query else "")
    words = [*_sender_words(op), *_method_words(op), f'"{url}"']
    if op.header:
        words.insert(-1, f"-H '{op.header}: {_EXAMPLE_SOURCE}'")
    return " \\\n  ".join([f"curl {words[0]}", *words[1:]])


def _sender_words(op: Op) -> list[str]:
    if op.body is Body.FORM:
        return []
    return [_SIGN if op.action else _PREFLIGHT]


def _method_words(op: Op) -> Iterator[str]:
    if op.method == "HEAD":
        yield "--head"
    elif op.body is Body.FORM:
        yield from (f'-F {name}="{value}"' for name, value in _EXAMPLE_FIELDS.items())
    elif op.body is Body.STREAM:
        yield "-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --upload-file hello.txt"
    elif op.method != "GET":
        yield f"-X {op.method}"
        if op.xml_in and not SHAPES[op.xml_in].may_be_absent:
            yield f"-H 'content-type: {XML}' --data-binary @{op.xml_in}.xml"
