"""Measures the exported files on people no network has seen, through detection and alignment as the product does it.

    python -m facing.check --faces faces --scratch /tmp/pocket/faces       (from models/pocket)
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from . import pictures as p
from . import seeds
from .alignment import SIDE, align
from .decoding import DetectorFile, overlap
from .drawing import LARGE, draw_share, groups, open_group
from .facts import CLAIMS
from .generating import PHOTOS, PLACES, PROMPTS, STYLED
from .measures import agreement, auc, pairs, rounded, told_apart, unit

LOOK = 256          # side at which faces are looked for
BATCH = 64
# What a caption of a zero-shot question says: the world's own phrases.
QUESTIONS = {"style": {"photo": "a photo of a person", "sketch": "a pencil sketch of a person",
                       "pop art": "a pop art poster of a person", "oil": "an oil painting of a person"},
             "expression": "a photo of a person, {}", "clothes": "a photo of a person wearing a {}",
             "place": {"wall": "in front of a plain wall", "beach": "on a beach", "forest": "in a forest", "city": "in a city at night",
                       "curtain": "in front of a red curtain", "snow": "in the snow", "sunset": "at sunset", "field": "in a field"}}


def resized(pictures: np.ndarray, side: int) -> np.ndarray:
    """uint8 pictures at another size: averaged when smaller, bilinear when larger."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    x = F.interpolate(x, (side, side), mode="area") if side < x.shape[3] else F.interpolate(x, (side, side), mode="bilinear", align_corners=False)
    return (x.clamp(0, 255) + .5).byte().permute(0, 2, 3, 1).numpy()


class Recogniser:
    """A recogniser's file: RGB (x - 127.5) / scale."""

    def __init__(self, path: Path, scale: float = 127.5, threads: int = 8):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session, self.scale = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), scale

    def __call__(self, faces: torch.Tensor) -> np.ndarray:
        """Vectors of aligned faces [N, 3, 112, 112], RGB 0..255."""
        if not len(faces):
            return np.zeros((0, 1), np.float32)
        x = ((faces - 127.5) / self.scale).numpy()
        return np.concatenate([self.session.run(None, {"input": x[i:i + BATCH]})[0] for i in range(0, len(x), BATCH)])


def found_faces(detector: DetectorFile, pictures: np.ndarray) -> tuple[np.ndarray, torch.Tensor, list]:
    """Which pictures show a face, the best one's aligned crop of those, and all faces found."""
    large = resized(pictures, LOOK)
    faces = [f for i in range(0, len(large), BATCH) for f in detector(large[i:i + BATCH])]
    seen = np.array([bool(f) for f in faces])
    if not seen.any():
        return seen, torch.zeros(0, 3, SIDE, SIDE), faces
    x = torch.from_numpy(large[seen]).permute(0, 3, 1, 2).float()
    points = torch.from_numpy(np.stack([f[0].points for f in faces if f]).astype(np.float32))
    return seen, align(x, points), faces


def check_detector(detector: DetectorFile, scratch: Path, scale: float) -> dict:
    """Recall, false alarms and the error of points at several sizes, clean and worn; alarms on scenes without anybody."""
    arrays, figures = open_group(scratch, groups(scale)["held_out"]), {}
    rows = np.flatnonzero(arrays["ready"])[:1200]
    boxes, points, clean = arrays["boxes"][rows], arrays["points"][rows], np.array(arrays["pictures"][rows])
    torch.manual_seed(5)
    x = torch.from_numpy(resized(clean, 64)).permute(0, 3, 1, 2).float()
    worn = p.jpeg(p.noise(p.blur(x, 1.0), .5, 8).clamp(0, 255), .7).byte().permute(0, 2, 3, 1).numpy()
    for name, pictures in (("64", resized(clean, 64)), ("128", clean), ("256", resized(clean, 256)), ("320", resized(clean, 320)),
                           ("512", resized(clean[:300], 512)), ("256 from worn 64", resized(worn, 256))):
        side, found, alarms, errors, overlaps = pictures.shape[1], 0, 0, [], []
        faces = [f for i in range(0, len(pictures), BATCH) for f in detector(pictures[i:i + BATCH])]
        for i, listed in enumerate(faces):
            over = [overlap(face.box, boxes[i] * side) for face in listed]
            best = int(np.argmax(over)) if over else -1
            if over and over[best] >= .5:
                found += 1
                overlaps.append(over[best])
                eyes = np.linalg.norm(points[i][1] - points[i][0]) * side
                errors.append(np.linalg.norm(listed[best].points - points[i] * side, axis=1).mean() / eyes)
            alarms += sum(o < .5 for o in over)
        figures[name] = {"recall": found / len(faces), "false_per_picture": alarms / len(faces),
                         "point_error_in_eye_distances": np.mean(errors or [9]), "overlap": np.mean(overlaps or [0])}
    empty = empty_scenes(200)
    noise = np.random.default_rng(1).integers(0, 256, (60, LOOK, LOOK, 3), np.uint8)
    figures["nobody"] = {name: sum(len(f) for i in range(0, len(x), BATCH) for f in detector(x[i:i + BATCH])) / len(x)
                         for name, x in (("scenes", resized(empty, LOOK)), ("noise", noise))}
    return figures


def empty_scenes(count: int) -> np.ndarray:
    """Places without anybody, apart from those the detector learned from."""
    from world.canvas import Canvas
    from world.places import paint_place
    from world.scene import draw_scene

    scenes = []
    for i in range(count):
        rng = np.random.default_rng(seeds.HELD_OUT_EMPTY + i)
        canvas = Canvas(LARGE, 1, draw_scene(rng))
        paint_place(canvas, rng)
        scenes.append((np.clip(canvas.image, 0, 1) * 255 + .5).astype(np.uint8))
    return np.stack(scenes)


def check_recognisers(detector: DetectorFile, recognisers: dict[str, Recogniser], outside: Recogniser | None, scratch: Path, scale: float) -> dict:
    """Same or different, on clean pictures of side 128 and on pictures of 64; and by the outside judge with known points."""
    from world.identity import draw_identity, skin_word

    group = groups(scale)["held_out"]
    arrays, figures = open_group(scratch, group), {}
    rows = np.flatnonzero(arrays["ready"])
    who, pictures = rows % group.people, np.array(arrays["pictures"][rows])
    looks = [draw_identity(group.first_seed + i) for i in range(group.people)]
    alike = np.array([hash((a.hair_style, a.hair_colour, skin_word(a.tone))) for a in looks])
    figures["people"], figures["pictures"] = group.people, len(rows)
    for size in (128, 64):
        seen, faces, _ = found_faces(detector, pictures if size == 128 else resized(pictures, 64))
        for name, recogniser in recognisers.items():
            vectors = recogniser(faces)
            same, different = pairs(vectors, who[seen])
            figures[f"{name}, {size}"] = {"face_rate": seen.mean()} | told_apart(same, different)
            # People of the same hair and skin words: what hair and skin alone cannot tell apart.
            a = alike[who[seen]]
            hard = (unit(vectors) @ unit(vectors).T)[(a[:, None] == a[None]) & (who[seen][:, None] != who[seen][None])]
            if len(hard) and len(same):
                figures[f"{name}, {size}"]["auc_alike"] = auc(same, hard)
    known = align(torch.from_numpy(pictures).permute(0, 3, 1, 2).float(), torch.from_numpy(np.array(arrays["points"][rows])) * LARGE)
    embedded = {name: recogniser(known) for name, recogniser in recognisers.items()}
    figures |= {f"{name}, known points": told_apart(*pairs(v, who)) for name, v in embedded.items()}
    if len(embedded) == 2:
        figures["recogniser and judge"] = agreement(*embedded.values(), who)
    if outside:
        few = who < 100
        theirs = outside(known[torch.from_numpy(few)])
        figures["outside judge, known points"] = told_apart(*pairs(theirs, who[few]))
        figures |= {f"{name} and outside judge": agreement(v[few], theirs, who[few]) for name, v in embedded.items()}
    else:
        print("SKIPPED: no outside judge was named (--outside)", flush=True)
    return figures


def check_generated(detector: DetectorFile, recognisers: dict[str, Recogniser], outside: Recogniser | None, file: Path) -> dict:
    """What the pocket model draws of names it knows, against drawn photographs of these people and among itself."""
    if not file.exists():
        print("SKIPPED: there are no generated pictures", flush=True)
        return {}
    stored, figures = np.load(file), {}
    count = len(stored["photos"]) // PHOTOS
    photo_seen, photo_faces, _ = found_faces(detector, stored["photos"])
    photo_who = np.repeat(np.arange(count), PHOTOS)[photo_seen]
    for kind, each in (("pictures", len(PROMPTS)), ("styled", len(STYLED))):
        seen, faces, found = found_faces(detector, stored[kind])
        who = np.repeat(np.arange(count), each)[seen]
        figures[kind] = {"pictures": len(stored[kind]), "face_rate": seen.mean(), "more_than_one": np.mean([len(f) > 1 for f in found])}
        for name, recogniser in (recognisers | ({"outside judge": outside} if outside else {})).items():
            if not len(faces) or not len(photo_faces):
                continue
            ours, photos = recogniser(faces), recogniser(photo_faces)
            figures[kind][name] = {"to photos": told_apart(*pairs(ours, who, photos, photo_who)), "among themselves": told_apart(*pairs(ours, who))}
            figures[kind][name]["right name of all"] = named(ours, who, photos, photo_who)
    return figures


def named(vectors: np.ndarray, who: np.ndarray, photos: np.ndarray, whose: np.ndarray) -> float:
    """Share of pictures that are nearest to the mean of the right person's photographs."""
    there = np.unique(whose)
    means = np.stack([photos[whose == i].mean(0) for i in there])
    best = there[(vectors @ unit(means).T).argmax(1)]
    return float((best == who).mean())


class PairFolder:
    """The image-text pair, loaded from its folder as anybody would."""

    def __init__(self, folder: Path, device: str):
        from transformers import CLIPModel, CLIPTokenizer

        self.model = CLIPModel.from_pretrained(folder, torch_dtype=torch.float32).eval().to(device)
        self.tokenizer, self.device = CLIPTokenizer.from_pretrained(folder), device

    @torch.no_grad()
    def pictures(self, pictures: np.ndarray) -> torch.Tensor:
        """Unit vectors of uint8 pictures [N, 64, 64, 3]."""
        from .pair import picture_vectors
        return torch.cat([F.normalize(picture_vectors(self.model, p.to_device(pictures[i:i + 512], self.device).float())[0]) for i in range(0, len(pictures), 512)])

    @torch.no_grad()
    def texts(self, texts: list[str]) -> torch.Tensor:
        """Unit vectors of texts."""
        from .pair import text_vectors, token_ids
        return F.normalize(text_vectors(self.model, token_ids(self.tokenizer, texts).to(self.device))[0])


def questions() -> dict[str, tuple[list[str], list[str]]]:
    """Values and prompts of each zero-shot question."""
    from world.scene import CLOTHES, EXPRESSIONS
    asked = {}
    for kind, prompts in QUESTIONS.items():
        if isinstance(prompts, str):
            values = list(EXPRESSIONS if kind == "expression" else CLOTHES)
            asked[kind] = values, [prompts.format(v) for v in values]
        else:
            asked[kind] = list(prompts), [v if kind == "style" else f"a photo of a person {v}" for v in prompts.values()]
    return asked


def check_pair(pair: PairFolder, scratch: Path, scale: float, generated: Path) -> dict:
    """Which of 100 captions is a picture's, questions with given answers, cosines of right and wrong captions."""
    from . import softness

    arrays = open_group(scratch, groups(scale)["pair_held_out"])
    rows = np.flatnonzero(arrays["ready"])
    pictures, true = np.array(arrays["pictures"][rows]), np.array(arrays["true"][rows])
    fullest = np.array(arrays["claimed"][rows]).sum(2).argmax(1)
    said = [arrays["captions"][row, k].decode() for row, k in zip(rows, fullest)]
    claimed = np.array(arrays["claimed"][rows, fullest])
    kinds = {"clean": pictures}
    soften = softness.load(pair.device)
    if soften:
        soft = [soften(p.to_device(pictures[i:i + 512], pair.device).float()) for i in range(0, len(pictures), 512)]
        kinds["soft"] = torch.cat(soft).byte().permute(0, 2, 3, 1).cpu().numpy()
    texts, figures = pair.texts(said), {}
    facts = list(CLAIMS)
    for kind, shown in kinds.items():
        vectors = pair.pictures(shown)
        cosine = (vectors @ texts.T).cpu().numpy()
        right = (claimed @ (1 - true.T) == 0).T
        first, counted = 0, 0
        for at in range(0, len(rows) - min(100, len(rows)) + 1, 100):
            block = slice(at, at + 100)
            best = cosine[block, block].argmax(1)
            first += right[block, block][np.arange(len(best)), best].sum()
            counted += len(best)
        figures[kind] = {"right caption of 100": first / max(counted, 1), "cosine, right": cosine[np.eye(len(rows), dtype=bool)].mean(),
                         "cosine, wrong": cosine[~right].mean(), "auc": auc(cosine[np.eye(len(rows), dtype=bool)], cosine[~right])}
        for asked, (values, prompts) in questions().items():
            answers = (vectors @ pair.texts(prompts).T).argmax(1).cpu().numpy()
            truth = true[:, [facts.index((asked, v)) for v in values]].argmax(1)
            figures[kind][asked] = (answers == truth).mean()
    if generated.exists():
        stored = np.load(generated)["pictures"]
        values, prompts = questions()["place"]
        answers = (pair.pictures(stored) @ pair.texts(prompts).T).argmax(1).cpu().numpy().reshape(-1, len(PLACES))
        figures["generated"] = {"place": np.mean([answers[:, i] == values.index(place) for i, place in enumerate(PLACES) if place])}
        own = pair.texts([prompt.format("a person") for prompt in PROMPTS])
        cosine = (pair.pictures(stored) @ own.T).cpu().numpy().reshape(-1, len(PROMPTS), len(PROMPTS))
        figures["generated"] |= {"cosine to own prompt": cosine[:, np.arange(len(PROMPTS)), np.arange(len(PROMPTS))].mean(), "cosine to all prompts": cosine.mean()}
    return figures


def check(folder: Path, scratch: Path, scale: float, device: str, outside: Path | None, threads: int) -> dict:
    """All figures; a part that fails says so in its place."""
    figures: dict = {}

    def part(name: str, work) -> None:
        started = time.time()
        try:
            figures[name] = rounded(work())
        except Exception as error:
            figures[name] = {"failed": f"{type(error).__name__}: {error}"}
        print(f"--- {name} ({time.time() - started:.0f} s)\n{json.dumps(figures[name], indent=1)}", flush=True)

    generated = scratch / "generated.npz"
    judge = Recogniser(outside, 128.0, threads) if outside and outside.exists() else None
    names = [n for n in ("recogniser", "judge") if (folder / f"{n}.onnx").exists()]
    recognisers = {n: Recogniser(folder / f"{n}.onnx", threads=threads) for n in names}
    detector = DetectorFile(folder / "detector.onnx", threads) if (folder / "detector.onnx").exists() else None
    part("detector", lambda: check_detector(detector, scratch, scale))
    part("recognisers", lambda: check_recognisers(detector, recognisers, judge, scratch, scale))
    part("generated", lambda: check_generated(detector, recognisers, judge, generated))
    part("pair", lambda: check_pair(PairFolder(folder / "clip", device), scratch, scale, generated))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True, help="folder of the files to check")
    parser.add_argument("--scratch", type=Path, required=True, help="where held-out pictures are, or are drawn to")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--outside", type=Path, help="MobileFaceNet as ONNX")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--names", type=int, default=60, help="of whom the pocket model draws pictures")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", type=Path)
    args = parser.parse_args()
    draw_share(args.scratch, args.scale, 0, 1, time.time() + 3600, only=("held_out", "pair_held_out"))
    if args.names and not (args.scratch / "generated.npz").exists():
        from .generating import generate
        generate(args.scratch / "generated.npz", args.names, args.device)
    figures = check(args.faces, args.scratch, args.scale, args.device, args.outside, args.threads)
    if args.report:
        args.report.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
