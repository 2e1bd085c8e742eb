"""The nearest known name to one that is not known."""

from fastobj.core.nearest import nearest


def test_the_known_name_like_it_is_named() -> None:
    assert nearest("adress", ["address", "region"], "read on") == "; the nearest is 'address'"


def test_without_one_there_is_other_advice() -> None:
    assert nearest("zzz", ["address", "region"], "read on") == "; read on"


def test_a_prefix_that_all_have_makes_none_of_them_alike() -> None:
    names = ["A_LONG_PREFIX_REGION", "A_LONG_PREFIX_WORKERS"]
    assert nearest("A_LONG_PREFIX_QQQ", names, "read on", "A_LONG_PREFIX_") == "; read on"
    found = nearest("A_LONG_PREFIX_REGIN", names, "read on", "A_LONG_PREFIX_")
    assert found == "; the nearest is 'A_LONG_PREFIX_REGION'"
