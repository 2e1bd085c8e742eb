"""Level 5: the S3 wire: operation table, router, dispatch, signatures, XML, handlers."""
