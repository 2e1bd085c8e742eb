"""MinIO's own benchmark, warp, against fastobj and MinIO by turns on this machine.

Each run has a server of its own on a fresh directory, which is removed behind it, so that no
target pays for what another left. Targets alternate within a case; a case's figure is the median
of its rounds. CPU is that of a server's whole tree of processes within warp's measured window.

    python -m benchmarks.warp --warp PATH --minio PATH [--cases 'put-4KiB-*'] [--rounds 2]

`--json FILE` keeps the figures, for benchmarks.performance to make docs/performance.md of.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import math
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks._server import ACCESS_KEY, SECRET_KEY
from benchmarks._targets import Fastobj, Minio, Missing, Target, program
from benchmarks._tree import Watch, repeating, watching

KIB, MIB = 1024, 1024 * 1024
WARP_IMAGE = "minio/warp"
MINIO_IMAGE = "minio/minio"
_DISK_SHARE = 10  # a run may fill this fraction of what is free
_WAIT_S = 0.5


class Case(NamedTuple):
    """One row: warp's command, and the bytes that it prepares before it measures."""

    name: str
    arguments: str
    prepared_bytes: int = 0
    tls: bool = False


def _sized(verb: str, size: str, concurrency: int, more: str = "", objects: int = 0) -> Case:
    number, unit = int(size[:-3]), size[-3:]
    prepared = objects * number * {"KiB": KIB, "MiB": MIB}[unit]
    count = f" --objects {objects}" if objects else ""
    arguments = f"{verb} --obj.size {size} --concurrent {concurrency}{count} {more}"
    return Case(f"{verb}-{size}-c{concurrency}", arguments.strip(), prepared)


def _cases() -> Iterator[Case]:
    """The table: sizes by concurrency, then what differs from it."""
    for size in ("1KiB", "4KiB", "64KiB", "1MiB"):
        for concurrency in (1, 20, 64):
            yield _sized("put", size, concurrency)
    for size in ("10MiB", "64MiB", "100MiB"):
        for concurrency in (1, 20) if size == "10MiB" else (4,):
            yield _sized("put", size, concurrency)
    large = _sized("put", "10MiB", 20)
    yield large._replace(
        name="put-10MiB-c20-unsigned", arguments=f"{large.arguments} --disable-sha256-payload"
    )
    single = _sized("put", "64MiB", 4)
    yield single._replace(
        name="put-64MiB-c4-single", arguments=f"{single.arguments} --disable-multipart"
    )
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        yield large._replace(
            name=f"put-10MiB-c20-{algorithm.lower()}",
            arguments=f"{large.arguments} --checksum {algorithm}",
        )
    yield large._replace(name="put-10MiB-c20-tls", tls=True)
    yield Case(
        "multipart-put-5MiB",
        "multipart-put --parts 20 --part.size 5MiB --part.concurrent 4 --concurrent 4",
    )
    for size, objects in (("4KiB", 1000), ("64KiB", 1000), ("1MiB", 1000), ("10MiB", 200)):
        for concurrency in (1, 20, 64) if size[-3:] == "KiB" else (1, 20):
            yield _sized("get", size, concurrency, objects=objects)
    ranges = _sized("get", "10MiB", 20, objects=200)
    yield ranges._replace(
        name="get-10MiB-c20-range1MiB", arguments=f"{ranges.arguments} --range-size 1MiB"
    )
    yield ranges._replace(name="get-10MiB-c20-tls", tls=True)
    for concurrency, deleted in ((1, 20_000), (20, 60_000), (64, 60_000)):
        yield _sized("stat", "1KiB", concurrency, objects=2000)
        yield _sized("list", "1KiB", concurrency, objects=10_000)
        # As many as are gone in some seconds: one client prepares them one at a time.
        yield _sized("delete", "1KiB", concurrency, "--batch 100", objects=deleted)
    yield _sized("mixed", "4KiB", 20, objects=2000)
    yield _sized("mixed", "1MiB", 20, objects=500)


CASES = tuple(_cases())


class Figures(NamedTuple):
    """What one run came to. Rates are per second; CPU is of the server unless said."""

    operations: float
    mib: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    errors: int
    cpu_s_per_1000: float
    cpu_s_per_gib: float
    client_cpu_s_per_1000: float
    memory_mib: float


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# What warp counts in a report, by the first word of its arguments; all that it did, for others.
# Preparation can leak into a report (one PUT in one of 44 runs), which would stretch its window.
_OPERATIONS = {
    "put": ("PUT",),
    "get": ("GET",),
    "stat": ("STAT",),
    "list": ("LIST",),
    "delete": ("DELETE",),
    "multipart-put": ("PUTPART",),
}
_PERCENTILES = ("dur_median_millis", "dur_90_millis", "dur_99_millis")


def measured(case: Case, report: dict[str, Any]) -> list[dict[str, Any]]:
    """What the case is about in warp's report, by kind of operation."""
    found = report["by_op_type"]
    return [found[name] for name in _OPERATIONS.get(case.arguments.split()[0], tuple(found))]


def window(wanted: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Begin and end of these operations, by the wall clock."""
    start = min(_moment(one["start_time"]) for one in wanted)
    return start, max(_moment(one["end_time"]) for one in wanted)


def figures(case: Case, report: dict[str, Any], server: Watch, client: Watch) -> Figures:
    """A run's figures from warp's report and the samples of both sides."""
    wanted = measured(case, report)
    start, end = window(wanted)
    # Objects: those of a listing or of a deletion are many to a request.
    count = sum(one["total_objects"] for one in wanted)
    size = sum(one["total_bytes"] for one in wanted)
    used = server.used(start, end)
    return Figures(
        count / (end - start),
        size / MIB / (end - start),
        *(_mean_of(wanted, percentile) for percentile in _PERCENTILES),
        sum(one["total_errors"] for one in wanted),
        used / count * 1000,
        used / size * 1024 * MIB if size else math.nan,
        client.used(start, end) / count * 1000,
        server.memory_bytes_max / MIB,
    )


def _mean_of(operations: Sequence[dict[str, Any]], percentile: str) -> float:
    """Over all clients and kinds of request, each weighed by how many it sent."""
    total = weight = 0.0
    for operation in operations:
        for segments in (operation["requests_by_client"] or {}).values():
            for segment in segments:
                single = segment.get("single_sized_requests") or {"requests": 0}
                total += single.get(percentile, 0.0) * single["requests"]
                weight += single["requests"]
    return total / weight if weight else math.nan


class Run(NamedTuple):
    """What every run of this invocation shares."""

    warp: list[str]
    place: Path
    seconds: int
    room_bytes: int
    certs: Path


def run_case(case: Case, target: Target, run: Run) -> Figures:
    """One run of a case on a server of its own."""
    directory = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=run.place))
    endpoint = target.start(directory / "store", run.certs if case.tls else None)
    try:
        server = Watch(target.root)
        warp = start_warp(case, endpoint, run, directory)
        with watching(server, client := Watch(lambda: warp.pid)), bounded(warp, run):
            output, errors = warp.communicate()
        if warp.returncode:
            raise SystemExit(
                f"{case.name} on {target.name}: warp failed:\n{errors}{output[-2000:]}"
            )
        return figures(case, json.loads(output[output.index("{") :]), server, client)
    finally:
        target.stop()
        shutil.rmtree(directory, ignore_errors=True)


def start_warp(case: Case, endpoint: str, run: Run, directory: Path) -> subprocess.Popen[str]:
    """Starts warp on a case; it prints its report as JSON."""
    arguments = [
        *case.arguments.split(),
        *("--host", endpoint, "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY),
        *("--bucket", "warp-benchmark", "--duration", f"{run.seconds}s", "--noclear"),
        *("--json", "--no-color", "--benchdata", str(directory / "benchdata")),
        *(("--tls", "--insecure") if case.tls else ()),
    ]
    return subprocess.Popen(
        [*run.warp, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def bounded(warp: subprocess.Popen[str], run: Run) -> AbstractContextManager[None]:
    """Interrupts warp, which then reports what it has, once the run has filled its share."""
    least = shutil.disk_usage(run.place).free - run.room_bytes

    def look(_: int) -> bool:
        if shutil.disk_usage(run.place).free >= least:
            return True
        print("  (cut: its share of the disk is full)", file=sys.stderr)
        warp.send_signal(signal.SIGINT)
        return False

    return repeating(_WAIT_S, look)


def median(rounds: Sequence[Figures]) -> Figures:
    """Each figure's median over the rounds; errors are summed."""
    found = Figures(*(statistics.median(column) for column in zip(*rounds, strict=True)))
    return found._replace(errors=sum(one.errors for one in rounds))


_HEAD = (
    "case",
    "target",
    "ops/s",
    "MiB/s",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "errors",
    "CPU-s/1000",
    "CPU-s/GiB",
    "client CPU-s/1000",
    "peak MiB",
)


def show(case: Case, found: dict[str, list[Figures]]) -> None:
    """The rows of a case, and the ratio of the first target to each other one."""
    medians = {name: median(rounds) for name, rounds in found.items()}
    for name, one in medians.items():
        cells = [case.name, name, *map(_cell, one)]
        print("| " + " | ".join(cells) + " |", flush=True)
    first, *others = medians
    for other in others:
        mine, theirs = medians[first], medians[other]
        ratios = {
            "ops/s": mine.operations / theirs.operations,
            "p50 ms": theirs.p50_ms / mine.p50_ms,
            "p99 ms": theirs.p99_ms / mine.p99_ms,
            "CPU-s/1000": theirs.cpu_s_per_1000 / mine.cpu_s_per_1000,
            "peak MiB": theirs.memory_mib / mine.memory_mib,
        }
        cells = [f"{ratios[name]:.2f} x" if name in ratios else "" for name in _HEAD[2:]]
        spread = max(map(_spread, found.values()))
        row = [case.name, f"{first} over {other} (± {spread:.0%})", *cells]
        print("| " + " | ".join(row) + " |", flush=True)


def _spread(rounds: Sequence[Figures]) -> float:
    """Half the distance between the best and the worst round, in parts of their mean."""
    rates = [one.operations for one in rounds]
    return (max(rates) - min(rates)) / 2 / statistics.mean(rates)


def _cell(number: float) -> str:
    if math.isnan(number):  # warp did not tell
        return ""
    return f"{number:,.0f}" if abs(number) >= 100 or number == int(number) else f"{number:.3g}"


def make_certs(place: Path) -> Path:
    """A certificate of its own making, in the folder that both servers understand."""
    folder = place / "certs"
    folder.mkdir()
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "private.key"), "-out", str(folder / "public.crt")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def chosen(patterns: Sequence[str]) -> list[Case]:
    """The cases whose names match one of the patterns, or all."""
    found = [x for x in CASES if not patterns or any(fnmatch.fnmatch(x.name, p) for p in patterns)]
    if not found:
        raise SystemExit(f"no case is called {' or '.join(patterns)}: --list names them")
    return found


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--warp", default="", metavar="PATH", help="warp's program")
    parser.add_argument("--minio", default="", metavar="PATH", help="MinIO's program")
    parser.add_argument(
        "--minio-version", default="", metavar="TEXT", help="what --json says of it"
    )
    parser.add_argument("--warp-version", default="warp", metavar="TEXT", help="likewise")
    parser.add_argument("--without-minio", action="store_true", help="measure fastobj alone")
    parser.add_argument("--cases", nargs="+", default=[], metavar="PATTERN")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=10, help="of each run")
    parser.add_argument("--workers", type=int, default=0, help="fastobj's (0: its default)")
    parser.add_argument("--directory", type=Path, default=Path.cwd(), help="where stores are made")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the figures to this file")
    return parser.parse_args(argv)


def main() -> None:
    """Runs the cases and prints a table."""
    options = parse()
    cases = chosen(options.cases)
    if options.list:
        print("\n".join(f"{case.name:28} warp {case.arguments}" for case in cases))
        return
    try:
        warp = program("warp", options.warp, WARP_IMAGE)
        targets: list[Target] = [Fastobj(options.workers)]
        if not options.without_minio:
            command = program("minio", options.minio, MINIO_IMAGE)
            targets.append(Minio(command, options.minio_version))
    except Missing as missing:
        raise SystemExit(f"warp benchmark: {missing}") from None
    place = Path(tempfile.mkdtemp(prefix="warp-benchmark-", dir=options.directory))
    try:
        room = shutil.disk_usage(place).free // _DISK_SHARE
        run = Run(warp, place, options.seconds, room, make_certs(place))
        versions = [*(target.version() for target in targets), options.warp_version]
        kept = Kept(options.json, versions, options.seconds) if options.json else None
        compare(cases, targets, run, options.rounds, kept)
    finally:
        shutil.rmtree(place, ignore_errors=True)


class Kept:
    """A file of figures: of each case the latest, by target, with what it was measured at."""

    def __init__(self, path: Path, versions: list[str], seconds: int) -> None:
        self._path = path
        self._kept: dict[str, Any] = {"cases": {}}
        if path.exists():
            self._kept = json.loads(path.read_text())
        self._measured = {
            "versions": versions,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "seconds": seconds,
        }

    def add(self, case: Case, found: dict[str, list[Figures]]) -> None:
        """Writes the case's medians down at once: what comes behind it may be cut off."""
        medians = {name: median(rounds)._asdict() for name, rounds in found.items()}
        spread = max(map(_spread, found.values()))
        self._kept["cases"][case.name] = {
            "arguments": case.arguments,
            "spread": spread,
            "rounds": max(map(len, found.values())),
            **self._measured,
            **medians,
        }
        self._path.write_text(json.dumps(self._kept, indent=1) + "\n")


def compare(
    cases: Sequence[Case],
    targets: Sequence[Target],
    run: Run,
    rounds: int,
    kept: Kept | None = None,
) -> None:
    """Each case on all targets by turns."""
    print(f"# {', '.join(target.version() for target in targets)}; {rounds} x {run.seconds} s")
    print("| " + " | ".join(_HEAD) + " |\n|" + "---|" * len(_HEAD))
    for case in cases:
        if case.prepared_bytes > run.room_bytes:
            print(f"| {case.name} | left out: it needs {case.prepared_bytes >> 20} MiB |")
            continue
        found: dict[str, list[Figures]] = {target.name: [] for target in targets}
        for _ in range(rounds):
            for target in targets:
                found[target.name].append(run_case(case, target, run))
        show(case, found)
        if kept is not None:
            kept.add(case, found)


if __name__ == "__main__":
    main()
