"""Check 40: keys of control characters and markup are listed as XML that clients read."""

import re
from urllib.parse import quote, unquote
from xml.etree import ElementTree

import pytest

CONTROLS = [chr(code) for code in (*range(32), 0x7F, 0x80, 0x85, 0x9F)]
MARKUP = [
    "<",
    ">",
    "&",
    '"',
    "'",
    "]]>",
    "&lt;",
    "&#0;",
    "<!--",
    "-->",
    "<![CDATA[",
    "<Key>a</Key>",
]
OTHERS = ["+", " ", "%", "%20", "\u2028", "\ufffd", "\ufffe", "\uffff", "😀"]
KEYS = sorted((f"{c}/{c}" for c in [*CONTROLS, *MARKUP, *OTHERS]), key=str.encode)
# All that XML 1.0 lacks, even as a reference.
NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
REFERENCES = re.compile(rb"&#x([0-8BCEF]|1[0-9A-F]|FFF[EF]);")


def shown(found):
    """How the tests show a character that XML lacks."""
    return f"\\{ord(found[0]):X}"


def strictly(body):
    """The document, by a parser that knows XML 1.0 and stumbles over nothing but references to
    what XML has no character for."""
    return ElementTree.fromstring(REFERENCES.sub(b"\\\\\\1", body))


@pytest.fixture(scope="session")
def full(call, s3):
    """A bucket with all these keys, filled once and only read."""
    name = "hardening-listed-keys"
    s3.create_bucket(Bucket=name)
    for key in KEYS:
        assert call("PUT", name, quote(key, safe=""), body=key.encode()).status == 200
    return name


def listed(s3, operation, bucket, **arguments):
    """Keys and common prefixes of all pages, as boto3 gives them."""
    pages = list(s3.get_paginator(operation).paginate(Bucket=bucket, **arguments))
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    prefixes = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
    return keys, prefixes


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_boto3_lists_them(s3, full, operation):
    assert listed(s3, operation, full) == (KEYS, [])
    paged = {"PaginationConfig": {"PageSize": 7}}
    assert listed(s3, operation, full, **paged) == (KEYS, [])
    slashes = {"Delimiter": "/"}
    folded = sorted({key.partition("/")[0] + "/" for key in KEYS}, key=str.encode)
    assert listed(s3, operation, full, **slashes) == ([], folded)
    assert listed(s3, operation, full, **slashes, **paged) == ([], folded)


def test_parameters_come_back_as_they_went(s3, full):
    for key in KEYS:
        head, end = key.partition("/")[0], key[-1:]
        page = s3.list_objects_v2(Bucket=full, Prefix=head, Delimiter=end, StartAfter=head)
        assert (page["Prefix"], page["Delimiter"], page["StartAfter"]) == (head, end, head)
        page = s3.list_objects(Bucket=full, Prefix=head, Delimiter=end, Marker=head)
        # boto3 decodes this prefix in the second form of listings only.
        assert (unquote(page["Prefix"]), page["Delimiter"], page["Marker"]) == (head, end, head)


@pytest.mark.parametrize("query", ["", "list-type=2", "delimiter=/", "list-type=2&delimiter=/"])
def test_written_without_an_encoding(caller, full, query):
    body = caller("GET", full, query=query).body
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", body)  # each of them is a reference
    tag = "Prefix" if "delimiter" in query else "Key"
    wanted = [key.partition("/")[0] + "/" for key in KEYS] if "delimiter" in query else KEYS
    texts = [found.text for found in strictly(body).iterfind(f".//{{*}}{tag}") if found.text]
    assert texts == [NO_XML.sub(shown, key) for key in dict.fromkeys(wanted)]


def test_answers_to_deletes_name_them(s3, bucket):
    keys = [key for key in KEYS if not NO_XML.search(key)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    wishes = [{"Key": key} for key in keys]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": wishes})
    assert [entry["Key"] for entry in answer["Deleted"]] == keys
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_errors_name_them(caller, full):
    for key in KEYS:
        answer = caller("GET", full, quote(key + "gone", safe=""))
        assert (answer.status, answer.code) == (404, "NoSuchKey")
        root = strictly(answer.body)
        # Unlike in a listing, so that every parser can read the error.
        assert root.findtext("Key") == NO_XML.sub(lambda found: quote(found[0]), key + "gone")
