"""Preconditions on objects: etags and times, with the precedence of S3 (that of RFC 9110)."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from fastobj.core import codes
from fastobj.core.codes import ErrorCode
from fastobj.core.errors import S3Error
from fastobj.meta.records import ObjectRecord

Etags = tuple[str, ...]  # without quotes
ANY_ETAG: Final = "*"

_NS_PER_S: Final = 1_000_000_000


def matches(etags: Etags, record: ObjectRecord) -> bool:
    """Whether the object has one of the etags; ANY_ETAG stands for every object."""
    return ANY_ETAG in etags or record.etag in etags


class WriteConditions(NamedTuple):
    """What must hold of the present object for a write to go on; None: no such condition.

    Where there is no object, nothing is asked of its date (in whole seconds) and its size.
    """

    if_match: Etags | None = None
    if_none_match: Etags | None = None
    if_modified_at_s: int | None = None
    if_size: int | None = None

    def check(self, present: ObjectRecord | None) -> None:
        """Raises PreconditionFailed, or NoSuchKey where If-Match meets no object."""
        if self.if_match is not None:
            if present is None:
                raise S3Error(codes.NO_SUCH_KEY)
            if not matches(self.if_match, present):
                raise failed("If-Match")
        if (
            self.if_none_match is not None
            and present is not None
            and matches(self.if_none_match, present)
        ):
            raise failed("If-None-Match")
        if present is not None:
            self._check_what_is_there(present)

    def _check_what_is_there(self, present: ObjectRecord) -> None:
        if self.if_size is not None and present.size != self.if_size:
            raise failed("x-amz-if-match-size")
        modified_s = self.if_modified_at_s
        if modified_s is not None and present.modified_ns // _NS_PER_S != modified_s:
            raise failed("x-amz-if-match-last-modified-time")

    @property
    def exhausted(self) -> ErrorCode:
        """What a write answers that lost too many races."""
        is_free = self == UNCONDITIONAL
        return codes.SLOW_DOWN if is_free else codes.CONDITIONAL_REQUEST_CONFLICT


UNCONDITIONAL: Final = WriteConditions()


class Verdict(Enum):
    """What the conditions of a read come to."""

    GO_ON = "go on"
    NOT_MODIFIED = "not modified"


class ReadConditions(NamedTuple):
    """What must hold of an object for a read; times are seconds since the Unix epoch."""

    if_match: Etags | None = None
    if_none_match: Etags | None = None
    if_modified_since_s: int | None = None
    if_unmodified_since_s: int | None = None

    def judge(self, record: ObjectRecord) -> Verdict:
        """Raises PreconditionFailed. A time counts only where its etag condition is absent."""
        modified_s = record.modified_ns // _NS_PER_S
        if self.if_match is not None:
            if not matches(self.if_match, record):
                raise failed("If-Match")
        elif self.if_unmodified_since_s is not None and modified_s > self.if_unmodified_since_s:
            raise failed("If-Unmodified-Since")
        if self.if_none_match is not None:
            if matches(self.if_none_match, record):
                return Verdict.NOT_MODIFIED
        elif self.if_modified_since_s is not None and modified_s <= self.if_modified_since_s:
            return Verdict.NOT_MODIFIED
        return Verdict.GO_ON


UNCONDITIONAL_READ: Final = ReadConditions()


def failed(condition: str) -> S3Error:
    """PreconditionFailed, naming the condition."""
    return S3Error(codes.PRECONDITION_FAILED, extra=(("Condition", condition),))
