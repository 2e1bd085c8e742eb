"""Objects made of parts that are overwritten or deleted while somebody reads them."""

import os

import pytest

from fastobj.core.errors import StaleLocation
from fastobj.core.limits import PARTS_GRACE_S
from fastobj.objects import delete, get, uploads
from fastobj.objects.delete import Deletion
from fastobj.objects.get import Span
from tests.unit.objects.uploading import everywhere, quick

__all__ = ["quick"]

MIB = 1 << 20


async def begin_to_read(site):
    """A read of an object of parts, behind its first bytes; what follows them."""
    bodies = [os.urandom(MIB + number) for number in range(4)]
    await site.upload(bodies)
    whole = b"".join(bodies)
    _, body = await get.read_object(site.store, site.bucket, b"key", lambda it: Span(0, it.size))
    first = bytes(await anext(body))
    assert whole.startswith(first)
    return body, whole[len(first) :]


@everywhere
async def test_a_read_goes_on_for_a_while_behind_the_end_of_its_object(site):
    for end in (
        site.put(b"key", b"other"),
        delete.delete_object(site.store, site.bucket, Deletion(b"key")),
        site.upload([b"other"]),
    ):
        body, rest = await begin_to_read(site)
        await site.clear()
        await end
        site.clock.advance((PARTS_GRACE_S - 1) * 10**9)
        assert await site.garbage().run() == (0, 0)
        assert b"".join([bytes(piece) async for piece in body]) == rest
    await site.check(bodies=2, parts=1)


async def test_parts_are_kept_no_longer_than_that(quick):
    body, _ = await begin_to_read(quick)
    await delete.delete_object(quick.store, quick.bucket, Deletion(b"key"))
    quick.clock.advance(PARTS_GRACE_S * 10**9)
    assert (await quick.garbage().run()).released == 4
    with pytest.raises(StaleLocation):
        [_ async for _ in body]
    await quick.check(bodies=0, parts=0)


async def test_garbage_knows_when_it_is_due(quick):
    await quick.upload([b"x" * 2000])
    await quick.clear()
    await delete.delete_object(quick.store, quick.bucket, Deletion(b"key"))
    garbage = quick.garbage()
    assert await garbage.next_due_s() == 0  # nobody has looked yet
    await garbage.run()
    assert await garbage.next_due_s() == PARTS_GRACE_S
    quick.clock.advance(20 * 10**9)
    assert await garbage.next_due_s() == PARTS_GRACE_S - 20
    aborted = await quick.create()
    await quick.part(aborted, 1, b"y" * 2000)
    await uploads.abort(quick.store, aborted)
    assert (await garbage.run()).released == 1  # what was aborted has no readers
    quick.clock.advance(-3600 * 10**9)
    assert (await garbage.run()).released == 1  # a clock that goes back keeps nothing for ever
    await quick.check(bodies=0, parts=0)
