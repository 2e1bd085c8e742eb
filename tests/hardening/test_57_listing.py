"""Check 57: listings of huge buckets, deep trees and odd keys are complete, and cost by the page.

Rows go straight into the engine, so that a bucket of a million keys takes seconds to fill. Every
listing is compared with a model over the plain list of names, page by page, and each page may
read three rows for an entry at most, however large the bucket is.
"""

import asyncio
from bisect import bisect_left
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, unquote_to_bytes
from xml.etree import ElementTree

import pytest

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.iam.identity import Identity
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, Row, Txn, new_txn_id
from fastobj.meta.sqlite import SqliteEngine
from fastobj.objects import buckets, listing
from fastobj.s3 import xml
from fastobj.s3.context import Context
from fastobj.s3.handlers import listing as handlers
from fastobj.s3.operations import OPERATIONS
from fastobj.testing.store import assemble

LARGE = [20_000, pytest.param(1_000_000, marks=pytest.mark.long)]
PAGE = 1000
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"

ODD = [
    "a", "a/", "a/b", "a/b/", "a0", "a//", "a//b", "a/\x01", "a/\x7f", "a\x01", "a\n", "a\x00",
    "a/\xff", "a\xff/b", "\xff", "\xff/", "\xffa", "\uffff", "\uffff/x", "\U0010ffff",
    "\U0010ffff/\U0010ffff", "\U0010ffff\U0010ffff", "/", "//", "/a", "\x01/", "\x01/\x01", ".",
    "..", "../a", "%2f", "%2F/a", "a b", "a+b", "a&b", "a<b>", 'a"b', "a%", "_", "a_b", "a*", "a?",
    "e\u0301", "\u00e9", "\u00e9/x", "a" * 1024, "a/" * 512,
]  # fmt: skip
ODD_NAMES = [name.encode() for name in ODD]
ODD_PARTS = [name.encode() for name in ["", "a", "a/", "a/b", "/", "\xff", "\U0010ffff", "\x01"]]
DELIMITERS = [b"", b"/", b"//", b"/a/", "\xff".encode(), b"b/a", b"a", "\U0010ffff".encode()]


class CountingReader:
    """A reader that counts what its scans are asked for and return."""

    def __init__(self, meta):
        self._meta = meta
        self.get = meta.get
        self.rows = self.scans = 0

    async def scan(self, *args):
        found = await self._meta.scan(*args)
        self.rows += len(found)
        self.scans += 1
        return found


class World:
    """A bucket with these names, in an engine of its own, and the reads of it counted."""

    def __init__(self, directory):
        self.engine = SqliteEngine(Path(directory) / "meta.db")
        self.engine.open_now()

    async def fill(self, names):
        self.names = sorted(names)
        store = assemble(self.engine)
        self.bucket, _ = await buckets.create(store, "bucket", "owner")
        for other in ("before", "behind"):
            other_bucket, _ = await buckets.create(store, other, "owner")
            self._insert(other_bucket, [b"a/foreign", b"z"])
        self._insert(self.bucket, self.names)
        self.reader = CountingReader(self.engine)
        self.store = replace(store, meta=self.reader)
        return self

    def _insert(self, bucket, names):
        value = records.encode(
            records.ObjectRecord(records.FORMAT, bytes(32), bytes(16), 7, "e" * 32, 10**18)
        )
        for at in range(0, len(names), 20_000):
            batch = self.engine.begin()
            for name in names[at : at + 20_000]:
                row = Row(keys.CURRENT, keys.current(bucket.record.id, name), ANY, value)
                batch.apply_unchecked(Txn(new_txn_id(), [row]))
            batch.commit(None)

    async def page(self, **asked):
        """A page; asserts what it may cost."""
        rows, scans = self.reader.rows, self.reader.scans
        page = await listing.list_page(self.store, self.bucket, **asked)
        entries = len(page.objects) + len(page.prefixes)
        assert self.reader.rows - rows <= 3 * (entries + 1), asked
        assert self.reader.scans - scans <= entries + 2, asked
        return page

    async def all_pages(self, entries_max=PAGE, after=b"", **asked):
        """Every entry behind `after`, page by page; each page but the last is full."""
        found = []
        while True:
            page = await self.page(entries_max=entries_max, after=after, **asked)
            entries = entries_of(page)
            found += entries
            if not page.is_truncated:
                return found
            assert len(entries) == entries_max
            assert page.last == entries[-1][0]
            after = page.last

    async def check(self, prefix=b"", delimiter=b"", after=b"", entries_max=PAGE):
        asked = {"prefix": prefix, "delimiter": delimiter, "after": after}
        found = await self.all_pages(entries_max=entries_max, **asked)
        assert found == model(self.names, prefix, delimiter, after), (asked, entries_max)


def entries_of(page):
    """Objects and prefixes of a page in order; each list of them is in order by itself."""
    objects = [(listed.key, False) for listed in page.objects]
    prefixes = [(prefix, True) for prefix in page.prefixes]
    assert objects == sorted(objects)
    assert prefixes == sorted(prefixes)
    return sorted(objects + prefixes)


def model(names, prefix=b"", delimiter=b"", after=b""):
    """Every entry once, in byte order, behind `after`. `names` is sorted."""
    found = {}
    for index in range(bisect_left(names, prefix), len(names)):
        name = names[index]
        if not name.startswith(prefix):
            break
        at = name.find(delimiter, len(prefix)) if delimiter else -1
        found[(name[: at + len(delimiter)], True) if at >= 0 else (name, False)] = None
    return [entry for entry in sorted(found) if not after or entry[0] > after]


def run(names, test):
    """Runs a coroutine function on a bucket with these names."""

    async def in_world():
        with TemporaryDirectory() as directory:
            world = World(directory)
            try:
                await test(await world.fill(names))
            finally:
                world.engine.close_now()

    asyncio.run(in_world())


# --- many keys


@pytest.mark.parametrize("count", LARGE)
def test_flat(count):
    async def test(world):
        for delimiter in (b"", b"/"):
            await world.check(delimiter=delimiter)
        await world.check(prefix=b"key-0", delimiter=b"-", after=b"key-0000007")
        rows = world.reader.rows
        await world.page(entries_max=PAGE, after=world.names[count // 2])
        assert world.reader.rows - rows == PAGE + 1

    run([b"key-%07d" % number for number in range(count)], test)


@pytest.mark.parametrize("keys_each", [1, 2, 3, 50])
@pytest.mark.parametrize("count", LARGE)
def test_common_prefixes(count, keys_each):
    async def test(world):
        await world.check(prefix=b"top/", delimiter=b"/")
        await world.check(prefix=b"top/", delimiter=b"/", after=b"top/0000100/k")
        assert entries_of(await world.page(delimiter=b"/", entries_max=PAGE)) == [(b"top/", True)]

    run([b"top/%07d/key%d" % divmod(number, keys_each) for number in range(count)], test)


@pytest.mark.parametrize("count", LARGE)
def test_objects_among_common_prefixes(count, rng):
    """Runs of objects and of prefixes, of any length, with any number of keys below."""
    names, number = [], 0
    while len(names) < count:
        for _ in range(rng.choice([0, 1, 2, 5, 300])):
            names.append(b"%07d" % (number := number + 1))
        for _ in range(rng.choice([0, 1, 2, 5, 40])):
            number += 1
            names += [b"%07d/%d" % (number, below) for below in range(rng.choice([1, 2, 3, 9, 70]))]

    async def test(world):
        for entries_max in (PAGE, 73):
            await world.check(delimiter=b"/", entries_max=entries_max)
        for name in rng.sample(world.names, 20):
            page = await world.page(delimiter=b"/", after=name, entries_max=10)
            at = bisect_left(world.names, name[:7])
            assert entries_of(page) == model(world.names[at : at + 3000], b"", b"/", name)[:10]

    run(names, test)


@pytest.mark.parametrize("count", LARGE)
def test_deep_trees(count, rng):
    """Twelve levels, as narrow as they are deep: a walk by delimiter finds every key once."""
    names = {
        b"/".join([b"%d" % rng.randrange(4) for _ in range(rng.randint(1, 11))] + [b"k%d" % number])
        for number in range(count)
    }

    async def test(world):
        found, open_prefixes = [], [b""]
        while open_prefixes:
            prefix = open_prefixes.pop()
            for name, is_prefix in await world.all_pages(prefix=prefix, delimiter=b"/"):
                (open_prefixes if is_prefix else found).append(name)
        assert sorted(found) == world.names
        for delimiter in (b"/1/", b"/k", b"3", b"0/1/2/", b"1/k11"):
            for prefix in (b"", b"2", b"2/", b"2/1/3", b"3/k", b"0/0/0/0/0/0/"):
                await world.check(prefix=prefix, delimiter=delimiter)

    run(names, test)


# --- odd keys


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_odd_keys(delimiter):
    async def test(world):
        for prefix, after, entries_max in product(ODD_PARTS, [b"", *ODD_PARTS], (1, 3, PAGE)):
            await world.check(prefix, delimiter, after, entries_max)
        for after in ODD_NAMES:
            await world.check(b"", delimiter, after, 2)

    run(ODD_NAMES, test)


def test_markers_inside_of_a_common_prefix():
    """Any name below a prefix skips all of it, and a name beside it skips nothing."""
    names = [b"a", b"a/", b"a/b", b"a/c/d", b"a0", b"b/\x01", b"c"]

    async def test(world):
        for after in (b"a/", b"a/b", b"a/b0", b"a/c/d/e", b"a/\xf4\x8f\xbf\xbf", b"a/~"):
            page = await world.page(delimiter=b"/", after=after, entries_max=PAGE)
            assert entries_of(page) == [(b"a0", False), (b"b/", True), (b"c", False)], after
        page = await world.page(delimiter=b"/", after=b"a.", entries_max=PAGE)
        assert page.prefixes == [b"a/", b"b/"]

    run(names, test)


# --- the operations

OPS = {op.name: op for op in OPERATIONS}
HANDLERS = {"ListObjects": handlers.list_objects, "ListObjectsV2": handlers.list_objects_v2}


async def answered(world, operation, **query):
    """The elements of the answer, once they have been XML, and the names of its entries."""
    query = {name.replace("_", "-"): value for name, value in query.items()}
    identity = Identity("owner", "owner", "access", "secret")
    ctx = Context(OPS[operation], None, "id", world.store, identity, "bucket", query=query)
    ctx.found = await buckets.find(world.store, "bucket")
    result = await HANDLERS[operation](ctx)
    root = ElementTree.fromstring(xml.encode(ctx.op.xml_out, result.document))
    names = [found.text for found in root.iterfind(f"{NAMESPACE}Contents/{NAMESPACE}Key")]
    names += [found.text for found in root.iterfind(f"{NAMESPACE}CommonPrefixes/*")]
    return {child.tag.removeprefix(NAMESPACE): child.text for child in root}, names


async def all_answers(world, operation, parameter, element, **query):
    """The names in all pages: `element` of one page is the `parameter` of the next."""
    found, start = [], {}
    while True:
        told, names = await answered(world, operation, **query, **start)
        assert len(names) <= min(PAGE, int(query.get("max_keys", PAGE)))
        found += names
        if told["IsTruncated"] == "false":
            return [unquote_to_bytes(name) for name in found]
        start = {parameter: told[element]}
        if operation == "ListObjects":  # a marker is a name, a token is not
            start = {parameter: unquote(told[element])}


@pytest.mark.parametrize("count", LARGE)
def test_answers_are_bounded_and_complete(count):
    async def test(world):
        expected = [name for name, _ in model(world.names, b"top/", b"/")]
        assert len(expected) == count
        asked = {"prefix": "top/", "delimiter": "/", "encoding_type": "url"}
        for max_keys in ("1000", "2147483647"):
            asked["max_keys"] = max_keys
            v1 = await all_answers(world, "ListObjects", "marker", "NextMarker", **asked)
            v2 = await all_answers(
                world, "ListObjectsV2", "continuation_token", "NextContinuationToken", **asked
            )
            assert v1 == v2 == expected

    run([b"top/%07d/key" % number for number in range(count)], test)


@pytest.mark.parametrize("operation", HANDLERS)
def test_bounds_of_max_keys(operation):
    async def test(world):
        told, names = await answered(world, operation, max_keys="0")
        assert (told["IsTruncated"], names) == ("false", [])
        assert world.reader.scans == 0
        for refused in ("-1", "2147483648", "9" * 30, "1e3", "+1"):
            with pytest.raises(S3Error) as caught:
                await answered(world, operation, max_keys=refused)
            assert caught.value.code is codes.INVALID_ARGUMENT
        assert world.reader.scans == 0

    run([b"a", b"b"], test)


@pytest.mark.parametrize("operation", HANDLERS)
def test_odd_keys_survive_the_answer(operation):
    async def test(world):
        _, names = await answered(world, operation, encoding_type="url")
        assert [unquote_to_bytes(name) for name in names] == world.names

    run(ODD_NAMES, test)
