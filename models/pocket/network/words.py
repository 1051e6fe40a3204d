"""Makes the text encoder remember which words were said.

The noise prediction alone teaches it slowly to tell words apart whose pictures differ little: for long, "beach" read
like nothing. So while it is trained, a linear reader of the last token's state must name every word of the caption. The
reader is not part of the checkpoint.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .models import WIDTH


class WordReader(nn.Module):
    """Which tokens a caption has, from the text encoder's state at its end."""

    def __init__(self, vocabulary: int, ending: int):
        super().__init__()
        self.linear = nn.Linear(WIDTH, vocabulary)
        self.ending = ending

    def loss(self, states: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy, summed over tokens, of reading `ids` [B, L] from `states` [B, L, D]."""
        last = (ids == self.ending).int().argmax(1)
        logits = self.linear(states[torch.arange(len(ids), device=ids.device), last].float())
        said = torch.zeros_like(logits).scatter_(1, ids, 1.0)
        return F.binary_cross_entropy_with_logits(logits, said, reduction="none").sum(1).mean()
