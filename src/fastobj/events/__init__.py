"""Level 2: where events are sent to, one module for each kind of target."""
