"""Level 5: work that no request waits for."""
