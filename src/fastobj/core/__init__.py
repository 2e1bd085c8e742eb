"""Level 1: what every layer shares: limits, errors, the operation row, clock, settings, log."""
