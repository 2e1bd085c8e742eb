"""Folded stacks, one `outer;inner count` a line: own time by function, and an SVG."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final, NamedTuple

_WIDTH: Final = 1600.0
_HEIGHT: Final = 16
_SIGN_WIDTH: Final = 6.6  # of a character in a 11 px font of equal widths
_NARROWEST: Final = 0.3  # what is narrower is not drawn
_LINE: Final = re.compile(r":\d+\)$")
_PYTHON_FRAME: Final = re.compile(r"\.py[:)]")
_PYTHON, _NATIVE = "#f2c45a", "#e8825d"


class Stack(NamedTuple):
    """Frames from the outermost inwards, and in how many samples they stood so."""

    frames: tuple[str, ...]
    count: int


class Box(NamedTuple):
    """A frame of the graph: it begins behind `start` samples, at a depth of 0 or more."""

    name: str
    depth: int
    start: int
    count: int


def parse(text: str) -> list[Stack]:
    """The stacks of a file. Raises ValueError for a line without a count."""
    stacks = []
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        stacks.append(Stack(tuple(frames.split(";")), int(count)))
    return stacks


def own(stacks: Iterable[Stack]) -> Counter[str]:
    """In how many samples each function was the innermost, whatever its line."""
    found: Counter[str] = Counter()
    for stack in stacks:
        found[_LINE.sub(")", stack.frames[-1])] += stack.count
    return found


def boxes(stacks: Iterable[Stack]) -> Iterator[Box]:
    """The frames that neighbours share are one box; stacks stand in alphabetical order."""
    open_boxes: list[tuple[str, int]] = []  # name and start
    place = 0
    for stack in [*sorted(stacks), Stack((), 0)]:
        shared = 0
        for (name, _), frame in zip(open_boxes, stack.frames, strict=False):
            if name != frame:
                break
            shared += 1
        while len(open_boxes) > shared:
            name, start = open_boxes.pop()
            yield Box(name, len(open_boxes), start, place - start)
        open_boxes += [(frame, place) for frame in stack.frames[shared:]]
        place += stack.count


def svg(title: str, stacks: list[Stack]) -> str:
    """A flame graph: the outermost frames at the bottom; a pointer on a box shows its name."""
    total = sum(stack.count for stack in stacks)
    levels = max((len(stack.frames) for stack in stacks), default=0)
    height = (levels + 2) * _HEIGHT
    scale = _WIDTH / max(total, 1)
    drawn = [
        _rectangle(box, scale, height, total)
        for box in boxes(stacks)
        if box.count * scale >= _NARROWEST
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height}"'
            ' font-family="monospace" font-size="11">',
            f'<text x="4" y="12">{escape(title)}: {total} samples</text>',
            *drawn,
            "</svg>\n",
        ]
    )


def _rectangle(box: Box, scale: float, height: int, total: int) -> str:
    x, width = box.start * scale, box.count * scale
    y = height - (box.depth + 1) * _HEIGHT
    fits = int((width - 4) / _SIGN_WIDTH)
    shown = box.name if len(box.name) <= fits else box.name[: fits - 1] + "…"
    text = f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(shown)}</text>' if fits > 2 else ""
    colour = _PYTHON if _PYTHON_FRAME.search(box.name) else _NATIVE
    return (
        f"<g><title>{escape(box.name)}: {box.count / total:.1%}</title>"
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_HEIGHT - 1}" fill="{colour}"/>'
        f"{text}</g>"
    )
