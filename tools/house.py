"""The rules of the house, each a function from the files of the tree to its findings.

A rule sees paths and texts only, so a small made-up tree can prove that it catches what it is for.
`tests/test_house.py` runs them and holds the list of exceptions.
"""

import ast
import re
import statistics
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SRC = "src/fastobj/"

# A package imports itself and packages of a lower level; equals do not know each other.
LEVELS = {
    "_ext": 0,
    "core": 1,
    "meta": 2,
    "storage": 2,
    "events": 2,
    "kms": 2,
    "cluster": 3,
    "http": 4,
    "iam": 4,
    "objects": 4,
    "s3": 5,
    "background": 5,
    "admin": 6,
    "node": 7,
    "cli": 8,
    "testing": 8,
}
# (who, of whom) -> the only module that may be seen.
GATES = {("s3", "http"): "fastobj.http.message", ("admin", "http"): "fastobj.http.message"}
# meta and storage meet here only.
MEETING_PLACES = {"objects", "background", "node", "cli", "testing"}

FILE_LINES_WARN, FILE_LINES_MAX = 500, 800
FUNCTION_LINES_MAX = 70
FUNCTION_MEDIAN_BELOW, FUNCTION_P90_BELOW = 12, 35

# Modules that nothing imports by name: found by listing a package, or there for users to import.
FOUND_BY_LISTING = ("fastobj.s3.handlers.", "fastobj.admin.handlers.", "fastobj.cli.")
FOR_USERS = ("fastobj.testing.",)

CLOCK_FILE = SRC + "core/clock.py"
CLOCK_NAMES = {
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "datetime.now",
    "datetime.utcnow",
    "date.today",
}
MARKS = re.compile(r"\b(TO[D]O|FIX[M]E|X{3})\b")  # spelled so that it does not find itself
EMPTY_NAMES = {"helper", "helpers", "util", "utils", "manager", "data", "info"}


@dataclass(frozen=True)
class Source:
    """One file: its path from the root, with slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of a Python file."""
        return ast.parse(self.text, self.path)

    @property
    def is_python(self) -> bool:
        """Whether `ast` reads this file."""
        return self.path.endswith((".py", ".pyi"))

    @property
    def is_cython(self) -> bool:
        """Whether this is a Cython file."""
        return self.path.endswith((".pyx", ".pxd"))

    @property
    def in_src(self) -> bool:
        """Whether this file ships."""
        return self.path.startswith(SRC)

    @property
    def is_init(self) -> bool:
        """Whether this is the file of a package itself."""
        return self.path.rsplit("/", 1)[-1].split(".")[0] == "__init__"

    @property
    def module(self) -> str:
        """The dotted name of a file below src."""
        name = self.path.removeprefix("src/").rsplit(".", 1)[0].replace("/", ".")
        return name.removesuffix(".__init__")

    @property
    def package(self) -> str:
        """The package directly below fastobj; empty for the files beside the packages."""
        below, _, rest = self.path.removeprefix(SRC).partition("/")
        return below if rest else ""


@dataclass(frozen=True)
class Finding:
    """One violation. `where` is a path, or path:name; an exception is keyed by rule and where."""

    rule: str
    where: str
    line: int
    text: str

    @property
    def key(self) -> str:
        """How the list of exceptions names it."""
        return f"{self.rule} {self.where}"

    def __str__(self) -> str:
        return f"{self.rule}: {self.where} (line {self.line}): {self.text}"


Rule = Callable[[Sequence[Source], Mapping[str, object]], Iterator[Finding]]
RULES: dict[str, Rule] = {}


def rule(function: Rule) -> Rule:
    """Register a rule under its own name, with hyphens."""
    RULES[function.__name__.replace("_", "-")] = function
    return function


def load(root: Path) -> list[Source]:
    """All files that the rules look at."""
    ends = {".py", ".pyi", ".pyx", ".pxd", ".c", ".h", ".sh", ".md", ".toml"}
    paths = [path for path in root.iterdir() if path.is_file()]
    for folder in ("src", "tests", "tools", "benchmarks", "docs"):
        paths += (root / folder).rglob("*")
    return [
        Source(path.relative_to(root).as_posix(), path.read_text("utf-8"))
        for path in sorted(paths)
        if path.suffix in ends and path.is_file()
    ]


def load_project(root: Path) -> dict[str, object]:
    """The contents of pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


def notes(files: Iterable[Source]) -> list[str]:
    """What is not yet wrong: files that grow long."""
    return [
        f"{file.path} has {lines} lines; {FILE_LINES_MAX} is the end"
        for file in files
        if _is_code(file) and FILE_LINES_WARN < (lines := _line_count(file)) <= FILE_LINES_MAX
    ]


def _is_code(file: Source) -> bool:
    return file.path.endswith((".py", ".pyi", ".pyx", ".pxd", ".c", ".h", ".sh"))


def _line_count(file: Source) -> int:
    return len(file.text.splitlines())


# Imports ----------------------------------------------------------------------------------------


def _base_of(file: Source, node: ast.ImportFrom) -> str:
    """The absolute module that a `from ... import` names."""
    if not node.level:
        return node.module or ""
    parts = file.module.split(".")
    parts = parts[: len(parts) - node.level + (1 if file.is_init else 0)]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _literal_import(node: ast.Call) -> str:
    """The module in `importlib.import_module("...")`, else nothing."""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    called = node.func.id if isinstance(node.func, ast.Name) else called
    if called not in {"import_module", "__import__"} or not node.args:
        return ""
    first = node.args[0]
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _python_imports(file: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base_of(file, node)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and (name := _literal_import(node)):
            yield node.lineno, name


CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+)?c?import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE
)


def _cython_imports(file: Source) -> Iterator[tuple[int, str]]:
    for match in CYTHON_IMPORT.finditer(file.text):
        base, names = match.groups()
        if base and base.startswith("."):
            base = f"fastobj.{file.package}.{base.lstrip('.')}".rstrip(".")
        line = file.text.count("\n", 0, match.start()) + 1
        for name in re.findall(r"(?:^|[(,])\s*([\w.]+)", names):
            yield line, f"{base}.{name}" if base else name


def imports(file: Source) -> Iterator[tuple[int, str]]:
    """Line and dotted target of each import of ours; names after `from` are part of the target."""
    found = _cython_imports(file) if file.is_cython else _python_imports(file)
    return ((line, name) for line, name in found if name.split(".")[0] == "fastobj")


def _layering_fault(package: str, target: str) -> str | None:
    seen = target.split(".")[1] if "." in target else ""
    gate = GATES.get((package, seen))
    if seen == package or seen.startswith("__"):
        return None
    if seen not in LEVELS:
        return f"imports {target}, which belongs to no package"
    if LEVELS[seen] >= LEVELS[package]:
        return f"level {LEVELS[package]} imports {target} of level {LEVELS[seen]}"
    if gate and target != gate and not target.startswith(gate + "."):
        return f"imports {target}; of {seen}, {package} sees only {gate}"
    return None


@rule
def layering(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """A package imports itself and lower levels, through the gates where there are some."""
    for file in files:
        if not file.in_src or not (file.is_python or file.is_cython):
            continue
        if file.package and file.package not in LEVELS:
            yield Finding("layering", file.path, 1, f"{file.package} has no level")
            continue
        for line, target in imports(file):
            # The map imports nothing; any other file beside the packages is an entry: as cli.
            package = file.package or ("_ext" if file.is_init else "cli")
            if fault := _layering_fault(package, target):
                yield Finding("layering", file.path, line, fault)


@rule
def meeting(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """`meta` and `storage` are known together only where objects are made of them."""
    seen: dict[str, set[str]] = {}
    for file in files:
        if not file.in_src or not (file.is_python or file.is_cython):
            continue
        if file.package in MEETING_PLACES | {"meta", "storage"}:  # for these layering is enough
            continue
        here = seen.setdefault(file.package, set())
        for line, target in imports(file):
            here |= {target.split(".")[1]} & {"meta", "storage"} if "." in target else set()
            if len(here) == 2:
                yield Finding("meeting", file.path, line, "its package knows meta and storage")
                break


def _entry_points(project: Mapping[str, object]) -> set[str]:
    table = project.get("project")
    if not isinstance(table, dict):
        return set()
    groups = [table.get("scripts", {}), *table.get("entry-points", {}).values()]
    return {target.split(":")[0] for group in groups for target in group.values()}


@rule
def orphan(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """Each module is imported by another, is an entry point, or is found by listing."""
    wanted = _entry_points(project)
    shipped = [file for file in files if file.in_src and (file.is_python or file.is_cython)]
    for file in shipped:
        # A module, its interface and its declarations have one name: they are not each other's use.
        targets = {target for _, target in imports(file)}
        wanted |= {t for t in targets | {t.rpartition(".")[0] for t in targets} if t != file.module}
    for file in shipped:
        if file.is_init or not file.path.endswith((".py", ".pyx")):
            continue
        name = file.module
        if name.endswith(".__main__") or name.startswith(FOUND_BY_LISTING + FOR_USERS):
            continue
        if name not in wanted:
            yield Finding("orphan", file.path, 1, "no module imports it")


# Sizes ------------------------------------------------------------------------------------------


@rule
def file_length(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """A file ends before 800 lines."""
    for file in files:
        if _is_code(file) and (lines := _line_count(file)) > FILE_LINES_MAX:
            yield Finding("file-length", file.path, lines, f"{lines} lines > {FILE_LINES_MAX}")


Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function below a node, with its qualified name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            name = prefix + child.name
            if isinstance(child, Function):
                yield name, child
            yield from _functions(child, name + ".")
        else:
            yield from _functions(child, prefix)


def _length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


@rule
def function_length(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """A function ends before 70 lines."""
    for file in files:
        if not file.path.endswith(".py"):
            continue
        for name, function in _functions(file.tree):
            if (lines := _length(function)) > FUNCTION_LINES_MAX:
                text = f"{lines} lines > {FUNCTION_LINES_MAX}"
                yield Finding("function-length", f"{file.path}:{name}", function.lineno, text)


@rule
def function_spread(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """Small functions are the normal case: median and 90th percentile over all that ships."""
    shipped = [file for file in files if file.in_src and file.path.endswith(".py")]
    lengths = [_length(function) for file in shipped for _, function in _functions(file.tree)]
    if len(lengths) < 2:
        return
    median, p90 = statistics.median(lengths), statistics.quantiles(lengths, n=10)[-1]
    if median >= FUNCTION_MEDIAN_BELOW or p90 >= FUNCTION_P90_BELOW:
        text = (
            f"median {median:g} (< {FUNCTION_MEDIAN_BELOW}), p90 {p90:g} (< {FUNCTION_P90_BELOW})"
        )
        yield Finding("function-spread", SRC, 0, text)


# Words ------------------------------------------------------------------------------------------


def _clock_aliases(node: ast.AST) -> Iterator[str]:
    """The names of CLOCK_NAMES that a node uses, called or only named."""
    if isinstance(node, ast.Attribute):
        base = node.value.attr if isinstance(node.value, ast.Attribute) else ""
        base = node.value.id if isinstance(node.value, ast.Name) else base
        yield f"{base}.{node.attr}"
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


@rule
def clock(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """What ships asks `core.clock` for the time, so that a test can turn it."""
    for file in files:
        if not file.in_src or not file.path.endswith(".py") or file.path == CLOCK_FILE:
            continue
        for node in ast.walk(file.tree):
            for name in set(_clock_aliases(node)) & CLOCK_NAMES:
                line = getattr(node, "lineno", 0)
                yield Finding("clock", file.path, line, f"{name}: use fastobj.core.clock")


@rule
def printing(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """Only the command line prints."""
    for file in files:
        if not file.in_src or not file.path.endswith(".py") or file.package == "cli":
            continue
        for node in ast.walk(file.tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id == "print":
                yield Finding("printing", file.path, node.lineno, "print: use the log")


@rule
def marks(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """Work that is left is an issue, not a mark in a file."""
    for file in files:
        for match in MARKS.finditer(file.text):
            line = file.text.count("\n", 0, match.start()) + 1
            yield Finding("marks", file.path, line, match.group())


def _swallows(handler: ast.ExceptHandler) -> str | None:
    if handler.type is None:
        return "bare except"
    broad = isinstance(handler.type, ast.Name) and handler.type.id in {"Exception", "BaseException"}
    silent = all(
        isinstance(line, ast.Pass | ast.Continue)
        or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
        for line in handler.body
    )
    return "swallows every error without a word" if broad and silent else None


@rule
def swallowed(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """No bare except, and no broad one that does nothing."""
    for file in files:
        if not file.is_python:
            continue
        for node in ast.walk(file.tree):
            if isinstance(node, ast.ExceptHandler) and (fault := _swallows(node)):
                yield Finding("swallowed", file.path, node.lineno, fault)


CYTHON_DOCSTRING = re.compile(r'\A(?:\s*#[^\n]*\n|\s*\n)*[rR]?("""|\'\'\')')


def _public(tree: ast.Module) -> Iterator[Function | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node


@rule
def docstrings(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """Each module says what it is, and each public function and class of one what it does."""
    for file in files:
        if file.path.endswith(".pyx") and not CYTHON_DOCSTRING.match(file.text):
            yield Finding("docstrings", file.path, 1, "the module has none")
        if not file.path.endswith(".py"):
            continue
        if not ast.get_docstring(file.tree):
            yield Finding("docstrings", file.path, 1, "the module has none")
        for node in _public(file.tree) if file.in_src else ():
            if not ast.get_docstring(node):
                where = f"{file.path}:{node.name}"
                yield Finding("docstrings", where, node.lineno, "has none")


@rule
def empty_names(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """A file is named for what it does; these words say nothing."""
    for file in files:
        parts = file.path.removeprefix(SRC).split("/") if file.in_src else [file.path]
        stems = [part.rsplit("/", 1)[-1].split(".")[0] for part in parts]
        for word in {word for stem in stems for word in stem.split("_")} & EMPTY_NAMES:
            yield Finding("empty-names", file.path, 0, f"named {word}")


# The project ------------------------------------------------------------------------------------


@rule
def mapped(files: Sequence[Source], project: Mapping[str, object]) -> Iterator[Finding]:
    """The map in `fastobj/__init__.py` has a line for each package, with its level, in order."""
    top = next((file for file in files if file.path == f"{SRC}__init__.py"), None)
    text = ast.get_docstring(top.tree) or "" if top else ""
    rows = [(int(level), name) for level, name in re.findall(r"^(\d)  (\w+) ", text, re.MULTILINE)]
    if [level for level, _ in rows] != sorted(level for level, _ in rows):
        yield Finding("mapped", f"{SRC}__init__.py", 1, "the map is not in the order of layers")
    packages = {file.package for file in files if file.in_src and file.package}
    for name in sorted(packages - {name for level, name in rows if LEVELS.get(name) == level}):
        yield Finding("mapped", f"{SRC}{name}", 1, "the map lacks it, or gives another level")


def findings(files: Sequence[Source], project: Mapping[str, object]) -> list[Finding]:
    """What all rules find."""
    return [finding for check in RULES.values() for finding in check(files, project)]
