"""What requests may ask of an object, and what of it they mean: conditions, ranges, parts."""

from __future__ import annotations

from collections.abc import Iterable

from tests.model.values import Conditions, Object, Part, Refused


def check_write(present: Object | None, conditions: Conditions) -> None:
    """Conditions on the object that a write replaces."""
    if conditions.if_match is not None:
        if present is None:
            raise Refused("NoSuchKey")
        if conditions.if_match not in ("*", present.etag):
            raise Refused("PreconditionFailed")
    if present is not None and conditions.if_none_match in ("*", present.etag):
        raise Refused("PreconditionFailed")


def check_read(found: Object, conditions: Conditions) -> None:
    """Conditions on an object that is read: a time counts where its etag is not given."""
    if_match, if_none_match, modified_since_s, unmodified_since_s = conditions
    if if_match is not None:
        if if_match not in ("*", found.etag):
            raise Refused("PreconditionFailed")
    elif unmodified_since_s is not None and found.modified_s > unmodified_since_s:
        raise Refused("PreconditionFailed")
    if if_none_match is not None:
        if if_none_match in ("*", found.etag):
            raise Refused("304")
    elif modified_since_s is not None and found.modified_s <= modified_since_s:
        raise Refused("304")


def check_copied(source: Object, conditions: Conditions) -> None:
    """Conditions on the source of a copy."""
    try:
        check_read(source, conditions)
    except Refused:
        raise Refused("PreconditionFailed") from None


def range_of(wanted: str, size: int) -> tuple[int, int]:
    """First byte and the one behind the last."""
    left, _, right = wanted.partition("-")
    if left:
        first, last = int(left), min(int(right) + 1 if right else size, size)
    else:
        first, last = max(size - int(right), 0), size
    if first >= last:
        raise Refused("InvalidRange")
    return first, last


def part_of(found: Object, number: int) -> tuple[int, int, dict[str, str]]:
    """Where a part lies in its object, and its checksums; what was put is one part."""
    if not found.parts and number == 1:
        return 0, len(found.content), found.checksums
    at = 0
    for part in found.parts:
        if part.number == number:
            return at, at + len(part.content), shown_sums(found, part)
        at += len(part.content)
    raise Refused("InvalidPartNumber")


def folded(keys: Iterable[str], prefix: str, delimiter: str, after: str) -> list[tuple[str, bool]]:
    """Names behind `after` in byte order, and whether each is a common prefix."""
    found = set()
    for key in keys:
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            found.add((key[: at + len(delimiter)], True) if at >= 0 else (key, False))
    behind = [entry for entry in found if entry[0].encode() > after.encode()]
    return sorted(behind, key=lambda entry: entry[0].encode())


def check_destination(present: Object | None, conditions: Conditions) -> None:
    """Conditions on what a rename replaces: without any, those that need one fail."""
    if present is not None:
        check_copied(present, conditions)
    elif conditions.if_match is not None or conditions.modified_since_s is not None:
        raise Refused("PreconditionFailed")


def shown_sums(found: Object, part: Part) -> dict[str, str]:
    """The checksums of a part of the algorithm that its object has one of."""
    return {name: text for name, text in part.checksums.items() if name in found.checksums}
