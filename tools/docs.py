"""Documents made from the tables: `python -m tools.docs`, or with `--check` to compare only."""

import argparse
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from fastobj.core.metrics import metrics_document
from fastobj.core.op import Op, Scope, Support
from fastobj.core.setting_kinds import as_text
from fastobj.core.settings import SETTINGS, Setting, Settings
from fastobj.s3 import headers, openapi, openapi_words
from fastobj.s3.operations import ALIASES, OPERATIONS
from tools import s3tests_document

DOCS = Path(__file__).resolve().parent.parent / "docs"
SCOPES = {Scope.SERVICE: "The service", Scope.BUCKET: "Buckets", Scope.OBJECT: "Objects"}
GROUPS = {"s3": "S3", "tls": "TLS"}
SUPPORT = {Support.YES: "**served**", Support.REFUSED: "refused"}
# What the help of a setting says of a default that is not the same on every machine.
DEFAULT_IN_HELP = re.compile(r" \(default: ([^)]*)\)$")

# Pieces -------------------------------------------------------------------------------------------


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    for cells in (heads, ["---"] * len(heads), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def prose(text: str) -> list[str]:
    """Lines of a paragraph."""
    return textwrap.wrap(text, 100, break_on_hyphens=False)


def code(text: str) -> str:
    """Text as code; nothing stays nothing."""
    return f"`{text}`" if text else ""


def note(source: str) -> str:
    """The line that says where a document comes from."""
    return f"<!-- Made from {source} by `python -m tools.docs`: edit that, then run this. -->"


# Operations ---------------------------------------------------------------------------------------


def operations() -> Iterator[str]:
    """Lines of docs/operations.md."""
    served = [op for op in OPERATIONS if op.support is Support.YES]
    yield from ("# Operations", "", note("src/fastobj/s3/operations.py"), "")
    yield from prose(
        f"Of the {len(OPERATIONS)} operations of S3, {len(served)} are served. The others are"
        " refused with NotImplemented (501) once the request is authenticated and authorised. A"
        " server shows the same, with parameters, bodies and examples, at `/docs`, and for programs"
        " at `/openapi.json`."
    )
    for scope, title in SCOPES.items():
        yield from ("", f"## {title}", "")
        rows = [operation_row(op) for op in OPERATIONS if op.scope is scope]
        yield from table(("Operation", "Action", "Method and path", "Support", "Note"), rows)
    yield from refused_headers(served)


def operation_row(op: Op) -> list[str]:
    """The cells of one operation."""
    actions = " ".join(code(action) for action in (op.action, *op.also) if action)
    target = code(f"{op.method} {openapi.target_of(op)}")
    return [op.name, actions or "none", target, SUPPORT[op.support], operation_note(op)]


def operation_note(op: Op) -> str:
    """What the operation does, and its older names."""
    older = [old for old, new in ALIASES.items() if new == op.name]
    texts = [openapi_words.OPERATIONS.get(op.name, "")]
    texts += [f"Also as {', '.join(older)}."] if older else []
    return " ".join(filter(None, texts))


def refused_headers(served: Iterable[Op]) -> Iterator[str]:
    """What served operations do not take, so that nothing is ignored in silence."""
    yield from ("", "## Headers that served operations refuse", "")
    yield "A header that is not here is used, or changes nothing, or is none of S3's."
    yield ""
    rows = []
    for op in served:
        for header, refusal in sorted(headers.REFUSED.get(op.name, {}).items()):
            unless = ", ".join(code(value.decode()) for value in sorted(refusal.accepted))
            rows.append((op.name, code(header.decode()), refusal.code.name, unless))
    yield from table(("Operation", "Header", "Answer", "Unless it is"), rows)


# Settings -----------------------------------------------------------------------------------------


def settings() -> Iterator[str]:
    """Lines of docs/settings.md."""
    yield from ("# Settings", "", note("src/fastobj/core/settings.py"), "")
    yield from prose(
        "A setting `name` is the flag `--name`, the variable `FASTOBJ_NAME` (capitals,"
        " underscores), and `name = value` in the file that `--config` names. A variable with"
        " `_FILE` at its end names a file that holds the value. The first of flag, environment,"
        " file and default wins. A secret has no flag, as every user of a machine sees command"
        " lines. `fastobj config show` prints each setting with where it comes from."
    )
    shown = [setting for setting in SETTINGS if not setting.hidden]
    for group, rows in groupby(shown, key=lambda setting: setting.group):
        yield from ("", f"## {GROUPS.get(group, group.capitalize())}", "")
        heads = ("Name", "Variable", "Type", "Default", "What it is")
        yield from table(heads, map(setting_row, rows))


def setting_row(setting: Setting) -> list[str]:
    """The cells of one setting."""
    help, default = setting.help, code(as_text(getattr(Settings(), setting.field)))
    found = DEFAULT_IN_HELP.search(help)
    if found:
        help, default = help[: found.start()], found.group(1)
    variables = ", ".join(map(code, setting.variables))
    secret = " (secret: no flag)" if setting.secret else ""
    return [code(setting.name), variables, setting.kind.metavar, default or "none", help + secret]


# Files --------------------------------------------------------------------------------------------

DOCUMENTS: dict[str, Callable[[], Iterable[str]]] = {
    "conformance.md": lambda: s3tests_document.lines(s3tests_document.read()),
    "metrics.md": lambda: metrics_document().rstrip("\n").split("\n"),
    "operations.md": operations,
    "settings.md": settings,
}


def stale(folder: Path) -> list[Path]:
    """The documents in a folder that are not what the tables say."""
    return [path for path, text in made(folder) if not path.exists() or path.read_text() != text]


def made(folder: Path) -> list[tuple[Path, str]]:
    """Where each document belongs, and its text."""
    return [(folder / name, "\n".join(make()) + "\n") for name, make in DOCUMENTS.items()]


def main(argv: Sequence[str] | None = None, folder: Path = DOCS) -> int:
    """Write the documents, or say which ones are stale; 1 where `--check` finds some."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail for stale ones")
    if parser.parse_args(argv).check:
        found = stale(folder)
        for path in found:
            print(f"docs: {path.name} is stale: run `python -m tools.docs`")
        return 1 if found else 0
    for path, text in made(folder):
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
