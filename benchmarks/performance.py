"""docs/performance.md: what warp measured, next to the targets and to what the machine allows.

    python -m benchmarks.performance FIGURES.json ... [--without-discard FILE.json] [--update]

The figures are those that `benchmarks.warp --json` keeps; where several files have a case, the last
one's count. The bounds are measured now, on the same machine, or are those that the document has.
`--update` writes the tables between their marks in the document.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import limits, warp
from benchmarks.limits import GIB, KIB, MIB, Bound

DOCUMENT: Final = Path(__file__).parents[1] / "docs/performance.md"
_BATCH: Final = 100  # keys in one request of warp's deletions


class Target(NamedTuple):
    """What a case is to reach over MinIO: operations, and CPU of the server per operation."""

    seen: float
    cpu: float


# The first pattern that matches a case's name is its target; a case without one has none.
TARGETS: Final[tuple[tuple[str, Target], ...]] = (
    (r"put-[14]KiB-c1", Target(4, 15)),
    (r"put-4KiB-c(20|64)", Target(5, 15)),
    (r"put-64KiB-c20", Target(3.5, 8)),
    (r"put-1MiB-c20", Target(2, 4)),
    (r"put-10MiB-c20-unsigned", Target(2.5, 4)),
    (r"put-10MiB-c20|put-64MiB-c4", Target(2, 4)),
    (r"multipart-put-5MiB", Target(1.8, 4)),
    (r"get-4KiB-c(1|20|64)", Target(2.2, 8)),
    (r"get-1MiB-c20|get-10MiB-c20-range1MiB", Target(1.6, 3.5)),
    (r"get-10MiB-c20", Target(1.4, 2.5)),
    (r"stat-1KiB-c\d+", Target(2.2, 8)),
    (r"list-1KiB-c\d+", Target(2.3, 25)),
    (r"delete-1KiB-c\d+", Target(6, 10)),
    (r"mixed-4KiB-c20", Target(3, 8)),
    (r"mixed-1MiB-c20", Target(1.8, 3)),
)


def target_of(case: str) -> Target | None:
    """The target of a case, if it has one."""
    return next((target for name, target in TARGETS if re.fullmatch(name, case)), None)


# What keeps a row below its targets, by the first pattern that matches the case: names of sections
# of the document, below `LIMITS_HEADING`.
LIMITS_HEADING: Final = "## What limits the rows below their targets"
LIMITS: Final[tuple[tuple[str, str], ...]] = (
    (r"put-[14]KiB-c1", "commit of one"),
    (r"put-.*KiB-c\d+", "interpreter"),
    (r"put-.*MiB-.*|multipart-put-.*", "bytes"),
    (r"get-.*KiB-c\d+|stat-.*", "interpreter"),
    (r"get-.*MiB-.*", "kernel copies"),
    (r"list-.*", "rows as objects"),
    (r"delete-.*", "rows as objects"),
    (r"mixed-4KiB-.*", "interpreter"),
    (r"mixed-1MiB-.*", "bytes"),
)


def limit_of(case: str) -> str:
    """What limits a case."""
    return next(limit for name, limit in LIMITS if re.fullmatch(name, case))


def _size_bytes(arguments: str) -> int:
    """What one operation moves: a range, where the case asks for ranges."""
    found = re.search(r"--range-size (\d+)([KM])iB", arguments)
    found = found or re.search(r"--(?:obj|part)\.size (\d+)([KM])iB", arguments)
    assert found, f"no size in {arguments!r}"
    return int(found[1]) * {"K": KIB, "M": MIB}[found[2]]


def _concurrency(arguments: str) -> int:
    product = 1
    for number in re.findall(r"--(?:part\.)?concurrent (\d+)", arguments):
        product *= int(number)
    return product


def bounds(
    arguments: str, client_s_per_1000: float, machine: Mapping[str, Bound]
) -> Iterator[Bound]:
    """What each resource alone would allow in this case, in operations per second.

    The client has the whole machine in the first of them. Writes wait for one sync each, which
    can serve all that wait with them.
    """
    verb, concurrency = arguments.split()[0], _concurrency(arguments)
    cores = os.cpu_count() or 1
    yield Bound("client CPU", cores * 1000 / client_s_per_1000, "/s")
    syncs = machine["fdatasync of 4 KiB"].per_second
    trips = machine["loopback round trip"].per_second
    if verb == "delete":
        yield Bound("syncs", concurrency * syncs * _BATCH, "/s")
        return
    if verb in ("stat", "list"):
        keys = _BATCH if verb == "list" else 1
        yield Bound("round trips", concurrency * trips * keys, "/s")
        return
    size = _size_bytes(arguments)
    yield Bound("loopback", machine["loopback"].per_second * GIB / size, "/s")
    if verb in ("put", "multipart-put"):
        yield Bound("syncs", concurrency / (1 / syncs + 1 / trips), "/s")
        yield Bound("disk", machine["write, over"].per_second * MIB / size, "/s")
    else:
        yield Bound("round trips", concurrency * trips, "/s")


class Row(NamedTuple):
    """One case: what both came to, and the bound that is nearest."""

    case: str
    commit: str
    rounds: int
    ours: Mapping[str, float]
    theirs: Mapping[str, float]
    spread: float
    bound: Bound
    target: Target | None

    @property
    def seen(self) -> float:
        """How many times MinIO's operations."""
        return self.ours["operations"] / self.theirs["operations"]

    @property
    def cpu(self) -> float:
        """How many times less CPU per operation."""
        return self.theirs["cpu_s_per_1000"] / self.ours["cpu_s_per_1000"]

    @property
    def limit(self) -> str:
        """What keeps it below a target; empty where it has reached all that it has."""
        if self.target is None or (self.seen >= self.target.seen and self.cpu >= self.target.cpu):
            return ""
        return limit_of(self.case)


def merged(files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One file of figures of several: of a case the last, each with what it was measured at."""
    cases: dict[str, Any] = {}
    for kept in files:
        # Files of an earlier form say it once for all of their cases, each of one round.
        shared = {key: kept[key] for key in ("versions", "date") if key in kept}
        for case, found in kept["cases"].items():
            cases[case] = {"rounds": 1, **shared, **found}
    return {"cases": cases}


def rows(kept: Mapping[str, Any], machine: Mapping[str, Bound]) -> Iterator[Row]:
    """The rows of a file of figures."""
    for case, found in kept["cases"].items():
        ours, theirs = found["fastobj"], found["minio"]
        client = ours["client_cpu_s_per_1000"]
        nearest = min(
            bounds(found["arguments"], client, machine), key=lambda bound: bound.per_second
        )
        commit = found["versions"][0].removeprefix("fastobj ")
        target = target_of(case)
        yield Row(case, commit, found["rounds"], ours, theirs, found["spread"], nearest, target)


_HEAD: Final = (
    "case",
    "fastobj/s",
    "MinIO/s",
    "seen (target)",
    "CPU (target)",
    "p50 ms",
    "p99 ms",
    "CPU us: fastobj, MinIO",
    "peak MiB",
    "of its bound",
    "limited by",
    "commit, rounds",
)


def _against(found: float, wanted: float | None) -> str:
    if wanted is None:
        return f"{found:.2f} x"
    ratio = f"{found:.2f} x"
    return f"{f'**{ratio}**' if found >= wanted else ratio} ({wanted:g})"


def _pair(row: Row, figure: str, scale: float = 1.0) -> str:
    return f"{row.ours[figure] * scale:,.4g}, {row.theirs[figure] * scale:,.4g}"


def line(row: Row) -> str:
    """The row as Markdown. A ratio in bold has reached its target."""
    seen, cpu = row.target or (None, None)
    part = row.ours["operations"] / row.bound.per_second
    errors = int(row.ours["errors"] + row.theirs["errors"])
    cells = (
        row.case + (f" ({errors} errors)" if errors else ""),
        f"{row.ours['operations']:,.0f}",
        f"{row.theirs['operations']:,.0f}{f' ± {row.spread:.0%}' if row.spread else ''}",
        _against(row.seen, seen),
        _against(row.cpu, cpu),
        _pair(row, "p50_ms"),
        _pair(row, "p99_ms"),
        _pair(row, "cpu_s_per_1000", 1000),
        _pair(row, "memory_mib"),
        f"{part:.0%} of {row.bound.name}",
        row.limit,
        f"{row.commit}, {row.rounds}",
    )
    return "| " + " | ".join(cells) + " |"


def table(kept: Mapping[str, Any], machine: Mapping[str, Bound]) -> str:
    """All rows as Markdown in the order of warp's cases, with dates and versions above them."""
    order = [case.name for case in warp.CASES]
    cases = dict(sorted(kept["cases"].items(), key=lambda pair: order.index(pair[0])))
    dates = sorted({found["date"] for found in cases.values()})
    others = sorted({version for found in cases.values() for version in found["versions"][1:]})
    said = f"{' and '.join(dates)}; {'; '.join(others)}"
    head = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    return "\n".join([said, "", *head, *map(line, rows({"cases": cases}, machine))])


def machine_table(measured: Mapping[str, Bound]) -> str:
    """The machine, and what it can do."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    named = f"{os.cpu_count()} cores, {model[1] if model else platform.machine()}"
    said = f"{named}, Linux {platform.release()}, Python {platform.python_version()}"
    head = [said, "", "| bound | per second |", "|---|---|"]
    lines = [f"| {one.name} | {one.per_second:,.4g} {one.unit} |" for one in measured.values()]
    return "\n".join([*head, *lines])


def documented(text: str) -> dict[str, Bound]:
    """The bounds that the document has, by name."""
    _, _, rest = text.partition("| bound | per second |")
    found = re.findall(r"^\| ([^|]+) \| ([\d,.e+]+) (\S+) \|$", rest, re.MULTILINE)
    return {name: Bound(name, float(rate.replace(",", "")), unit) for name, rate, unit in found}


def replaced(text: str, mark: str, content: str) -> str:
    """The document with other content between `<!-- mark -->` and `<!-- end of mark -->`."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    before, found, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise SystemExit(f"{DOCUMENT} lacks {begin} or {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"


def read(paths: Iterable[Path]) -> dict[str, Any]:
    """The figures of some files as one."""
    return merged([json.loads(path.read_text()) for path in paths])


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", type=Path, nargs="+", metavar="FIGURES.json")
    parser.add_argument("--without-discard", type=Path, metavar="FILE.json")
    parser.add_argument(
        "--same-bounds", action="store_true", help="take the bounds that the document has"
    )
    parser.add_argument("--update", action="store_true", help=f"write {DOCUMENT.name}")
    parser.add_argument("--directory", type=Path, default=Path.cwd(), help="on the disk measured")
    return parser.parse_args()


def main() -> None:
    """Prints the tables, or writes them into the document."""
    options = parse()
    tables = {}
    if options.same_bounds:
        machine = documented(DOCUMENT.read_text())
    else:
        machine = {bound.name: bound for bound in limits.measured(options.directory)}
        tables["machine"] = machine_table(machine)
    tables["warp"] = table(read(options.figures), machine)
    if options.without_discard:
        tables["warp without discard"] = table(read([options.without_discard]), machine)
    if not options.update:
        print("\n\n".join(tables.values()))
        return
    text = DOCUMENT.read_text()
    for mark, content in tables.items():
        text = replaced(text, mark, content)
    DOCUMENT.write_text(text)
    print(f"{DOCUMENT}: {', '.join(tables)}", file=sys.stderr)


if __name__ == "__main__":
    main()
