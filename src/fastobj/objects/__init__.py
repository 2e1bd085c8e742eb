"""Level 4: S3 meaning without the wire: buckets, objects, listings, and the ledger seam."""
