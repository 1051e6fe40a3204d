"""Trains text encoder, UNet and the vectors of names together, on wall-clock time.

    python train.py --data /tmp/pocket/data.npz --latents /tmp/pocket/latents.pt --out /tmp/pocket/model.pt --minutes 65

Epsilon prediction with min-SNR weights (gamma 5) or, with --balance, every noise level weighted alike:
the error of a noise prediction is smallest where the noise is strongest, which is where captions decide
what a picture shows, so place and person are learned late without it; --late gives a share of the pictures
one of those time steps. The text encoder must also name the words of its caption (network/words.py).
Captions are dropped 10 % of the time for guidance; names are blurred a little, so that vectors near a
person's draw that person; weights are averaged. The state file is written every `--save-every` minutes and
resumed from when it exists; the learning rate then starts again from `--rate` and decays over the new
budget. Without a state file, `--start` begins with the weights of a checkpoint folder, words matched by
their spelling.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from network.models import build_ddim, build_text_encoder, build_unet, use_plain_attention
from network.names import DEVIATION, NameSpace, NameWords, encode_captions
from network.training import Average, Clock, Log, learning_rate, shuffled_batches
from network.words import WordReader

SNR_GAMMA = 5.0
LEVELS = 20
LATE = 700                  # time steps from here on decide place, light and skin
BLUR = .15 * DEVIATION      # deviation of the noise on the vectors of names
PARTS = ("text_encoder", "unet", "names", "words")
READING = .005              # weight of the loss of reading words


class Trainer:
    """The networks and the map of names, their optimizer and averages, and one training step."""

    def __init__(self, tokenizer: CLIPTokenizer, count: int, device: str, rate: float, longest_average: float):
        self.device = device
        self.text_encoder = build_text_encoder(tokenizer).to(device)
        self.unet = build_unet().to(device)
        self.names = NameSpace(count).to(device)
        self.words = WordReader(len(tokenizer), tokenizer.eos_token_id).to(device)
        self.name_words = NameWords(self.text_encoder)
        use_plain_attention(self.text_encoder, self.unet)
        self.parameters = [p for part in PARTS for p in getattr(self, part).parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, rate, betas=(.9, .99), weight_decay=.01, fused=True)
        self.longest_average = longest_average
        self.average = Average(self.parameters, longest_average)
        self.alphas_cumprod = build_ddim().alphas_cumprod.to(device)
        snr = self.alphas_cumprod / (1 - self.alphas_cumprod)
        self.weights = torch.clamp(SNR_GAMMA / snr, max=1.0)
        self.levels = torch.ones(LEVELS, device=device)
        self.balance, self.late = False, 0.0
        self.step, self.spent = 0, 0.0

    def train_step(self, latents: torch.Tensor, ids: torch.Tensor, slots: torch.Tensor, people: torch.Tensor) -> torch.Tensor:
        """One update on pictures, captions and the features of who is in them; returns the unweighted loss."""
        timesteps = self._timesteps(len(latents))
        noise = torch.randn_like(latents)
        alpha = self.alphas_cumprod[timesteps][:, None, None, None]
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        vectors = self.names(people)
        self.name_words.slots, self.name_words.vectors = slots, vectors + BLUR * torch.randn_like(vectors)
        with torch.autocast(self.device, torch.bfloat16):
            states = self.text_encoder(ids)[0]
            prediction = self.unet(noisy, timesteps, states).sample
        losses = ((prediction.float() - noise) ** 2).mean((1, 2, 3))
        weights = self._level_weights(timesteps, losses.detach()) if self.balance else self.weights[timesteps]
        self.optimizer.zero_grad(set_to_none=True)
        ((losses * weights).mean() + READING * self.words.loss(states, ids)).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.average.update(self.parameters)
        self.step += 1
        return losses.detach().mean()

    def _timesteps(self, batch: int) -> torch.Tensor:
        """Time steps [B], stratified: a share `late` from the noisiest ones, the others from all."""
        late, last = round(batch * self.late), len(self.alphas_cumprod)
        spread = [(torch.arange(n) + torch.rand(n)) / max(n, 1) for n in (late, batch - late)]
        strata = torch.cat([LATE + spread[0] * (last - LATE), spread[1] * last])
        return strata.long()[torch.randperm(batch)].to(self.device)

    def _level_weights(self, timesteps: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        """Weights that let every noise level count the same: one over the level's running loss, mean loss kept."""
        level = timesteps * LEVELS // len(self.alphas_cumprod)
        for at in level.unique():
            self.levels[at].lerp_(losses[level == at].mean(), .05 if self.levels[at] < 1 else 1.0)
        return (self.levels.mean() / self.levels.clamp(min=.002))[level]

    def averaged_state(self) -> dict:
        """State dicts of all parts with averaged weights."""
        average = {part: dict(getattr(self, part).state_dict()) for part in PARTS}
        for (part, name), value in zip(self._parameter_names(), self.average.values):
            average[part][name] = value
        return average

    def _parameter_names(self) -> list[tuple[str, str]]:
        return [(part, name) for part in PARTS for name, _ in getattr(self, part).named_parameters()]

    def save(self, path: Path, seconds: float) -> None:
        """Writes everything needed to go on, and the averages for export."""
        state = {part: getattr(self, part).state_dict() for part in PARTS}
        state |= {"average": self.averaged_state(), "average_count": self.average.count,
                  "optimizer": self.optimizer.state_dict(), "step": self.step, "seconds": seconds}
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(path)

    def resume(self, path: Path) -> None:
        """Continues from a state file."""
        state = torch.load(path, map_location=self.device)
        for part in PARTS:
            getattr(self, part).load_state_dict(state[part])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.values = [state["average"][part][name].clone() for part, name in self._parameter_names()]
        self.average.count = state["average_count"]
        self.step, self.spent = state["step"], state["seconds"]

    @torch.no_grad()
    def start(self, folder: Path, tokenizer: CLIPTokenizer) -> None:
        """Begins with the weights of a checkpoint folder; a word it does not know keeps its random vector."""
        known = CLIPTokenizer.from_pretrained(folder / "tokenizer").get_vocab()
        weights = CLIPTextModel.from_pretrained(folder / "text_encoder", torch_dtype=torch.float32).state_dict()
        for name, ours in self.text_encoder.state_dict().items():
            if name.endswith("token_embedding.weight"):
                shared = [(i, known[word]) for word, i in tokenizer.get_vocab().items() if word in known]
                to, at = (torch.tensor(column) for column in zip(*shared))
                ours[to] = weights[name][at].to(ours)
            else:
                ours.copy_(weights[name])
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
        self.unet.load_state_dict(unet.state_dict())
        self.average = Average(self.parameters, self.longest_average)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--latents", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="checkpoint folder to begin with where there is no state file")
    parser.add_argument("--tokenizer", type=Path, default=Path(__file__).parent / "tokenizer")
    parser.add_argument("--minutes", type=float, default=65)
    parser.add_argument("--save-every", type=float, default=8, help="minutes")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--hold", type=float, default=.5, help="fraction of the time before the rate decays")
    parser.add_argument("--average", type=float, default=.998)
    parser.add_argument("--drop", type=float, default=.1, help="probability of an empty caption")
    parser.add_argument("--named", type=float, default=.25, help="share of pictures that show celebrities")
    parser.add_argument("--balance", action="store_true", help="equal weight for all noise levels instead of min-SNR")
    parser.add_argument("--late", type=float, default=0.0, help="share of pictures that get one of the noisiest time steps")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    tokenizer = CLIPTokenizer.from_pretrained(args.tokenizer)
    data = np.load(args.data)
    variants = data["captions"].shape[1]
    ids, slots = encode_captions(tokenizer, data["captions"].flatten().tolist())
    empty, _ = encode_captions(tokenizer, [""])
    people = torch.from_numpy(data["features"])
    latents = torch.load(args.latents)["latents"]
    named = torch.from_numpy(np.flatnonzero(data["names"] >= 0))
    unnamed = torch.from_numpy(np.flatnonzero(data["names"] < 0))
    torch.manual_seed(args.seed)
    trainer = Trainer(tokenizer, people.shape[1], args.device, args.rate, args.average)
    if args.out.exists():
        trainer.resume(args.out)
    elif args.start:
        trainer.start(args.start, tokenizer)
    trainer.balance, trainer.late = args.balance, args.late
    torch.manual_seed(args.seed + trainer.step)
    count_named = round(args.batch * args.named)
    generator = torch.Generator().manual_seed(args.seed + trainer.step)
    from_named = shuffled_batches(len(named), count_named, generator)
    from_unnamed = shuffled_batches(len(unnamed), args.batch - count_named, generator)
    log = Log(args.out.with_suffix(".jsonl"))
    clock = Clock(args.minutes, trainer.spent)
    first, running, saved = trainer.step, None, clock.spent
    while not clock.over:
        for group in trainer.optimizer.param_groups:
            group["lr"] = rate = learning_rate(args.rate, trainer.step - first, clock.fraction, hold=args.hold,
                                               warmup=100 if first == 0 else 20)
        chosen = torch.cat([named[next(from_named)], unnamed[next(from_unnamed)]])
        said = chosen * variants + torch.randint(variants, (args.batch,))
        dropped = (torch.rand(args.batch) < args.drop)[:, None]
        tokens = torch.where(dropped, empty, ids[said]), slots[said].masked_fill(dropped, 0)
        batch = latents[chosen].float(), *tokens, people[chosen]
        loss = trainer.train_step(*(part.to(args.device) for part in batch)).item()
        running = loss if running is None else .99 * running + .01 * loss
        if trainer.step % 50 == 0:
            log.write(step=trainer.step, samples=trainer.step * args.batch, loss=running, rate=rate,
                      seconds=clock.spent)
        if clock.spent - saved > args.save_every * 60:
            trainer.save(args.out, clock.spent)
            saved = clock.spent
    trainer.save(args.out, clock.spent)


if __name__ == "__main__":
    main()
