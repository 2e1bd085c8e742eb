"""Lifecycle rules, by requests: the same methods as the reference S3."""

from __future__ import annotations

from xml.sax.saxutils import escape

from tests.model.client_locks import Locks
from tests.model.sending import ElementTree
from tests.model.values import LifecycleRule


class Lifecycle(Locks):
    """Operations on the rules of buckets."""

    async def put_lifecycle(self, bucket: str, rules: list[LifecycleRule]) -> None:
        body = f"<LifecycleConfiguration>{''.join(map(_rule, rules))}</LifecycleConfiguration>"
        await self.send("PUT", f"/{bucket}", {"lifecycle": ""}, None, body.encode())

    async def get_lifecycle(self, bucket: str) -> list[LifecycleRule]:
        answer = await self.send("GET", f"/{bucket}", {"lifecycle": ""})
        return [_read(element) for element in answer.document.iter("Rule")]

    async def delete_lifecycle(self, bucket: str) -> None:
        await self.send("DELETE", f"/{bucket}", {"lifecycle": ""})


def _rule(rule: LifecycleRule) -> str:
    only = f"<Prefix>{escape(rule.prefix)}</Prefix>"
    if rule.tag is not None:
        only += f"<Tag><Key>{escape(rule.tag[0])}</Key><Value>{escape(rule.tag[1])}</Value></Tag>"
    if rule.larger is not None:
        only += f"<ObjectSizeGreaterThan>{rule.larger}</ObjectSizeGreaterThan>"
    if rule.tag is not None or rule.larger is not None:
        only = f"<And>{only}</And>"
    said = f"<Filter>{only}</Filter><Status>Enabled</Status>"
    if rule.days is not None:
        said += f"<Expiration><Days>{rule.days}</Days></Expiration>"
    if rule.markers:
        marker = "<ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>"
        said += f"<Expiration>{marker}</Expiration>"
    if rule.noncurrent_days is not None:
        days = f"<NoncurrentDays>{rule.noncurrent_days}</NoncurrentDays>"
        if rule.kept is not None:
            days += f"<NewerNoncurrentVersions>{rule.kept}</NewerNoncurrentVersions>"
        said += f"<NoncurrentVersionExpiration>{days}</NoncurrentVersionExpiration>"
    if rule.abort_days is not None:
        days = f"<DaysAfterInitiation>{rule.abort_days}</DaysAfterInitiation>"
        said += f"<AbortIncompleteMultipartUpload>{days}</AbortIncompleteMultipartUpload>"
    return f"<Rule>{said}</Rule>"


def _read(element: ElementTree.Element) -> LifecycleRule:
    def number(name: str) -> int | None:
        text = element.findtext(f".//{name}")
        return None if text is None else int(text)

    tag = element.find(".//Tag")
    return LifecycleRule(
        element.findtext(".//Prefix", ""),
        None if tag is None else (tag.findtext("Key"), tag.findtext("Value")),
        number("ObjectSizeGreaterThan"),
        number("Days"),
        element.findtext(".//ExpiredObjectDeleteMarker") == "true",
        number("NoncurrentDays"),
        number("NewerNoncurrentVersions"),
        number("DaysAfterInitiation"),
    )
