"""Listings: against a model in one line per rule, and what a page may cost."""

import asyncio

from hypothesis import example, given
from hypothesis import strategies as st

from fastobj.meta import keys
from fastobj.objects import listing

from .conftest import World

NAMES = st.text(alphabet="ab/é\U0001f600", min_size=1, max_size=6).map(str.encode)
PARTS = st.text(alphabet="ab/é", max_size=3).map(str.encode)


def model(names, prefix, delimiter, after, entries_max):
    """Every entry once, in byte order, behind `after`."""
    entries = set()
    for name in names:
        if name.startswith(prefix):
            at = name.find(delimiter, len(prefix)) if delimiter else -1
            entries.add((name[: at + len(delimiter)], True) if at >= 0 else (name, False))
    entries = sorted(entry for entry in entries if not after or entry[0] > after)
    return entries[:entries_max], len(entries) > entries_max > 0


async def filled(names):
    world = World()
    bucket = await world.bucket()
    for other in ("before", "other"):
        await world.put(await world.bucket(other), b"a/foreign", b"")
    for name in names:
        await world.put(bucket, name, b"")
    return world, bucket


def entries_of(page):
    objects = [(listed.key, False) for listed in page.objects]
    return sorted(objects + [(prefix, True) for prefix in page.prefixes])


@given(
    names=st.sets(NAMES, max_size=30),
    prefix=PARTS,
    delimiter=PARTS,
    after=PARTS,
    entries_max=st.integers(0, 12),
)
@example(names={b"a/b"}, prefix=b"", delimiter=b"/", after=b"a/a", entries_max=9)
@example(names={b"a/", b"a/b"}, prefix=b"a/", delimiter=b"/", after=b"", entries_max=9)
def test_page_is_that_of_the_model(names, prefix, delimiter, after, entries_max):
    asyncio.run(check_page(names, prefix, delimiter, after, entries_max))


async def check_page(names, prefix, delimiter, after, entries_max):
    world, bucket = await filled(names)
    page = await listing.list_page(
        world.store, bucket, prefix=prefix, delimiter=delimiter, after=after,
        entries_max=entries_max,
    )  # fmt: skip
    expected, is_truncated = model(names, prefix, delimiter, after, entries_max)
    assert entries_of(page) == expected
    assert page.is_truncated == is_truncated
    if expected:
        assert page.last == expected[-1][0]


@given(names=st.sets(NAMES, max_size=40), delimiter=PARTS, entries_max=st.integers(1, 5))
def test_pages_add_up(names, delimiter, entries_max):
    asyncio.run(check_pages(names, delimiter, entries_max))


async def check_pages(names, delimiter, entries_max):
    world, bucket = await filled(names)
    entries, after, is_truncated = [], b"", True
    while is_truncated:
        page = await listing.list_page(
            world.store, bucket, delimiter=delimiter, after=after, entries_max=entries_max
        )
        entries += entries_of(page)
        after, is_truncated = page.last, page.is_truncated
    assert entries == model(names, b"", delimiter, b"", len(names) + 1)[0]


async def rows_read(world, bucket, **asked):
    """The page, and how many rows its scans returned."""
    count = 0
    scan = world.engine.scan

    async def counted(*args):
        nonlocal count
        rows = await scan(*args)
        count += len(rows)
        return rows

    world.store.meta.scan = counted
    page = await listing.list_page(world.store, bucket, **asked)
    return page, count


async def test_cost_of_a_flat_page():
    world, bucket = await filled([b"%05d" % number for number in range(600)])
    page, count = await rows_read(world, bucket, entries_max=250)
    assert (len(page.objects), page.is_truncated) == (250, True)
    assert count <= 251 + 100


async def test_cost_of_common_prefixes():
    names = [b"%02d/%03d" % (major, minor) for major in range(20) for minor in range(50)]
    world, bucket = await filled(names)
    page, count = await rows_read(world, bucket, delimiter=b"/", entries_max=1000)
    assert (len(page.prefixes), page.is_truncated) == (20, False)
    assert count <= 3 * 20


async def test_cost_of_a_mixture():
    names = [b"%02d/%d" % (major, minor) for major in range(40) for minor in range(4)]
    names += [b"%02d" % number for number in range(0, 40, 3)]
    world, bucket = await filled(names)
    page, count = await rows_read(world, bucket, delimiter=b"/", entries_max=1000)
    entries = len(page.objects) + len(page.prefixes)
    assert entries == 54
    assert count <= 3 * entries + 3


async def test_buckets_do_not_mix():
    world, bucket = await filled([b"z"])
    page = await listing.list_page(world.store, bucket, entries_max=1000)
    assert [listed.key for listed in page.objects] == [b"z"]
    assert await world.engine.scan(keys.CURRENT, keys.FIRST, keys.LAST, 9) != []
