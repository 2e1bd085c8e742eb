"""Where metrics are counted: cells that processes share, and the page that shows their sums.

Each process has a row of 64-bit cells and is their only writer, so nothing is locked. A histogram
has a cell for each bucket, one for what is above them all, and one for the sum.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, product

from fastobj.core.metrics import GAUGE, HISTOGRAM, METRICS, Family

Values = Sequence[str]
# What is looked up when somebody asks: label values and figure of each series.
Samples = Iterable[tuple[Values, float]]
Scraped = Mapping[Family, Samples]


def _width(family: Family) -> int:
    return len(family.bounds) + 2 if family.kind == HISTOGRAM else 1


class CellLayout:
    """Which cell is whose. `sets` has the values of each label, by the name of the set."""

    def __init__(self, sets: Mapping[str, Values]) -> None:
        self._starts: dict[Family, int] = {}
        self._labels: dict[Family, list[dict[str, int]]] = {}
        self.cells = 0
        for family in METRICS:
            if family.scraped:
                continue
            places = [
                {value: at for at, value in enumerate(sets[label.values])}
                for label in family.labels
            ]
            self._starts[family] = self.cells
            self._labels[family] = places
            count = 1
            for place in places:
                count *= len(place)
            self.cells += count * _width(family)

    def at(self, family: Family, *values: str) -> int:
        """The first cell of a series. Raises KeyError for a value that is not in its set."""
        places = self._labels[family]
        if not places and not values:
            return self._starts[family]
        index = 0
        for place, value in zip(places, values, strict=True):
            index = index * len(place) + place[value]
        return self._starts[family] + index * _width(family)

    def series(self, family: Family) -> Iterator[tuple[Values, int]]:
        """The label values and the first cell of each series, in the order of cells."""
        at = self._starts[family]
        for values in product(*self._labels[family]):
            yield values, at
            at += _width(family)


class ProcessCells:
    """The row of one process, which alone may write to it.

    `cells` and `layout` are there for whoever counts often and looks its cells up beforehand.
    """

    __slots__ = ("cells", "layout")

    def __init__(self, cells: memoryview, layout: CellLayout) -> None:
        self.cells = cells
        self.layout = layout

    def add(self, family: Family, amount: int, *values: str) -> None:
        """Adds to a counter or a gauge."""
        self.cells[self.layout.at(family, *values)] += amount

    def set(self, family: Family, value: int) -> None:
        """Sets a gauge."""
        self.cells[self.layout.at(family)] = value

    def observe(self, family: Family, value: int, *values: str) -> None:
        """Counts a value in a histogram."""
        at = self.layout.at(family, *values)
        self.cells[at + bisect_left(family.bounds, value)] += 1
        self.cells[at + len(family.bounds) + 1] += value

    def forget_gauges(self) -> None:
        """For a process that has ended: what it was doing is no more, what it counted stays."""
        for family in METRICS:
            if family.kind == GAUGE and not family.scraped:
                self.cells[self.layout.at(family)] = 0


class MetricsPage:
    """The rows of all processes.

    `cells` is a memoryview of format "Q", best of shared memory, with at least `layout.cells`
    cells for each of `slots` processes.
    """

    __slots__ = ("_cells", "_layout", "_slots", "_stride")

    def __init__(self, cells: memoryview, slots: int, layout: CellLayout) -> None:
        self._stride = len(cells) // slots
        if self._stride < layout.cells:
            raise ValueError(f"{len(cells)} cells are too few for {slots} rows")
        self._cells = cells
        self._slots = slots
        self._layout = layout

    def of(self, slot: int) -> ProcessCells:
        """The cells of the process in that slot."""
        start = slot * self._stride
        return ProcessCells(self._cells[start : start + self._stride], self._layout)

    def total(self, family: Family) -> int:
        """The sum over all series and processes; of a histogram, how many values it has counted."""
        sums = self._sums()
        counted = _width(family) - (family.kind == HISTOGRAM)
        return sum(sum(sums[at : at + counted]) for _, at in self._layout.series(family))

    def render(self, scraped: Scraped) -> bytes:
        """All metrics in Prometheus' text format. A series with labels that is zero is left out."""
        sums = self._sums()
        lines: list[str] = []
        for family in METRICS:
            lines.append(f"# HELP {family.name} {family.help}\n")
            lines.append(f"# TYPE {family.name} {family.kind}\n")
            if family.scraped:
                lines += _scraped_lines(family, scraped.get(family, ()))
            else:
                lines += self._lines(family, sums)
        return "".join(lines).encode()

    def _sums(self) -> list[int]:
        """The cells of all processes, added up."""
        stride, used = self._stride, self._layout.cells
        starts = range(0, self._slots * stride, stride)
        rows = (self._cells[at : at + used].tolist() for at in starts)
        return list(map(sum, zip(*rows, strict=True)))

    def _lines(self, family: Family, sums: list[int]) -> Iterator[str]:
        width = _width(family)
        for values, at in self._layout.series(family):
            if values and not any(sums[at : at + width]):
                continue
            if family.kind == HISTOGRAM:
                yield from _histogram_lines(family, values, sums[at : at + width])
            else:
                yield f"{family.name}{_labels(family, values)} {_number(sums[at], family.scale)}\n"


def _scraped_lines(family: Family, samples: Samples) -> Iterator[str]:
    for values, figure in samples:
        yield f"{family.name}{_labels(family, values)} {_number(figure, family.scale)}\n"


def _histogram_lines(family: Family, values: Values, cells: list[int]) -> Iterator[str]:
    name, scale = family.name, family.scale
    labels = _pairs(family, values)
    inner = f"{labels}," if labels else ""
    counts = list(accumulate(cells[:-1]))
    for bound, count in zip(family.bounds, counts, strict=False):
        shown = str(bound) if scale == 1 else f"{bound * scale:g}"
        yield f'{name}_bucket{{{inner}le="{shown}"}} {count}\n'
    yield f'{name}_bucket{{{inner}le="+Inf"}} {counts[-1]}\n'
    yield f"{name}_sum{_labels(family, values)} {_number(cells[-1], scale)}\n"
    yield f"{name}_count{_labels(family, values)} {counts[-1]}\n"


def _pairs(family: Family, values: Values) -> str:
    labels = zip(family.labels, values, strict=True)
    return ",".join(f'{label.name}="{value}"' for label, value in labels)


def _labels(family: Family, values: Values) -> str:
    return f"{{{_pairs(family, values)}}}" if values else ""


def _number(value: float, scale: float) -> str:
    if scale != 1:
        return f"{value * scale:.9f}"
    return f"{value:.3f}" if value % 1 else str(int(value))
