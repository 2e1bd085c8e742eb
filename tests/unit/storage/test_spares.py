"""Spare segments: made whole or not at all, taken largest first."""

import fcntl

import pytest

from fastobj.core.errors import NoSpace, StoreError, SyncFailed
from fastobj.core.limits import KIB, MIB
from fastobj.storage import io
from fastobj.storage.spares import (
    BALLAST,
    MAKING_SUFFIX,
    MOVES,
    SUFFIX,
    Spares,
    former_segment,
    log_path,
    log_segment,
    spare_path,
    wanted_bytes,
)

SIZE = 192 * KIB


def _fail(error):
    def fail(*arguments):
        raise error

    return fail


def test_a_made_spare_is_whole_and_zero(tmp_path):
    spares = Spares(tmp_path, SIZE)
    made = spares.make()
    assert made.path.read_bytes() == bytes(SIZE)
    assert (made.size, made.generation) == (SIZE, 1)
    assert spares.list() == [made]
    assert former_segment(made.path) is None
    assert [path.suffix for path in tmp_path.iterdir()] == [SUFFIX]


def test_larger_files_than_one_write_are_filled(tmp_path):
    made = Spares(tmp_path, 2 * MIB + 4 * KIB).make()
    assert made.path.read_bytes() == bytes(2 * MIB + 4 * KIB)


@pytest.mark.parametrize(
    ("call", "error"),
    [("allocate", NoSpace("full")), ("pwritev", NoSpace("full")), ("fsync", SyncFailed("lost"))],
)
def test_a_spare_that_fails_leaves_nothing(tmp_path, monkeypatch, call, error):
    monkeypatch.setattr(io.File, call, _fail(error))
    with pytest.raises(type(error)):
        Spares(tmp_path, SIZE).make()
    assert list(tmp_path.iterdir()) == []


def test_the_largest_is_taken(tmp_path):
    small, large = Spares(tmp_path, SIZE).make(), Spares(tmp_path, 2 * SIZE).make()
    assert Spares(tmp_path, SIZE).list() == [large, small]
    assert Spares(tmp_path, SIZE).take() == large
    taken = Spares(tmp_path, 3 * SIZE).take()
    assert taken.size == 3 * SIZE  # neither was large enough: one is made


def test_on_a_full_disk_a_smaller_one_will_do(tmp_path, monkeypatch):
    small = Spares(tmp_path, SIZE).make()
    monkeypatch.setattr(io.File, "allocate", _fail(NoSpace("full")))
    spares = Spares(tmp_path, 2 * SIZE)
    assert spares.take(SIZE) == small
    with pytest.raises(NoSpace):
        spares.take(SIZE + 1)
    assert spares.free_smallest()
    assert not spares.free_smallest()
    with pytest.raises(NoSpace):
        spares.take()


def test_a_recycled_segment_keeps_its_id_in_the_name(tmp_path):
    made = Spares(tmp_path, SIZE).make()
    made.path.rename(log_path(tmp_path, 12))
    spare = Spares(tmp_path, SIZE).recycle(12, 1)
    assert spare.path == spare_path(tmp_path, 12, 2)
    assert (spare.generation, spare.size) == (2, SIZE)
    assert former_segment(spare.path) == 12
    assert Spares(tmp_path, SIZE).take() == spare


def test_names(tmp_path):
    assert log_segment(log_path(tmp_path, 0xABC)) == 0xABC
    for name in ("0.log", "x" * 16 + ".log", f"{0:016x}.log", f"{1:016x}.spare"):
        assert log_segment(tmp_path / name) is None
    assert former_segment(tmp_path / f"{1:016x}.log") is None
    assert former_segment(tmp_path / f"{1 << 63:016x}-1.spare") is None


def test_foreign_files_are_no_spares(tmp_path):
    (tmp_path / "notes.spare").touch()
    assert Spares(tmp_path, SIZE).list() == []


def test_what_is_half_made_goes_unless_it_is_being_made(tmp_path):
    left, made = (tmp_path / f"{name}{MAKING_SUFFIX}" for name in ("left", "made"))
    left.touch()
    with made.open("wb") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        Spares(tmp_path, SIZE).remove_unfinished()
        assert list(tmp_path.iterdir()) == [made]
    Spares(tmp_path, SIZE).remove_unfinished()
    assert list(tmp_path.iterdir()) == []


def test_segments_grow_with_the_log():
    bounds = (4 * MIB, 64 * MIB)
    ample = 1 << 40
    assert wanted_bytes(0, ample, bounds) == 4 * MIB
    assert wanted_bytes(20 * MIB + 5, ample, bounds) == 4 * MIB
    assert wanted_bytes(160 * MIB + 5, ample, bounds) == 20 * MIB
    assert wanted_bytes(1 << 40, ample, bounds) == 64 * MIB
    assert wanted_bytes(1 << 40, 80 * MIB + 5, bounds) == 10 * MIB
    assert wanted_bytes(1 << 40, 0, bounds) == 4 * MIB


def test_the_ballast_is_kept_from_who_must_leave_it(tmp_path, monkeypatch):
    spares = Spares(tmp_path, SIZE)
    assert spares.missing_ballast(SIZE) == BALLAST
    made = {spares.make() for _ in range(BALLAST)}
    assert spares.missing_ballast(SIZE) == 0
    assert spares.missing_ballast(SIZE + 1) == BALLAST
    assert spares.take(SIZE, MOVES) not in made
    monkeypatch.setattr(io.File, "allocate", _fail(NoSpace("full")))
    for left in spares.list()[BALLAST:]:
        spares.free(left)
    with pytest.raises(NoSpace):
        spares.take(SIZE, MOVES)
    assert spares.take(SIZE) in spares.list()


def test_room_for_little_is_cut_off_before_a_spare_goes(tmp_path):
    spares = Spares(tmp_path, SIZE)
    made = [spares.make() for _ in range(2)]
    sizes = []
    while spares.give_room(SIZE - 4096):
        sizes.append([spare.size for spare in spares.list()])
    assert sizes == [[SIZE, SIZE - 4096], [SIZE - 4096] * 2, [SIZE - 4096], []]
    assert len(made) == 2


def test_a_segment_that_another_process_released_is_no_spare(tmp_path):
    with pytest.raises(StoreError):
        Spares(tmp_path, SIZE).recycle(12, 1)


def test_ample_room_is_asked_of_the_file_system(tmp_path, monkeypatch):
    monkeypatch.setattr(io, "free_bytes", lambda path: 4 * SIZE)
    assert Spares(tmp_path, SIZE).could_make(SIZE)
    assert not Spares(tmp_path, SIZE).could_make(SIZE + 1)
