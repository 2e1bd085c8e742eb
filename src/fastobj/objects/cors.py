"""Which pages of other origins a browser lets read and write a bucket: rules, and who fits one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error

METHODS: Final = ("GET", "PUT", "POST", "DELETE", "HEAD")
_ANY: Final = "*"
_MAX_AGE_S_MAX: Final = 2**31 - 1


class CorsRule(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One rule. An origin or an allowed header may hold one `*`, which stands for any text."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age_s: int | None = None
    id: str = ""

    def fits(self, origin: str, method: str, headers: Sequence[str]) -> bool:
        """Whether a page of that origin may send such a request. Headers are in lower case."""
        return (
            method in self.methods
            and any(_fits(allowed, origin) for allowed in self.origins)
            and all(self._allows(name) for name in headers)
        )

    def _allows(self, header: str) -> bool:
        return any(_fits(allowed.lower(), header) for allowed in self.headers)

    @property
    def is_for_all(self) -> bool:
        """Whether any origin at all will do: then an answer does not depend on it."""
        return _ANY in self.origins


class Cors(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The CORS configuration of a bucket; the first rule that fits counts."""

    rules: tuple[CorsRule, ...]


def _fits(pattern: str, text: str) -> bool:
    start, star, end = pattern.partition(_ANY)
    if not star:
        return text == pattern
    return len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end)


def rule_for(cors: Cors, origin: str, method: str, headers: Sequence[str] = ()) -> CorsRule | None:
    """The first rule that such a request of a page of that origin fits, or None."""
    return next((rule for rule in cors.rules if rule.fits(origin, method, headers)), None)


def check(rules: Sequence[CorsRule]) -> Cors:
    """The configuration of these rules. Raises MalformedXML, InvalidRequest."""
    if not 1 <= len(rules) <= limits.CORS_RULES_MAX:
        raise S3Error(codes.MALFORMED_XML)
    for rule in rules:
        _check_rule(rule)
    return Cors(tuple(rules))


def _check_rule(rule: CorsRule) -> None:
    if not rule.origins or not rule.methods or len(rule.id) > limits.RULE_ID_CHARS_MAX:
        raise S3Error(codes.MALFORMED_XML)
    if rule.max_age_s is not None and rule.max_age_s > _MAX_AGE_S_MAX:
        raise S3Error(codes.MALFORMED_XML)
    for method in rule.methods:
        if method not in METHODS:
            raise _invalid(
                "Found unsupported HTTP method in CORS config."
                f" Unsupported method is {method[: limits.SHOWN_CHARS_MAX]}"
            )
    for element, texts in (("AllowedOrigin", rule.origins), ("AllowedHeader", rule.headers)):
        for text in texts:
            if text.count(_ANY) > 1:
                raise _invalid(f'{element} "{text}" can not have more than one wildcard.')
    for name in rule.exposed:
        if _ANY in name:
            raise _invalid(
                f'ExposeHeader "{name}" contains wildcard. We currently do not support wildcard'
                " for ExposeHeader."
            )


def _invalid(message: str) -> S3Error:
    return S3Error(codes.INVALID_REQUEST, message)
