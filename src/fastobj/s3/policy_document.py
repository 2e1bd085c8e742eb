"""The policy of a form: what its signer lets the fields be, and how long and how large.

It is JSON in base64, written by whoever holds the key and handed to somebody who does not. So
nothing in a form is taken that the policy does not mention, and nothing in a policy is passed over.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.limits import OBJECT_BYTES_MAX

_EQUALS: Final = "eq"
_STARTS: Final = "starts-with"
_RANGE: Final = "content-length-range"
_OPERANDS: Final = 2
_BUCKET: Final = "bucket"
_CONTENT_TYPE: Final = "content-type"
# What no condition needs to mention: what proves the policy, what it is not about, the policy.
_EXEMPT: Final = frozenset({"awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"})
_IGNORED: Final = "x-ignore-"

_EXPIRATION: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?Z"
)
_SIZE: Final = re.compile("[0-9]{1,18}")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


class Condition(NamedTuple):
    """A condition on one field, by lower-case name; "" is a name that no field has.

    `operation` is `eq` or `starts-with`; `text` is the condition as errors show it.
    """

    operation: str
    field: str
    value: str
    text: str

    def holds(self, fields: Mapping[str, str]) -> bool:
        """Whether the field is there, and is as it must be."""
        found = fields.get(self.field)
        if found is None:
            return False
        if self.operation == _EQUALS:
            return found == self.value
        if self.field == _CONTENT_TYPE:  # S3 takes it for a list
            return all(kind.strip().startswith(self.value) for kind in found.split(","))
        return found.startswith(self.value)


class Policy(NamedTuple):
    """A policy. It ends `expires_s` seconds after the epoch; sizes are bytes of the file."""

    expires_s: int
    conditions: tuple[Condition, ...]
    size_min: int
    size_max: int

    def check(self, bucket: str, fields: Mapping[str, str], now_s: int) -> None:
        """Checks a form for that bucket; its fields by lower-case name, all in their last form.

        Raises AccessDenied.
        """
        if now_s >= self.expires_s:
            raise _against("Policy expired.")
        sent = {**fields, _BUCKET: bucket}  # always the one that is written to
        mentioned = {condition.field for condition in self.conditions} | _EXEMPT
        extra = [name for name in sent if name not in mentioned and not name.startswith(_IGNORED)]
        if extra:
            raise _against(f"Extra input fields: {', '.join(extra)}")
        for condition in self.conditions:
            if not condition.holds(sent):
                raise _against(f"Policy Condition failed: {condition.text}")
        if fields.get(_BUCKET, bucket) != bucket:
            raise _against(f"the field {_BUCKET} is not the bucket of the URL")


def parse(encoded: str) -> Policy:
    """The policy in the field of a form. Raises InvalidPolicyDocument."""
    found = _decode(encoded)
    if not isinstance(found, dict):
        raise _invalid("Invalid JSON.")
    for name in ("expiration", "conditions"):
        if name not in found:
            raise _invalid(f"Policy missing {name}.")
    for name in found.keys() - {"expiration", "conditions"}:
        raise _invalid(f"Unexpected: '{name}'")
    if not isinstance(found["conditions"], list):
        raise _invalid("Invalid 'conditions' value: must be a List.")
    conditions: list[Condition] = []
    size_min, size_max = 0, OBJECT_BYTES_MAX
    for one in found["conditions"]:
        sizes = _sizes(one)
        if sizes is None:
            conditions.append(_condition(one))
        else:  # all ranges hold
            size_min, size_max = max(size_min, sizes[0]), min(size_max, sizes[1])
    return Policy(_expiration(found["expiration"]), tuple(conditions), size_min, size_max)


def _decode(encoded: str) -> Any:
    """The JSON in base64, which may be broken into lines; S3 also knows the escape `\\$`."""
    text = "".join(encoded.split())
    if not text:
        raise _invalid("Expecting '{' but found End-of-Input")
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("invalid Base64 encoding.") from None
    try:
        plain = _ESCAPE.sub(lambda match: "$" if match[1] == "$" else match[0], raw.decode())
        return json.loads(
            plain, object_pairs_hook=_object, parse_float=_refuse, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        raise _invalid("Invalid JSON.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without repeated names: readers do not agree on which of them counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no value in a policy")


def _expiration(value: Any) -> int:
    match = _EXPIRATION.fullmatch(value) if isinstance(value, str) else None
    try:
        if match is not None:
            return int(datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp())
    except ValueError:  # no such day
        pass
    raise _invalid(f"Invalid 'expiration' value: '{value}'")


def _sizes(condition: Any) -> tuple[int, int] | None:
    """Least and most bytes, where the condition is about the size of the file."""
    if not isinstance(condition, list) or _operation(condition) != _RANGE:
        return None
    _check_operands(condition)
    least, most = condition[1:]
    return _size(least), _size(most)


def _size(value: Any) -> int:
    """A size, as a number or as text."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _SIZE.fullmatch(text):
        raise _invalid(f"Invalid {_RANGE}: sizes are whole numbers of bytes.")
    return int(text)


def _condition(condition: Any) -> Condition:
    if isinstance(condition, dict):
        return _exact_match(condition)
    if not isinstance(condition, list):
        raise _invalid("Invalid condition test: must be a List or Object.")
    operation = _operation(condition)
    if operation not in (_EQUALS, _STARTS):
        raise _invalid(f"Invalid Condition: unknown operation '{operation}'.")
    _check_operands(condition)
    name, value = condition[1:]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(name, str) or not isinstance(value, str):
        raise _invalid(f"Invalid {operation}: name and value must be strings.")
    field = name[1:].lower() if name.startswith("$") else ""
    return Condition(operation, field, value, json.dumps(condition, ensure_ascii=False))


def _exact_match(condition: dict[str, Any]) -> Condition:
    if len(condition) != 1:
        message = "Simple-Conditions must have exactly one property specified."
        raise _invalid(f"Invalid Simple-Condition: {message}")
    [(name, value)] = condition.items()
    if not isinstance(value, str):
        raise _invalid("Invalid Simple-Condition: value must be a string.")
    text = json.dumps([_EQUALS, f"${name}", value], ensure_ascii=False)
    return Condition(_EQUALS, name.lower(), value, text)


def _operation(condition: list[Any]) -> str:
    if not condition:
        raise _invalid("Invalid Condition: missing operation identifier.")
    if not isinstance(condition[0], str):
        raise _invalid("Invalid Condition: the operation identifier must be a string.")
    return condition[0].lower()


def _check_operands(condition: list[Any]) -> None:
    if len(condition) != 1 + _OPERANDS:
        raise _invalid(f"Invalid {condition[0]}: wrong number of arguments.")


def _against(reason: str) -> S3Error:
    return S3Error(codes.ACCESS_DENIED, f"Invalid according to Policy: {reason}")


def _invalid(reason: str) -> S3Error:
    return S3Error(codes.INVALID_POLICY_DOCUMENT, f"Invalid Policy: {reason}")
