"""A secret does not show itself."""

import pickle

import pytest

from fastobj.core.secret import Secret


def test_it_is_hidden_wherever_it_may_be_printed():
    secret = Secret(b"very secret bytes")
    for text in (repr(secret), str(secret), f"{secret}", f"{[secret]}"):
        assert text in ("Secret(hidden)", "[Secret(hidden)]")


def test_it_is_not_written():
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(Secret(b"x"))


def test_it_is_compared_by_value_and_is_in_no_table():
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"
    with pytest.raises(TypeError):
        hash(Secret(b"a"))
