"""Resolves every name below `localhost` to this machine, as RFC 6761 has it and glibc does not.

Python imports this by itself where the folder is on PYTHONPATH: so a client's virtual-host style
needs no name server.
"""

import socket

_getaddrinfo = socket.getaddrinfo


def getaddrinfo(host, *arguments, **more):
    """As socket's, for names below localhost too."""
    if isinstance(host, str) and host.endswith(".localhost"):
        host = "127.0.0.1"
    return _getaddrinfo(host, *arguments, **more)


def resolve_below_localhost():
    """From here on, in this process."""
    socket.getaddrinfo = getaddrinfo


resolve_below_localhost()
