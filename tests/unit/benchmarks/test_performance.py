"""The tables of docs/performance.md: targets, bounds and ratios from kept figures."""

import pytest

from benchmarks import performance, warp
from benchmarks.limits import GIB, KIB, MIB, Bound

MACHINE = {
    "fdatasync of 4 KiB": Bound("fdatasync of 4 KiB", 1000, "/s"),
    "loopback round trip": Bound("loopback round trip", 1e9, "/s"),
    "loopback": Bound("loopback", 1, "GiB/s"),
    "write, over": Bound("write, over", 512, "MiB/s"),
}


def bound(arguments, name):
    found = performance.bounds(arguments, 1.0, MACHINE)
    return next(one.per_second for one in found if one.name == name)


def test_every_target_is_of_a_case():
    names = {case.name for case in warp.CASES}
    for pattern, _ in performance.TARGETS:
        assert any(performance.re.fullmatch(pattern, name) for name in names), pattern


def test_every_case_has_bounds():
    for case in warp.CASES:
        assert all(one.per_second > 0 for one in performance.bounds(case.arguments, 1.0, MACHINE))


@pytest.mark.parametrize(
    ("arguments", "name", "expected"),
    [
        ("put --obj.size 4KiB --concurrent 1", "syncs", 1000),
        ("put --obj.size 4KiB --concurrent 20", "syncs", 20_000),
        ("put --obj.size 64MiB --concurrent 4", "disk", 8),
        ("get --obj.size 1MiB --concurrent 4 --objects 9", "loopback", GIB / MIB),
        ("get --obj.size 10MiB --concurrent 4 --range-size 1MiB", "loopback", GIB / MIB),
        ("delete --obj.size 1KiB --concurrent 2 --batch 100", "syncs", 200_000),
        ("multipart-put --parts 20 --part.size 5MiB --part.concurrent 4 --concurrent 4", "syncs",
         16_000),
    ],
)  # fmt: skip
def test_bounds(arguments, name, expected):
    assert bound(arguments, name) == pytest.approx(expected, rel=0.01)


def figures(operations, cpu):
    zeros = dict.fromkeys(warp.Figures._fields, 0.0)
    return {
        **zeros,
        "operations": operations,
        "cpu_s_per_1000": cpu,
        "client_cpu_s_per_1000": 0.1,
    }


def test_a_row():
    kept = {
        "cases": {
            "put-4KiB-c20": {
                "arguments": "put --obj.size 4KiB --concurrent 20",
                "spread": 0.02,
                "rounds": 2,
                "versions": ["fastobj abc1234", "MinIO 1", "warp 2"],
                "date": "2026-11-30",
                "fastobj": figures(10_000, 0.1),
                "minio": figures(1_000, 1.0),
            }
        }
    }
    (row,) = performance.rows(kept, MACHINE)
    assert (row.seen, row.cpu) == (10, 10)
    assert row.bound.name in ("client CPU", "syncs")
    text = performance.line(row)
    assert "**10.00 x** (5)" in text  # reached
    assert "| 10.00 x (15) |" in text  # not reached
    assert text.endswith("| interpreter | abc1234, 2 |")
    assert "2026-11-30; MinIO 1; warp 2" in performance.table(kept, MACHINE)
    assert performance._size_bytes(kept["cases"]["put-4KiB-c20"]["arguments"]) == 4 * KIB


def test_a_row_that_reaches_its_targets_is_limited_by_nothing():
    ours, theirs = figures(10_000, 0.01), figures(1_000, 1.0)
    bound = Bound("syncs", 1e9, "/s")
    row = performance.Row("put-4KiB-c20", "", 1, ours, theirs, 0, bound, performance.Target(5, 15))
    assert row.limit == ""
    assert row._replace(ours=figures(1_000, 0.01)).limit == "interpreter"
    assert row._replace(target=None, ours=theirs).limit == ""


def test_of_a_case_in_several_files_the_last_counts():
    older = {"date": "d1", "versions": ["v1"], "cases": {"a": {"spread": 0}, "b": {"spread": 0}}}
    newer = {"cases": {"b": {"spread": 0.1, "rounds": 2, "date": "d2", "versions": ["v2"]}}}
    cases = performance.merged([older, newer])["cases"]
    assert cases["a"] == {"spread": 0, "rounds": 1, "date": "d1", "versions": ["v1"]}
    assert cases["b"] == newer["cases"]["b"]


def test_each_limit_of_a_case_with_a_target_has_a_section():
    _, _, section = performance.DOCUMENT.read_text().partition(performance.LIMITS_HEADING)
    for case in warp.CASES:
        if performance.target_of(case.name):
            assert f"\n**{performance.limit_of(case.name).capitalize()}" in section, case.name


def test_bounds_come_back_from_the_document():
    assert performance.documented(performance.machine_table(MACHINE)) == MACHINE


def test_only_what_stands_between_the_marks_is_replaced():
    text = "a\n<!-- warp -->\nold\n<!-- end of warp -->\nb\n"
    assert performance.replaced(text, "warp", "new") == text.replace("old", "new")
    with pytest.raises(SystemExit, match="lacks"):
        performance.replaced("nothing", "warp", "new")
