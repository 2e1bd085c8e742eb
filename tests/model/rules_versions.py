"""Random operations on versions, on tags, and on objects that are there: renames and appends."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.model import draws
from tests.model.draws import BUCKETS, KEYS, MARKERS, PREFIXES
from tests.model.keeping import ENABLED, SUSPENDED, Bucket
from tests.model.steps import Steps


class VersionRules(Steps):
    """Versioning, and what changes an object that is there."""

    @rule(
        bucket=draws.buckets,
        status=st.sampled_from((ENABLED, ENABLED, SUSPENDED)),
        pick=draws.picks,
    )
    def set_versioning(self, bucket, status, pick) -> None:
        """The first bucket stays without for long: some of what is done needs one such."""
        kept = self.reference.buckets.get(bucket)
        if bucket != BUCKETS[0] or pick == 0 or (kept and kept.versioning):
            self.both("set_versioning", bucket, status)
        self.both("get_versioning", bucket)

    @rule(
        bucket=draws.buckets,
        prefix=st.sampled_from(PREFIXES),
        delimiter=st.sampled_from(("", "/", "b")),
        after=st.sampled_from((*MARKERS, *KEYS)),
        old=draws.old,
        most=st.sampled_from((0, 1, 2, 3, 7, 1000)),
        pages=st.integers(1, 4),
    )
    def list_versions(self, bucket, prefix, delimiter, after, old, most, pages) -> None:
        """One page, or some of them one after the other."""
        stack = self.reference.buckets.get(bucket, Bucket()).keys.get(after)
        version = stack[old % len(stack)].version if stack and old is not None else None
        for _ in range(pages):
            asked = bucket, prefix, delimiter, after, version, most
            self.both("list_versions", *asked)
            if bucket not in self.reference.buckets:
                return
            page = self.reference.list_versions(*asked)
            if not page.is_truncated:
                return
            after, version = page.next_key, page.next_version

    @rule(bucket=draws.buckets, what=st.sampled_from(("old", "markers", "all")), pick=draws.picks)
    def purge(self, bucket, what, pick) -> None:
        if what == "all" and pick:
            what = "old"
        self.purge_versions(bucket, what)

    def purge_versions(self, bucket, what) -> None:
        """Deletes versions by their ids, so that they do not become too many."""
        listed = [
            (key, None, one.version)
            for key, stack in self.reference.buckets.get(bucket, Bucket()).keys.items()
            for place, one in enumerate(stack)
            if what == "all" or (one.is_marker if what == "markers" else place > 0)
        ]
        if listed:
            self.both("delete_many", bucket, listed[:1000])

    # --- what changes an object that is there

    @rule(
        bucket=draws.buckets,
        key=draws.keys,
        old=draws.old,
        what=st.sampled_from(("get_tags", "put_tags", "put_tags", "delete_tags", "attributes")),
        tags=draws.tags,
    )
    def tag(self, bucket, key, old, what, tags) -> None:
        version = None if old is None else self._one_of(bucket, key, old)
        self.both(what, bucket, key, *((tags,) if what == "put_tags" else ()), version)

    @rule(
        bucket=draws.buckets,
        source=draws.keys,
        key=draws.keys,
        read=draws.reads,
        replaced=draws.reads,
        token=st.sampled_from(("", "", "one", "two")),
        again=st.booleans(),
    )
    def rename(self, bucket, source, key, read, replaced, token, again) -> None:
        """With a token also once more, as by a client that had no answer."""
        conditions = self._read(read, bucket, source), self._read(replaced, bucket, key)
        for _ in range(1 + (again and token != "")):
            self.both("rename", bucket, source, key, *conditions, token)

    @rule(
        bucket=draws.buckets,
        key=draws.keys,
        bodies=st.lists(draws.contents, min_size=1, max_size=3),
        description=draws.plain_descriptions | draws.descriptions,
        wish=draws.writes,
        shift=st.sampled_from((0, 0, 0, 0, -1, 1)),
    )
    def append(self, bucket, key, bodies, description, wish, shift) -> None:
        for body in bodies:
            found = self._object(bucket, key)
            offset = max(0, (len(found.content) if found is not None else 0) + shift)
            conditions = self._written(wish, bucket, key)
            self.both("append", bucket, key, offset, body, description, conditions)
        self.both("attributes", bucket, key)
