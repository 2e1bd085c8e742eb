"""nginx and haproxy in front of a server, as lenient as they can be set, on loopback.

Both turn away every path with `smuggled` in it: whatever of that name reaches the store has been
carried past them inside another request. Both keep their connections to the server and share them.
"""

import contextlib
import socket
import subprocess
import time

from fastobj.testing.process_server import free_port
from tests.hardening.smuggling import SMUGGLED
from tools.debian import provide

READY_S_MAX = 20.0

_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  ignore_invalid_headers off; underscores_in_headers on; client_max_body_size 0;
  upstream store {{ server 127.0.0.1:{backend}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      if ($request_uri ~ {denied}) {{ return 403; }}
      proxy_pass http://store; proxy_http_version 1.1;
      proxy_set_header Host $http_host; proxy_set_header Connection "";
      proxy_request_buffering off; proxy_buffering off;
    }}
  }}
}}
"""
_HAPROXY = """
global
  maxconn 64
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend entry
  bind 127.0.0.1:{port}
  option accept-invalid-http-request
  http-request deny if {{ path_sub {denied} }}
  default_backend store
backend store
  option accept-invalid-http-response
  server store 127.0.0.1:{backend}
"""


def _nginx(configuration):
    return [provide("nginx", "nginx"), "-p", configuration.parent, "-c", configuration]


def _haproxy(configuration):
    return [provide("haproxy", "haproxy"), "-db", "-f", configuration]


# Name -> what stands in its configuration, and the command that runs it.
PROXIES = {"nginx": (_NGINX, _nginx), "haproxy": (_HAPROXY, _haproxy)}


@contextlib.contextmanager
def running(name, folder, backend):
    """The port of a proxy in front of the port `backend`."""
    template, command = PROXIES[name]
    port = free_port()
    configuration = folder / f"{name}.conf"
    configuration.write_text(
        template.format(folder=folder, port=port, backend=backend, denied=SMUGGLED)
    )
    log_path = folder / f"{name}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command(configuration), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait_until_it_listens(process, port, log_path)
        yield port
        assert process.poll() is None, log_path.read_text()
    finally:
        process.terminate()
        process.wait(READY_S_MAX)


def _wait_until_it_listens(process, port, log_path):
    deadline = time.monotonic() + READY_S_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the proxy does not listen:\n{log_path.read_text()}") from None
            time.sleep(0.01)
        else:
            return
