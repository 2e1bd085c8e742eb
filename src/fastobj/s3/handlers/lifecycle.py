"""Handlers of the lifecycle rules of a bucket, which they take out of XML and put back into it."""

from __future__ import annotations

from typing import Any, Final

from fastobj.core import codes, ids
from fastobj.core.errors import S3Error
from fastobj.objects import configs, lifecycle_hints, lifecycle_rules
from fastobj.objects.lifecycle_rules import AND, EMPTY, LEGACY, PREFIX, TAG, Rule
from fastobj.s3.context import Context, Document, Result

_MINIMUM: Final = b"x-amz-transition-default-minimum-object-size"
_STATUS: Final = {"Enabled": True, "Disabled": False}
_ID_BYTES: Final = 24
# The storage classes of S3 to which rules may move objects.
_CLASSES: Final = frozenset(
    {"DEEP_ARCHIVE", "GLACIER", "GLACIER_IR", "INTELLIGENT_TIERING", "ONEZONE_IA", "STANDARD_IA"}
)


async def get_bucket_lifecycle_configuration(ctx: Context) -> Result:
    """The rules of a bucket."""
    found = await configs.find(ctx.store, ctx.existing(), configs.LIFECYCLE)
    if found is None:
        raise S3Error(codes.NO_SUCH_LIFECYCLE_CONFIGURATION, extra=[("BucketName", ctx.bucket)])
    document = {"Rule": [_shown(rule) for rule in found.rules]}
    return Result(headers=[(_MINIMUM, found.transition_minimum.encode())], document=document)


async def put_bucket_lifecycle_configuration(ctx: Context) -> Result:
    """Replaces the rules of a bucket. One without an id gets one."""
    bucket = ctx.existing()
    assert ctx.document is not None
    rows = ctx.document["Rule"]
    named = ctx.request.header(_MINIMUM)
    minimum = lifecycle_rules.ALL_STORAGE_CLASSES if named is None else named.decode("latin-1")
    rules = [_rule(row) for row in rows]
    for row in rows:
        _refuse_transitions(row)
    checked = lifecycle_rules.check(rules, minimum)
    await lifecycle_hints.put_rules(ctx.store, bucket, checked)
    return Result(headers=[(_MINIMUM, checked.transition_minimum.encode())])


async def delete_bucket_lifecycle(ctx: Context) -> Result:
    """Deletes the rules of a bucket; none is no error."""
    await configs.delete(ctx.store, ctx.existing(), configs.LIFECYCLE)
    return Result(204)


# --- out of XML


def _rule(row: Document) -> Rule:
    """A rule as it stands in XML, all checked that the XML's schema would."""
    if row["Status"] not in _STATUS or ("Filter" in row) == ("Prefix" in row):
        raise S3Error(codes.MALFORMED_XML)
    expiration = row.get("Expiration")
    if expiration is not None and len(expiration) != 1:
        raise S3Error(codes.MALFORMED_XML)
    expiration = expiration or {}
    noncurrent = row.get("NoncurrentVersionExpiration", {})
    date_ns = expiration.get("Date")
    return Rule(
        id=row.get("ID") or ids.random_id(_ID_BYTES).hex(),
        is_enabled=_STATUS[row["Status"]],
        days=expiration.get("Days"),
        date_s=None if date_ns is None else lifecycle_rules.midnight_s(date_ns),
        expires_markers=expiration.get("ExpiredObjectDeleteMarker"),
        noncurrent_days=noncurrent.get("NoncurrentDays"),
        noncurrent_kept=noncurrent.get("NewerNoncurrentVersions"),
        abort_days=row.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
        **_filter(row),
    )


def _filter(row: Document) -> dict[str, Any]:
    """What a rule applies to, as fields of a Rule."""
    if "Filter" not in row:
        return {"form": LEGACY, "prefix": row["Prefix"]}
    stated = row["Filter"]
    if len(stated) > 1:
        raise S3Error(codes.MALFORMED_XML)
    form = next(iter(stated), EMPTY)
    within = stated[AND] if form == AND else stated
    if form == AND and not within:
        raise S3Error(codes.MALFORMED_XML)
    pairs = [(tag["Key"], tag["Value"]) for tag in _listed(within.get(TAG))]
    if len({key for key, _ in pairs}) < len(pairs):
        raise S3Error(codes.INVALID_REQUEST, "Duplicate Tag Keys are not allowed.")
    return {
        "form": form,
        "prefix": within.get(PREFIX, ""),
        "tags": dict(pairs),
        "larger_than": within.get(lifecycle_rules.LARGER),
        "smaller_than": within.get(lifecycle_rules.SMALLER),
    }


def _listed(found: Any) -> list[Document]:
    return found if isinstance(found, list) else [] if found is None else [found]


def _refuse_transitions(row: Document) -> None:
    """Objects stay in the one storage class that there is. Raises InvalidStorageClass."""
    for action in ("Transition", "NoncurrentVersionTransition"):
        for transition in row.get(action, ()):
            _check_transition(action, transition)
            message = (
                f"{action} to {transition['StorageClass']}: this server has no storage class but"
                " STANDARD. Leave the action out of the rule."
            )
            raise S3Error(codes.INVALID_STORAGE_CLASS, message)


def _check_transition(action: str, transition: Document) -> None:
    if transition["StorageClass"] not in _CLASSES:
        raise S3Error(codes.MALFORMED_XML)
    if action == "Transition" and ("Days" in transition) == ("Date" in transition):
        raise S3Error(codes.MALFORMED_XML)
    lifecycle_rules.midnight_s(transition.get("Date", 0))
    for element in ("Days", "NoncurrentDays", "NewerNoncurrentVersions"):
        if transition.get(element, 0) < 0:
            message = f"'{element}' for {action} action must be nonnegative"
            raise S3Error(codes.INVALID_ARGUMENT, message)


# --- into XML


def _shown(rule: Rule) -> dict[str, Any]:
    noncurrent = {
        "NoncurrentDays": rule.noncurrent_days,
        "NewerNoncurrentVersions": rule.noncurrent_kept,
    }
    return {
        "ID": rule.id,
        "Status": "Enabled" if rule.is_enabled else "Disabled",
        **({"Prefix": rule.prefix} if rule.form == LEGACY else {"Filter": _shown_filter(rule)}),
        "Expiration": _shown_expiration(rule),
        "NoncurrentVersionExpiration": None if rule.noncurrent_days is None else noncurrent,
        "AbortIncompleteMultipartUpload": (
            None if rule.abort_days is None else {"DaysAfterInitiation": rule.abort_days}
        ),
    }


def _shown_filter(rule: Rule) -> dict[str, Any]:
    tags = [{"Key": key, "Value": value} for key, value in rule.tags.items()]
    sizes = {
        lifecycle_rules.LARGER: rule.larger_than,
        lifecycle_rules.SMALLER: rule.smaller_than,
    }
    if rule.form == AND:
        return {AND: {PREFIX: rule.prefix or None, TAG: tags, **sizes}}
    prefix = rule.prefix if rule.form == PREFIX else None
    return {PREFIX: prefix, TAG: tags[0] if tags else None, **sizes}


def _shown_expiration(rule: Rule) -> dict[str, Any] | None:
    found = {
        "Date": None if rule.date_s is None else rule.date_s * lifecycle_rules.NS_PER_S,
        "Days": rule.days,
        "ExpiredObjectDeleteMarker": rule.expires_markers,
    }
    return found if any(value is not None for value in found.values()) else None
