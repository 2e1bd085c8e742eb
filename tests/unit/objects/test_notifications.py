"""Whom events are told to: names of events, filters, and configurations that overlap."""

import botocore.session
import pytest

from fastobj.core.errors import S3Error
from fastobj.objects import notifications
from fastobj.objects.notifications import EVENTS, Notification, Notifications

PUT = "s3:ObjectCreated:Put"
CREATED = "s3:ObjectCreated:*"
REMOVED = "s3:ObjectRemoved:*"


def row(id="one", events=(CREATED,), prefix=None, suffix=None):
    return Notification(id, "hook", tuple(events), prefix, suffix)


def code_of(*rows):
    try:
        notifications.check(rows)
    except S3Error as error:
        return error.code.name
    return None


def test_all_events_of_s3_are_known():
    model = botocore.session.get_session().get_service_model("s3", "2006-03-01")
    assert set(model.shape_for("Event").enum) == EVENTS


@pytest.mark.parametrize(
    ("told", "event", "key"),
    [
        (row(), PUT, "any"),
        (row(events=[REMOVED, PUT]), PUT, "any"),
        (row(prefix="a/", suffix=".jpg"), PUT, "a/b.jpg"),
        (row(prefix="", suffix=""), PUT, "any"),
        (row(prefix="aba", suffix="ba"), PUT, "aba"),
        (row(events=["s3:ObjectAcl:Put"]), "s3:ObjectAcl:Put", "any"),
    ],
)
def test_told(told, event, key):
    assert notifications.matching(Notifications((told,)), event, key) == [told]


@pytest.mark.parametrize(
    ("told", "event", "key"),
    [
        (row(events=[PUT]), "s3:ObjectCreated:Copy", "any"),
        (row(), "s3:ObjectRemoved:Delete", "any"),
        (row(prefix="a/"), PUT, "b/a/"),
        (row(suffix=".jpg"), PUT, "a.jpg.png"),
        (row(prefix="a/", suffix=".jpg"), PUT, "a/b"),
    ],
)
def test_not_told(told, event, key):
    assert notifications.matching(Notifications((told,)), event, key) == []


def test_who_is_told_of_several():
    rows = (row("one", prefix="a"), row("two", prefix="b"), row("three", [PUT], suffix="z"))
    assert notifications.matching(Notifications(rows), PUT, "bz") == [rows[1], rows[2]]


def test_targets():
    arn = row().arn
    assert notifications.target_of(arn, {"hook"}) == "hook"
    for bad in (arn, arn + "x", "arn:aws:sqs:us-east-1:123456789012:queue", "arn:", "hook", ""):
        with pytest.raises(S3Error) as caught:
            notifications.target_of(bad, {"other"})
        assert caught.value.code.name == "InvalidArgument"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (row(), row("two")),
        (row(), row("two", [PUT])),
        (row(events=[PUT]), row("two", [REMOVED, CREATED])),
        (row(prefix="images"), row("two", prefix="images/a")),
        (row(prefix="images"), row("two")),
        (row(suffix=".jpg"), row("two", suffix="jpg")),
        (row(prefix="images"), row("two", suffix=".jpg")),
        (row(prefix="images", suffix=".jpg"), row("two", prefix="im", suffix=".a.jpg")),
    ],
)
def test_those_that_overlap(one, other):
    assert code_of(one) is code_of(other) is None
    assert code_of(one, other) == code_of(other, one) == "InvalidArgument"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (row(), row("two", [REMOVED])),
        (row(events=[PUT]), row("two", ["s3:ObjectCreated:Copy"])),
        (row(prefix="images"), row("two", prefix="logs")),
        (row(prefix="images", suffix=".jpg"), row("two", prefix="images", suffix=".png")),
        (row(prefix="images", suffix=".jpg"), row("two", prefix="logs", suffix=".jpg")),
    ],
)
def test_those_that_do_not_overlap(one, other):
    assert code_of(one, other) is None


def test_what_is_refused():
    assert code_of(row(events=["s3:ObjectCreated"])) == "InvalidArgument"
    assert code_of(row(events=["*"])) == "InvalidArgument"
    assert code_of(row(prefix="é" * 513)) == "InvalidArgument"
    assert code_of(row(suffix="é" * 513)) == "InvalidArgument"
    assert code_of(row(id="i" * 256)) == "InvalidArgument"
    assert code_of(row(), row(events=[REMOVED])) == "InvalidArgument"  # one id
    many = [row(f"row {number}", prefix=f"{number:03}") for number in range(101)]
    assert code_of(*many[:100]) is None
    assert code_of(*many) == "InvalidArgument"
