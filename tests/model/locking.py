"""Object lock, as the reference S3 has it: retention, legal hold, the default of a bucket."""

from __future__ import annotations

from tests.model.keeping import ENABLED, Bucket, Keeping
from tests.model.values import Default, Description, Lock, Object, Refused, Version

GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
DAY_S = 24 * 3600
_NONE = Lock()


class Locking(Keeping):
    """Operations on locks, and what they forbid."""

    def put_lock(self, bucket: str, default: Default) -> None:
        """Has objects of the bucket be locked; there is no way back."""
        kept = self.bucket(bucket)
        if kept.versioning != ENABLED:
            raise Refused("InvalidBucketState")
        kept.lock = default

    def get_lock(self, bucket: str) -> Default:
        """What the bucket does to objects that say nothing."""
        found = self.bucket(bucket).lock
        if found is None:
            raise Refused("ObjectLockConfigurationNotFoundError")
        return found

    def get_retention(self, bucket: str, key: str, version: Version = None) -> tuple[str, int]:
        """Mode and end of what keeps a version."""
        found = self._lock_of(bucket, key, version)
        if not found.mode:
            raise Refused("NoSuchObjectLockConfiguration")
        return found.mode, found.until_s

    def get_hold(self, bucket: str, key: str, version: Version = None) -> bool:
        """Whether a version is under a legal hold."""
        found = self._lock_of(bucket, key, version)
        if found.hold is None:
            raise Refused("NoSuchObjectLockConfiguration")
        return found.hold

    def put_retention(
        self,
        bucket: str,
        key: str,
        mode: str,
        until_s: int,
        version: Version = None,
        bypass: bool = False,
    ) -> None:
        """Keeps a version until then; without a mode no longer."""
        kept = self._lockable(bucket)
        if mode and until_s <= self.now_s:
            raise Refused("InvalidArgument")
        found = self.find(bucket, key, version)
        lock = found.lock or _NONE
        if mode != lock.mode or (until_s if mode else 0) < lock.until_s:
            self._check_bound(lock, bypass)
        changed = Lock(mode, until_s if mode else 0, lock.hold)
        kept.swap(key, found, found._replace(lock=changed))

    def put_hold(self, bucket: str, key: str, hold: bool, version: Version = None) -> None:
        """Puts a version under a legal hold, or ends that."""
        kept = self._lockable(bucket)
        found = self.find(bucket, key, version)
        changed = (found.lock or _NONE)._replace(hold=hold)
        kept.swap(key, found, found._replace(lock=changed))

    def _lockable(self, bucket: str) -> Bucket:
        kept = self.bucket(bucket)
        if kept.lock is None:
            raise Refused("InvalidRequest")
        return kept

    def _lock_of(self, bucket: str, key: str, version: Version) -> Lock:
        self._lockable(bucket)
        found = self.find(bucket, key, version)
        if found.lock is None:
            raise Refused("NoSuchObjectLockConfiguration")
        return found.lock

    # --- what others ask

    def check_stated(self, bucket: Bucket, lock: Lock | None) -> None:
        """What may be said of an object that is to be."""
        if lock is None:
            return
        if bucket.lock is None:
            raise Refused("InvalidRequest")
        if lock.mode and lock.until_s <= self.now_s:
            raise Refused("InvalidArgument")

    def check_digest(self, bucket: Bucket, description: Description) -> None:
        """What is kept for long comes with a checksum."""
        is_kept = description.lock is not None or (bucket.lock or Default()).mode
        if bucket.lock is not None and is_kept and not description.algorithm:
            raise Refused("InvalidRequest")

    def locked(self, bucket: Bucket, made: Object) -> Object:
        """An object that is put, with the retention that its bucket gives it."""
        default, lock = bucket.lock or Default(), made.lock
        if made.is_marker or not default.mode or (lock is not None and lock.mode):
            return made
        hold = None if lock is None else lock.hold
        until_s = self.now_s + default.days * DAY_S
        return made._replace(lock=Lock(default.mode, until_s, hold))

    def check_removal(self, found: Object, bypass: bool) -> None:
        """Whether a version may go for good."""
        lock = found.lock or _NONE
        if lock.hold:
            raise Refused("AccessDenied")
        self._check_bound(lock, bypass)

    def _check_bound(self, lock: Lock, bypass: bool) -> None:
        is_over = lock.until_s <= self.now_s
        if lock.mode and not is_over and not (lock.mode == GOVERNANCE and bypass):
            raise Refused("AccessDenied")
