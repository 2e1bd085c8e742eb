"""Admission: what is beyond the limits is refused, and room comes back."""

import pytest

from fastobj.core.errors import S3Error
from fastobj.s3.admission import Admission


def refused(call, *arguments):
    with pytest.raises(S3Error) as caught:
        call(*arguments)
    return caught.value.code.name


def test_requests_up_to_the_limit_and_one_above() -> None:
    limits: list[str] = []
    admission = Admission(2, 0, limits.append)
    for _ in range(2):
        admission.enter()
        admission.check()
    admission.enter()
    assert refused(admission.check) == "SlowDown"
    assert limits == ["requests"]
    admission.leave(0)
    admission.check()


def test_bodies_up_to_the_limit_and_one_byte_above() -> None:
    limits: list[str] = []
    admission = Admission(9, 10, limits.append)
    assert admission.hold(4) + admission.hold(6) == 10
    assert refused(admission.hold, 1) == "SlowDown"
    assert limits == ["whole_bodies"]
    admission.leave(6)
    assert admission.hold(6) == 6
