"""Keys to list, and what a listing of them must hold."""

import os

LISTED = [
    "a", "a/", "a/b", "a/b/c", "a//b", "a0", "ab", "abc", "abé", "b", "b/a", "b/b/b", "ba", "baé",
    "b b", "é", "é/é", "ü/a", "ü/b", "//", "/a", "\U0001f600/x", "z/z", "z/zz",
]  # fmt: skip


def fill(s3, name):
    """Makes a bucket with these keys, and returns its name."""
    name = f"{name}-{os.getpid()}"
    s3.create_bucket(Bucket=name)
    for key in LISTED:
        s3.put_object(Bucket=name, Key=key, Body=b"")
    return name


def model(keys, prefix="", delimiter="", after=""):
    """Entries (name, whether it is a common prefix) behind `after`, in byte order."""
    found = set()
    for key in keys:
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            found.add((key[: at + len(delimiter)], True) if at >= 0 else (key, False))
    return sorted(
        (entry for entry in found if not after or entry[0].encode() > after.encode()), key=_order
    )


def _order(entry):
    return entry[0].encode()


def keys_of(answer):
    """The keys of a page."""
    return [found["Key"] for found in answer.get("Contents", [])]


def prefixes_of(answer):
    """The common prefixes of a page."""
    return [found["Prefix"] for found in answer.get("CommonPrefixes", [])]


def entries(answer):
    """The entries of a page, in byte order."""
    keys, prefixes = keys_of(answer), prefixes_of(answer)
    assert keys == sorted(keys, key=str.encode)
    assert prefixes == sorted(prefixes, key=str.encode)
    return sorted([(k, False) for k in keys] + [(p, True) for p in prefixes], key=_order)
