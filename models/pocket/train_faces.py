"""Trains the detector, both recognisers and the image-text pair in one go, within a given time.

    python train_faces.py --minutes 2.5 --processes 15 --out /tmp/pocket/faces
    python train_faces.py --smoke --out /tmp/pocket/smoke        a tiny run on the CPU

Many processes draw (facing/drawing.py) while one process a network already trains on what is there; then every
network is exported and all are checked. Each stage has a deadline and makes do with what it got; one
that fails leaves the others alone. In --out: detector.onnx, recogniser.onnx, judge.onnx, clip/, report.json and,
for each network, its weights as the training left them (.pt).
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")            # many processes of one thread; the check sets its own number

from facing.drawing import draw_share, groups, open_group, progress     # noqa: E402  (no torch in here)
from facing.stages import NETWORKS, train_stage                         # noqa: E402  (nor in here)

DRAWN, TRAINED = .46, .78       # shares of the time after which drawing and training end


def generate_stage(scratch: str, people: int, device: str) -> None:
    """Pictures by the pocket model, for the check."""
    try:
        from facing.generating import generate
        generate(Path(scratch) / "generated.npz", people, device)
    except Exception:
        print(f"generating FAILED\n{traceback.format_exc()}", flush=True)


def find_outside(named: Path | None) -> Path | None:
    """The outside judge: the file named, or where fixtures usually lie."""
    here = Path(__file__).resolve().parent
    places = [named] if named else [root / "shared/fixtures/faces/mobilefacenet.onnx" for root in (here.parent.parent, here.parent.parent.parent)]
    return next((place for place in places if place.exists()), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.5, help="for everything, the check included")
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="that draw")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, help="where pictures lie meanwhile; kept when named")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the drawn groups")
    parser.add_argument("--names", type=int, default=60, help="of whom the pocket model draws pictures for the check")
    parser.add_argument("--outside", type=Path, help="MobileFaceNet as ONNX, for the check")
    parser.add_argument("--only", nargs="*", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a card where there is one")
    parser.add_argument("--smoke", action="store_true", help="CPU, few pictures, small batches")
    args = parser.parse_args()
    start = time.time()
    if args.smoke:
        args.scale, args.names = .01, 3
    seconds = args.minutes * 60
    args.out.mkdir(parents=True, exist_ok=True)
    scratch = args.scratch or Path(tempfile.mkdtemp(prefix="faces-", dir=_roomy()))
    for group in groups(args.scale).values():
        open_group(scratch, group)
    fork, spawn = multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")
    drawing = [fork.Process(target=draw_share, args=(scratch, args.scale, i, args.processes, start + DRAWN * seconds)) for i in range(args.processes)]
    for process in drawing:
        process.start()
    device = args.device or ("cuda" if _has_card() and not args.smoke else "cpu")
    print(f"{args.processes} processes draw {sum(g.rows for g in groups(args.scale).values())} pictures, training on {device}", flush=True)
    stages = {name: spawn.Process(target=train_stage, args=(name, str(scratch), str(args.out), args.scale, device, 16 if device == "cpu" else 1, start + TRAINED * seconds))
              for name in args.only}
    stages["generating"] = spawn.Process(target=generate_stage, args=(str(scratch), args.names, device))
    for process in stages.values():
        process.start()
    last = start + (TRAINED + (1 - TRAINED) * .45) * seconds + (120 if args.smoke else 0)
    told = 0.0
    while any(process.is_alive() for process in stages.values()) and time.time() < last:
        if time.time() - told > 10:
            told = time.time()
            print(f"[{told - start:.0f} s] drawn {progress(scratch, args.scale)}", flush=True)
        time.sleep(.2)
    for name, process in [*stages.items(), *(("drawing", d) for d in drawing)]:
        if process.is_alive():
            print(f"{name} is out of time and ended", flush=True)
            process.terminate()
    print(f"[{time.time() - start:.0f} s] trained; checking", flush=True)
    import torch

    from facing.check import check
    torch.set_num_threads(max(1, args.processes))
    report = {"check": check(args.out, scratch, args.scale, device, find_outside(args.outside), max(1, args.processes))}
    report |= {"drawn": json.loads(progress(scratch, args.scale)), "seconds": round(time.time() - start, 1), "device": device,
               "card": torch.cuda.get_device_name() if device == "cuda" else None, "torch": torch.__version__,
               "bytes": {str(f.relative_to(args.out)): f.stat().st_size for f in sorted(args.out.rglob("*")) if f.suffix in (".onnx", ".safetensors")},
               "failed": {f.stem: f.read_text().splitlines()[-1] for f in args.out.glob("*.error")}}
    (args.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    print(f"[{time.time() - start:.0f} s] {args.out / 'report.json'}", flush=True)
    if not args.scratch:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(1 if report["failed"] else 0)


def _roomy() -> str | None:
    """Memory for pictures that nobody keeps, where there is enough of it."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 12e9 else None


def _has_card() -> bool:
    """Whether there is a card, without loading torch here while drawing starts."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/proc/driver/nvidia/version").exists()


if __name__ == "__main__":
    main()
