"""Conditions of reads: the whole table of their precedence. Those of writes are in test_put."""

import itertools

import pytest

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.meta.records import ObjectRecord
from fastobj.objects.conditions import ReadConditions, Verdict, WriteConditions, matches

MODIFIED_S = 1_800_000_000
RECORD = ObjectRecord(1, b"", b"", 4, "etag", MODIFIED_S * 1_000_000_000 + 999_999_999)
GO_ON, NOT_MODIFIED, FAILED = Verdict.GO_ON, Verdict.NOT_MODIFIED, "failed"


def check(conditions, verdict):
    if verdict is FAILED:
        with pytest.raises(S3Error, check=lambda error: error.code is codes.PRECONDITION_FAILED):
            conditions.judge(RECORD)
    else:
        assert conditions.judge(RECORD) is verdict


def expected(match, unmodified, none_match, modified):
    """The rules in their order; each argument is None (absent), True or False (it holds)."""
    if match is False or (match is None and unmodified is False):
        return FAILED
    if none_match is False or (none_match is None and modified is False):
        return NOT_MODIFIED
    return GO_ON


@pytest.mark.parametrize("holds", [*itertools.product([None, True, False], repeat=4)])
def test_precedence(holds):
    match, unmodified, none_match, modified = holds
    conditions = ReadConditions(
        if_match={None: None, True: ("etag",), False: ("other",)}[match],
        if_unmodified_since_s={None: None, True: MODIFIED_S, False: MODIFIED_S - 1}[unmodified],
        if_none_match={None: None, True: ("other",), False: ("etag",)}[none_match],
        if_modified_since_s={None: None, True: MODIFIED_S - 1, False: MODIFIED_S}[modified],
    )
    check(conditions, expected(*holds))


def test_lists_and_any():
    assert matches(("a", "etag"), RECORD)
    assert matches(("*",), RECORD)
    assert not matches(("a", "b"), RECORD)
    assert not matches((), RECORD)


def test_conditions_of_a_write_on_nothing():
    WriteConditions(if_none_match=("*",)).check(None)
    with pytest.raises(S3Error, check=lambda error: error.code is codes.NO_SUCH_KEY):
        WriteConditions(if_match=("etag",), if_none_match=("*",)).check(None)
