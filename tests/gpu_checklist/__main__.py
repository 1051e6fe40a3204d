"""`just gpu-checklist`: everything that a card has to prove, in one command of less than 25 minutes.

It needs the built program, tests/fixtures and python3 with PyTorch; docs/gpu.md explains. Exit code 0: every part passed and no limit is missed;
1: not so; 2: the command line makes no sense; 130: interrupted. The report is written after every part, whatever happens.
"""

import argparse
import json
import shlex
import signal
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import cold
import machine
import parity
import program
import pytorch
import report as reports
import settings
import speed
import wheels
from part import INTERRUPTED, Part, perform

WORK = {"parity": parity.work, "speed": speed.work, "sd15": speed.other_model, "pytorch": pytorch.work, "cold": cold.work}
INTERRUPTED_CODE = 130


def main(words=None):
    options = arguments(words)
    # A machine's own limit ends programs with this signal; then too what there is is written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        if options.merge:
            report = reports.merged([json.loads(path.read_text()) for path in options.merge])
            reports.write(report, options.out)
        else:
            report = measured(options)
    except (program.NoProgram, wheels.BadWheels, reports.Unlike, OSError, ValueError) as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED_CODE
    print((options.out / "report.md").read_text())
    say(f"written: {options.out / 'report.json'} and report.md")
    if any(part["status"] == INTERRUPTED for part in report["parts"].values()):
        return INTERRUPTED_CODE
    return 0 if report["ok"] else 1


def arguments(words):
    parser = argparse.ArgumentParser(prog="just gpu-checklist", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--likeness", metavar="PATH", help="a built program, as it is or as .xz or .gz [default: builds it with --features cuda]")
    parser.add_argument("--device", default="cuda:0", help="the card [default: cuda:0]")
    parser.add_argument("--only", type=chosen_parts, default=settings.PARTS, metavar="PART,PART", help=f"of {','.join(settings.PARTS)}")
    parser.add_argument("--out", type=Path, default=Path("gpu-checklist"), metavar="DIR", help="where the report goes [default: gpu-checklist]")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where kernels, weights and figures are kept between calls [default: a temporary folder]")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="Python packages that this machine lacks")
    parser.add_argument("--dry", action="store_true", help="test the checklist itself, on the CPU, in a few minutes")
    parser.add_argument("--merge", type=Path, nargs="+", metavar="REPORT.json", help="measure nothing; make one report of those of several calls")
    return parser.parse_args(words)


def chosen_parts(text):
    parts = text.split(",")
    unknown = [part for part in parts if part not in settings.PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no part {unknown[0]!r}; the parts are {', '.join(settings.PARTS)}")
    return [part for part in settings.PARTS if part in parts]


def measured(options):
    """Makes the parts, one after another, and writes the report after each."""
    choice = settings.without_a_card() if options.dry else settings.on_a_card(options.device)
    with tempfile.TemporaryDirectory(prefix="gpu-checklist-") as scratch:
        folder = (options.work or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        binary = program.find(options.likeness, choice, folder, say)
        environment = {"LIKENESS_KERNEL_CACHE": str(folder / "kernels"), **wheels.environment(options.wheels, folder)}
        report = {
            "schema": reports.SCHEMA,
            "dry": choice.dry,
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "command_lines": [" ".join(map(shlex.quote, sys.argv))],
            "facts": machine.facts(choice, binary),
            "parts": {},
        }
        for name in options.only:
            part = Part(name, settings.DEADLINES[name], choice, binary, folder, environment, say)
            report["parts"][name] = perform(part, WORK[name])
            reports.write(report, options.out)
            say(f"{name}: {report['parts'][name]['status']} after {report['parts'][name]['seconds']:.0f} s")
            if report["parts"][name]["status"] == INTERRUPTED:
                break
    return report


def say(text):
    """For whoever watches; stdout is the report."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
