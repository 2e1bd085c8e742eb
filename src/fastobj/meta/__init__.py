"""Level 2: metadata engines: ordered key-value maps with transactions. Never hears of S3."""
