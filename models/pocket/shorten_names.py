"""Teaches the text encoder to read names that are as long as other words.

    python shorten_names.py --model . --out /tmp/pocket/short --minutes 18

While the pocket model is trained, names are a linear map of features (network/names.py), and nothing holds that
map back: its vectors grow to several times the length of a word. Textual inversion moves all vectors by the same
steps, so such a name hardly turns in the time in which a word has become another. Here the finished text
encoder is the teacher of one that sees the same captions with the names' vectors cut to the length of words, and has to
come to the same states. UNet and autoencoder stay as they are.

The map is found again from the names' own vectors, so strangers have names here too. Names are blurred, mixed of two
people, and taken a little longer and shorter, so that what lies around a name is read as before as well.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from network.names import WORDS, NameWords, encode_captions
from network.training import Average, Clock, Log, learning_rate
from world.captions import NAME, caption
from world.features import features
from world.identity import CELEBRITY_SEED, UNNAMED_SEED, draw_identity
from world.names import celebrity_names
from world.scene import draw_scene

KEPT_BACK = 256     # captions, and people, that are only measured by
CAPTION_SEED = 400_000_000
NAMED = .75         # share of captions that name somebody
BLUR = .15          # deviation of the noise on names, of the deviation of their entries
MIXED = .3          # share of names that lie between two people
LENGTHS = (.7, 1.3)  # names are taken so much as long as they are


def write_captions(count: int) -> tuple[list[str], np.ndarray]:
    """So many captions of strangers nobody was trained on, and the features [N, F] of who is in them."""
    said, people = [], []
    for number in range(count):
        rng = np.random.default_rng(CAPTION_SEED + number)
        person, scene = draw_identity(UNNAMED_SEED + CAPTION_SEED + number), draw_scene(rng)
        said.append("" if rng.random() < .02 else caption(rng, person, scene, NAME if rng.random() < NAMED else None))
        people.append(features(person))
    return said, np.stack(people)


def name_ids(tokenizer: CLIPTokenizer) -> torch.Tensor:
    """Ids of the two words of every name [N, 2]."""
    return torch.tensor([tokenizer(name, add_special_tokens=False).input_ids for name in celebrity_names()])


def find_map(table: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The affine map [F + 1, 2 D] from features to the vectors of names, by least squares over the names in the table."""
    people = np.stack([features(draw_identity(CELEBRITY_SEED + i)) for i in range(len(ids))])
    known = torch.cat([torch.from_numpy(people), torch.ones(len(people), 1)], 1).double()
    vectors = table[ids].flatten(1).double()
    found = torch.linalg.lstsq(known, vectors, driver="gelsd").solution
    error = (known @ found - vectors).norm() / vectors.norm()
    print(f"names are a map of features to within {error:.1e}")
    if error > .01:
        raise ValueError("the names of this model are no affine map of features")
    return found.float()


class Lesson:
    """Teacher, pupil, and captions with names in the teacher's measure and in words' measure."""

    def __init__(self, folder: Path, rate: float):
        self.tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        load = dict(torch_dtype=torch.float32, attn_implementation="eager")
        self.teacher = CLIPTextModel.from_pretrained(folder / "text_encoder", **load).eval().requires_grad_(False)
        self.pupil = CLIPTextModel.from_pretrained(folder / "text_encoder", **load).eval()
        table = self.teacher.get_input_embeddings().weight
        self.names = name_ids(self.tokenizer)
        self.scale = 1.0
        self.map = find_map(table, self.names)
        self.deviation = float(table[self.names].std())
        self.pupil.get_input_embeddings().requires_grad_(False)
        self.parameters = [p for p in self.pupil.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, rate, betas=(.9, .99), weight_decay=0.0)
        self.average = Average(self.parameters, .998)
        self.for_teacher, self.for_pupil = NameWords(self.teacher), NameWords(self.pupil)

    def measure(self, ids: torch.Tensor, slots: torch.Tensor) -> None:
        """Sets how much of their length names keep: they become as long as the words of captions [N, L] are, by the median."""
        table = self.teacher.get_input_embeddings().weight
        words = table[ids[slots == 0].unique()].norm(dim=1)
        self.scale = float(words.median() / table[self.names].norm(dim=2).median())
        print(f"names are {self.scale:.3f} of their length")

    def vectors(self, people: torch.Tensor, exact: bool = False) -> torch.Tensor:
        """Vectors [B, 2, D] in the teacher's measure: of the people, or of somebody near or between them."""
        if not exact:
            other, share = people.roll(1, 0), torch.rand(len(people), 1) * (torch.rand(len(people), 1) < MIXED)
            people = torch.lerp(people, other, share)
        made = (torch.cat([people, torch.ones(len(people), 1)], 1) @ self.map).unflatten(1, (WORDS, -1))
        if exact:
            return made
        length = torch.empty(len(people), 1, 1).uniform_(*LENGTHS)
        return made * length + BLUR * self.deviation * torch.randn_like(made)

    def error(self, ids: torch.Tensor, slots: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Mean squared difference of the states of pupil and teacher, as a share of how the teacher's differ between captions."""
        self.for_teacher.slots, self.for_teacher.vectors = slots, vectors
        self.for_pupil.slots, self.for_pupil.vectors = slots, vectors * self.scale
        with torch.no_grad():
            wanted = self.teacher(ids)[0]
        return ((self.pupil(ids)[0].float() - wanted.float()) ** 2).mean() / wanted.float().var(0).mean()

    def learn(self, rate: float, *batch: torch.Tensor) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.error(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.average.update(self.parameters)
        return loss.item()

    @torch.no_grad()
    def save(self, out: Path) -> None:
        """Writes the pupil with averaged weights, its names cut to the length of words, as float16."""
        kept = [p.detach().clone() for p in self.parameters]
        self.average.copy_to(self.parameters)
        written = CLIPTextModel(self.pupil.config)
        written.load_state_dict(self.pupil.state_dict())
        table = written.get_input_embeddings().weight
        table[self.names] *= self.scale
        written.half().save_pretrained(out / "text_encoder", safe_serialization=True)
        for parameter, value in zip(self.parameters, kept):
            parameter.copy_(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="checkpoint folder of the teacher")
    parser.add_argument("--out", type=Path, required=True, help="folder that the text encoder is written to")
    parser.add_argument("--minutes", type=float, default=18)
    parser.add_argument("--captions", type=int, default=30_000)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    lesson = Lesson(args.model, args.rate)
    said, people = write_captions(args.captions)
    ids, slots = encode_captions(lesson.tokenizer, said)
    people = torch.from_numpy(people)
    lesson.measure(ids, slots)
    kept_back = slice(0, KEPT_BACK)
    alone = [part.expand(KEPT_BACK, -1) for part in encode_captions(lesson.tokenizer, [f"a photo of {NAME}"])]
    args.out.mkdir(parents=True, exist_ok=True)
    log, clock, step, running = Log(args.out / "log.jsonl"), Clock(args.minutes), 0, None
    while not clock.over:
        rate = learning_rate(args.rate, step, clock.fraction)
        chosen = torch.randint(KEPT_BACK, len(ids), (args.batch,))
        loss = lesson.learn(rate, ids[chosen], slots[chosen], lesson.vectors(people[chosen]))
        running = loss if running is None else .98 * running + .02 * loss
        step += 1
        if step % 250 == 0:
            vectors = lesson.vectors(people[kept_back], exact=True)
            with torch.no_grad():
                captions, names = (lesson.error(*tokens, vectors).item() for tokens in ((ids[kept_back], slots[kept_back]), alone))
            log.write(step=step, loss=running, captions=captions, names=names, rate=rate, seconds=clock.spent)
            lesson.save(args.out)
    lesson.save(args.out)


if __name__ == "__main__":
    main()
