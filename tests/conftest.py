"""What all tests share: the seed, the Hypothesis profile, and tests that are coroutines."""

import asyncio
import inspect
import os
import random

import hypothesis
import pytest
import uvloop

hypothesis.settings.register_profile("fastobj", deadline=None, print_blob=True)
hypothesis.settings.load_profile("fastobj")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--seed` repeats a run; the environment variable SEED does the same."""
    default = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32))
    parser.addoption("--seed", type=int, default=default, help="seed of all random choices")


def pytest_report_header(config: pytest.Config) -> str:
    """Name the seed, so that a failure can be repeated."""
    return f"seed: {config.getoption('seed')} (repeat with --seed)"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Name the seed again where a failure is read."""
    if exitstatus == pytest.ExitCode.TESTS_FAILED:
        terminalreporter.write_line(f"seed: {config.getoption('seed')} (repeat with --seed)")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests on a loop of their own, of the kind the server uses."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run."""
    return int(request.config.getoption("seed"))


@pytest.fixture
def rng(seed: int, request: pytest.FixtureRequest) -> random.Random:
    """Random choices that depend on the seed and the test alone, not on the tests before it."""
    return random.Random(f"{seed} {request.node.nodeid}")
