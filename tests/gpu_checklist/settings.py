"""What a run does: on a card, or in the dry form that a CPU makes in a few minutes."""

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FIXTURES = REPOSITORY / "tests" / "fixtures"

# Seconds that each part may take: together under 25 minutes, each within the ten of a machine that is lent by the command.
DEADLINES = {"parity": 270, "speed": 450, "sd15": 90, "pytorch": 420, "cold": 230}
PARTS = tuple(DEADLINES)


@dataclass(frozen=True)
class Settings:
    """Everything that is not the same on a card and without one."""

    dry: bool
    device: str
    dtype: str
    model: str
    other_model: str
    # Folder of tests/fixtures, type, and the groups to compare (all of them where there are none).
    parity: tuple
    # What is judged comes first, for a part may run out of time.
    training_batches: tuple
    drawing_batches: tuple
    repeats: int
    steps: int
    rows_each: tuple
    # Ways of running PyTorch, in this order while there is time.
    variants: tuple

    @property
    def torch_device(self):
        """What PyTorch calls the device."""
        return "cuda" if self.device == "auto" else self.device

    @property
    def architecture(self):
        """The name of the model's structure."""
        return self.model.partition(":")[2]


def on_a_card(device):
    both = ("tiny-sd15", "tiny-v")
    return Settings(
        dry=False,
        device=device,
        dtype="bf16",
        model="synthetic:sd21-base",
        other_model="synthetic:sd15",
        parity=(
            *((folder, dtype, ()) for folder in both for dtype in ("f32", "bf16")),
            ("tiny-a", "f32", ()),
        ),
        training_batches=(8, 1, 4, 16, 32),
        drawing_batches=(8, 1, 4),
        repeats=20,
        steps=50,
        rows_each=(1, 8),
        variants=("eager", "channels_last", "compile", "graphs"),
    )


def without_a_card():
    return Settings(
        dry=True,
        device="cpu",
        dtype="f32",
        model="synthetic:tiny",
        other_model="synthetic:tiny",
        parity=(("tiny-a", "f32", ()), ("tiny-sd15", "f32", ("text", "unet_backward")), ("tiny-v", "bf16", ("text", "unet_backward"))),
        training_batches=(1, 2),
        drawing_batches=(1, 2),
        repeats=2,
        steps=2,
        rows_each=(1,),
        variants=("eager", "channels_last"),
    )
