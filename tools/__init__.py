"""The project's own tools: run one as `python -m tools.<name>` from the root of the checkout."""
