"""A stage's clock, optimizer and averages: training that ends when its time is up."""

import copy
import time

import torch

from network.training import learning_rate


class Training:
    """AdamW with warm-up and a cosine on wall-clock time, until `deadline`; `small` cuts batches for trying things out."""

    def __init__(self, name: str, deadline: float, device: str, small: bool = False, most_steps: int | None = None):
        self.name, self.deadline, self.device, self.small, self.most_steps = name, deadline, device, small, most_steps
        self.started, self.step, self.losses, self.grown, self.told = time.time(), 0, [], 0.0, 0.0
        self.average = None

    def begin(self, parameters, rate: float, warmup: int = 100, decay: float = .02) -> None:
        """Sets up the optimizer; the clock of the learning rate starts here."""
        self.parameters = list(parameters)
        self.rate, self.warmup, self.started = rate, warmup, time.time()
        self.optimizer = torch.optim.AdamW(self.parameters, rate, betas=(.9, .99), weight_decay=decay)

    def batch(self, count: int) -> int:
        """Pictures a batch."""
        return max(4, count // 16) if self.small else count

    @property
    def fraction(self) -> float:
        """How much of the time is gone, 0..1."""
        by_time = (time.time() - self.started) / max(self.deadline - self.started, 1e-3)
        return min(1.0, max(by_time, self.step / self.most_steps if self.most_steps else 0))

    def goes_on(self) -> bool:
        """False when time is up."""
        return self.fraction < 1

    def due(self, seconds: float) -> bool:
        """True at most once in so many seconds, and at first."""
        if time.time() - self.grown < seconds:
            return False
        self.grown = time.time()
        return True

    def update(self, loss: torch.Tensor, words: str = "") -> None:
        """One step down the loss; a step without finite numbers is skipped."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.rate, self.step, self.fraction, self.warmup, .3)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 5.0)
        if self.step % 20 == 0 and not torch.isfinite(norm):
            raise FloatingPointError(f"{self.name}: the gradient is not finite at step {self.step}")
        self.optimizer.step()
        self._average()
        self.step += 1
        self.losses.append(loss.detach())
        if time.time() - self.told > 8:
            self.told = time.time()
            recent = torch.stack(self.losses[-50:]).mean().item()
            print(f"{self.name}: {self.fraction:4.0%} step {self.step} loss {recent:.3f} {words}", flush=True)
            self.losses = self.losses[-50:]

    def _average(self) -> None:
        with torch.no_grad():
            now = [q.detach() for q in self.parameters]
            if self.average is None:
                self.average = [q.clone() for q in now]
            keep = min(.995, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self.average, now, 1 - keep)

    @torch.no_grad()
    def averaged(self, model: torch.nn.Module) -> torch.nn.Module:
        """A copy of the model with averaged weights, for use. The batch norms keep their running figures."""
        places = {id(q): value for q, value in zip(self.parameters, self.average or [])}
        values = [places.get(id(q)) for q in model.parameters()]
        model = copy.deepcopy(model)
        for parameter, value in zip(model.parameters(), values):
            if value is not None:
                parameter.copy_(value)
        seconds = time.time() - self.started
        print(f"{self.name}: {self.step} steps in {seconds:.0f} s, {seconds / max(self.step, 1) * 1000:.0f} ms a step", flush=True)
        return model.eval()
