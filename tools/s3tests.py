"""Conformance by ceph/s3-tests: `python -m tools.s3tests --suite PATH [--http] [--https]`.

Runs the portable tests of the suite against servers that it starts itself, and compares what
passed with the baseline in tests/conformance: a test that passed there and fails here makes the
run fail. With `--update` what newly passes joins the baseline and docs/conformance.md.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fastobj.kms import local
from fastobj.testing.process_server import ProcessServer
from tools import docs
from tools import s3tests_document as document
from tools.client_env import ClientEnvError, ensure
from tools.s3tests_document import COMMIT, URL

ROOT = Path(__file__).resolve().parent.parent
# SHA-256 over the two files that hold the tests, as they are at COMMIT.
FILES = ("s3tests/functional/test_headers.py", "s3tests/functional/test_s3.py")
DIGEST = "b672756d484fa212aa06978c449858622f1406b26c6b842636c13fcd0eb55324"
HOW_TO_GET = f"get it with\n    git clone {URL} PATH\n    git -C PATH checkout {COMMIT}"
TEST_S_MAX = 120  # a test that takes longer has failed
RUN_S_MAX = 7200
PLUGIN = "tools.s3tests_plugin"


class SuiteError(Exception):
    """The suite cannot be run; the text says why and what to do."""


class Person(NamedTuple):
    """An identity of the suite: the section that names it, and what both sides know of it."""

    section: str
    id: str
    name: str
    email: str

    @property
    def word(self) -> str:
        """What its keys are made of."""
        return self.section.replace(" ", "-")

    def identity(self) -> dict[str, str]:
        """As the server is told."""
        return {
            "id": self.id,
            "access-key": f"{self.word}-access",
            "secret-key": f"{self.word}-secret-key",
            "display-name": self.name,
            "email": self.email,
        }

    def lines(self) -> Iterator[str]:
        """As the suite is told."""
        yield f"[{self.section}]"
        yield f"user_id = {self.id}"
        yield f"display_name = {self.name}"
        yield f"email = {self.email}"
        yield f"access_key = {self.word}-access"
        yield f"secret_key = {self.word}-secret-key"


PEOPLE = (
    Person("s3 main", "mainid", "M. Tester", "tester@example.com"),
    Person("s3 alt", "altid", "john.doe", "john.doe@example.com"),
    Person("s3 tenant", "testx$tenantid", "testx$tenanteduser", "tenanteduser@example.com"),
    Person("iam", "iamid", "I. Tester", "iam@example.com"),
    Person("iam root", "iamrootid", "I. Root", "iam.root@example.com"),
    Person("iam alt root", "iamaltrootid", "I. Other", "iam.other@example.com"),
)
# What a section of the suite's configuration holds beside its identity.
MORE_LINES = {
    "s3 main": ("api_name = us-east-1", "kms_keyid = testkey-1", "kms_keyid2 = testkey-2"),
    "s3 tenant": ("tenant = testx",),
}
# The keys of the key service that the suite names.
KMS_KEYS = ("testkey-1", "testkey-2")


@dataclass(frozen=True)
class Ended:
    """How one test ended: passed, failed, error (before or after it), skipped, or never."""

    id: str
    word: str
    seconds: float = 0.0
    why: str = ""


# The suite ----------------------------------------------------------------------------------------


def check_suite(suite: Path | None) -> Path:
    """The suite's directory. Raises SuiteError where it is not the suite, or another commit."""
    if suite is None:
        raise SuiteError(
            f"which copy of ceph/s3-tests? Give --suite PATH (SUITE=PATH to make); {HOW_TO_GET}"
        )
    paths = [suite / name for name in FILES]
    if not all(path.is_file() for path in paths):
        raise SuiteError(f"{suite} is not a copy of ceph/s3-tests; {HOW_TO_GET}")
    if digest_of(paths) != DIGEST:
        raise SuiteError(f"{suite} is not ceph/s3-tests at {COMMIT}; {HOW_TO_GET}")
    return suite.resolve()


def digest_of(paths: Sequence[Path]) -> str:
    """SHA-256 over the contents of some files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def configuration(server: ProcessServer) -> str:
    """The suite's configuration for a server."""
    secure = server.authorities is not None
    lines = ["[DEFAULT]", "host = localhost", f"port = {server.port}", f"is_secure = {secure}"]
    lines += ["ssl_verify = False", "", "[fixtures]", "bucket prefix = fo-{random}-"]
    for person in PEOPLE:
        lines += ["", *person.lines(), *MORE_LINES.get(person.section, ())]
    return "\n".join(lines) + "\n"


# The run ------------------------------------------------------------------------------------------


class Plan(NamedTuple):
    """What to run, and where: `folder` is made, and holds stores and logs."""

    suite: Path
    folder: Path
    https: bool = False
    words: str = ""
    jobs: int = 1
    test_s_max: int = TEST_S_MAX


class Share:
    """A part of the tests, run by one pytest against one server, in a folder of their own."""

    def __init__(self, plan: Plan, number: int, ids: Sequence[str], python: str) -> None:
        self._plan = plan
        self._folder = plan.folder / str(number)
        self._folder.mkdir(parents=True)
        self._results = self._folder / "results.jsonl"
        self._log = self._folder / "pytest.log"
        self._ids = ids
        self._python = python

    def run(self, certs: Path | None) -> list[Ended]:
        """Starts the server, runs the tests, and reads how they ended. Raises SuiteError."""
        environment = {"FASTOBJ_IDENTITIES": json.dumps([one.identity() for one in PEOPLE])}
        store = self._folder / "store"
        with ProcessServer(store, workers=2, environment=environment, certs=certs) as server:
            for key_id in KMS_KEYS:
                local.create(store / "kms-keys", key_id)
            self._run_tests(server)
        return self._read()

    def _run_tests(self, server: ProcessServer) -> None:
        settings = self._folder / "s3tests.conf"
        settings.write_text(configuration(server))
        with self._log.open("wb") as log:
            try:
                subprocess.run(
                    self._command(),
                    cwd=self._plan.suite,
                    env=self._environment(settings),
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    timeout=RUN_S_MAX,
                    check=False,  # what counts is how each test ended
                )
            except subprocess.TimeoutExpired:
                log.write(f"\nended after {RUN_S_MAX} s\n".encode())

    def _command(self) -> list[str]:
        names = self._folder / "ids.txt"
        names.write_text("\n".join(self._ids) + "\n")
        command = [self._python, "-m", "pytest", "-q", "--tb=short", "-W", "ignore"]
        command += ["-p", PLUGIN, "-p", "no:cacheprovider", f"--timeout={self._plan.test_s_max}"]
        return [*command, "-k", self._plan.words, f"@{names}"]

    def _environment(self, settings: Path) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
        return {
            **kept,
            "S3TEST_CONF": str(settings),
            "FASTOBJ_S3TESTS_RESULTS": str(self._results),
            "PYTHONPATH": os.pathsep.join([str(self._plan.suite), str(ROOT)]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def _read(self) -> list[Ended]:
        lines = self._results.read_text("utf-8").splitlines() if self._results.exists() else []
        rows = [json.loads(line) for line in lines]
        ended = {row["id"]: Ended(**row) for row in rows if "id" in row}
        collected = [id for row in rows for id in row.get("collected", ())]
        if not collected and not self._plan.words:
            raise SuiteError(f"the tests did not begin:\n{self._log.read_text(errors='replace')}")
        return [ended.get(id) or Ended(id, "never", why="it did not end") for id in collected]


def run(plan: Plan, ids: Sequence[str], python: str = "") -> list[Ended]:
    """Runs the tests in `jobs` shares at once, by `python` or in an environment for the suite.

    Raises SuiteError where they cannot begin, ClientEnvError where the environment is not made.
    """
    python = python or str(ensure("s3tests") / "python")
    plan.folder.mkdir(parents=True)
    certs = make_certificate(plan.folder / "certs") if plan.https else None
    shares = [Share(plan, n, ids[n :: plan.jobs], python) for n in range(plan.jobs)]
    with ThreadPoolExecutor(plan.jobs) as pool:
        found = [one for ended in pool.map(lambda share: share.run(certs), shares) for one in ended]
    if not found:
        raise SuiteError(f"no portable test matches -k {plan.words!r}")
    return sorted(found, key=lambda one: one.id)


def make_certificate(folder: Path) -> Path:
    """A folder with a certificate for localhost and its key, made by the openssl program."""
    folder.mkdir()
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(folder / "private.key"), "-out", str(folder / "public.crt")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


# The verdict --------------------------------------------------------------------------------------


def verdict(ended: Sequence[Ended], baseline: frozenset[str]) -> tuple[list[Ended], list[str]]:
    """Tests that the baseline says pass and that did not, and those that newly pass."""
    lost = [one for one in ended if one.id in baseline and one.word != "passed"]
    new = [one.id for one in ended if one.word == "passed" and one.id not in baseline]
    return lost, new


def summary(ended: Sequence[Ended], scheme: str) -> str:
    """One line of figures."""
    counts = Counter(one.word for one in ended)
    words = ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
    return f"s3tests: {scheme}: {counts['passed']} of {len(ended)} passed ({words})"


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m tools.s3tests", description=__doc__)
    parser.add_argument("--suite", type=Path, metavar="PATH", help="a copy of ceph/s3-tests")
    parser.add_argument("--http", action="store_true", help="over HTTP: the default")
    parser.add_argument("--https", action="store_true", help="over TLS; it has its own baseline")
    parser.add_argument("--update", action="store_true", help="newly passing ones: baseline, docs")
    parser.add_argument("-k", dest="words", default="", metavar="EXPRESSION", help="as of pytest")
    parser.add_argument("--jobs", type=int, default=2, help="servers and pytests at once")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="a new folder for logs and stores")
    options = parser.parse_args(argv)
    if options.jobs < 1:
        parser.error("--jobs must be 1 or more")
    if options.keep is not None and options.keep.exists():
        parser.error(f"{options.keep} is there already; name a new folder")
    return options


def tell(ended: Sequence[Ended], scheme: str, baseline: frozenset[str], update: bool) -> int:
    """Prints what differs from the baseline and the figures; 1 where something was lost.

    What newly passes goes into the baseline with `update`; nothing ever leaves it here.
    """
    lost, new = verdict(ended, baseline)
    for one in lost:
        print(f"s3tests: passed before, now {one.word}: {one.id}\n    {one.why}")
    for id in new:
        print(f"s3tests: newly passing: {id}")
    print(summary(ended, scheme))
    if new and update:
        document.write_passed(scheme, baseline.union(new))
        docs.main([])
    elif new:
        print(f"s3tests: {len(new)} pass that are not in the baseline: take them in with --update")
    return 1 if lost else 0


def run_scheme(options: argparse.Namespace, suite: Path, scheme: str, home: Path) -> int:
    """Runs the suite over one scheme and tells; 1 where something was lost."""
    lists = document.read()
    plan = Plan(suite, home / scheme, scheme == "https", options.words, options.jobs)
    ended = run(plan, lists.portable)
    return tell(ended, scheme, lists.passed[scheme], options.update)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the suite; 1 where a test of the baseline no longer passes, 2 where it cannot be run."""
    options = parse(argv)
    schemes = [scheme for scheme in document.SCHEMES if getattr(options, scheme)] or ["http"]
    try:
        suite = check_suite(options.suite)
        with tempfile.TemporaryDirectory(prefix="fastobj-s3tests-") as temporary:
            home = options.keep or Path(temporary)
            return max([run_scheme(options, suite, scheme, home) for scheme in schemes])
    except (SuiteError, ClientEnvError) as error:
        print(f"s3tests: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
