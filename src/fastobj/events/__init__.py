"""Where events are sent to, one module for each kind of target."""
