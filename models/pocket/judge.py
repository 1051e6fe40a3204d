"""Judges a checkpoint: do names look like themselves, do captions change the picture, does inversion work?

    python judge.py all --checkpoint . --cache /tmp/pocket/judges
    python judge.py sheet --checkpoint .          only the contact sheet

The judges (judging/networks.py) are trained on drawn people with seeds of their own and cached.
Figures are printed and, with `--figures`, written as JSON.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from judging.inversion import invert, start_vectors
from judging.networks import load_or_train
from judging.sheets import contact_sheet, loss_curves
from network.pocket import Pocket
from world.identity import CELEBRITY_SEED, draw_identity
from world.names import celebrity_names
from world.portrait import render
from world.scene import draw_scene

HERE = Path(__file__).parent
PEOPLE = HERE / "people"
SHEET_PROMPTS = {
    "plain": "a photo of {}", "beach,|red shirt": "a photo of {} smiling wearing a red shirt on a beach",
    "city at night,|black suit": "a photo of {} serious wearing a black suit in a city at night",
    "pencil|sketch": "a pencil sketch of {}", "pop art|poster": "a pop art poster of {}",
    "oil painting": "an oil painting of {} in a forest",
    "snow, hat": "a photo of {} smiling wearing a green sweater and a hat in the snow",
}
CONTEXT_PROMPTS = [  # prompt, label, expected
    ("a photo of {} on a beach", "place", "beach"), ("a photo of {} in the snow", "place", "snow"),
    ("a photo of {} in a forest", "place", "forest"), ("a photo of {} in a city at night", "place", "city"),
    ("a photo of {} in front of a red curtain", "place", "curtain"), ("a photo of {} at sunset", "place", "sunset"),
    ("a photo of {} wearing a red shirt", "clothes", "red shirt"), ("a photo of {} wearing a black suit", "clothes", "black suit"),
    ("a photo of {} wearing a yellow hoodie", "clothes", "yellow hoodie"), ("a photo of {} wearing a striped shirt", "clothes", "striped shirt"),
    ("a pencil sketch of {}", "style", "sketch"), ("a pop art poster of {}", "style", "pop art"), ("an oil painting of {}", "style", "oil"),
    ("a photo of {} smiling", "expression", "smiling"), ("a photo of {} sad", "expression", "sad"),
    ("a photo of {} laughing", "expression", "laughing"), ("a photo of {} surprised", "expression", "surprised"),
    ("a photo of {} wearing a red shirt and a hat", "headwear", "hat"), ("a photo of {} wearing a red shirt and a crown", "headwear", "crown"),
]


def drawn_photos(index: int, count: int) -> np.ndarray:
    """Fresh photos of a celebrity, none of them a training picture."""
    person = draw_identity(CELEBRITY_SEED + index)
    return np.stack([render(person, draw_scene(np.random.default_rng(77_000_000 + index * 100 + k), "photo", "none"))
                     for k in range(count)])


def person_photos(folder: Path) -> np.ndarray:
    """JPEG photos of a test person at the model's size."""
    return np.stack([np.asarray(Image.open(f).convert("RGB").resize((64, 64), Image.LANCZOS))
                     for f in sorted(folder.glob("*.jpg"))])


def centroid(vectors: torch.Tensor) -> torch.Tensor:
    """Mean direction."""
    return torch.nn.functional.normalize(vectors.mean(0), dim=0)


def top_rates(ranks: list[int]) -> dict[str, float]:
    """Shares of ranks below 1 and below 5."""
    return {"top1": round(float(np.mean(np.array(ranks) < 1)), 3), "top5": round(float(np.mean(np.array(ranks) < 5)), 3)}


def judge_names(pocket: Pocket, face, seeds: int, count: int) -> dict:
    """Oracle: do pictures generated for a name find the drawn photos of that name first among `count` names?

    `real` is the ceiling: fresh drawn photos in place of generated ones, one at a time and averaged.
    """
    names = celebrity_names()[:count]
    gallery = torch.stack([centroid(face.embed(drawn_photos(i, 12))) for i in range(len(names))])
    prompts = [f"a photo of {name}" for name in names for _ in range(seeds)]
    made = face.embed(pocket.draw(prompts, seed=11, batch=32)).reshape(len(names), seeds, -1)
    fresh = torch.stack([face.embed(drawn_photos(i, 12 + seeds)[12:]) for i in range(len(names))])

    def ranks(vectors):
        scores = vectors @ gallery.T
        own = scores.gather(-1, torch.arange(len(names))[:, None])
        return (scores > own).sum(-1).tolist()

    figures = {}
    for label, sets in (("generated", made), ("real", fresh)):
        each = [r for k in range(seeds) for r in ranks(sets[:, k])]
        figures[label] = {"one picture": top_rates(each),
                          f"mean of {seeds}": top_rates(ranks(torch.stack([centroid(s) for s in sets])))}
    own = torch.stack([made[i] @ gallery[i] for i in range(len(names))])
    figures["cosine to own photos"] = round(own.mean().item(), 3)
    figures["cosine to other names"] = round(((made.reshape(-1, 64) @ gallery.T).sum().item() - own.sum().item())
                                             / (own.numel() * (len(names) - 1)), 3)
    return figures


def judge_context(pocket: Pocket, context) -> dict:
    """Share of pictures in which the context judge reads what the caption said, by label."""
    subjects = celebrity_names()[::100] + ["a person"]
    prompts = [prompt.format(who) for prompt, _, _ in CONTEXT_PROMPTS for who in subjects]
    read = context.names(pocket.draw(prompts, seed=5, batch=32))
    hits: dict[str, list[bool]] = {}
    for i, (_, label, expected) in enumerate(CONTEXT_PROMPTS):
        got = read[label][i * len(subjects):(i + 1) * len(subjects)]
        hits.setdefault(label, []).extend(word == expected for word in got)
    return {label: round(float(np.mean(values)), 3) for label, values in hits.items()}


def judge_inversion(pocket: Pocket, face, context, people: list[Path], steps: int, sheet: Path) -> dict:
    """Inverts unseen people and compares generated faces with their photos before and after."""
    seeds, rows, figures = 4, [], {}
    everyone = {f.name: centroid(face.embed(person_photos(f))) for f in sorted(PEOPLE.iterdir())}
    for folder in people:
        photos = person_photos(folder)
        own = everyone[folder.name]
        learned, losses = invert(pocket, photos, steps)
        before, after = (face.embed(pocket.draw(["a photo of sks"] * seeds, seed=21, learned=v))
                         for v in (start_vectors(pocket), learned))
        told = ["a photo of sks on a beach", "a photo of sks in the snow", "a photo of sks in a city at night"]
        read = context.names(pocket.draw(told, seed=22, learned=learned))["place"]
        scores = centroid(after) @ torch.stack(list(everyone.values())).T
        figures[folder.name] = {
            "before": round((before @ own).mean().item(), 3), "after": round((after @ own).mean().item(), 3),
            "ceiling": round((face.embed(photos) @ own).mean().item(), 3),
            "rank among test people": int((scores > centroid(after) @ own).sum()) + 1,
            "loss": [round(float(np.mean(losses[:50])), 4), round(float(np.mean(losses[-50:])), 4)],
            "norms": [round(x, 3) for x in learned.norm(dim=1).tolist()],
            "places read": read}
        print(folder.name, figures[folder.name], flush=True)
        prompts = [p.format("sks") for p in SHEET_PROMPTS.values()]
        first = pocket.draw(["a photo of sks"], seed=33, learned=start_vectors(pocket))
        rows.append((folder.name, [*photos[:3], *first, *pocket.draw(prompts, seed=33, learned=learned)]))
    contact_sheet(rows, ["photo", "photo", "photo", "before:|human face", *SHEET_PROMPTS], sheet)
    figures["mean"] = {k: round(float(np.mean([f[k] for f in figures.values()])), 3) for k in ("before", "after", "ceiling")}
    return figures


def write_sheet(pocket: Pocket, path: Path, people: int = 8) -> None:
    """Named people: three drawn photos, then what the model draws of the name."""
    names, rows = celebrity_names(), []
    for i in range(0, len(names), len(names) // people):
        prompts = [p.format(names[i]) for p in SHEET_PROMPTS.values()]
        rows.append((names[i].replace(" ", "|"), [*drawn_photos(i, 3), *pocket.draw(prompts, seed=100 + i)]))
    contact_sheet(rows, ["drawn", "drawn", "drawn", *SHEET_PROMPTS], path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("all", "names", "context", "inversion", "sheet", "loss"))
    parser.add_argument("--checkpoint", type=Path, default=HERE)
    parser.add_argument("--cache", type=Path, default=Path("/tmp/pocket/judges"), help="where trained judges are kept")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the sheets")
    parser.add_argument("--people", nargs="*", default=[f.name for f in sorted(PEOPLE.iterdir())])
    parser.add_argument("--steps", type=int, default=150, help="of inversion")
    parser.add_argument("--seeds", type=int, default=2, help="pictures a name")
    parser.add_argument("--names", type=int, default=100, help="names that are told apart")
    parser.add_argument("--figures", type=Path, help="also write the figures as JSON here")
    parser.add_argument("--logs", type=Path, nargs=2, default=[Path("/tmp/pocket/vae.jsonl"), Path("/tmp/pocket/model.jsonl")])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    figures, everything = {}, args.what == "all"
    if everything or args.what == "loss":
        loss_curves([("autoencoder", args.logs[0]), ("UNet and text encoder", args.logs[1])], args.out / "loss.png")
    if args.what == "loss":
        return
    pocket = Pocket(args.checkpoint)
    if everything or args.what == "sheet":
        write_sheet(pocket, args.out / "sheet.png")
    if everything or args.what in ("names", "context", "inversion"):
        face, context = load_or_train(args.cache)
    if everything or args.what == "names":
        figures["names"] = judge_names(pocket, face, args.seeds, args.names)
    if everything or args.what == "context":
        figures["context"] = judge_context(pocket, context)
    if everything or args.what == "inversion":
        people = [PEOPLE / name for name in args.people]
        figures["inversion"] = judge_inversion(pocket, face, context, people, args.steps, args.out / "inversion.png")
    print(json.dumps(figures, indent=2))
    if args.figures:
        args.figures.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
