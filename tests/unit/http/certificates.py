"""Certificates for tests, made by the openssl program: an authority's, or signed by itself."""

import subprocess
from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_pair(folder: Path, *names: str, key: tuple[str, ...] = _NEW_KEY) -> Path:
    """public.crt and private.key for the DNS names, in a folder that is made; returns that."""
    folder.mkdir(parents=True, exist_ok=True)
    alternatives = ",".join(f"DNS:{name}" for name in names)
    _openssl(
        *("req", "-x509", *key, "-days", "2", "-subj", f"/CN={names[0]}"),
        *("-addext", f"subjectAltName={alternatives},IP:127.0.0.1"),
        *("-keyout", folder / "private.key", "-out", folder / "public.crt"),
    )
    return folder


def rsa(bits: int) -> tuple[str, ...]:
    """Options that make an RSA key."""
    return ("-newkey", f"rsa:{bits}", "-nodes")


def make_signed(folder: Path, name: str) -> Path:
    """A server's certificate that an authority of its own has signed; returns that authority's."""
    authority = make_pair(folder.with_name(folder.name + "-authority"), "authority")
    folder.mkdir(parents=True, exist_ok=True)
    request, options = folder / "request.pem", folder / "options.txt"
    options.write_text(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n")
    _openssl(
        *("req", "-new", *_NEW_KEY, "-subj", f"/CN={name}"),
        *("-keyout", folder / "private.key", "-out", request),
    )
    _openssl(
        *("x509", "-req", "-in", request, "-days", "2", "-extfile", options),
        *("-CA", authority / "public.crt", "-CAkey", authority / "private.key"),
        *("-CAcreateserial", "-out", folder / "public.crt"),
    )
    with open(folder / "public.crt", "ab") as chain:
        chain.write((authority / "public.crt").read_bytes())
    return authority / "public.crt"


def encrypt_key(folder: Path) -> None:
    """Puts a password on the key."""
    key = folder / "private.key"
    _openssl("pkcs8", "-topk8", "-in", key, "-out", f"{key}.new", "-passout", "pass:secret")
    Path(f"{key}.new").replace(key)


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
