"""Level 2: where bytes lie: the log, extents, volumes. Never hears of buckets or ETags."""
