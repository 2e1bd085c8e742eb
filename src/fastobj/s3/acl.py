"""Access control lists: from canned words, headers or XML to grants, and from there to XML.

They are stored and shown. Who has access is decided in `iam.access`, which does not ask them yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error
from fastobj.http.message import Request
from fastobj.iam.identity import Identities
from fastobj.meta.records import GRANTEE_GROUP, GRANTEE_USER, Acl, Grant
from fastobj.objects import configs
from fastobj.objects.buckets import Bucket
from fastobj.s3.context import Context, Document
from fastobj.s3.headers import USED

_EMAIL: Final = "AmazonCustomerByEmail"
_FULL_CONTROL: Final = "FULL_CONTROL"
_ALL_USERS: Final = "http://acs.amazonaws.com/groups/global/AllUsers"
_AUTHENTICATED: Final = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
_LOG_DELIVERY: Final = "http://acs.amazonaws.com/groups/s3/LogDelivery"
_GROUPS: Final = frozenset({_ALL_USERS, _AUTHENTICATED, _LOG_DELIVERY})

# What each word grants beside the owner's full control. Who owns a bucket owns what is in it, so
# words about the bucket's owner add nothing; nor does the one for a service that is not here.
_CANNED: Final[Mapping[bytes, tuple[tuple[str, str], ...]]] = {
    b"private": (),
    b"public-read": ((_ALL_USERS, "READ"),),
    b"public-read-write": ((_ALL_USERS, "READ"), (_ALL_USERS, "WRITE")),
    b"authenticated-read": ((_AUTHENTICATED, "READ"),),
    b"log-delivery-write": ((_LOG_DELIVERY, "WRITE"), (_LOG_DELIVERY, "READ_ACP")),
    b"bucket-owner-read": (),
    b"bucket-owner-full-control": (),
    b"aws-exec-read": (),
}
_CANNED_HEADER: Final = b"x-amz-acl"
_PERMISSIONS: Final = {
    b"x-amz-grant-full-control": _FULL_CONTROL,
    b"x-amz-grant-read": "READ",
    b"x-amz-grant-write": "WRITE",
    b"x-amz-grant-read-acp": "READ_ACP",
    b"x-amz-grant-write-acp": "WRITE_ACP",
}
_HEADERS: Final = frozenset({_CANNED_HEADER, *_PERMISSIONS})
_OWNERS_CONTROL: Final = b"bucket-owner-full-control"
_SHAPE: Final = "AccessControlPolicy"
# Operations that take a list in their headers.
_TAKING: Final = frozenset(op for op, used in USED.items() if _CANNED_HEADER in used)
_KNOWN_PERMISSIONS: Final = frozenset(_PERMISSIONS.values())
# What has matched is never given back, so that no value costs more than its length.
_GRANTEE: Final = re.compile(
    r'\s*+(id|uri|emailAddress)\s*+=\s*+("[^"]*+"\s*+|[^",]*+)(?:,|$)', re.IGNORECASE
)
# Where XML names a grantee of each kind.
_ELEMENTS: Final = {GRANTEE_USER: "ID", GRANTEE_GROUP: "URI", _EMAIL: "EmailAddress"}
_KINDS: Final = {"id": GRANTEE_USER, "uri": GRANTEE_GROUP, "emailaddress": _EMAIL}


class Named(NamedTuple):
    """A list that a request names; `grants` is None for the one that everything has at first."""

    grants: Acl


def from_headers(ctx: Context, owner: str) -> Named | None:
    """The list that the headers of a request name, or None. `owner` is whose the thing is.

    Raises InvalidArgument, InvalidRequest for both forms at once, UnresolvableGrantByEmailAddress.
    """
    request = ctx.request
    if request.names.isdisjoint(_HEADERS):
        return None
    canned = request.header(_CANNED_HEADER)
    granted = [name for name in _PERMISSIONS if request.header(name) is not None]
    if canned is None:
        return _named(_granted(request, granted, ctx.identities), owner) if granted else None
    if granted:
        message = "Specifying both Canned ACLs and Header Grants is not allowed"
        raise S3Error(codes.INVALID_REQUEST, message)
    if canned not in _CANNED:
        raise _invalid("x-amz-acl", canned.decode("latin-1"))
    more = (Grant(GRANTEE_GROUP, group, permission) for group, permission in _CANNED[canned])
    return _named((_owners(owner), *more), owner)


def from_request(ctx: Context, owner: str) -> Acl:
    """The list that a request to replace one names, in its headers or in its XML.

    Raises what `from_headers` does, MissingSecurityHeader for none, UnexpectedContent for both,
    MalformedACLError, and AccessDenied where the XML names another owner.
    """
    named = from_headers(ctx, owner)
    if ctx.document is None:
        if named is None:
            raise S3Error(codes.MISSING_SECURITY_HEADER, extra=[("MissingHeaderName", "x-amz-acl")])
        return named.grants
    if named is not None:
        raise S3Error(codes.UNEXPECTED_CONTENT)
    stated, rows = ctx.document.get("Owner"), ctx.document.get("AccessControlList")
    if stated is None or rows is None:
        raise S3Error(codes.MALFORMED_ACL)
    if stated.get("ID") != owner:
        raise S3Error(codes.ACCESS_DENIED)
    return _named(tuple([_from_row(row, ctx.identities) for row in rows]), owner).grants


async def check_ownership(ctx: Context, bucket: Bucket) -> None:
    """Refuses a list where lists do not count, unless it says what holds anyway.

    Raises AccessControlListNotSupported, and what `from_request` does.
    """
    is_xml = ctx.op.xml_in == _SHAPE and ctx.document is not None
    canned = ctx.request.header(_CANNED_HEADER)
    is_silent = not is_xml and ctx.request.names.isdisjoint(_HEADERS)
    if is_silent or canned == _OWNERS_CONTROL or ctx.op.name not in _TAKING:
        return
    found = await configs.find(ctx.store, bucket, configs.OWNERSHIP)
    if found is None or not found.is_enforced:
        return
    owner = bucket.record.owner
    named = Named(from_request(ctx, owner)) if is_xml else from_headers(ctx, owner)
    if canned is not None or (named is not None and named.grants is not None):
        raise S3Error(codes.ACCESS_CONTROL_LIST_NOT_SUPPORTED)


def document(acl: Acl, owner: str, identities: Identities) -> Document:
    """The list as it is shown: groups first, then users.

    S3 promises no order; programs that look at the first grant expect that of everybody there.
    """
    grants = (_owners(owner),) if acl is None else acl
    return {
        "Owner": _user(owner, identities),
        "AccessControlList": [
            {"Grantee": _shown(grant, identities), "Permission": grant.permission}
            for grant in sorted(grants, key=lambda grant: grant.kind != GRANTEE_GROUP)
        ],
    }


def _named(grants: tuple[Grant, ...], owner: str) -> Named:
    if len(grants) > limits.ACL_GRANTS_MAX:
        raise S3Error(codes.MALFORMED_ACL)
    return Named(None if grants == (_owners(owner),) else grants)


def _owners(owner: str) -> Grant:
    return Grant(GRANTEE_USER, owner, _FULL_CONTROL)


def _granted(request: Request, names: list[bytes], identities: Identities) -> tuple[Grant, ...]:
    return tuple(
        [
            _grant(kind, grantee, _PERMISSIONS[name], identities)
            for name in names
            for kind, grantee in _grantees(request.header(name) or b"", name)
        ]
    )


def _grantees(value: bytes, name: bytes) -> Iterator[tuple[str, str]]:
    """The grantees of a header: `id="..", uri="..", emailAddress=".."`, quoted or not."""
    text, at = value.decode("utf-8", "replace"), 0
    while at < len(text):
        match = _GRANTEE.match(text, at)
        if match is None:
            raise _invalid(name.decode(), text)
        yield _KINDS[match[1].lower()], match[2].strip().strip('"')
        at = match.end()


def _from_row(row: Document, identities: Identities) -> Grant:
    permission, grantee = row.get("Permission"), row.get("Grantee") or {}
    kind = grantee.get("Type") or ""
    value = grantee.get(_ELEMENTS.get(kind, ""))
    if permission not in _KNOWN_PERMISSIONS or not value:
        raise S3Error(codes.MALFORMED_ACL)
    return _grant(kind, value, permission, identities)


def _grant(kind: str, grantee: str, permission: str, identities: Identities) -> Grant:
    """A grant to somebody who is known; to a user by email it becomes one by id."""
    if kind == GRANTEE_GROUP:
        if grantee not in _GROUPS:
            raise S3Error(codes.INVALID_ARGUMENT, "Invalid group uri", extra=_said("uri", grantee))
        return Grant(kind, grantee, permission)
    if kind == _EMAIL:
        found = identities.of_email(grantee)
        if found is None:
            raise S3Error(codes.UNRESOLVABLE_GRANT_BY_EMAIL_ADDRESS)
    elif (found := identities.owner(grantee)) is None:
        raise S3Error(codes.INVALID_ARGUMENT, "Invalid id", extra=_said("id", grantee))
    return Grant(GRANTEE_USER, found.id, permission)


def _user(id: str, identities: Identities) -> dict[str, Any]:
    known = identities.owner(id)
    return {"ID": id, "DisplayName": known.display_name if known else None}


def _shown(grant: Grant, identities: Identities) -> dict[str, Any]:
    if grant.kind == GRANTEE_GROUP:
        return {"Type": grant.kind, "URI": grant.grantee}
    return {"Type": grant.kind, **_user(grant.grantee, identities)}


def _invalid(name: str, value: str) -> S3Error:
    return S3Error(codes.INVALID_ARGUMENT, extra=_said(name, value))


def _said(name: str, value: str) -> list[tuple[str, str]]:
    return [("ArgumentName", name), ("ArgumentValue", value)]
