"""Clients that people type: the AWS command line (both versions), rclone and s3cmd.

Each has its default settings but for what names the server: address, keys, certificate.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.clients.site import Site, run
from tools.client_env import ensure
from tools.debian import provide


class Program:
    """Runs one program against a site, with an empty home folder."""

    def __init__(self, site: Site, home: Path, command: Sequence[str]) -> None:
        self.site = site
        self.environment = site.environment(home)
        self._command = command

    def __call__(self, *arguments: str) -> str:
        """Standard output; asserts success."""
        done = run([*self._command, *arguments], self.environment)
        assert done.returncode == 0, " ".join(arguments) + "\n" + done.stdout + done.stderr
        return done.stdout

    def told(self, *arguments: str) -> str:
        """What it says on standard error; asserts success."""
        done = run([*self._command, *arguments], self.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stderr

    def refused(self, *arguments: str) -> str:
        """What it says on standard error; asserts failure."""
        done = run([*self._command, *arguments], self.environment)
        assert done.returncode != 0, done.stdout
        return done.stderr


def aws_program(version: int) -> Path:
    """The AWS command line of that version; the one on PATH may be of any."""
    if version == 1:
        return ensure("aws") / "aws"
    return provide("awscli", "aws", path_counts=False)


class Aws(Program):
    """`aws`, version 1 from PyPI or version 2 from Debian."""

    def __init__(self, site: Site, home: Path, version: int = 1, **settings: str) -> None:
        program = str(aws_program(version))
        super().__init__(site, home, [program, "--endpoint-url", site.endpoint])
        lines = {"addressing_style": site.style, **settings}
        text = "".join(f"    {name} = {value}\n" for name, value in lines.items())
        (home / ".aws").mkdir(exist_ok=True)
        (home / ".aws/config").write_text(f"[default]\ns3 =\n{text}")

    def go_around(self, bucket: str, tree: Path, back: Path) -> None:
        """Up, down, and everything removed."""
        self("s3", "mb", f"s3://{bucket}")
        self("s3", "sync", "--no-progress", "--only-show-errors", str(tree), f"s3://{bucket}/in")
        self("s3", "sync", "--no-progress", "--only-show-errors", f"s3://{bucket}/in", str(back))
        self("s3", "rb", "--force", f"s3://{bucket}")


class Rclone(Program):
    """`rclone`, from Debian where it is not installed; the remote is called `fo`."""

    def __init__(self, site: Site, home: Path) -> None:
        super().__init__(site, home, [str(provide("rclone", "rclone"))])
        self.environment |= {
            "RCLONE_CONFIG_FO_TYPE": "s3",
            "RCLONE_CONFIG_FO_PROVIDER": "Other",
            "RCLONE_CONFIG_FO_ENV_AUTH": "true",
            "RCLONE_CONFIG_FO_ENDPOINT": site.endpoint,
        }
        if self.environment.pop("AWS_CA_BUNDLE", None):  # with it Debian's rclone does not start
            self.environment["RCLONE_CA_CERT"] = str(site.certificate)

    def go_around(self, bucket: str, tree: Path, back: Path) -> None:
        """Up, down, and everything removed."""
        self("sync", str(tree), f"fo:{bucket}/in")
        self("sync", f"fo:{bucket}/in", str(back))
        self("purge", f"fo:{bucket}")


class S3cmd(Program):
    """`s3cmd`, with a settings file as its users write it."""

    def __init__(self, site: Site, home: Path) -> None:
        super().__init__(site, home, [str(ensure("s3cmd") / "s3cmd"), "--no-progress"])
        lines = {
            "access_key": site.server.access_key,
            "secret_key": site.server.secret_key,
            "host_base": site.host,
            "host_bucket": site.host if site.style == "path" else f"%(bucket)s.{site.host}",
            "use_https": str(site.scheme == "https"),
            "signurl_use_https": str(site.scheme == "https"),
        }
        if site.certificate:
            lines["ca_certs_file"] = str(site.certificate)
        text = "".join(f"{name} = {value}\n" for name, value in lines.items())
        (home / ".s3cfg").write_text(f"[default]\n{text}")

    def go_around(self, bucket: str, tree: Path, back: Path) -> None:
        """Up, down, and everything removed."""
        self("mb", f"s3://{bucket}")
        self("sync", f"{tree}/", f"s3://{bucket}/in/")
        back.mkdir()
        self("sync", f"s3://{bucket}/in/", f"{back}/")
        self("rb", "--recursive", "--force", f"s3://{bucket}")
