"""Two servers of Transit, each a process of its own: a small one of ours, and OpenBao.

Ours speaks what HashiCorp publishes of the API, with real AES-GCM, and has faults on demand. It is
there in every run; OpenBao where the variable OPENBAO names its program. A test that needs no
faults takes either.
"""

import argparse
import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64decode, b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fastobj.testing.process_server import free_port

ROOT_TOKEN = "root-token-of-tests"
ROOT = Path(__file__).resolve().parent.parent
READY_S_MAX = 30.0


# --- as tests use them


class Vault:
    """A server that runs: `endpoint`, and what its operator does to it."""

    def __init__(self, command, endpoint, log, authority=None):
        self._command, self._log, self._authority = command, log, authority
        self.endpoint = endpoint
        self.process = None

    def start(self):
        """Starts it, and waits until it answers."""
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_S_MAX
        while True:
            try:
                self.ask("GET", "sys/health")
                return
            except OSError:
                assert self.process.poll() is None, Path(self._log).read_text()
                assert time.monotonic() < deadline, "the server of Transit is not ready"
                time.sleep(0.02)

    def stop(self):
        """Ends it; what it knows may be lost."""
        self.process.kill()
        self.process.wait()

    def ask(self, method, path, document=None, token=ROOT_TOKEN):
        """What the operator asks; returns the document."""
        request = urllib.request.Request(
            f"{self.endpoint}/v1/{path}",
            None if document is None else json.dumps(document).encode(),
            {"X-Vault-Token": token},
            method=method,
        )
        trust = self._authority and ssl.create_default_context(cafile=self._authority)
        with urllib.request.urlopen(request, timeout=10, context=trust) as response:
            return json.loads(response.read() or b"{}")

    def fault(self, **fault):
        """Has ours fail from now on: see `_Handler._fails`."""
        self.ask("POST", "fault", fault)

    def asked(self):
        """Method and path of each request to ours, without those of the operator."""
        return [tuple(one) for one in self.ask("GET", "asked")["asked"]]


@contextmanager
def ours(folder, certs=None):
    """A small server; what it knows survives its end."""
    port = free_port()
    command = [sys.executable, "-m", "tests.transit", str(port), str(folder / "transit.json")]
    scheme, authority = "http", None
    if certs is not None:
        command += ["--certs", str(certs)]
        scheme, authority = "https", certs / "public.crt"
    server = Vault(command, f"{scheme}://127.0.0.1:{port}", folder / "transit.log", authority)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def openbao(folder):
    """OpenBao, in memory, with Transit and AppRole; without its program the test is skipped."""
    if "OPENBAO" not in os.environ:
        import pytest  # only here: our server is a process that has no use for it

        pytest.skip("OpenBao is not here: set OPENBAO to the path of its program, bao")
    port = free_port()
    command = [
        *(os.environ["OPENBAO"], "server", "-dev", "-dev-no-store-token"),
        *(f"-dev-root-token-id={ROOT_TOKEN}", f"-dev-listen-address=127.0.0.1:{port}"),
    ]
    server = Vault(command, f"http://127.0.0.1:{port}", folder / "openbao.log")
    server.start()
    try:
        server.ask("POST", "sys/mounts/transit", {"type": "transit"})
        server.ask("POST", "sys/auth/approle", {"type": "approle"})
        yield server
    finally:
        server.stop()


POLICY = """
path "transit/encrypt/*" { capabilities = ["update"] }
path "transit/decrypt/*" { capabilities = ["update"] }
path "transit/rewrap/*" { capabilities = ["update"] }
path "transit/keys/*" { capabilities = ["read"] }
"""


def make_role(server, ttl_s):
    """A role of AppRole with the policy that a server needs; its id and a secret id."""
    server.ask("PUT", "sys/policy/fastobj", {"policy": POLICY})
    role = {"token_policies": "fastobj", "token_ttl": f"{ttl_s}s", "token_max_ttl": "1h"}
    server.ask("POST", "auth/approle/role/fastobj", role)
    role_id = server.ask("GET", "auth/approle/role/fastobj/role-id")["data"]["role_id"]
    made = server.ask("POST", "auth/approle/role/fastobj/secret-id", {})
    return role_id, made["data"]["secret_id"]


# --- ours, in its process


class _Refused(Exception):
    def __init__(self, status, *errors):
        self.status, self.errors = status, errors


class _State:
    """Keys, roles, tokens, and how to fail; keys and roles are in a file as well."""

    def __init__(self, path):
        self.path = path
        self.keys, self.roles = json.loads(path.read_text()) if path.exists() else ({}, {})
        self.tokens = {}  # token -> when it ends
        self.fault = {}
        self.asked = []

    def save(self):
        self.path.write_text(json.dumps([self.keys, self.roles]))

    def key(self, name, is_needed=True):
        if name not in self.keys and is_needed:
            raise _Refused(400, "encryption key not found")
        return self.keys.get(name)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: _State

    def log_message(self, *words):
        pass

    def _answer_any(self):
        length = int(self.headers.get("content-length", 0))
        document = json.loads(self.rfile.read(length) or b"{}")
        path = self.path.removeprefix("/v1/")
        if path == "fault":
            self.state.fault = document
            return self._send(204)
        if path == "asked":
            return self._send(200, {"asked": self.state.asked})
        token = self.headers.get("X-Vault-Token", "")
        if token != ROOT_TOKEN:  # else it is the operator
            self.state.asked.append([self.command, path])
            if self._fails():
                return None
        try:
            self._send(200, self._do(path, document, token))
        except _Refused as refused:
            self._send(refused.status, {"errors": list(refused.errors)})
        return None

    do_GET = do_POST = do_PUT = do_LIST = _answer_any

    def _fails(self):
        """`status`: answers it; `hang`: says nothing so long; `cut`: ends; `body`: says that.

        `times`: so often, else until told otherwise.
        """
        fault = self.state.fault
        if not fault:
            return False
        if "times" in fault:
            fault["times"] -= 1
            if fault["times"] < 0:
                return False
        if "hang" in fault:
            time.sleep(fault["hang"])
        if "cut" in fault:
            self.close_connection = True
        elif "body" in fault:
            self._send(200, raw=fault["body"].encode() * fault.get("repeat", 1))
        else:
            self._send(fault.get("status", 500), {"errors": ["on purpose"]})
        return True

    def _send(self, status, document=None, raw=None):
        body = raw if raw is not None else json.dumps(document).encode() if document else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:  # the client has left
            self.close_connection = True

    # --- what is asked

    def _do(self, path, document, token):
        if path == "sys/health":
            return {"sealed": False}
        if path == "auth/approle/login":
            return self._log_in(document)
        if token != ROOT_TOKEN and self.state.tokens.get(token, 0) < time.monotonic():
            raise _Refused(403, "permission denied")
        for pattern, method in _PATHS:
            match = re.fullmatch(pattern, path)
            if match:
                return getattr(self, method)(document, token, *match.groups())
        raise _Refused(404, f"no handler for route {path!r}")

    def _log_in(self, document):
        secret_id, ttl_s = self.state.roles.get(document["role_id"], ("", 0))
        if not secret_id or secret_id != document["secret_id"]:
            raise _Refused(400, "invalid role or secret ID")
        return self._auth(f"s.{os.urandom(12).hex()}", ttl_s)

    def _auth(self, token, ttl_s):
        self.state.tokens[token] = time.monotonic() + ttl_s
        auth = {"client_token": token, "lease_duration": ttl_s, "renewable": True}
        return {"data": None, "auth": auth}

    def _renew(self, document, token):
        if token == ROOT_TOKEN:
            raise _Refused(400, "lease is not renewable")
        ttl_s = next(ttl_s for _, ttl_s in self.state.roles.values())
        return self._auth(token, ttl_s)

    def _policy(self, document, token):
        assert "transit/" in document["policy"]

    def _role(self, document, token):
        self.state.roles["role-id"] = ("", int(document["token_ttl"].rstrip("s")))

    def _role_id(self, document, token):
        return {"data": {"role_id": "role-id"}}

    def _secret_id(self, document, token):
        secret_id = f"secret-{os.urandom(12).hex()}"
        self.state.roles["role-id"] = (secret_id, self.state.roles["role-id"][1])
        self.state.save()
        return {"data": {"secret_id": secret_id}}

    def _list(self, document, token):
        if not self.state.keys:
            raise _Refused(404)
        return {"data": {"keys": list(self.state.keys)}}

    def _key(self, document, token, name):
        if self.command == "GET":
            key = self.state.key(name, is_needed=False)
            if key is None:
                raise _Refused(404)
            return {"data": {"name": name, "latest_version": len(key["versions"])}}
        self._only_operator(token)
        self.state.keys.setdefault(name, {"versions": [os.urandom(32).hex()], "least": 1})
        return self.state.save()

    def _rotate(self, document, token, name):
        self._only_operator(token)
        self.state.key(name)["versions"].append(os.urandom(32).hex())
        return self.state.save()

    def _config(self, document, token, name):
        self._only_operator(token)
        self.state.key(name)["least"] = document["min_decryption_version"]
        return self.state.save()

    def _only_operator(self, token):
        if token != ROOT_TOKEN:
            raise _Refused(403, "permission denied")

    def _encrypt(self, document, token, name):
        if token == ROOT_TOKEN and name not in self.state.keys:
            self._key({}, token, name)  # as Transit does for who may create
        elif name not in self.state.keys:
            raise _Refused(403, "permission denied")
        return {"data": {"ciphertext": self._seal(name, b64decode(document["plaintext"]))}}

    def _decrypt(self, document, token, name):
        return {"data": {"plaintext": b64encode(self._open(name, document)).decode()}}

    def _rewrap(self, document, token, name):
        self.state.key(name)
        results = []
        for one in document["batch_input"]:
            try:
                results.append({"ciphertext": self._seal(name, self._open(name, one))})
            except _Refused as refused:
                results.append({"error": refused.errors[0]})
        return {"data": {"batch_results": results}}

    def _seal(self, name, plain):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        versions = self.state.key(name)["versions"]
        nonce = os.urandom(12)
        sealed = nonce + AESGCM(bytes.fromhex(versions[-1])).encrypt(nonce, plain, None)
        return f"vault:v{len(versions)}:{b64encode(sealed).decode()}"

    def _open(self, name, document):
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self.state.key(name)
        _, version, sealed = document["ciphertext"].split(":")
        number, sealed = int(version[1:]), b64decode(sealed)
        if number > len(key["versions"]):
            raise _Refused(400, "invalid ciphertext: version is too new")
        if number < key["least"]:
            raise _Refused(400, "ciphertext or signature version is disallowed by policy (too old)")
        if len(sealed) < 28:
            raise _Refused(400, "invalid ciphertext length")
        try:
            outer = AESGCM(bytes.fromhex(key["versions"][number - 1]))
            return outer.decrypt(sealed[:12], sealed[12:], None)
        except InvalidTag:
            raise _Refused(400, "cipher: message authentication failed") from None


_NAME = r"([A-Za-z0-9._-]+)"
_PATHS = (
    ("auth/token/renew-self", "_renew"),
    ("sys/policy/fastobj", "_policy"),
    ("auth/approle/role/fastobj", "_role"),
    ("auth/approle/role/fastobj/role-id", "_role_id"),
    ("auth/approle/role/fastobj/secret-id", "_secret_id"),
    ("transit/keys", "_list"),
    (f"transit/keys/{_NAME}", "_key"),
    (f"transit/keys/{_NAME}/rotate", "_rotate"),
    (f"transit/keys/{_NAME}/config", "_config"),
    (f"transit/encrypt/{_NAME}", "_encrypt"),
    (f"transit/decrypt/{_NAME}", "_decrypt"),
    (f"transit/rewrap/{_NAME}", "_rewrap"),
)


def main():
    """Serves until it is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("state", type=Path)
    parser.add_argument("--certs", type=Path)
    arguments = parser.parse_args()
    _Handler.state = _State(arguments.state)
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), _Handler)
    server.daemon_threads = True
    if arguments.certs is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certs / "public.crt", arguments.certs / "private.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
