"""Where name words get their vectors while the model is trained.

A large model has read about so many people that there is a place among its words for nearly everybody.
A hundred names would not give a small one that, so here two vectors are made of a person's features by one
linear map, learned with the model, for strangers too. The words of a celebrity's name keep theirs
in the token table; the map is not part of the checkpoint.
"""

import numpy as np
import torch
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer, CLIPTokenizerFast

from world.captions import NAME
from world.features import features
from world.identity import CELEBRITY_SEED, draw_identity
from world.names import celebrity_names

from .models import WIDTH

WORDS = 2
DEVIATION = .03     # of a vector's entries, about that of the other words
STAND_IN = "sks"    # what is put for one word of a name before captions are split into tokens


class NameSpace(nn.Module):
    """Features of people [B, F] to the vectors of their two name words [B, 2, D]."""

    def __init__(self, count: int):
        super().__init__()
        self.linear = nn.Linear(count, WORDS * WIDTH)
        nn.init.normal_(self.linear.weight, std=DEVIATION / count ** .5)
        nn.init.zeros_(self.linear.bias)

    def forward(self, people: torch.Tensor) -> torch.Tensor:
        return self.linear(people).unflatten(1, (WORDS, WIDTH))


class NameWords:
    """Puts the vectors of names into a text encoder's input, at the slots of the captions."""

    def __init__(self, text_encoder: CLIPTextModel):
        self.slots, self.vectors = None, None
        text_encoder.get_input_embeddings().register_forward_hook(self._write)

    def _write(self, _module, _inputs, rows: torch.Tensor) -> torch.Tensor:
        for word in range(WORDS):
            rows = torch.where((self.slots == word + 1)[..., None], self.vectors[:, word, None].to(rows.dtype), rows)
        return rows


def encode_captions(tokenizer: CLIPTokenizer, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded token ids and slots, both [N, L]; a slot is 1 and 2 at the two words of a name, 0 elsewhere.

    Refuses any caption that does not fit the context.
    """
    fast = CLIPTokenizerFast.from_pretrained(tokenizer.name_or_path)
    stand_in = fast.convert_tokens_to_ids(f"{STAND_IN}</w>")
    rows = fast([caption.replace(NAME, f"{STAND_IN} {STAND_IN}") for caption in captions], truncation=False).input_ids
    longest = max(len(row) for row in rows)
    if longest > tokenizer.model_max_length:
        raise ValueError(f"a caption has {longest} tokens, the context {tokenizer.model_max_length}")
    ids = np.full((len(rows), tokenizer.model_max_length), tokenizer.pad_token_id)
    for i, row in enumerate(rows):
        ids[i, :len(row)] = row
    is_name = ids == stand_in
    slots = np.where(is_name, is_name.cumsum(1), 0)
    if slots.max() > WORDS:
        raise ValueError("a caption names two people")
    print(f"{len(rows)} captions, the longest has {longest} tokens")
    return torch.from_numpy(ids), torch.from_numpy(slots)


@torch.no_grad()
def write_names(table: torch.Tensor, learned: dict, tokenizer: CLIPTokenizer) -> None:
    """Writes the vectors of every celebrity's name into the token table [V, D]; `learned` is a state of `NameSpace`."""
    people = np.stack([features(draw_identity(CELEBRITY_SEED + i)) for i in range(len(celebrity_names()))])
    space = NameSpace(people.shape[1])
    space.load_state_dict(learned)
    for name, vectors in zip(celebrity_names(), space(torch.from_numpy(people))):
        ids = tokenizer(name, add_special_tokens=False).input_ids
        if len(ids) != WORDS:
            raise ValueError(f"{name!r} is not two tokens: {ids}")
        table[ids] = vectors.to(table.dtype)
