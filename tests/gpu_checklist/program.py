"""The program under test: given, given compressed, or built."""

import gzip
import lzma
import os
import shutil
import subprocess
from pathlib import Path

from settings import REPOSITORY

OPENERS = {".xz": lzma.open, ".gz": gzip.open}


class NoProgram(Exception):
    """Why there is none."""


def find(given, settings, folder, say):
    """The path of an executable `likeness`."""
    if given is None:
        return built(settings, say)
    given = Path(given).resolve()
    if not given.is_file():
        raise NoProgram(f"--likeness {given}: there is no such file")
    if given.suffix in OPENERS:
        unpacked = folder / given.stem
        with OPENERS[given.suffix](given) as source, unpacked.open("wb") as target:
            shutil.copyfileobj(source, target)
        given = unpacked
        given.chmod(0o755)
    if not os.access(given, os.X_OK):
        raise NoProgram(f"--likeness {given}: it cannot be executed (chmod +x)")
    return given


def built(settings, say):
    """Builds it in release, for cards where there is one."""
    line = ["cargo", "build", "--release", "--locked", "--package", "likeness", *([] if settings.dry else ["--features", "cuda"])]
    say("building: " + " ".join(line))
    try:
        code = subprocess.run(line, cwd=REPOSITORY, stdin=subprocess.DEVNULL).returncode
    except OSError as error:
        raise NoProgram(f"cargo cannot be started ({error}): give a built program with --likeness PATH") from error
    if code != 0:
        raise NoProgram("the program does not build; give a built one with --likeness PATH")
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    return REPOSITORY / target / "release" / "likeness"
