"""The operations as one HTML page that loads nothing: styles and script stand in it.

It shows what the OpenAPI document says, and knows nothing beside it but the order of the table.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape
from itertools import groupby
from typing import Any, Final, NamedTuple

from fastobj.core.op import Op, Scope
from fastobj.s3.openapi import document, path_of, tag_of, target_of
from fastobj.s3.openapi_look import ICON, SCRIPT, STYLE
from fastobj.s3.operations import OPERATIONS

Json = Mapping[str, Any]

_HEADINGS: Final = {
    Scope.SERVICE: "The service",
    Scope.BUCKET: "Buckets",
    Scope.OBJECT: "Objects",
}
_SUPPORT: Final = {"yes": "served", "refused": "refused"}


class Page(NamedTuple):
    """The page, and the Content-Security-Policy that allows what stands in it and no more."""

    html: bytes
    policy: bytes


def render() -> Page:
    """Makes the page."""
    told = document()
    operations = [(op, told["paths"][path_of(op)][op.method.lower()]) for op in OPERATIONS]
    body = "".join(
        [
            _head(told, [operation for _, operation in operations]),
            _tools(),
            "<main>",
            *_sections(operations, _Details(told, [operation for _, operation in operations])),
            '<p id="none" hidden>No operation has all of these words.</p>',
            _errors(told["x-error-codes"]),
            "</main>",
            _foot(told),
        ]
    )
    html = _FRAME.format(icon=ICON, style=STYLE, body=body, script=SCRIPT)
    return Page(html.encode(), _policy())


def _policy() -> bytes:
    style, script = (b64encode(sha256(text.encode()).digest()).decode() for text in (STYLE, SCRIPT))
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}';"
        " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ).encode()


_FRAME: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>fastobj S3 API</title>
<link rel="icon" href="{icon}">
<style>{style}</style>
</head>
<body>
{body}
<script>{script}</script>
</body>
</html>
"""

# --- around the operations


def _head(told: Json, operations: Sequence[Json]) -> str:
    served = sum(operation["x-support"] == "yes" for operation in operations)
    return f"""<header><div class="wrap">
<p class="mark">fastobj <span>{escape(told["info"]["version"])}</span></p>
<h1>The S3 API of this server</h1>
<p class="lead"><b>{served}</b> operations are served. <b>{len(operations) - served}</b> more are
known and refused with <code>NotImplemented</code>: nothing that a request asks for is ignored in
silence.</p>
<details class="start"><summary>Try it with curl</summary>
<p>curl 7.75 and later signs requests by itself. The examples below use four variables:</p>
<pre><code>export ENDPOINT={_SAMPLE_ENDPOINT} REGION=us-east-1
export ACCESS_KEY=... SECRET_KEY=...</code></pre>
<p>Any S3 client will do: give it the endpoint, the region and the keys, and Signature Version 4.
The same as a document for programs: <a href="openapi.json">openapi.json</a>.</p></details>
</div></header>
"""


_SAMPLE_ENDPOINT: Final = "http://127.0.0.1:9000"


def _tools() -> str:
    choices = "".join(
        f'<label><input type="radio" name="show" id="show-{value}"{checked}>{text}</label>'
        for value, text, checked in (
            ("all", "All", " checked"),
            ("yes", "Served", ""),
            ("refused", "Refused", ""),
        )
    )
    return f"""<div class="tools"><div class="wrap">
<input id="find" type="search" placeholder="Find an operation, a parameter, an action"
 aria-label="Find" autocomplete="off" spellcheck="false" hidden>
<fieldset><legend>Show</legend>{choices}</fieldset>
</div></div>
"""


def _foot(told: Json) -> str:
    harmless = ", ".join(_code(name) for name in told["x-harmless-headers"])
    return f"""<footer><div class="wrap">
<p>Headers that change nothing here, and are passed over: {harmless}.</p>
<p>Without a signature, to GET and HEAD: {_code("/health/live")}, {_code("/health/ready")},
{_code("/metrics")}, {_code("/docs")}, <a href="openapi.json">{_code("/openapi.json")}</a>.
A signed request always means the bucket of that name.</p>
</div></footer>
"""


def _errors(codes: Json) -> str:
    rows = [
        (_code(name), str(code["status"]), escape(code["message"]))
        for name, code in sorted(codes.items())
    ]
    return f"""<section><h2 id="errors">Error codes</h2>
<div class="card">{_table(("Code", "Status", "Meaning"), rows)}</div></section>
"""


# --- the operations


def _sections(operations: Sequence[tuple[Op, Json]], details: _Details) -> Iterator[str]:
    scopes = list(Scope)
    ordered = sorted(operations, key=lambda row: scopes.index(row[0].scope))
    for scope, rows in groupby(ordered, key=lambda row: row[0].scope):
        yield f'<section class="ops"><h2 id="{tag_of(scope)}">{_HEADINGS[scope]}</h2>'
        yield '<div class="card">'
        yield from (_row(op, operation, details) for op, operation in rows)
        yield "</div></section>\n"


def _row(op: Op, operation: Json, details: _Details) -> str:
    support = operation["x-support"]
    names = [parameter.get("name", "") for parameter in operation["parameters"]]
    words = [op.name, op.method, target_of(op), operation["description"], *names]
    words += [*operation["x-actions"], *operation.get("x-aliases", ())]
    return (
        f'<details class="op {support}" id="{op.name}"'
        f' data-find="{escape(" ".join(words).lower())}"><summary>'
        f'<span class="method {op.method.lower()}">{op.method}</span>'
        f'<span class="name">{op.name}</span>'
        f'<code class="target">{escape(target_of(op))}</code>'
        f'<span class="support">{_SUPPORT[support]}</span>'
        f'</summary><div class="more">{"".join(details.of(operation))}</div></details>\n'
    )


class _Details:
    """What an opened operation shows."""

    def __init__(self, told: Json, operations: Iterable[Json]) -> None:
        self._parameters = told["components"]["parameters"]
        self._schemas = told["components"]["schemas"]
        self._codes = told["x-error-codes"]
        served = [set(_error_names(row)) for row in operations if row["x-support"] == "yes"]
        self._common = frozenset.intersection(*map(frozenset, served)) if served else frozenset()

    def of(self, operation: Json) -> Iterator[str]:
        """The parts, one after the other."""
        yield f"<p>{_prose(operation['description'])}</p>"
        yield from self._facts(operation)
        yield from self._inputs(operation)
        if operation["x-support"] == "yes":
            yield from self._refusals(operation)
            yield from self._documents(operation)
            yield from self._answers(operation)
        for sample in operation["x-codeSamples"]:
            yield f"<h3>{sample['label']}</h3><pre><code>{escape(sample['source'])}</code></pre>"

    def _facts(self, operation: Json) -> Iterator[str]:
        facts = {
            "Needs": ", ".join(map(_code, operation["x-actions"])) or "no signature",
            "Event": _code(operation["x-event"]) if "x-event" in operation else "",
            "Also": ", ".join(map(_code, operation.get("x-aliases", ()))),
        }
        if operation["x-support"] != "yes":
            facts["Answer"] = f"501 {_code('NotImplemented')}, once the request is authenticated"
        rows = [
            f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in facts.items() if text
        ]
        yield f"<dl>{''.join(rows)}</dl>"

    def _inputs(self, operation: Json) -> Iterator[str]:
        rows = []
        for given in operation["parameters"]:
            parameter = self._parameters[_last(given["$ref"])] if "$ref" in given else given
            const = parameter["schema"].get("const")
            text = _prose(parameter.get("description", ""))
            text += f" Always {_code(const)}." if const else ""
            mark = ' <b class="must">required</b>' if parameter["required"] else ""
            rows.append((_code(parameter["name"]) + mark, parameter["in"], text))
        if rows:
            yield f"<h3>Parameters</h3>{_table(('Name', 'In', ''), rows)}"

    def _refusals(self, operation: Json) -> Iterator[str]:
        refused = operation.get("x-refused-headers")
        if refused:
            rows = [
                (_code(name), _code(row["code"]), ", ".join(map(_code, row["accepted"])))
                for name, row in refused.items()
            ]
            yield f"<h3>Refused headers</h3>{_table(('Name', 'Answer', 'Unless it is'), rows)}"

    def _documents(self, operation: Json) -> Iterator[str]:
        yield from self._document("Request body", operation.get("requestBody", {}))
        yield from self._document("Answer", operation["responses"].get("200", {}))

    def _document(self, title: str, body: Json) -> Iterator[str]:
        for media in body.get("content", {}).values():
            if "properties" in media.get("schema", ()):
                yield _fields(media["schema"])
            elif "schema" in media:
                schema = self._schemas[_last(media["schema"]["$ref"])]
                outline = "\n".join(_outline(schema["xml"]["name"], schema))
                yield f"<h3>{title}</h3><pre><code>{escape(outline)}</code></pre>"

    def _answers(self, operation: Json) -> Iterator[str]:
        own = [name for name in _error_names(operation) if name not in self._common]
        listed = "".join(
            f'<li title="{escape(self._codes[name]["message"])}">'
            f"<b>{self._codes[name]['status']}</b> {_code(name)}</li>"
            for name in own
        )
        link = f'{"and " if own else ""}<a href="#errors">those of every request</a>'
        rest = f'<li class="rest">{link}</li>'
        yield f'<h3>Errors</h3><ul class="codes">{listed}{rest}</ul>'


def _error_names(operation: Json) -> list[str]:
    answers = operation["responses"].values()
    return [
        name for answer in answers if "$ref" in answer for name in answer["description"].split(", ")
    ]


def _fields(schema: Json) -> str:
    """The fields of a form."""
    rows = [(_code(name), escape(it["description"])) for name, it in schema["properties"].items()]
    return f"<h3>Fields of the form</h3>{_table(('Name', ''), rows)}"


def _outline(name: str, schema: Json, depth: int = 0, note: str = "") -> Iterator[str]:
    """The elements of a document, one on each line."""
    margin = "  " * depth
    if schema["type"] == "array":
        items, xml = schema["items"], schema.get("xml", {})
        repeats = "  (any number)"
        if not xml.get("wrapped"):
            yield from _outline(name, items, depth, repeats)
        else:
            yield f"{margin}<{name}>"
            yield from _outline(items["xml"]["name"], items, depth + 1, repeats)
            yield f"{margin}</{name}>"
    elif schema["type"] == "object":
        yield f"{margin}<{name}>{note}"
        for child, inner in schema["properties"].items():
            yield from _outline(child, inner, depth + 1)
        yield f"{margin}</{name}>"
    else:
        kind = schema.get("format", schema["type"])
        yield f"{margin}<{name}>{_VALUES.get(kind, kind)}</{name}>{note}"


_VALUES: Final = {"string": "...", "int64": "0", "boolean": "true or false", "date-time": "time"}

# --- pieces


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{text}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _prose(text: str) -> str:
    """Text in which backquotes stand around code."""
    parts = text.split("`")
    return "".join(_code(part) if at % 2 else escape(part) for at, part in enumerate(parts))


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]
