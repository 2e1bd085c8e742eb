"""Random lifecycle rules, and days that pass; a day of theirs is a minute."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.model import draws
from tests.model.draws import BUCKETS, PREFIXES, TAGS
from tests.model.expiring import DAY_S
from tests.model.keeping import ENABLED
from tests.model.rules_store import StoreRules
from tests.model.values import LifecycleRule

_PREFIXES = st.sampled_from(PREFIXES)
_ONLY_TAGGED = st.sampled_from((None, None, *TAGS[-2].items()))
_ONLY_LARGER = st.sampled_from((None, None, 0, 4096))
_DAYS = st.integers(1, 3)
_RULES = st.tuples(  # at most one of each kind: what two of one kind do depends on their order
    st.none()
    | st.builds(
        LifecycleRule,
        _PREFIXES,
        _ONLY_TAGGED,
        _ONLY_LARGER,
        _DAYS,
        *[st.just(it) for it in (False, None, None, None)],
    ),
    st.none() | st.builds(lambda prefix: LifecycleRule(prefix, markers=True), _PREFIXES),
    st.none()
    | st.builds(
        lambda prefix, tag, larger, days, kept: LifecycleRule(
            prefix, tag, larger, noncurrent_days=days, kept=kept
        ),
        _PREFIXES,
        _ONLY_TAGGED,
        _ONLY_LARGER,
        _DAYS,
        st.sampled_from((None, 1, 1, 2)),
    ),
    st.none()
    | st.builds(lambda prefix, days: LifecycleRule(prefix, abort_days=days), _PREFIXES, _DAYS),
)


class LifecycleRules(StoreRules):
    """Operations on rules of the lifecycle, and their work.

    None in the third bucket: what is locked there goes at a time of the server's choice.
    """

    @rule(
        bucket=st.sampled_from((BUCKETS[0], *BUCKETS[:2])),
        rules=_RULES,
        what=st.sampled_from(("put", "put", "put", "delete", "get")),
    )
    def set_lifecycle(self, bucket, rules, what) -> None:
        if what == "put":
            self.both("put_lifecycle", bucket, [one for one in rules if one is not None])
        elif what == "delete":
            self.both("delete_lifecycle", bucket)
        self.both("get_lifecycle", bucket)

    @rule(
        days=st.sampled_from((0, 1, 1, 2, 3)),
        killed=st.none() | draws.turns,
        end=draws.ends,
    )
    def pass_days(self, days, killed, end) -> None:
        self._pass_days(days, killed, end)

    @rule(
        key=draws.keys,
        content=draws.small_contents,
        versions=st.integers(2, 4),
        kept=st.integers(1, 2),
        days=_DAYS,
        end=draws.ends,
    )
    def keep_the_newest(self, key, content, versions, kept, days, end) -> None:
        """Versions of a key grow old under a rule that keeps the newest: by chance hardly ever."""
        self.both("set_versioning", BUCKETS[1], ENABLED)
        rules = [LifecycleRule("", noncurrent_days=days, kept=kept)]
        self.both("put_lifecycle", BUCKETS[1], rules)
        for _ in range(versions):
            self.both("put", BUCKETS[1], key, content)
        self._pass_days(days, None, end)

    def _pass_days(self, days, killed, end) -> None:
        """What is due is gone then, once: also where the server was killed in the midst of it."""
        self.step("Lifecycle", 1, days, killed, *end)
        self._advance(days * DAY_S)
        if killed is not None:
            self.run.do(self.site.expire(killed))
            self._reboot(*end)
        self.run.do(self.site.expire())
        self.reference.expire()
        self.run.do(self._verify())
