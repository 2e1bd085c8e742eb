"""Lifecycle rules, as the reference S3 has them: what is due when they are applied is gone then."""

from __future__ import annotations

from itertools import pairwise

from tests.model.keeping import Bucket, Keeping
from tests.model.values import LifecycleRule, Object, Refused

DAY_S = 60  # of the rules


class Expiring(Keeping):
    """The rules of buckets, and what becomes of objects, versions, markers and uploads by them."""

    def put_lifecycle(self, bucket: str, rules: list[LifecycleRule]) -> None:
        """Replaces the rules."""
        if not rules:
            raise Refused("MalformedXML")
        self.bucket(bucket).rules = rules

    def get_lifecycle(self, bucket: str) -> list[LifecycleRule]:
        """The rules."""
        found = self.bucket(bucket).rules
        if not found:
            raise Refused("NoSuchLifecycleConfiguration")
        return found

    def delete_lifecycle(self, bucket: str) -> None:
        """Has nothing expire any more."""
        self.bucket(bucket).rules = []

    def expires_s(self, bucket: str, key: str, found: Object) -> int | None:
        """When the current object expires."""
        rules = self.bucket(bucket).rules
        days = [it.days for it in rules if it.days is not None and _applies(it, key, found)]
        return found.modified_s + min(days) * DAY_S if days else None

    def expire(self) -> None:
        """Applies the rules until nothing is due by them."""
        for name, kept in self.buckets.items():
            for key in list(kept.keys):
                while key in kept.keys and self._expire_one(kept, key):
                    pass
            self.uploads = {
                number: upload
                for number, upload in self.uploads.items()
                if upload.bucket != name
                or not any(
                    upload.key.startswith(it.prefix)
                    and self._is_over(upload.begun_s, it.abort_days)
                    for it in kept.rules
                )
            }

    def _is_over(self, since_s: int, days: int | None) -> bool:
        return days is not None and since_s + days * DAY_S <= self.now_s

    def _expire_one(self, kept: Bucket, key: str) -> bool:
        """Does one thing that is due under a key; False where there is none."""
        stack = kept.keys[key]
        latest = stack[0]
        if not latest.is_marker:
            if any(
                _applies(it, key, latest) and self._is_over(latest.modified_s, it.days)
                for it in kept.rules
            ):
                self.end(kept, key)
                return True
        elif len(stack) == 1 and any(
            _applies(it, key, latest) and (it.markers or self._is_over(latest.modified_s, it.days))
            for it in kept.rules
        ):
            kept.remove(key, latest)
            return True
        for newer, (successor, one) in enumerate(pairwise(stack)):
            if any(
                _applies(it, key, one)
                and newer >= (it.kept or 0)
                and self._is_over(successor.modified_s, it.noncurrent_days)
                for it in kept.rules
            ):
                kept.remove(key, one)
                return True
        return False


def _applies(rule: LifecycleRule, key: str, found: Object) -> bool:
    """A delete marker has neither tags nor a size."""
    if not key.startswith(rule.prefix):
        return False
    if found.is_marker:
        return rule.tag is None and rule.larger is None
    if rule.tag is not None and found.tags.get(rule.tag[0]) != rule.tag[1]:
        return False
    return rule.larger is None or len(found.content) > rule.larger
