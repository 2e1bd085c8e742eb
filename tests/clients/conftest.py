"""A whole server with two workers, and the tree of files that clients move."""

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.clients.resolver.sitecustomize import resolve_below_localhost
from tests.clients.site import HOST, Site, combinations
from tests.unit.http.certificates import make_pair

MIB = 1024 * 1024


DOMAIN = ("--domain", HOST)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessServer]:
    """A server of its own for this lane."""
    directory = tmp_path_factory.mktemp("clients") / "store"
    with ProcessServer(directory, workers=2, arguments=DOMAIN) as server:
        yield server


@pytest.fixture(scope="session")
def secure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessServer]:
    """One that speaks TLS, with a certificate for its name and each bucket in front of it."""
    folder = tmp_path_factory.mktemp("secure")
    certs = make_pair(folder / "certs", HOST, f"*.{HOST}")
    with ProcessServer(folder / "store", workers=2, arguments=DOMAIN, certs=certs) as server:
        yield server


@pytest.fixture(params=combinations(), ids="-".join)
def site(request: pytest.FixtureRequest) -> Site:
    """Each scheme with each style of addressing."""
    scheme, style = request.param
    name = "server" if scheme == "http" else "secure_server"
    return Site(request.getfixturevalue(name), scheme, style)


@pytest.fixture
def http_site(server: ProcessServer) -> Site:
    """The plain server, in path style."""
    return Site(server, "http", "path")


@pytest.fixture(scope="session", autouse=True)
def names_below_localhost() -> None:
    """Clients in this process find buckets in front of localhost."""
    resolve_below_localhost()


@pytest.fixture(scope="session")
def standard_library() -> Path:
    """A real tree of files: the sources of Python's standard library."""
    return Path(sysconfig.get_path("stdlib"))


@pytest.fixture
def small_tree(tmp_path: Path, standard_library: Path) -> Path:
    """Some hundred files of the standard library, and three of 7 MB, in a folder of their own."""
    return link_tree(standard_library, tmp_path / "tree", ("json", "email", "asyncio", "http"))


def link_tree(source: Path, target: Path, packages: tuple[str, ...] | None = None) -> Path:
    """The Python sources below `source` (of some packages, or all) as links, and large files."""
    for folder, names, files in os.walk(source):
        below = Path(folder).relative_to(source)
        names[:] = [
            name
            for name in names
            if name not in ("__pycache__", "site-packages", "test")
            and (packages is None or below.parts or name in packages)
        ]
        for file in files:
            if file.endswith(".py"):
                place = target / below / file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(Path(folder) / file)
    for number in range(3):
        place = target / "large" / f"{number} with blanks + signs.bin"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(os.urandom(7 * MIB + number))
    return target


def same_trees(one: Path, other: Path) -> None:
    """Asserts that two trees hold the same files with the same bytes."""
    files = {path.relative_to(one) for path in one.rglob("*") if path.is_file()}
    others = {path.relative_to(other) for path in other.rglob("*") if path.is_file()}
    assert files == others
    for path in files:
        assert (one / path).read_bytes() == (other / path).read_bytes(), path
