"""Level 4: HTTP/1.1 on an event loop. Never sees XML or S3."""
