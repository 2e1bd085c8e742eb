"""A set of tags: its limits at their values and one above, its characters, its reserved names."""

import pytest

from fastobj.core.errors import S3Error
from fastobj.objects import tags

BAD = {
    "empty key": [("", "value")],
    "long key": [("k" * 129, "")],
    "long value": [("key", "v" * 257)],
    "long key in units of UTF-16": [("\U00020000" * 65, "")],
    "character": [("key!", "")],
    "character of a value": [("key", "a&b")],
    "tab": [("a\tb", "")],
    "newline": [("a\nb", "")],
    "next line": [("a\x85b", "")],
    "reserved": [("aws:tag", "value")],
    "reserved in capitals": [("AWS:tag", "value")],
    "twice": [("key", "a"), ("key", "b")],
    "too many": [(str(number), "") for number in range(11)],
}


@pytest.mark.parametrize("pairs", BAD.values(), ids=BAD)
def test_refused(pairs):
    with pytest.raises(S3Error) as caught:
        tags.check(pairs, 10)
    assert caught.value.code.name == "InvalidTag"


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("k" * 128, "v" * 256)],
        [("\U00020000" * 64, "")],
        [("aws", "aws:value"), ("Key", ""), ("key", "")],
        [("a b\u00a0c", "Zürich 東京 ٣ + - = . _ : / @")],
        [(str(number), "") for number in range(10)],
    ],
)
def test_accepted(pairs):
    assert list(tags.check(pairs, 10).items()) == pairs
