"""Random uploads in parts."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.model import draws
from tests.model.draws import BUCKETS, KEYS, PREFIXES
from tests.model.steps import Steps
from tests.model.values import ALWAYS, md5


class UploadRules(Steps):
    """Operations on uploads."""

    @rule(
        bucket=draws.buckets,
        key=draws.keys,
        description=draws.descriptions,
        bodies=st.lists(draws.part_contents, max_size=3),
        ends=st.booleans(),
    )
    def create_upload(self, bucket, key, description, bodies, ends) -> None:
        self.both("create_upload", bucket, key, description)
        upload = self.reference.uploads_begun
        for number, body in enumerate(bodies, 1):
            self.both("upload_part", bucket, key, upload, number, body)
        if ends:
            listed = [(number, md5(body)) for number, body in enumerate(bodies, 1)]
            self.both("complete", bucket, key, upload, listed)

    def _upload(self, pick: int) -> tuple[str, str, int]:
        """One of the uploads that are open, now and then one that has ended or never was."""
        open_ones = list(self.reference.uploads)
        if pick == 0 or not open_ones:
            return BUCKETS[0], KEYS[0], max(self.reference.uploads_begun - 1, 0) or 10**6
        number = open_ones[-1 - pick % len(open_ones)]
        upload = self.reference.uploads[number]
        return upload.bucket, upload.key, number

    @rule(pick=draws.picks, number=draws.numbers, body=draws.contents)
    def upload_part(self, pick, number, body) -> None:
        self.both("upload_part", *self._upload(pick), number, body)

    @rule(
        pick=draws.picks,
        number=draws.numbers,
        source=st.tuples(draws.buckets, draws.keys),
        old=draws.old,
        wanted=st.sampled_from((None, None, (0, 0), (0, 4096), (1000, 70_000), (1048000, 1048580))),
        read=draws.reads,
    )
    def copy_part(self, pick, number, source, old, wanted, read) -> None:
        version = None if old is None else self._one_of(*source, old)
        conditions = self._read(read, *source, version)
        self.both("copy_part", *source, *self._upload(pick), number, wanted, conditions, version)

    @rule(
        pick=draws.picks,
        chosen=st.lists(draws.numbers, max_size=4, unique=True),
        how=st.sampled_from(("all", "all", "all", "ordered", "as drawn", "wrong")),
        again=st.booleans(),
        wish=draws.writes,
    )
    def complete(self, pick, chosen, how, again, wish) -> None:
        bucket, key, upload = self._upload(pick)
        found = self.reference.uploads.get(upload)
        etags = {n: part.etag for n, part in found.parts.items()} if found else {}
        if how == "all":
            chosen = sorted(etags)
        elif how == "ordered":
            chosen = sorted(set(chosen) & etags.keys())
        listed = [(n, etags.get(n, "1" * 32) if how != "wrong" else "0" * 32) for n in chosen]
        self.both("complete", bucket, key, upload, listed, self._written(wish, bucket, key))
        if again:
            self.both("complete", bucket, key, upload, listed, ALWAYS)

    @rule(pick=draws.picks, after=st.integers(0, 3), most=draws.pages, abort=draws.picks)
    def list_parts(self, pick, after, most, abort) -> None:
        upload = self._upload(pick)
        self.both("list_parts", *upload, after, most)
        if abort == 0:
            self.both("abort", *upload)
            self.both("list_parts", *upload, after, most)

    @rule(
        bucket=draws.buckets,
        prefix=st.sampled_from(PREFIXES),
        delimiter=st.sampled_from(("", "/")),
        after=st.sampled_from(("", *KEYS)),
        behind=st.booleans(),
        most=draws.pages,
    )
    def list_uploads(self, bucket, prefix, delimiter, after, behind, most) -> None:
        number = 0
        if behind and after:
            number = next((n for n, it in self.reference.uploads.items() if it.key == after), 0)
        self.both("list_uploads", bucket, prefix, delimiter, after, number, most)
