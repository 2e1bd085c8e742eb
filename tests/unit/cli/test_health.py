"""`fastobj health`: its exit status, against servers that answer it over real sockets."""

import http.server
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastobj.cli import health
from fastobj.cli.main import main
from fastobj.testing.process_server import free_port

Capture = pytest.CaptureFixture[str]


class Server(http.server.ThreadingHTTPServer):
    """Answers with one status to the one path that is asked for."""

    status = 200


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers for Server."""

    server: Server

    def do_GET(self) -> None:
        """Answers."""
        self.send_response(self.server.status if self.path == "/health/ready" else 404)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing is logged."""


@contextmanager
def serving(status: int, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on a free port of 127.0.0.1, with TLS where there is a context."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.status = status
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FASTOBJ_ADDRESS", "FASTOBJ_TLS_CERTS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "", "localhost"])
def test_a_ready_server(host: str, capsys: Capture) -> None:
    with serving(200) as port:
        assert main(["health", "--address", f"{host}:{port}"]) == 0
    assert capsys.readouterr().out == f"{host}:{port} is ready\n"


@pytest.mark.parametrize("status", [503, 404, 301, 204])
def test_a_server_that_is_not_ready(status: int, capsys: Capture) -> None:
    with serving(status) as port:
        assert main(["health", "--address", f":{port}"]) == 1
    assert f"is not ready (status {status})" in capsys.readouterr().err


def test_the_address_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(200) as port:
        monkeypatch.setenv("FASTOBJ_ADDRESS", f":{port}")
        assert main(["health"]) == 0


def test_nobody_listens(capsys: Capture) -> None:
    assert main(["health", "--address", f":{free_port()}"]) == 1
    assert "refused" in capsys.readouterr().err


def test_something_else_listens(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer_nonsense, args=(listener,))
        thread.start()
        assert main(["health", "--address", f":{listener.getsockname()[1]}"]) == 1
        thread.join()
    assert "answers no HTTP" in capsys.readouterr().err


def _answer_nonsense(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"220 mail.example.com\r\n")


def test_a_server_that_says_nothing(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_ANSWER_S_MAX", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert main(["health", "--address", f":{listener.getsockname()[1]}"]) == 1
    assert "timed out" in capsys.readouterr().err


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with a certificate that nobody trusts, for another name."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=elsewhere.example"
    places = ["-keyout", str(tmp_path / "private.key"), "-out", str(tmp_path / "public.crt")]
    subprocess.run([*command.split(), *places], check=True, capture_output=True)
    return tmp_path


def test_the_certificate_of_the_own_server_need_not_be_trusted(certificates: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "public.crt", certificates / "private.key")
    with serving(200, context) as port:
        words = ["health", "--address", f":{port}", "--tls-certs", str(certificates)]
        assert main(words) == 0
    with serving(503, context) as port:
        words = ["health", "--address", f":{port}", "--tls-certs", str(certificates)]
        assert main(words) == 1


def test_wrong_settings_are_a_wrong_call() -> None:
    assert main(["health", "--address", "nowhere"]) == 2
