"""The summary of the fuzzers: how many inputs each of them tried."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each test that counted its executions."""
    for report in terminalreporter.getreports("passed"):
        count = dict(getattr(report, "user_properties", ())).get("executions")
        if count is not None and report.when == "call":
            rate = count / max(report.duration, 1e-6)
            line = f"{count:>12,} executions  {rate:>9,.0f}/s  {report.nodeid.split('::')[-1]}"
            terminalreporter.write_line(line)
