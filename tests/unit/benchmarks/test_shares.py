"""The parts of the server's CPU: from the samples that perf prints to lines of a table."""

from collections import Counter

from benchmarks import shares

PRINTED = """\
  101   10.500000:
        ffffffff81 _copy_from_iter ([kernel.kallsyms])
        ffffffff82 tcp_sendmsg_locked ([kernel.kallsyms])
        ffffffff83 __x64_sys_sendto ([kernel.kallsyms])
              7f01 send (/usr/lib/libc.so.6)

  101   10.600000:
              5501 _PyEval_EvalFrameDefault (/usr/bin/python3.11)

  102   10.700000:
              7f02 sqlite3VdbeExec (/site-packages/apsw/__init__.cpython-311-x86_64-linux-gnu.so)

  102/109   10.800000:
              7f03 fo_sha256_blocks (/src/fastobj/_ext/segio.cpython-311-x86_64-linux-gnu.so)
        ffffffff84 never_seen ([kernel.kallsyms])

"""


def samples():
    return list(shares.parse(PRINTED.splitlines()))


def test_samples_are_read():
    found = samples()
    assert [sample.pid for sample in found] == [101, 101, 102, 102]
    assert [sample.moment for sample in found] == [10.5, 10.6, 10.7, 10.8]
    assert found[0].frames[1] == "tcp_sendmsg_locked ([kernel.kallsyms])"
    assert len(found[0].frames) == 4


def test_each_sample_has_one_part():
    parts = [sample.part for sample in samples()]
    assert parts == ["TCP send", "CPython", "SQLite", "kernel, else"]
    assert [sample.is_copy for sample in samples()] == [True, False, False, False]


def test_hashes_are_told_from_other_kernels():
    place = "(/src/fastobj/_ext/segio.cpython-311-x86_64-linux-gnu.so)"
    for function, part in (("fo_md5_x16", "hashes"), ("fo_pool_run", "kernels")):
        assert shares.Sample(1, 0.0, (f"{function} {place}",)).part == part
    assert shares.Sample(1, 0.0, ("x (/a/uvloop/loop.cpython-311.so)",)).part == "uvloop"
    assert shares.Sample(1, 0.0, ("[unknown] ([unknown])",)).part == shares.OTHER


def test_a_role_has_a_line_with_its_largest_parts_first():
    roles = {101: "worker", 102: "worker"}
    (share,) = shares.shares("get", samples(), roles, 2)
    assert share.parts == Counter(
        {"TCP send": 1, "CPython": 1, "SQLite": 1, "kernel, else": 1, shares.COPIES: 1}
    )
    assert share.cpu_us == 4 / shares._RATE / 2 * 1e6
    text = shares.line(share)
    assert text.startswith("| get | worker | ")
    assert text.endswith("TCP send 25, CPython 25, SQLite 25, kernel, else 25 | 25% |")


def test_a_role_that_hardly_took_part_has_no_line():
    many = [shares.Sample(101, 0.0, ("x (/usr/bin/python3.11)",))] * 100
    few = [shares.Sample(102, 0.0, ("x (/usr/bin/python3.11)",))]
    found = shares.shares("get", many + few, {101: "worker", 102: "supervisor"}, 1)
    assert [share.role for share in found] == ["worker"]
