"""Random operations on one key at the same time: what they answer, they answer in some order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.model import draws
from tests.model.draws import BUCKETS, KEYS
from tests.model.keeping import ENABLED, SUSPENDED
from tests.model.reference import Reference
from tests.model.run import Call, expected_of, explain, matches, result_of, shown
from tests.model.steps import Steps
from tests.model.values import ALWAYS, Description

# What tells states of the first bucket apart.
_OF_A_BUCKET = ("list_uploads", "list_versions", "get_versioning")
_SEEN: list[Call] = [
    *((name, (BUCKETS[0],)) for name in _OF_A_BUCKET),
    *((name, (BUCKETS[0], key)) for name in ("head", "get_tags") for key in KEYS),
]


class RulesAtOnce(Steps):
    """Operations whose order is not known."""

    @rule(key=draws.keys, wishes=draws.wishes, moving=st.booleans())
    def together(self, key, wishes, moving) -> None:
        """Operations on one key at the same time: what they answer, they answer in some order."""
        calls = [self._call(key, *wish) for wish in wishes]
        if any(self._reads_damage(*call) for call in calls):
            return
        self.step("at once", len(calls), *calls)
        self.run.do(self._together(calls, moving))

    @rule(
        key=draws.keys,
        kinds=st.lists(st.sampled_from(draws.RACERS), min_size=2, max_size=4),
        body=draws.contents,
        other=draws.keys,
        rounds=st.integers(1, 5),
    )
    def race(self, key, kinds, body, other, rounds) -> None:
        """Writes on one condition that holds until the first of them: that one wins, alone."""
        for _ in range(rounds):
            present = self._object(BUCKETS[0], key) is not None
            wish = ("present", None) if present else (None, "*")
            calls = [self._call(key, kind, body, *wish, other) for kind in kinds]
            if any(self._reads_damage(*call) for call in calls):
                return
            self.step("race", len(calls), *calls)
            self.run.do(self._together(calls, False))
            if present or rounds % 2:
                self.both("delete", BUCKETS[0], key)

    def _call(self, key, kind, body, mark, none_match, other) -> Call:
        bucket = BUCKETS[0]
        conditions = self._written((mark, none_match), bucket, key)
        match kind:
            case "put":
                return "put", (bucket, key, body[:20_000], Description(), conditions)
            case "delete":
                return "delete", (bucket, key, conditions.if_match)
            case "delete_many":
                return "delete_many", (bucket, [(key, conditions.if_match, None)])
            case "delete version":
                return "delete", (bucket, key, None, self._one_of(bucket, key, 1 + len(body) % 3))
            case "put tags":
                return "put_tags", (bucket, key, {"size": str(len(body))})
            case "rename":
                return "rename", (bucket, other, key, ALWAYS, conditions)
            case "append":
                found = self._object(bucket, key)
                size = len(found.content) if found is not None else 0
                return "append", (bucket, key, size, body[:20_000], Description(), conditions)
            case "versioning":
                was = self.reference.buckets[bucket].versioning
                other = ENABLED if was != ENABLED or len(body) % 2 else SUSPENDED
                return ("set_versioning", (bucket, other)) if was else ("get_versioning", (bucket,))
            case "copy":
                described = Description({}, {"copied": "1"})
                return "copy", (bucket, other, bucket, key, described, ALWAYS, conditions)
            case "copy from":
                described = Description({}, {"copied": "2"})
                return "copy", (bucket, key, bucket, other, described, ALWAYS, ALWAYS)
            case "complete":
                mine = [
                    n
                    for n, it in self.reference.uploads.items()
                    if (it.bucket, it.key) == (bucket, key)
                ]
                upload = mine[-1] if mine else 10**6
                parts = self.reference.uploads[upload].parts if mine else {}
                listed = [(n, part.etag) for n, part in sorted(parts.items())] or [(1, "0" * 32)]
                return "complete", (bucket, key, upload, listed, conditions)
        return "get", (bucket, key)

    async def _together(self, calls: list[Call], moving: bool) -> None:
        work = self._sent(calls)
        if moving:
            work.append(result_of(self.site.compact, 3))
        await self._explain(calls, (await asyncio.gather(*work))[: len(calls)])

    def _sent(self, calls: list[Call]) -> list[Coroutine[Any, Any, Any]]:
        return [result_of(getattr(self.client, name), *arguments) for name, arguments in calls]

    async def _explain(self, calls: list[Call], found: list[Any]) -> None:
        state = await self._state()

        def agrees(it: Reference) -> bool:
            return matches(self._state_of(it), state, it.names)

        after = explain(self.reference, calls, found, agrees)
        if after is not None:
            self.reference, self.client.names = after, after.names
            return
        told = "\n".join(map(shown, zip(calls, found, strict=True)))
        raise self._differs(f"no order of these answers so, and leaves {shown(state)}:\n{told}")

    async def _state(self) -> list[Any]:
        """What tells states of the first bucket apart after operations at once."""
        return [await result_of(getattr(self.client, name), *asked) for name, asked in _SEEN]

    def _state_of(self, reference: Reference) -> list[Any]:
        return [expected_of(reference, *call) for call in _SEEN]
