"""One part of the checklist while it runs: its deadline, the programs it started, and what it has found so far."""

import time
from datetime import datetime, timezone

import command

PASSED, FAILED, TIMED_OUT, SKIPPED, INTERRUPTED = "passed", "failed", "timed out", "skipped", "interrupted"


class Skipped(Exception):
    """Why a part cannot be made here."""


class Part:
    """What a part's code is given. `found` goes into the report, also where the part does not come to its end."""

    def __init__(self, name, seconds, settings, program, folder, environment, say=print):
        self.name, self.settings, self.program, self.folder, self.say = name, settings, program, folder, say
        self.environment = dict(environment)
        self.found, self.commands, self.failures = {}, [], []
        self.late = False
        self.began = time.monotonic()
        self.seconds = seconds

    def left(self):
        """Seconds until the deadline."""
        return self.seconds - (time.monotonic() - self.began)

    def run(self, line, share=1.0, most=None, **environment):
        """Runs a program for at most `share` of the time left and `most` seconds. A failure is taken note of; the caller goes on."""
        seconds = min(self.left() * share, most or float("inf"))
        self.say(f"{self.name}: {command.shown(line)}")
        ended = command.run(line, seconds, {**self.environment, **environment})
        self.commands.append(ended.record())
        if ended.code != 0:
            self.late |= ended.timed_out
            self.fail(f"{command.shown(line)}: {ended.why()}")
        return ended

    def fail(self, why):
        self.say(f"{self.name}: {why}")
        self.failures.append(why)


def perform(part, work):
    """Runs `work(part)` and returns its entry of the report. Nothing but an interrupt comes out of it."""
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    status, reason = PASSED, None
    try:
        work(part)
    except Skipped as skipped:
        status, reason = SKIPPED, str(skipped)
    except KeyboardInterrupt:
        status, reason = INTERRUPTED, "interrupted"
    except Exception as error:  # A mistake in one part must not cost the figures of the others.
        part.fail(f"{type(error).__name__}: {error}")
    if status == PASSED and part.failures:
        status, reason = (TIMED_OUT if part.late else FAILED), "; ".join(part.failures)
    return {
        "status": status,
        "reason": reason,
        "started": started,
        "seconds": round(time.monotonic() - part.began, 1),
        "deadline_seconds": part.seconds,
        "commands": part.commands,
        "found": part.found,
    }
