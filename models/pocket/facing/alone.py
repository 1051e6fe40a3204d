"""Training on a CPU: pictures are drawn first, then one network after another is trained, each for its own time.

    python -m facing.alone draw --scratch /tmp/pocket/drawn --minutes 4         (from models/pocket)
    python -m facing.alone detector --scratch /tmp/pocket/drawn --out /tmp/pocket/faces --minutes 15

Minutes of training are minutes of processor time, so that other work on the machine costs no quality. What was stopped goes on
where it was when it is started again, and what was finished goes on with more minutes; a file OUT/stop ends training as it is.
"""

import argparse
import multiprocessing
import time
from pathlib import Path

from .drawing import draw_share, groups, open_group, progress
from .stages import NETWORKS, train_stage


def draw(scratch: Path, scale: float, minutes: float, processes: int, only: tuple[str, ...]) -> None:
    """Draws all groups, or those named, at the same pace until time is up."""
    for group in groups(scale).values():
        open_group(scratch, group)
    last = time.time() + 60 * minutes
    shares = [multiprocessing.Process(target=draw_share, args=(scratch, scale, i, processes, last, only)) for i in range(processes)]
    for share in shares:
        share.start()
    for share in shares:
        share.join()
    print(progress(scratch, scale), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("draw", *NETWORKS))
    parser.add_argument("--scratch", type=Path, required=True, help="where drawn pictures lie")
    parser.add_argument("--scale", type=float, default=.4, help="size of the drawn groups")
    parser.add_argument("--minutes", type=float, required=True, help="of processor time, in all; drawing: of the clock")
    parser.add_argument("--processes", type=int, default=2, help="that draw")
    parser.add_argument("--only", nargs="+", choices=tuple(groups()), default=(), help="drawing: groups that are wanted; default: all")
    parser.add_argument("--divide", type=int, default=8, help="batches are a so-many-th of those on a card")
    parser.add_argument("--out", type=Path, help="folder of the trained files")
    args = parser.parse_args()
    if args.what == "draw":
        draw(args.scratch, args.scale, args.minutes, args.processes, tuple(args.only))
        return
    if not args.out:
        parser.error("--out is missing")
    args.out.mkdir(parents=True, exist_ok=True)
    train_stage(args.what, str(args.scratch), str(args.out), args.scale, "cpu", args.divide, seconds=60 * args.minutes)


if __name__ == "__main__":
    main()
