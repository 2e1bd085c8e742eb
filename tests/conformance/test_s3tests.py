"""The tool that runs ceph/s3-tests: lists, verdicts, runs of a small suite of the same form."""

import sys

import pytest

from tools import s3tests
from tools import s3tests_document as document
from tools.s3tests import Ended, Plan, SuiteError

LISTS = document.read()

# As in the suite: one prefix for all tests, which its own fixture uses before and after each.
PACKAGE = """
import configparser, os, ssl, urllib.request
import pytest

prefix = None

@pytest.fixture(scope="package")
def configfile():
    global prefix
    prefix = "the same for all"

@pytest.fixture(autouse=True)
def setup_teardown(configfile):
    with open(os.environ["S3TEST_CONF"] + ".prefixes", "a") as file:
        print(prefix, file=file)
    yield

def ready():
    rows = configparser.RawConfigParser()
    rows.read(os.environ["S3TEST_CONF"])
    assert rows["s3 main"]["user_id"] == "mainid"
    scheme = "https" if rows.getboolean("DEFAULT", "is_secure") else "http"
    url = f"{scheme}://localhost:{rows['DEFAULT']['port']}/health/ready"
    return urllib.request.urlopen(url, context=ssl._create_unverified_context()).status
"""
TESTS = """
import os, time
import pytest
from . import configfile, ready, setup_teardown

@pytest.fixture
def bad_end():
    yield
    raise OSError("left behind")

@pytest.fixture
def bad_begin():
    raise OSError("not clean")

def test_good(): assert ready() == 200
def test_bad(): assert 1 == 2, "one is not two"
def test_hangs(): time.sleep(600)
def test_begin(bad_begin): pass
def test_end(bad_end): pass
def test_left_out(): pytest.skip("no")
@pytest.mark.parametrize("word", ["a b", "c"])
def test_words(word): pass
def test_dies(): os._exit(9)
def test_unheard(): pass
"""
NAMES = (
    *("good", "bad", "hangs", "begin", "end", "left_out", "words[a b]", "words[c]"),
    *("dies", "unheard"),
)


@pytest.fixture
def suite(tmp_path):
    """A suite of the same form; its last tests are never heard of."""
    folder = tmp_path / "suite" / "s3tests" / "functional"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").write_text(PACKAGE)
    (folder / "test_s3.py").write_text(TESTS)
    (folder / "test_headers.py").touch()
    return tmp_path / "suite"


def id_of(name):
    return f"s3tests/functional/test_s3.py::test_{name}"


def test_how_each_test_ended(suite, tmp_path):
    plan = Plan(suite, tmp_path / "run", test_s_max=3)
    ended = s3tests.run(plan, list(map(id_of, NAMES)), sys.executable)
    assert {one.id.partition("::test_")[2]: one.word for one in ended} == {
        "good": "passed",
        "bad": "failed",
        "hangs": "failed",
        "begin": "error",
        "end": "error",
        "left_out": "skipped",
        "words[a b]": "passed",
        "words[c]": "passed",
        "dies": "never",
        "unheard": "never",
    }
    whys = {one.id: one.why for one in ended}
    assert "one is not two" in whys[id_of("bad")]
    assert "Timeout" in whys[id_of("hangs")]
    assert "left behind" in whys[id_of("end")]
    prefixes = (tmp_path / "run/0/s3tests.conf.prefixes").read_text().split("\n")[:-1]
    assert len(prefixes) == len(set(prefixes)) == 9  # of each test that began
    assert all(0 < len(prefix) <= 30 for prefix in prefixes)


def test_some_tests_in_two_shares_over_https(suite, tmp_path):
    plan = Plan(suite, tmp_path / "run", https=True, words="good or words", jobs=2)
    ended = s3tests.run(plan, list(map(id_of, NAMES)), sys.executable)
    assert [(one.id, one.word) for one in ended] == [
        (id_of(name), "passed") for name in ("good", "words[a b]", "words[c]")
    ]


def test_a_suite_that_cannot_begin_is_told_with_its_output(suite, tmp_path):
    (suite / "s3tests/functional/test_s3.py").write_text("import nothing_of_that_name")
    with pytest.raises(SuiteError, match="nothing_of_that_name"):
        s3tests.run(Plan(suite, tmp_path / "run"), [id_of("good")], sys.executable)


def test_no_test_is_no_success(suite, tmp_path):
    plan = Plan(suite, tmp_path / "run", words="nothing_of_that_name")
    with pytest.raises(SuiteError, match="no portable test matches -k 'nothing_of_that_name'"):
        s3tests.run(plan, [id_of("good")], sys.executable)


def test_where_to_get_the_suite(capsys, suite, tmp_path):
    for argv, why in (
        ([], "which copy"),
        (["--suite", str(tmp_path)], "is not a copy of ceph/s3-tests"),
        (["--suite", str(suite)], "is not ceph/s3-tests at 8f0ae7b"),
    ):
        assert s3tests.main(argv) == 2
        told = capsys.readouterr().err
        assert why in told
        assert "git clone https://github.com/ceph/s3-tests" in told
        assert "checkout 8f0ae7b" in told


def test_what_was_lost_is_named_and_fails(capsys, monkeypatch):
    written = []
    monkeypatch.setattr(document, "write_passed", lambda *row: written.append(row))
    monkeypatch.setattr(s3tests.docs, "main", written.append)
    baseline = frozenset({"a", "b", "c", "not run"})
    ended = [Ended("a", "passed"), Ended("b", "failed", why="because"), Ended("c", "never")]
    ended.append(Ended("d", "passed"))
    assert s3tests.tell(ended, "http", baseline, update=False) == 1
    told = capsys.readouterr().out
    assert "passed before, now failed: b" in told
    assert "because" in told
    assert "passed before, now never: c" in told
    assert "newly passing: d" in told
    assert "http: 2 of 4 passed (1 failed, 1 never, 2 passed)" in told
    assert written == []
    # An update takes in what is new, and hides nothing that was lost.
    assert s3tests.tell(ended, "http", baseline, update=True) == 1
    assert written == [("http", baseline | {"d"}), []]


@pytest.mark.parametrize("failing", ["http", "https", None])
def test_a_loss_over_either_scheme_fails(capsys, monkeypatch, tmp_path, failing):
    def run(plan, ids):
        scheme = "https" if plan.https else "http"
        assert plan.folder == tmp_path / "kept" / scheme
        return [Ended("a", "failed" if scheme == failing else "passed")]

    passed = dict.fromkeys(document.SCHEMES, frozenset({"a"}))
    monkeypatch.setattr(document, "read", lambda: document.Lists(("a",), passed))
    monkeypatch.setattr(s3tests, "check_suite", lambda path: path)
    monkeypatch.setattr(s3tests, "run", run)
    argv = ["--suite", "somewhere", "--http", "--https", "--keep", str(tmp_path / "kept")]
    assert s3tests.main(argv) == (0 if failing is None else 1)
    told = capsys.readouterr().out
    assert "s3tests: http: " in told
    assert "s3tests: https: " in told


def test_nothing_lost_is_well(capsys):
    assert s3tests.tell([Ended("a", "passed")], "https", frozenset({"a"}), update=False) == 0
    assert "1 of 1" in capsys.readouterr().out


def test_a_baseline_is_read_as_it_was_written(tmp_path):
    (tmp_path / "s3tests-portable.txt").write_text("# origin\nb\na\nc\n")
    for scheme in document.SCHEMES:
        document.write_passed(scheme, ["b", "a"], tmp_path)
    lists = document.read(tmp_path)
    assert lists.portable == ("b", "a", "c")
    assert set(lists.passed.values()) == {frozenset({"a", "b"})}


def test_the_lists_of_the_project():
    assert len(LISTS.portable) == len(set(LISTS.portable)) == 618
    for passed in LISTS.passed.values():
        assert passed <= set(LISTS.portable)


def test_each_group_has_tests():
    assert {document.group_of(id).name for id in LISTS.portable} == {
        group.name for group in document.GROUPS
    }


def test_each_failure_in_what_is_served_is_explained():
    failing = {id for id in LISTS.portable if not document.passes(id, LISTS)}
    served = {id for id in failing if not document.group_of(id).why}
    explained = set(document.EXPLAINED)
    assert {document.name_of(id) for id in served} <= explained
    assert explained <= {document.name_of(id) for id in failing}
