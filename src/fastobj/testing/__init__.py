"""Level 8: contract suites and an in-process server for tests; ships in the wheel."""
