"""Handlers, found by operation name: `PutObject` is `put_object` in exactly one module here."""
