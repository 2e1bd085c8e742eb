"""tools/smoke.sh: all that is served is ok, the rest is told, and failures are failures."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fastobj.core.op import Support
from fastobj.s3.operations import OPERATIONS
from tests.clients.programs import aws_program
from tests.clients.site import Site, run

SCRIPT = Path(__file__).resolve().parents[2] / "tools/smoke.sh"
LINE = re.compile(r"(ok|not served|FAILED) +(.*)")
SERVED = {op.name for op in OPERATIONS if op.support is Support.YES}
# Check -> the operation that not every server has.
NEEDS = {"copy an object": "CopyObject", "upload in parts": "CompleteMultipartUpload"}


def smoke(
    site: Site, home: Path, version: int = 1, **more: str
) -> subprocess.CompletedProcess[str]:
    environment = {**site.environment(home), "AWS": str(aws_program(version)), **more}
    return run(["sh", str(SCRIPT), site.endpoint], environment)


@pytest.mark.parametrize(
    ("scheme", "version"), [("http", 1), pytest.param("https", 2, marks=pytest.mark.long)]
)
def test_twenty_checks(
    sites: Callable[[str, str], Site], tmp_path: Path, scheme: str, version: int
) -> None:
    site = sites(scheme, "path")
    done = smoke(site, tmp_path, version)
    *lines, summary = done.stdout.splitlines()
    found = {match[2]: match[1] for match in map(LINE.fullmatch, lines) if match}
    assert len(found) == len(lines) == 20, done.stdout + done.stderr
    for name, word in found.items():
        is_served = NEEDS.get(name, "GetObject") in SERVED
        assert word == ("ok" if is_served else "not served"), done.stdout
    counts = [list(found.values()).count(word) for word in ("ok", "not served")]
    assert summary == f"20 checks: {counts[0]} ok, {counts[1]} not served, 0 FAILED"
    assert (done.returncode, done.stderr) == (0, "")
    names = [bucket["Name"] for bucket in site.boto3().list_buckets()["Buckets"]]
    assert not [name for name in names if name.startswith("smoke-")]


def test_a_failure(http_site: Site, tmp_path: Path) -> None:
    done = smoke(http_site, tmp_path, AWS_SECRET_ACCESS_KEY="another")
    first, summary = done.stdout.splitlines()
    assert first.startswith("FAILED ")
    assert "SignatureDoesNotMatch" in first
    assert summary == "1 checks: 0 ok, 0 not served, 1 FAILED"
    assert done.returncode == 1


def test_nobody_there(http_site: Site, tmp_path: Path) -> None:
    nowhere = replace(http_site, scheme="https")
    assert smoke(nowhere, tmp_path).returncode == 1
    assert run(["sh", str(SCRIPT)], {}).returncode == 2
