"""How many connections a worker may hold where the system allows few open files."""

import resource

import pytest

from fastobj.core.limits import DESCRIPTORS_RESERVED
from fastobj.core.settings import Settings
from fastobj.node.supervisor import _within

SETTINGS = Settings(connections_max=1000, requests_max=100)


@pytest.mark.parametrize("spare", [0, 1, 10_000])
def test_enough_files_change_nothing(spare, caplog):
    open_files = DESCRIPTORS_RESERVED + 1000 + 100 + spare
    assert _within(SETTINGS, open_files) is SETTINGS
    assert _within(SETTINGS, resource.RLIM_INFINITY) is SETTINGS
    assert not caplog.records


@pytest.mark.parametrize(
    ("open_files", "most"),
    [
        (DESCRIPTORS_RESERVED + 1099, 999),  # each request may need one beside its connection's
        (DESCRIPTORS_RESERVED + 200, 100),
        (DESCRIPTORS_RESERVED + 50, 25),  # fewer connections than requests: two for each
        (DESCRIPTORS_RESERVED - 5, 1),
    ],
)
def test_few_files_lower_the_most_and_are_told(open_files, most, caplog):
    lowered = _within(SETTINGS, open_files)
    assert (lowered.connections_max, lowered.requests_max) == (most, 100)
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert f"{most} connections at most, not 1000" in record.getMessage()
    assert f"{open_files} files (ulimit -n)" in record.getMessage()
