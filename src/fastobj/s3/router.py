"""Finds the operation that a request asks for. Reads the table; knows no handler."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.op import Op, Scope
from fastobj.s3.operations import OPERATIONS

Header = Callable[[bytes], bytes | None]


class _Candidate(NamedTuple):
    """A row with its matcher in the form in which a request is compared."""

    op: Op
    query: tuple[str, ...]
    pinned: tuple[tuple[str, str], ...]
    header: bytes | None

    @property
    def rank(self) -> tuple[int, bool]:
        """Longer matchers first; a query key weighs more than a header."""
        return (len(self.query) + len(self.pinned), self.header is not None)


class _Rows(NamedTuple):
    """The rows of one method and scope: by sub-resource, and those without one."""

    by_subresource: dict[str, tuple[_Candidate, ...]]
    others: tuple[_Candidate, ...]


def _by_rank(ops: Iterable[Op]) -> tuple[_Candidate, ...]:
    found = [
        _Candidate(op, op.query, op.pinned, op.header.encode() if op.header else None) for op in ops
    ]
    return tuple(sorted(found, key=lambda candidate: candidate.rank, reverse=True))


def _rows(ops: Iterable[Op]) -> _Rows:
    groups: dict[str | None, list[Op]] = defaultdict(list)
    for op in ops:
        groups[op.query[0] if op.query else None].append(op)
    others = _by_rank(groups.pop(None, []))
    return _Rows({key: _by_rank(rows) for key, rows in groups.items() if key}, others)


def _table(ops: Iterable[Op]) -> dict[tuple[bytes, Scope], _Rows]:
    groups: dict[tuple[bytes, Scope], list[Op]] = defaultdict(list)
    for op in ops:
        groups[op.method.encode(), op.scope].append(op)
    return {place: _rows(rows) for place, rows in groups.items()}


_TABLE: Final = _table(OPERATIONS)
_PREFLIGHT: Final = b"OPTIONS"
# Per scope, over all methods: a key here is never taken for a plain request.
SUBRESOURCES: Final = {
    scope: frozenset(op.query[0] for op in OPERATIONS if op.scope is scope and op.query)
    for scope in Scope
}
_ALLOW: Final = {
    scope: ", ".join(sorted({op.method for op in OPERATIONS if op.scope is scope})).encode()
    for scope in Scope
}


def resolve(method: bytes, scope: Scope, query: Mapping[str, str], header: Header) -> Op:
    """The row that a request matches; the longest matcher wins.

    Raises MethodNotAllowed where there is none, InvalidArgument for two sub-resources at once.
    """
    rows = _TABLE.get((method, scope))
    if rows is None:
        raise _not_allowed(method, scope)
    candidates, subresource = rows.others, ""
    is_preflight = method == _PREFLIGHT  # it is about another request, whatever that names
    if query and not is_preflight and not (known := SUBRESOURCES[scope]).isdisjoint(query):
        subresource = _single(sorted(known.intersection(query)))
        candidates = rows.by_subresource.get(subresource, ())
    found = _first(candidates, query, header)
    if found is None:
        raise _not_allowed(method, scope, subresource)
    return found


def _single(asked: list[str]) -> str:
    if len(asked) > 1:
        message = f"Conflicting query string parameters: {', '.join(asked)}"
        raise S3Error(codes.INVALID_ARGUMENT, message, extra=[("ResourceType", asked[0])])
    return asked[0]


def _first(
    candidates: tuple[_Candidate, ...], query: Mapping[str, str], header: Header
) -> Op | None:
    for op, keys, pinned, name in candidates:
        if (
            (name is None or header(name) is not None)
            and (not keys or all(key in query for key in keys))
            and (not pinned or all(query.get(key) == value for key, value in pinned))
        ):
            return op
    return None


def _not_allowed(method: bytes, scope: Scope, subresource: str = "") -> S3Error:
    kind = subresource or scope.name
    return S3Error(
        codes.METHOD_NOT_ALLOWED,
        extra=[("Method", method.decode("latin-1")), ("ResourceType", kind.upper())],
        headers=[(b"allow", _ALLOW[scope])],
    )
