"""What the tests of background work share."""

import logging

import pytest


@pytest.fixture
def errors(caplog):
    """The lines at error level."""
    caplog.set_level(logging.INFO)
    return lambda: [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
