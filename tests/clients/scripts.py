"""Client libraries: each has a script in its own language, run by its own interpreter.

A script takes ENDPOINT, `path` or `virtual`, a bucket's name, and then nothing (everything that
somebody does in a day, each answer checked) or two folders TREE and BACK (the tree goes up, comes
down into the other, and everything is removed). It ends with 0 or a trace.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.clients.site import Site, run
from tools.client_env import SOURCES, ensure

SESSIONS = Path(__file__).with_name("sessions")


def _python(name: str, session: str = "session") -> list[str]:
    return [str(ensure(name) / "python"), str(SESSIONS / f"{name}_{session}.py")]


def _go(library: str) -> list[str]:
    return [str(ensure("go") / "go"), library]


def _node() -> list[str]:
    return ["node", str(SOURCES / "javascript/session.js")]


# Client -> the command that its arguments follow.
SCRIPTS: Mapping[str, Callable[[], list[str]]] = {
    "minio-py": lambda: _python("minio"),
    "s3fs": lambda: _python("s3fs"),
    "awscrt": lambda: _python("awscrt"),
    "aws-sdk-go": lambda: _go("aws"),
    "minio-go": lambda: _go("minio"),
    "javascript": _node,
}

# What one of them does beyond that; such a script has no tree to take around.
FEATURES: Mapping[str, Callable[[], list[str]]] = {
    "minio-py versions": lambda: _python("minio", "versions"),
    "minio-py encryption": lambda: _python("minio", "encryption"),
    "minio-py locked": lambda: _python("minio", "locked"),
    "minio-py lifecycle": lambda: _python("minio", "lifecycle"),
}


@dataclass(frozen=True)
class Script:
    """One client library against one site."""

    site: Site
    home: Path
    client: str

    def everyday(self, bucket: str) -> None:
        """A day's work, judged by the script itself."""
        self._run(bucket)

    def go_around(self, bucket: str, tree: Path, back: Path) -> None:
        """Up, down, and everything removed."""
        self._run(bucket, str(tree), str(back))

    def _run(self, *arguments: str) -> None:
        command = [
            *{**SCRIPTS, **FEATURES}[self.client](),
            self.site.endpoint,
            self.site.style,
            *arguments,
        ]
        environment = self.site.environment(self.home)
        if self.client == "javascript":
            environment["NODE_PATH"] = str(ensure("javascript"))
        done = run(command, environment)
        assert done.returncode == 0, done.stdout + done.stderr
