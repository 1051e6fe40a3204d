"""What was measured on: the card and its driver, this machine, and the versions of what ran."""

import os
import platform
import sys

import command
from settings import REPOSITORY

SECONDS = 30


def facts(settings, program):
    """Everything that can be told without a model; what cannot be told is None."""
    return {
        "card": card(settings),
        "host": {"cpu": cpu(), "cores": os.cpu_count(), "system": platform.platform(), "python": sys.version.split()[0]},
        "likeness": said([program, "--version"]),
        "commit": said(["git", "-C", REPOSITORY, "rev-parse", "HEAD"]),
        "cuda_path": os.environ.get("CUDA_PATH"),
    }


def card(settings):
    """Name, memory, driver and compute capability, as nvidia-smi tells them."""
    if settings.dry:
        return None
    number = settings.device.partition(":")[2] or "0"
    query = "--query-gpu=name,memory.total,driver_version,compute_cap"
    line = said(["nvidia-smi", "-i", number, query, "--format=csv,noheader,nounits"])
    values = [value.strip() for value in (line or "").split(",")]
    if len(values) != 4:
        return None
    return dict(zip(("name", "memory_mib", "driver", "compute_capability"), values))


def cpu():
    try:
        with open("/proc/cpuinfo") as file:
            return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), None)
    except OSError:
        return platform.processor() or None


def said(line):
    ended = command.run(line, SECONDS)
    return ended.stdout.strip() or None if ended.code == 0 else None
