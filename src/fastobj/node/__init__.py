"""Level 7: the processes of a server, and the only place that wires all layers together."""
