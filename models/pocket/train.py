"""Trains text encoder and UNet together, both from nothing, on wall-clock time.

    python train.py --data /tmp/pocket/data.npz --latents /tmp/pocket/latents.pt --out /tmp/pocket/model.pt --minutes 65

Epsilon prediction with min-SNR weights (gamma 5) or, with --balance, every noise level weighted alike:
the error of a noise prediction is smallest where the noise is strongest, which is where captions decide
what a picture shows, so place and person are learned late without it. Captions are dropped 10 % of the
time for guidance; weights are averaged. The state file is written every `--save-every` minutes and resumed from when it
exists; the learning rate then starts again from `--rate` and decays over the new budget.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPTokenizer

from network.models import build_ddim, build_text_encoder, build_unet, use_plain_attention
from network.training import Average, Clock, Log, learning_rate, shuffled_batches

SNR_GAMMA = 5.0
LEVELS = 20


class Trainer:
    """The two networks, their optimizer and averages, and one training step."""

    def __init__(self, tokenizer: CLIPTokenizer, device: str, rate: float, longest_average: float):
        self.device = device
        self.text_encoder = build_text_encoder(tokenizer).to(device)
        self.unet = build_unet().to(device)
        use_plain_attention(self.text_encoder, self.unet)
        self.parameters = [*self.text_encoder.parameters(), *self.unet.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, rate, betas=(.9, .99), weight_decay=.01, fused=True)
        self.longest_average = longest_average
        self.average = Average(self.parameters, longest_average)
        self.alphas_cumprod = build_ddim().alphas_cumprod.to(device)
        snr = self.alphas_cumprod / (1 - self.alphas_cumprod)
        self.weights = torch.clamp(SNR_GAMMA / snr, max=1.0)
        self.levels = torch.ones(LEVELS, device=device)
        self.balance = False
        self.step, self.spent = 0, 0.0

    def train_step(self, latents: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """One update; returns the unweighted loss."""
        batch = len(latents)
        strata = (torch.arange(batch) + torch.rand(batch)) / batch * len(self.alphas_cumprod)
        timesteps = strata.long()[torch.randperm(batch)].to(self.device)
        noise = torch.randn_like(latents)
        alpha = self.alphas_cumprod[timesteps][:, None, None, None]
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        with torch.autocast(self.device, torch.bfloat16):
            states = self.text_encoder(ids)[0]
            prediction = self.unet(noisy, timesteps, states).sample
        losses = ((prediction.float() - noise) ** 2).mean((1, 2, 3))
        weights = self._level_weights(timesteps, losses.detach()) if self.balance else self.weights[timesteps]
        self.optimizer.zero_grad(set_to_none=True)
        (losses * weights).mean().backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.average.update(self.parameters)
        self.step += 1
        return losses.detach().mean()

    def _level_weights(self, timesteps: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        """Weights that let every noise level count the same: one over the level's running loss, mean loss kept."""
        level = timesteps * LEVELS // len(self.alphas_cumprod)
        for at in level.unique():
            self.levels[at].lerp_(losses[level == at].mean(), .05 if self.levels[at] < 1 else 1.0)
        return (self.levels.mean() / self.levels.clamp(min=.002))[level]

    def averaged_state(self) -> dict:
        """State dicts of both networks with averaged weights."""
        names = [("text_encoder", n) for n, _ in self.text_encoder.named_parameters()]
        names += [("unet", n) for n, _ in self.unet.named_parameters()]
        average = {"text_encoder": self.text_encoder.state_dict(), "unet": self.unet.state_dict()}
        average = {part: dict(weights) for part, weights in average.items()}
        for (part, name), value in zip(names, self.average.values):
            average[part][name] = value
        return average

    def save(self, path: Path, seconds: float) -> None:
        """Writes everything needed to go on, and the averages for export."""
        state = {"text_encoder": self.text_encoder.state_dict(), "unet": self.unet.state_dict(),
                 "average": self.averaged_state(), "average_count": self.average.count,
                 "optimizer": self.optimizer.state_dict(), "step": self.step, "seconds": seconds}
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(path)

    def resume(self, path: Path) -> None:
        """Continues from a state file."""
        state = torch.load(path, map_location=self.device)
        self.text_encoder.load_state_dict(state["text_encoder"])
        self.unet.load_state_dict(state["unet"])
        self.optimizer.load_state_dict(state["optimizer"])
        averaged = [state["average"]["text_encoder"][n] for n, _ in self.text_encoder.named_parameters()]
        averaged += [state["average"]["unet"][n] for n, _ in self.unet.named_parameters()]
        self.average.values = [value.clone() for value in averaged]
        self.average.count = state["average_count"]
        self.step, self.spent = state["step"], state["seconds"]


def encode_captions(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Padded token ids of unique captions, refusing any caption that does not fit the context."""
    rows = tokenizer(captions, truncation=False).input_ids
    longest = max(len(row) for row in rows)
    if longest > tokenizer.model_max_length:
        raise ValueError(f"a caption has {longest} tokens, the context {tokenizer.model_max_length}")
    print(f"longest caption: {longest} tokens")
    padded = torch.full((len(rows), tokenizer.model_max_length), tokenizer.pad_token_id)
    for i, row in enumerate(rows):
        padded[i, :len(row)] = torch.tensor(row)
    return padded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--latents", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, default=Path(__file__).parent / "tokenizer")
    parser.add_argument("--minutes", type=float, default=65)
    parser.add_argument("--save-every", type=float, default=8, help="minutes")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--hold", type=float, default=.5, help="fraction of the time before the rate decays")
    parser.add_argument("--average", type=float, default=.998)
    parser.add_argument("--drop", type=float, default=.1, help="probability of an empty caption")
    parser.add_argument("--named", type=float, default=.6, help="share of pictures that show named people")
    parser.add_argument("--balance", action="store_true", help="equal weight for all noise levels instead of min-SNR")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    tokenizer = CLIPTokenizer.from_pretrained(args.tokenizer)
    data = np.load(args.data)
    ids = encode_captions(tokenizer, data["captions"].tolist())
    empty = encode_captions(tokenizer, [""])
    latents = torch.load(args.latents)["latents"]
    named = torch.from_numpy(np.flatnonzero(data["names"] >= 0))
    unnamed = torch.from_numpy(np.flatnonzero(data["names"] < 0))
    torch.manual_seed(args.seed)
    trainer = Trainer(tokenizer, args.device, args.rate, args.average)
    if args.out.exists():
        trainer.resume(args.out)
    trainer.balance = args.balance
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
        dropped = torch.rand(args.batch) < args.drop
        tokens = torch.where(dropped[:, None], empty, ids[chosen]).to(args.device)
        loss = trainer.train_step(latents[chosen].float().to(args.device), tokens).item()
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
