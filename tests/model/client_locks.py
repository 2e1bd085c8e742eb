"""Object lock, by requests: the same methods as the reference S3."""

from __future__ import annotations

from tests.model.client_uploads import Uploads
from tests.model.values import Default, Version
from tests.model.wire import instant, seconds


class Locks(Uploads):
    """Operations on locks."""

    async def put_lock(self, bucket: str, default: Default) -> None:
        rule = ""
        if default.mode:
            said = f"<Mode>{default.mode}</Mode><Days>{default.days}</Days>"
            rule = f"<Rule><DefaultRetention>{said}</DefaultRetention></Rule>"
        text = f"<ObjectLockEnabled>Enabled</ObjectLockEnabled>{rule}"
        body = f"<ObjectLockConfiguration>{text}</ObjectLockConfiguration>".encode()
        await self.send("PUT", f"/{bucket}", {"object-lock": ""}, None, body)

    async def get_lock(self, bucket: str) -> Default:
        document = (await self.send("GET", f"/{bucket}", {"object-lock": ""})).document
        found = document.find("Rule/DefaultRetention")
        if found is None:
            return Default()
        return Default(found.findtext("Mode"), int(found.findtext("Days")))

    async def get_retention(
        self, bucket: str, key: str, version: Version = None
    ) -> tuple[str, int]:
        query = {"retention": ""} | self.named(version)
        document = (await self.send("GET", f"/{bucket}/{key}", query)).document
        return document.findtext("Mode"), seconds(document.findtext("RetainUntilDate"))

    async def get_hold(self, bucket: str, key: str, version: Version = None) -> bool:
        query = {"legal-hold": ""} | self.named(version)
        document = (await self.send("GET", f"/{bucket}/{key}", query)).document
        return document.findtext("Status") == "ON"

    async def put_retention(
        self,
        bucket: str,
        key: str,
        mode: str,
        until_s: int,
        version: Version = None,
        bypass: bool = False,
    ) -> None:
        said = ""
        if mode:
            said = f"<Mode>{mode}</Mode><RetainUntilDate>{instant(until_s)}</RetainUntilDate>"
        query, body = {"retention": ""} | self.named(version), f"<Retention>{said}</Retention>"
        headers = bypassing(bypass)
        await self.send("PUT", f"/{bucket}/{key}", query, headers, body.encode())

    async def put_hold(self, bucket: str, key: str, hold: bool, version: Version = None) -> None:
        query = {"legal-hold": ""} | self.named(version)
        body = f"<LegalHold><Status>{'ON' if hold else 'OFF'}</Status></LegalHold>".encode()
        await self.send("PUT", f"/{bucket}/{key}", query, None, body)


def bypassing(bypass: bool) -> dict[str, str]:
    """The header by which governance is passed over."""
    return {"x-amz-bypass-governance-retention": "true"} if bypass else {}
