"""A folder of wheels that travelled along: unpacked beside the run, for PyTorch's side and for the program's NVRTC and CUDA headers."""

import os
import sys
from pathlib import Path

import command

SECONDS = 240
# The folder of NVIDIA's wheels for CUDA 13 that is laid out as an installed toolkit.
TOOLKIT = Path("nvidia") / "cu13"


class BadWheels(Exception):
    """Why they cannot be installed."""


def environment(folder, work):
    """Installs the wheels of `folder` into `work` and returns what programs need in their environment to find them."""
    if folder is None:
        return {}
    wheels = sorted(Path(folder).glob("*.whl"))
    if not wheels:
        raise BadWheels(f"--wheels {folder}: there are no wheels in it")
    site = work / "site"
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--upgrade"]
    ended = command.run([*line, "--target", site, *wheels], SECONDS)
    if ended.code != 0:
        raise BadWheels(f"--wheels {folder}: {ended.why()}")
    additions = {"PYTHONPATH": joined(site, "PYTHONPATH")}
    toolkit = site / TOOLKIT
    if (toolkit / "include" / "cuda_runtime.h").is_file() and "CUDA_PATH" not in os.environ:
        additions["CUDA_PATH"] = str(toolkit)
    if (toolkit / "lib").is_dir():
        additions["LD_LIBRARY_PATH"] = joined(toolkit / "lib", "LD_LIBRARY_PATH")
    return additions


def joined(first, name):
    """`first` before what the variable already names."""
    return os.pathsep.join([str(first), *filter(None, [os.environ.get(name)])])
