"""Pictures by the pocket model of people it knows by name, and drawn photographs of the same people: for checks only."""

from pathlib import Path

import numpy as np

PROMPTS = ("a photo of {}", "a photo of {} smiling wearing a red shirt on a beach", "a photo of {} serious wearing a black suit in a city at night",
           "a close-up photo of {}", "a photo of {} wearing a green sweater in the snow", "a portrait of {} in a forest")
PLACES = (None, "beach", "city", None, "snow", "forest")
STYLED = ("a pencil sketch of {}", "a pop art poster of {}", "an oil painting of {}")
PHOTOS = 4


def generate(out: Path, people: int, device: str) -> None:
    """Writes pictures, styled pictures and photos of the first `people` names to one .npz file."""
    from network.pocket import Pocket
    from world.identity import CELEBRITY_SEED, draw_identity
    from world.names import celebrity_names
    from world.portrait import render
    from world.scene import draw_scene

    names, pocket = celebrity_names()[:people], Pocket(Path(__file__).parent.parent, device)
    drawn = {key: pocket.draw([p.format(n) for n in names for p in prompts], seed=7, batch=256)
             for key, prompts in (("pictures", PROMPTS), ("styled", STYLED))}
    photos = [render(draw_identity(CELEBRITY_SEED + i), draw_scene(np.random.default_rng([77, i, k]), "photo"), 128, 1)
              for i in range(people) for k in range(PHOTOS)]
    temporary = out.with_suffix(".part.npz")
    np.savez(temporary, photos=np.stack(photos), **drawn)
    temporary.replace(out)
    print(f"generated {len(drawn['pictures'])} + {len(drawn['styled'])} pictures of {people} names", flush=True)
