"""Random locks on what is in the third bucket, and removals that they forbid."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.model import draws
from tests.model.draws import BUCKETS
from tests.model.keeping import ENABLED
from tests.model.locking import COMPLIANCE, GOVERNANCE
from tests.model.steps import Steps
from tests.model.values import Default, Description, Lock

_MODES = st.sampled_from(("", GOVERNANCE, COMPLIANCE))
_AHEAD_S = st.sampled_from((-1, 0, 1, 5, 90, 90_000))


class LockRules(Steps):
    """Operations on locks."""

    @rule(mode=_MODES, days=st.sampled_from((1, 2)), pick=draws.picks)
    def lock_bucket(self, mode, days, pick) -> None:
        """Now and then one that cannot be."""
        bucket = BUCKETS[2] if pick else BUCKETS[1]
        if pick:
            self.both("create_bucket", bucket)
            self.both("set_versioning", bucket, ENABLED)
        if pick or bucket not in self.reference.buckets:
            self.both("put_lock", bucket, Default(mode, days if mode else 0))
        self.both("get_lock", bucket)

    @rule(
        key=draws.keys,
        body=draws.small_contents,
        mode=_MODES,
        ahead_s=_AHEAD_S,
        hold=st.sampled_from((None, None, True, False)),
        sum=st.sampled_from(("crc32", "crc32", "")),
        bucket=st.sampled_from(BUCKETS[1:] + BUCKETS[2:] * 3),
        how=st.sampled_from(("put", "copy", "upload")),
    )
    def put_locked(self, key, body, mode, ahead_s, hold, sum, bucket, how) -> None:
        """Objects that state how they are to be kept, as they come in each of three ways."""
        until_s = self.reference.now_s + 1 + ahead_s if mode else 0
        lock = Lock(mode, until_s, hold) if mode or hold is not None else None
        described = Description({}, {"locked": "1"}, sum, {}, lock)
        if how == "copy":
            self.both("copy", bucket, key, bucket, key, described)
        elif how == "put":
            self.both("put", bucket, key, body, described)
        else:
            begun = self.reference.uploads_begun
            self.both("create_upload", bucket, key, described)
            if (upload := self.reference.uploads_begun) > begun:
                self.both("upload_part", bucket, key, upload, 1, body)
                etag = self.reference.uploads[upload].parts[1].etag
                self.both("complete", bucket, key, upload, [(1, etag)])

    @rule(
        key=draws.keys,
        old=draws.old,
        mode=_MODES,
        ahead_s=_AHEAD_S,
        bypass=st.booleans(),
        what=st.sampled_from(("retention", "retention", "hold", "no hold")),
    )
    def relock(self, key, old, mode, ahead_s, bypass, what) -> None:
        """Of a version that is there: longer, shorter, another mode, none any more."""
        bucket = BUCKETS[2]
        version = None if old is None else self._one_of(bucket, key, old)
        if what == "retention":
            until_s = self.reference.now_s + 1 + ahead_s
            self.both("put_retention", bucket, key, mode, until_s, version, bypass)
        else:
            self.both("put_hold", bucket, key, what == "hold", version)
        self.both("get_retention", bucket, key, version)
        self.both("get_hold", bucket, key, version)

    @rule(key=draws.keys, old=st.integers(0, 5), bypass=st.booleans(), many=st.booleans())
    def remove_locked(self, key, old, bypass, many) -> None:
        """By its id, so that it goes for good, unless something keeps it."""
        bucket = BUCKETS[2]
        version = self._one_of(bucket, key, old)
        if many:
            self.both("delete_many", bucket, [(key, None, version)], bypass)
        else:
            self.both("delete", bucket, key, None, version, bypass)
