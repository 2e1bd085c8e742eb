"""Which parts of the server take its CPU in a case of warp: interpreter, libraries, kernel.

`perf` takes the samples, of all of the server's processes, in the seconds that warp measures; what
warp prepares does not count. A sample in the kernel belongs to the call that it serves. On loopback
a send also does what the receiver's side of TCP has to do, so "TCP send" has some of both ends.

    python -m benchmarks.shares --warp PATH --cases 'get-4KiB-c1' [--seconds 6]

Prints Markdown: a line for each role of process that took part, microseconds of CPU per operation
and each part's share of them. The last column is how much of it all are copies by the kernel.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import warp
from benchmarks._targets import Fastobj, Missing, program
from benchmarks._tree import descendants

_RATE: Final = 997  # samples a second of each processor
_SMALLEST: Final = 0.02  # a role with a smaller share of the CPU has no line
COPIES: Final = "copies"
OTHER: Final = "else"

# The first pattern that any frame in the kernel matches says what it worked for.
KERNEL: Final = (
    ("sync", r"fdatasync|sys_fsync|sync_file_range"),
    ("page faults", r"exc_page_fault"),
    ("TCP send", r"tcp_sendmsg"),
    ("TCP receive", r"tcp_recvmsg"),
    ("socket pairs", r"unix_stream_"),
    ("file write", r"ksys_pwrite|do_pwritev|ext4_file_write|vfs_write|vfs_iter_write|vfs_writev"),
    ("file read", r"ext4_file_read|filemap_read|vfs_readv|do_preadv"),
    ("file locks", r"fcntl_setlk|posix_lock|fcntl"),
    ("epoll", r"epoll|ep_poll"),
    ("futex", r"futex"),
)
# The first pattern that the shared object or the function outside of the kernel matches.
USER: Final = (
    ("hashes", r"/_ext/digest|/_ext/crc|sha256|sha1|md5|crc32|crc64|blake3"),
    ("kernels", r"/fastobj/_ext/|/_ext/"),
    ("SQLite", r"apsw|sqlite"),
    ("uvloop", r"uvloop"),
    ("OpenSSL", r"libcrypto|libssl|_hashlib|_ssl\."),
    ("libc", r"/libc[.-]|/ld-linux|/libm[.-]|libpthread|\[vdso\]"),
    ("CPython", r"python"),
)
_COPY: Final = re.compile(r"copy|rep_movs|memcpy")
_IN_KERNEL: Final = "([kernel.kallsyms])"
_SAMPLE: Final = re.compile(r"^\s*(\d+)(?:/\d+)?\s+([\d.]+):")


class Sample(NamedTuple):
    """One sample: whose, when by the monotonic clock, and the frames from the innermost."""

    pid: int
    moment: float
    frames: tuple[str, ...]

    @property
    def part(self) -> str:
        """The part that the sample belongs to."""
        inside = [frame for frame in self.frames if frame.endswith(_IN_KERNEL)]
        if inside:
            stack = "\n".join(inside)
            return next((name for name, form in KERNEL if re.search(form, stack)), "kernel, else")
        innermost = self.frames[0] if self.frames else ""
        return next((name for name, form in USER if re.search(form, innermost)), OTHER)

    @property
    def is_copy(self) -> bool:
        """Whether the kernel copied bytes just then."""
        first = self.frames[0] if self.frames else ""
        return first.endswith(_IN_KERNEL) and _COPY.search(first) is not None


def parse(lines: Iterable[str]) -> Iterator[Sample]:
    """The samples of `perf script -F pid,time,ip,sym,dso`."""
    pid, moment, frames = 0, 0.0, list[str]()
    for line in (*lines, "0 0:"):
        if found := _SAMPLE.match(line):
            if frames:
                yield Sample(pid, moment, tuple(frames))
            pid, moment, frames = int(found[1]), float(found[2]), []
        elif line.strip():
            frames.append(line.strip().partition(" ")[2])


class Share(NamedTuple):
    """What the processes of one role took in a case."""

    case: str
    role: str
    cpu_us: float  # per operation
    parts: Counter[str]  # samples


def shares(
    case: str, samples: Iterable[Sample], roles: dict[int, str], operations: int
) -> list[Share]:
    """A line for each role that took part."""
    parts: dict[str, Counter[str]] = {}
    for sample in samples:
        found = parts.setdefault(roles.get(sample.pid, OTHER), Counter())
        found[sample.part] += 1
        found[COPIES] += sample.is_copy
    lines = []
    total = sum(_all(found) for found in parts.values())
    for role, found in sorted(parts.items(), reverse=True):
        if _all(found) >= _SMALLEST * total:
            cpu_us = _all(found) / _RATE / operations * 1e6
            lines.append(Share(case, role, cpu_us, found))
    return lines


def _all(parts: Counter[str]) -> int:
    return parts.total() - parts[COPIES]


def record(case: warp.Case, run: warp.Run, perf: str) -> list[Share]:
    """Runs a case on a server of its own under perf."""
    directory = Path(tempfile.mkdtemp(prefix="shares-", dir=run.place))
    target = Fastobj()
    endpoint = target.start(directory / "store", run.certs if case.tls else None)
    try:
        roles = {pid: role for role, pid in target.processes()}
        roles.update(dict.fromkeys(set(descendants(target.root())) - set(roles), OTHER))
        client = warp.start_warp(case, endpoint, run, directory)
        recorded = directory / "perf"
        command = [perf, "record", "-q", "-e", "cpu-clock", "-F", str(_RATE), "-g", "-k", "mono"]
        command += ["-o", str(recorded), "-p", ",".join(map(str, roles))]
        with subprocess.Popen(command) as recorder, warp.bounded(client, run):
            output, errors = client.communicate()
            recorder.send_signal(signal.SIGINT)
        if client.returncode:
            raise SystemExit(f"{case.name}: warp failed:\n{errors}{output[-2000:]}")
        start, end, operations = _window(case, output)
        samples = (x for x in _samples(perf, recorded) if start <= x.moment <= end)
        return shares(case.name, samples, roles, operations)
    finally:
        target.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _window(case: warp.Case, output: str) -> tuple[float, float, int]:
    """Begin and end of what warp measured, by the monotonic clock, and its operations."""
    wanted = warp.measured(case, json.loads(output[output.index("{") :]))
    start, end = warp.window(wanted)
    shift = time.monotonic() - time.time()
    return start + shift, end + shift, sum(one["total_objects"] for one in wanted)


def _samples(perf: str, recorded: Path) -> Iterator[Sample]:
    command = [perf, "script", "-i", str(recorded), "-F", "pid,time,ip,sym,dso"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as script:
        assert script.stdout is not None
        yield from parse(script.stdout)
    if script.returncode:
        raise SystemExit(f"{' '.join(command)} failed")


HEAD: Final = "| case | process | CPU us | per cent of it | copies |\n|---|---|---:|---|---:|"


def line(share: Share) -> str:
    """A line of the table: the parts in per cent, the largest first."""
    total = _all(share.parts)
    parts = ((round(100 * count / total), name) for name, count in share.parts.most_common())
    said = ", ".join(f"{name} {part}" for part, name in parts if part and name != COPIES)
    copies = f"{share.parts[COPIES] / total:.0%}"
    return f"| {share.case} | {share.role} | {share.cpu_us:,.3g} | {said} | {copies} |"


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--warp", default="", metavar="PATH", help="warp's program")
    parser.add_argument("--perf", default="perf", metavar="PATH", help="Linux's perf")
    parser.add_argument("--cases", nargs="+", default=[], metavar="PATTERN")
    parser.add_argument("--seconds", type=int, default=6, help="of each case")
    parser.add_argument("--directory", type=Path, default=Path.cwd(), help="where stores are made")
    options = parser.parse_args(argv)
    if shutil.which(options.perf) is None:
        raise SystemExit(f"{options.perf} is missing: it comes with Linux's tools; give its --perf")
    try:
        client = program("warp", options.warp, warp.WARP_IMAGE)
    except Missing as missing:
        raise SystemExit(f"shares: {missing}") from None
    place = Path(tempfile.mkdtemp(prefix="shares-", dir=options.directory))
    try:
        room = shutil.disk_usage(place).free // 2
        run = warp.Run(client, place, options.seconds, room, warp.make_certs(place))
        print(HEAD, flush=True)
        for case in warp.chosen(options.cases):
            print("\n".join(map(line, record(case, run, options.perf))), flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
