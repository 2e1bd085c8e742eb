"""One step of an installation: a command that must succeed, and says why where it does not."""

import subprocess
from collections.abc import Sequence
from pathlib import Path


def run(
    command: Sequence[str], failed: type[Exception], cure: str, folder: Path | None = None
) -> None:
    """Runs a command without input.

    Raises `failed` with its output, or with the cure where there is no such program.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise failed(f"{command[0]} is not on PATH: {cure}") from None
    if done.returncode:
        raise failed(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}")
