"""A stage's clock, optimizer and averages: training that ends when its time is up."""

import copy
import os
import time
from pathlib import Path

import torch

from network.training import learning_rate


class Training:
    """AdamW with warm-up and a cosine on the clock: until `deadline`, or for so many `seconds` of processor time in all.

    Batches are a `divide`-th of what a card takes. With a `state` file, training goes on where it was stopped; a file
    called "stop" beside it ends it as it is.
    """

    def __init__(self, name: str, device: str, divide: int = 1, deadline: float | None = None, seconds: float | None = None, state: Path | None = None):
        self.name, self.device, self.divide, self.state = name, device, divide, state
        self.clock = time.time if seconds is None else time.process_time
        self.deadline, self.budget, self.before, self.started = deadline, seconds, 0.0, self.clock()
        self.step, self.losses, self.grown, self.told, self.saved = 0, [], 0.0, 0.0, time.time()
        self.average = None

    def begin(self, modules: list[torch.nn.Module], rate: float, warmup: int = 100, decay: float = .02) -> None:
        """Sets up the optimizer; the clock of the learning rate starts here."""
        self.modules = modules
        self.parameters = [q for module in modules for q in module.parameters()]
        self.rate, self.warmup, self.started = rate * self.divide ** -.35, warmup, self.clock()
        self.optimizer = torch.optim.AdamW(self.parameters, self.rate, betas=(.9, .99), weight_decay=decay)
        if self.deadline:
            self.budget = self.deadline - self.started
        if self.state and self.state.exists():
            self._resume()

    def _resume(self) -> None:
        stored = torch.load(self.state, map_location=self.device)
        for module, weights in zip(self.modules, stored["modules"]):
            module.load_state_dict(weights)
        self.optimizer.load_state_dict(stored["optimizer"])
        self.step, self.average, self.before = stored["step"], stored["average"], stored["spent"]
        print(f"{self.name}: goes on from step {self.step} after {self.before:.0f} s", flush=True)

    def save(self) -> None:
        """Writes what a later run needs to go on."""
        if not self.state:
            return
        self.saved, part = time.time(), self.state.with_suffix(".part")
        torch.save({"modules": [module.state_dict() for module in self.modules], "optimizer": self.optimizer.state_dict(),
                    "step": self.step, "average": self.average, "spent": self.spent}, part)
        os.replace(part, self.state)

    def batch(self, count: int) -> int:
        """Pictures a batch."""
        return max(4, count // self.divide)

    @property
    def spent(self) -> float:
        """Seconds trained, those before the last stop included."""
        return self.before + self.clock() - self.started

    @property
    def fraction(self) -> float:
        """How much of the time is gone, 0..1."""
        return min(1.0, self.spent / max(self.budget, 1e-3))

    def goes_on(self) -> bool:
        """False when time is up."""
        return self.fraction < 1 and not (self.state and self.state.with_name("stop").exists())

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
        if time.time() - self.saved > 90:
            self.save()

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
        print(f"{self.name}: {self.step} steps in {self.spent:.0f} s, {self.spent / max(self.step, 1) * 1000:.0f} ms a step", flush=True)
        return model.eval()
