"""Draws the pocket world: a data set to train on, test people to invert, or a sheet to look at.

    python draw.py data --out /tmp/pocket/data.npz     training pictures with captions
    python draw.py people --out people                 unseen test people as JPEG photos
    python draw.py celebrities --out /tmp/pocket/celebrities   photos of named people, for the experiment's oracle
    python draw.py sheet --out /tmp/pocket/sheet.png   a look at the world
"""

import argparse
import time
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from PIL import Image

from world.captions import captions
from world.features import features
from world.identity import CELEBRITY_SEED, TEST_SEED, UNNAMED_SEED, draw_identity
from world.names import celebrity_names
from world.portrait import render
from world.scene import STYLES, draw_scene

PICTURE_SEED = 50_000_000
PHOTO_SEED = 90_000_000
CELEBRITY_PHOTO_SEED = 190_000_000


Picture = tuple[np.ndarray, list[str], np.ndarray, int]


def named_picture(job: tuple[int, int]) -> Picture:
    """Picture number `picture` of celebrity `index`: pixels, captions, the person's features, index."""
    index, picture = job
    rng = np.random.default_rng(PICTURE_SEED + index * 10_000 + picture)
    person, scene = draw_identity(CELEBRITY_SEED + index), draw_scene(rng)
    return render(person, scene), captions(rng, person, scene, celebrity=True), features(person), index


def unnamed_picture(number: int) -> Picture:
    """A picture of somebody who appears once: pixels, captions, the person's features, -1."""
    rng = np.random.default_rng(PICTURE_SEED * 2 + number)
    person, scene = draw_identity(UNNAMED_SEED + number), draw_scene(rng)
    return render(person, scene), captions(rng, person, scene, celebrity=False), features(person), -1


def write_data(out: Path, per_name: int, unnamed: int, workers: int) -> None:
    """Draws the training set and writes images, captions [N, V], features [N, F] and name indices to one .npz file."""
    started = time.time()
    jobs = [(i, k) for i in range(len(celebrity_names())) for k in range(per_name)]
    with Pool(workers) as pool:
        rows = pool.map(named_picture, jobs, chunksize=64) + pool.map(unnamed_picture, range(unnamed), chunksize=64)
    images, said, people, indices = zip(*rows)
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(out, images=np.stack(images), captions=np.array(said), features=np.stack(people),
             names=np.array(indices, np.int16))
    print(f"{len(rows)} pictures in {time.time() - started:.0f} s -> {out}")


def write_people(out: Path, people: int, photos: int, size: int) -> None:
    """Draws unseen people: photographs only, everything but the person varies, at most one with a hat."""
    for number in range(1, people + 1):
        with_hat = photos if number % 3 == 0 else 0
        _write_photos(out / f"person-{number:02d}", draw_identity(TEST_SEED + number), PHOTO_SEED + number * 1000, photos, size, with_hat)


def write_celebrities(out: Path, people: int, photos: int, size: int) -> None:
    """Draws people whom the model knows by name, the first ones of names.txt; no photo is a training picture."""
    for index, name in enumerate(celebrity_names()[:people]):
        folder = out / name.replace(" ", "_")
        _write_photos(folder, draw_identity(CELEBRITY_SEED + index), CELEBRITY_PHOTO_SEED + index * 1000, photos, size, with_hat=0)


def _write_photos(folder: Path, person, seed: int, photos: int, size: int, with_hat: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for photo in range(1, photos + 1):
        scene = draw_scene(np.random.default_rng(seed + photo), style="photo", headwear="hat" if photo == with_hat else "none")
        Image.fromarray(render(person, scene, size)).save(folder / f"{photo:02d}.jpg", quality=92)


def write_sheet(out: Path, people: int, first: int, scale: int) -> None:
    """Rows: people; columns: six photos, then one picture in each other style."""
    rows = []
    for number in range(people):
        person = draw_identity(TEST_SEED + 500 + first + number)
        row = []
        for column in range(9):
            rng = np.random.default_rng(number * 100 + column)
            style = STYLES[max(0, column - 5)]
            row.append(render(person, draw_scene(rng, style=style)))
        rows.append(np.concatenate(row, 1))
    sheet = Image.fromarray(np.concatenate(rows))
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.resize((sheet.width * scale, sheet.height * scale), Image.NEAREST).save(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    data = verbs.add_parser("data")
    data.add_argument("--out", type=Path, required=True)
    data.add_argument("--per-name", type=int, default=40)
    data.add_argument("--unnamed", type=int, default=36_000)
    data.add_argument("--workers", type=int, default=2)
    for verb in ("people", "celebrities"):
        people = verbs.add_parser(verb)
        people.add_argument("--out", type=Path, required=True)
        people.add_argument("--people", type=int, default=12)
        people.add_argument("--photos", type=int, default=8)
        people.add_argument("--size", type=int, default=128)
    sheet = verbs.add_parser("sheet")
    sheet.add_argument("--out", type=Path, required=True)
    sheet.add_argument("--people", type=int, default=8)
    sheet.add_argument("--first", type=int, default=0)
    sheet.add_argument("--scale", type=int, default=2)
    args = parser.parse_args()
    if args.verb == "data":
        write_data(args.out, args.per_name, args.unnamed, args.workers)
    elif args.verb == "people":
        write_people(args.out, args.people, args.photos, args.size)
    elif args.verb == "celebrities":
        write_celebrities(args.out, args.people, args.photos, args.size)
    else:
        write_sheet(args.out, args.people, args.first, args.scale)


if __name__ == "__main__":
    main()
