"""What tests of reliability count: summed up by `make torture` and by `make long`.

figures.count("kill rounds", 5)
"""

import json
import os
from collections import Counter
from pathlib import Path

VARIABLE = "FASTOBJ_TEST_FIGURES"  # the file that figures are added to


def count(name: str, number: int) -> None:
    """Adds to a figure, where somebody asks for figures."""
    path = os.environ.get(VARIABLE)
    if path:
        with Path(path).open("a") as file:
            file.write(json.dumps({"name": name, "number": number}) + "\n")


def total(path: Path) -> Counter[str]:
    """The sums of all figures in a file."""
    sums: Counter[str] = Counter()
    if path.exists():
        for line in path.read_text().splitlines():
            row = json.loads(line)
            sums[row["name"]] += row["number"]
    return sums


def words(sums: Counter[str]) -> str:
    """The figures in a line."""
    return ", ".join(f"{number:,} {name}" for name, number in sorted(sums.items())) or "nothing"
