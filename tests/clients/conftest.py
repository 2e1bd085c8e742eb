"""Whole servers with two workers, and the files that clients move."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.clients.resolver.sitecustomize import resolve_below_localhost
from tests.clients.site import HOST, Site, combinations
from tests.clients.trees import write_few
from tests.unit.http.certificates import make_pair

HERE = Path(__file__).parent
INSTALL_S_MAX = 900
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


@pytest.fixture
def sites(request: pytest.FixtureRequest) -> Callable[[str, str], Site]:
    """A site for a scheme and a style; only the servers that are asked for are started."""

    def made(scheme: str, style: str) -> Site:
        name = "server" if scheme == "http" else "secure_server"
        return Site(request.getfixturevalue(name), scheme, style)

    return made


@pytest.fixture(params=combinations(), ids="-".join)
def site(request: pytest.FixtureRequest, sites: Callable[[str, str], Site]) -> Site:
    """Each scheme with each style of addressing."""
    return sites(*request.param)


@pytest.fixture(params=[("http", "path"), ("https", "virtual")], ids="-".join)
def crossed_site(request: pytest.FixtureRequest, sites: Callable[[str, str], Site]) -> Site:
    """Each scheme and each style once, for clients that are slow to start."""
    return sites(*request.param)


@pytest.fixture
def http_site(server: ProcessServer) -> Site:
    """The plain server, in path style."""
    return Site(server, "http", "path")


@pytest.fixture(scope="session", autouse=True)
def names_below_localhost() -> None:
    """Clients in this process find buckets in front of localhost."""
    resolve_below_localhost()


@pytest.fixture(scope="session")
def few_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tree, to be read only."""
    return write_few(tmp_path_factory.mktemp("few") / "tree")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first run on a machine installs clients within tests, and compiles one."""
    for item in items:
        if item.path.parent == HERE and not item.get_closest_marker("long"):
            item.add_marker(pytest.mark.timeout(INSTALL_S_MAX))
