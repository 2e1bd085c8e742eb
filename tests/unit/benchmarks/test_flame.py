"""Folded stacks: own time by function, and the boxes of the graph."""

from xml.etree import ElementTree

import pytest

from benchmarks._flame import Box, Stack, boxes, own, parse, svg

FOLDED = "main (a.py:1);f (a.py:2) 3\nmain (a.py:1) 2\nmain (a.py:1);f (a.py:2);c (k.c:7) 4\n"


def test_lines_are_read_with_blanks_in_names() -> None:
    assert parse(FOLDED)[2] == Stack(("main (a.py:1)", "f (a.py:2)", "c (k.c:7)"), 4)
    with pytest.raises(ValueError, match="invalid literal"):
        parse("main;f x")


def test_own_time_is_that_of_the_innermost_whatever_its_line() -> None:
    more = [*parse(FOLDED), Stack(("main (a.py:1)", "c (k.c:8)"), 10)]
    assert own(more) == {"f (a.py)": 3, "main (a.py)": 2, "c (k.c)": 14}


def test_what_neighbours_share_is_one_box() -> None:
    found = set(boxes(parse(FOLDED)))
    assert found == {
        Box("main (a.py:1)", 0, 0, 9),
        Box("f (a.py:2)", 1, 2, 7),
        Box("c (k.c:7)", 2, 5, 4),
    }


def test_a_name_at_two_places_is_two_boxes() -> None:
    found = sorted(boxes([Stack(("a", "x"), 1), Stack(("b", "x"), 2)]))
    assert found == [Box("a", 0, 0, 1), Box("b", 0, 1, 2), Box("x", 1, 0, 1), Box("x", 1, 1, 2)]


def test_the_graph_is_xml_with_a_box_for_each() -> None:
    stacks = [*parse(FOLDED), Stack(("<module> (a&b.py:1)",), 1)]
    root = ElementTree.fromstring(svg("a <case>", stacks))
    titles = [one.text for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert sorted(titles) == [
        "<module> (a&b.py:1): 10.0%",
        "c (k.c:7): 40.0%",
        "f (a.py:2): 70.0%",
        "main (a.py:1): 90.0%",
    ]
    widths = [float(one.get("width", 0)) for one in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert sorted(widths) == [160.0, 640.0, 1120.0, 1440.0]
