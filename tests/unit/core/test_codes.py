"""The table of error codes holds together."""

import re

from fastobj.core import codes
from fastobj.core.errors import S3Error


def test_names_are_unique() -> None:
    names = [row.name for row in codes.ALL]
    assert len(names) == len(set(names)) > 40


def test_every_row_is_named_after_its_code() -> None:
    # KeyTooLongError and IllegalLocationConstraintException have the suffix on the wire only.
    for name, row in vars(codes).items():
        if isinstance(row, codes.ErrorCode):
            spoken = re.sub(r"(Error|Exception)$|\.", "", row.name).lower()
            assert name.replace("_", "").lower() in {spoken, row.name.lower()}


def test_status_and_message_make_sense() -> None:
    for row in codes.ALL:
        assert row.status == 304 or 400 <= row.status <= 599
        assert row.message.isascii()
        assert row.message


def test_an_error_speaks_for_its_code() -> None:
    assert str(S3Error(codes.NO_SUCH_KEY)) == codes.NO_SUCH_KEY.message
    assert S3Error(codes.NO_SUCH_KEY, "gone").message == "gone"
