"""Programs that this one starts: each with a deadline, its output kept in files, its whole group ended where time runs out."""

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

TAIL = 4000
PATIENCE = 5


class Ended:
    """How a program ended. `code` is None where it was ended at its deadline."""

    def __init__(self, line, code, seconds, stdout, stderr):
        self.line, self.code, self.seconds, self.stdout, self.stderr = line, code, seconds, stdout, stderr

    @property
    def timed_out(self):
        return self.code is None

    def record(self):
        """For the report: the command line, how it ended, and the end of what it said."""
        ending = {"command": self.line, "code": self.code, "seconds": round(self.seconds, 1)}
        if self.code != 0:
            ending["tail"] = (self.stdout[-TAIL:] + self.stderr[-TAIL:]).strip()[-TAIL:]
        return ending

    def why(self):
        """Why it counts as failed, in a line."""
        if self.timed_out:
            return f"ended at its deadline after {self.seconds:.0f} s"
        last = (self.stderr.strip() or self.stdout.strip()).splitlines()[-1:] or ["it said nothing"]
        return f"exit code {self.code}: {last[0][:300]}"


def run(line, seconds, environment=None):
    """Runs a command line to its end or for so many seconds. The environment's additions come on top of this process's own.

    An interrupt ends the program before it goes on to whoever catches it.
    """
    line = [str(word) for word in line]
    if seconds <= 0:
        return Ended(line, None, 0.0, "", "no time was left to start it")
    started = time.monotonic()
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        try:
            program = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        except OSError as error:
            return Ended(line, 127, 0.0, "", f"cannot be started: {error}")
        try:
            code = program.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end_group(program)
        return Ended(line, code, time.monotonic() - started, text_of(stdout), text_of(stderr))


def end_group(program):
    """Ends the program and what it started: first politely."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(program.pid, kind)
        except (ProcessLookupError, PermissionError):
            break
        try:
            program.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            continue
    program.wait()


def text_of(file):
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def shown(line):
    """A command line for people: the program by its name alone."""
    return " ".join([Path(line[0]).name, *map(str, line[1:])])
