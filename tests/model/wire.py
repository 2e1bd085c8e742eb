"""How requests say what the reference's values mean, and answers are read into such."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from tests.model.sending import Answer
from tests.model.values import (
    Attributes,
    Conditions,
    Description,
    Entry,
    ListedVersion,
    Lock,
    Page,
    VersionPage,
    Written,
    digest,
)

_EXPIRY = re.compile(r'expiry-date="([^"]*)", rule-id="')
META = "x-amz-meta-"
MODE = "x-amz-object-lock-mode"
UNTIL = "x-amz-object-lock-retain-until-date"
HOLD = "x-amz-object-lock-legal-hold"


# --- requests


def described(description: Description) -> dict[str, str]:
    """The headers that say so of an object."""
    metadata = {f"{META}{name}": value for name, value in description.metadata.items()}
    found = {**description.headers, **metadata}
    if description.tags:
        found["x-amz-tagging"] = urlencode(description.tags)
    return found | _locked(description.lock or Lock())


def _locked(lock: Lock) -> dict[str, str]:
    found = {}
    if lock.mode:
        found = {MODE: lock.mode, UNTIL: instant(lock.until_s)}
    return found if lock.hold is None else {**found, HOLD: "ON" if lock.hold else "OFF"}


def instant(seconds: int) -> str:
    """A time in seconds as documents and headers of locks have it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def conditioned(conditions: Conditions, prefix: str = "") -> dict[str, str]:
    """The headers of conditions."""
    since = {
        "if-modified-since": conditions.modified_since_s,
        "if-unmodified-since": conditions.unmodified_since_s,
    }
    etags = {"if-match": conditions.if_match, "if-none-match": conditions.if_none_match}
    headers = {name: formatdate(at, usegmt=True) for name, at in since.items() if at is not None}
    headers |= {name: f'"{etag}"' for name, etag in etags.items() if etag not in (None, "*")}
    headers |= {name: "*" for name, etag in etags.items() if etag == "*"}
    return {prefix + name: value for name, value in headers.items()}


def copied(bucket: str, key: str, version: str, conditions: Conditions) -> dict[str, str]:
    """The headers that name what to copy; no `version` for the latest."""
    named = f"?versionId={version}" if version else ""
    source = {"x-amz-copy-source": quote(f"/{bucket}/{key}") + named}
    return source | conditioned(conditions, "x-amz-copy-source-")


def base64(algorithm: str, content: bytes) -> str:
    """A checksum as a header has it."""
    return b64encode(digest(algorithm, content)).decode()


# --- answers


def etag_in(document: ElementTree.Element) -> str:
    """Without quotes."""
    return document.findtext("ETag").strip('"')


def sums_in(document: ElementTree.Element) -> dict[str, str]:
    """The checksums among the children of an element."""
    found = {e.tag.removeprefix("Checksum").lower(): e.text for e in document}
    return {name: text for name, text in found.items() if name in ("crc32", "sha256")}


def page_of(answer: Answer) -> Page:
    """A page of a listing of objects."""
    document = answer.document
    entries = [entry(found, "Key") for found in document.iter("Contents")]
    return Page(entries, prefixes(document), is_truncated(document))


def entry(element: ElementTree.Element, name: str) -> Entry:
    """An entry of a page; `name` is the element of its name."""
    return Entry(
        element.findtext(name),
        etag_in(element),
        int(element.findtext("Size")),
        modified(element),
    )


def prefixes(document: ElementTree.Element) -> list[str]:
    """The common prefixes of a page."""
    return [found.findtext("Prefix") for found in document.iter("CommonPrefixes")]


def is_truncated(document: ElementTree.Element) -> bool:
    """Whether a page says that there is more."""
    return document.findtext("IsTruncated") == "true"


def modified(element: ElementTree.Element) -> int:
    """When an entry was written, in seconds."""
    return int(datetime.fromisoformat(element.findtext("LastModified")).timestamp())


def versions_of(answer: Answer) -> VersionPage:
    """A page of a listing of versions."""
    document = answer.document
    entries = [
        ListedVersion(
            found.findtext("Key"),
            found.findtext("VersionId"),
            found.findtext("IsLatest") == "true",
            modified(found),
            etag_in(found) if found.tag == "Version" else None,
            int(found.findtext("Size")) if found.tag == "Version" else None,
        )
        for found in document
        if found.tag in ("Version", "DeleteMarker")
    ]
    markers = (document.findtext("NextKeyMarker"), document.findtext("NextVersionIdMarker"))
    return VersionPage(entries, prefixes(document), is_truncated(document), *markers)


def written(answer: Answer) -> Written:
    """What a copy or the end of an upload answers in a document."""
    document, source = answer.document, answer.headers.get("x-amz-copy-source-version-id")
    return Written(etag_in(document), sums_in(document), answer.version, source)


def attributes_of(answer: Answer) -> Attributes:
    """What an object says of itself."""
    document = answer.document
    parts, whole = document.find("ObjectParts"), document.find("Checksum")
    listed = parts if parts is not None else ()
    return Attributes(
        etag_in(document),
        int(document.findtext("ObjectSize")),
        sums_in(whole) if whole is not None else {},
        [
            (int(part.findtext("PartNumber")), int(part.findtext("Size")), sums_in(part))
            for part in listed
            if part.tag == "Part"
        ]
        or None,
        int(parsedate_to_datetime(answer.headers["last-modified"]).timestamp()),
        answer.version,
    )


def seconds(text: str) -> int:
    """A time in a document or a header of locks."""
    return int(datetime.fromisoformat(text).timestamp())


def lock_of(answer: Answer) -> Lock | None:
    """What a read tells of what keeps the version."""
    told, hold = answer.headers, answer.headers.get(HOLD)
    if MODE not in told and hold is None:
        return None
    until_s = seconds(told[UNTIL]) if UNTIL in told else 0
    return Lock(told.get(MODE, ""), until_s, None if hold is None else hold == "ON")


def expiry_of(answer: Answer) -> int | None:
    """When a read tells that the object expires."""
    found = _EXPIRY.match(answer.headers.get("x-amz-expiration", ""))
    return int(parsedate_to_datetime(found[1]).timestamp()) if found else None
