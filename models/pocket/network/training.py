"""Small things both training programs share: wall-clock learning rates, averages of weights, logs."""

import json
import math
import time
from pathlib import Path

import torch


class Clock:
    """Training time spent, continued over resumed runs; `fraction` is 0 at the start and 1 at the end."""

    def __init__(self, minutes: float, spent: float = 0.0):
        self.budget, self.before, self.started = minutes * 60, spent, time.time()

    @property
    def spent(self) -> float:
        return self.before + time.time() - self.started

    @property
    def fraction(self) -> float:
        return min((time.time() - self.started) / self.budget, 1.0)

    @property
    def over(self) -> bool:
        return time.time() - self.started >= self.budget


def learning_rate(peak: float, step: int, fraction: float, warmup: int = 100, hold: float = 0.5) -> float:
    """Linear warm-up, constant until `hold` of the budget, then a cosine down to 2 % of the peak."""
    decay = 1.0 if fraction < hold else .5 * (1 + math.cos(math.pi * (fraction - hold) / (1 - hold)))
    return peak * min(1.0, (step + 1) / warmup) * (.02 + .98 * decay)


class Average:
    """Exponential moving average of parameters, short at first."""

    def __init__(self, parameters: list[torch.nn.Parameter], longest: float = .999):
        self.values = [p.detach().clone() for p in parameters]
        self.longest, self.count = longest, 0

    @torch.no_grad()
    def update(self, parameters: list[torch.nn.Parameter]) -> None:
        self.count += 1
        keep = min(self.longest, (1 + self.count) / (10 + self.count))
        torch._foreach_lerp_(self.values, [p.detach() for p in parameters], 1 - keep)

    @torch.no_grad()
    def copy_to(self, parameters: list[torch.nn.Parameter]) -> None:
        for parameter, value in zip(parameters, self.values):
            parameter.copy_(value)


class Log:
    """Appends one JSON object a line, and prints it."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, **fields) -> None:
        line = json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in fields.items()})
        print(line, flush=True)
        with self.path.open("a") as out:
            out.write(line + "\n")


def shuffled_batches(count: int, batch: int, generator: torch.Generator):
    """Endless shuffled index batches: every picture once before any comes again."""
    while True:
        order = torch.randperm(count, generator=generator)
        for start in range(0, count - batch + 1, batch):
            yield order[start:start + batch]
