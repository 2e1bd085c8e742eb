"""Random operations on a store and on the reference, step by step; whatever differs is raised."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.model import draws
from tests.model.draws import BUCKETS, EDGES, KEYS, MARKERS, PREFIXES, RANGES
from tests.model.rules_lifecycle import LifecycleRules
from tests.model.rules_locks import LockRules
from tests.model.rules_uploads import UploadRules
from tests.model.rules_versions import VersionRules


class Machine(UploadRules, VersionRules, LockRules, LifecycleRules):
    """One example: a new store, and the reference beside it."""

    # --- buckets

    @initialize()
    def begin(self) -> None:
        self.both("create_bucket", BUCKETS[0])

    @rule(bucket=draws.buckets, what=st.sampled_from(("create", "delete", "empty and delete")))
    def visit_bucket(self, bucket, what) -> None:
        """The first stays, or most of what follows would be refused."""
        if what == "create":
            self.both("create_bucket", bucket)
        elif bucket != BUCKETS[0] or self.reference.buckets[bucket].keys:
            if what == "empty and delete" and bucket != BUCKETS[0]:
                self.both("delete_many", bucket, [(key, None, None) for key in KEYS])
                self.purge_versions(bucket, "all")
            self.both("delete_bucket", bucket)
        self.both("list_buckets")

    # --- objects

    @rule(
        bucket=draws.buckets,
        key=draws.keys,
        body=draws.contents,
        description=draws.descriptions,
        wish=draws.writes,
    )
    def put(self, bucket, key, body, description, wish) -> None:
        self.both("put", bucket, key, body, description, self._written(wish, bucket, key))

    @rule(writes=st.lists(st.tuples(draws.churned, draws.small_contents), min_size=3, max_size=20))
    def churn(self, writes) -> None:
        """Many small objects, most of which are soon gone: segments of the log grow sparse."""
        for key, body in writes:
            self.both("put", BUCKETS[0], key, body)

    @rule(
        method=st.sampled_from(("get", "get", "head")),
        bucket=draws.buckets,
        key=draws.keys,
        wanted=st.sampled_from(("", "", *RANGES)),
        wish=draws.reads,
        part=st.sampled_from((0, 0, 0, 1, 2, 4)),
        old=draws.old,
    )
    def get(self, method, bucket, key, wanted, wish, part, old) -> None:
        version = None if old is None else self._one_of(bucket, key, old)
        conditions = self._read(wish, bucket, key, version)
        self.both(method, bucket, key, "" if part else wanted, conditions, part, version)

    @rule(looks=st.lists(st.tuples(draws.picks, draws.picks), min_size=1, max_size=4))
    def look(self, looks) -> None:
        """Reads over the edges of frames, pieces and parts, mostly of what is large."""
        for which, nth in looks:
            objects = self.reference.buckets[BUCKETS[0]].objects
            if keys := sorted(objects, key=lambda key: len(objects[key].content)):
                key = keys[-1 - which % min(len(keys), 3)]
                edges = [edge for edge in EDGES if edge < len(objects[key].content)] or [1]
                edge = edges[-1 - nth % min(len(edges), 3)]
                self.both("get", BUCKETS[0], key, f"{edge - 1}-{edge + which}")

    @rule(
        source=st.tuples(draws.buckets, draws.keys),
        to=st.tuples(draws.buckets, draws.keys),
        onto_itself=draws.picks,
        replaced=st.none() | draws.descriptions,
        read=draws.reads,
        written=draws.writes,
        old=draws.old,
        tags=st.none() | draws.tags,
    )
    def copy(self, source, to, onto_itself, replaced, read, written, old, tags) -> None:
        if onto_itself == 0:
            to = source
        version = None if old is None else self._one_of(*source, old)
        conditions = self._read(read, *source, version), self._written(written, *to)
        self.both("copy", *source, *to, replaced, *conditions, version, tags)

    @rule(bucket=draws.buckets, key=draws.keys, if_match=draws.deletions, old=draws.old)
    def delete(self, bucket, key, if_match, old) -> None:
        self.both("delete", *self._deletion(bucket, key, if_match, old))

    def _deletion(self, bucket, key, if_match, old):
        """Conditions are asked of the current object only."""
        if old is not None:
            return bucket, key, None, self._one_of(bucket, key, old)
        return bucket, key, self._etag(if_match, bucket, key), None

    @rule(
        bucket=draws.buckets,
        wishes=st.lists(st.tuples(draws.keys, draws.deletions, draws.old), min_size=1, max_size=4),
    )
    def delete_many(self, bucket, wishes) -> None:
        self.both("delete_many", bucket, [self._deletion(bucket, *wish)[1:] for wish in wishes])

    @rule(
        bucket=draws.buckets,
        prefix=st.sampled_from(PREFIXES),
        delimiter=st.sampled_from(("", "/", "b")),
        after=st.sampled_from(MARKERS),
        most=st.sampled_from((0, 1, 2, 3, 1000)),
    )
    def list(self, bucket, prefix, delimiter, after, most) -> None:
        self.both("list", bucket, prefix, delimiter, after, most)
