"""All rows of a space come by, whatever their number."""

import pytest

from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta.base import ABSENT, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryEngine
from fastobj.meta.walk import rows


@pytest.mark.parametrize("count", [0, 1, LOOP_SCAN_ROWS_MAX, LOOP_SCAN_ROWS_MAX + 1, 500])
async def test_all_rows_of_a_space(count):
    engine = MemoryEngine()
    wanted = [b"%04d" % number for number in range(count)]
    for key in wanted:
        await engine.commit(Txn(new_txn_id(), [Row(1, key, ABSENT, key + b"!")]))
    await engine.commit(Txn(new_txn_id(), [Row(2, b"other", ABSENT, b"")]))
    found = [row async for row in rows(engine, 1)]
    assert [row.key for row in found] == wanted
    assert [row.value for row in found] == [key + b"!" for key in wanted]
    part = [row.key async for row in rows(engine, 1, b"0003", b"0300")]
    assert part == [key for key in wanted if b"0003" <= key < b"0300"]
