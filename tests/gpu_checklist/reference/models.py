"""The models of a structure with random, frozen weights, and the learned rows that stand in its captions."""

import json

import torch
from architectures import ARCHITECTURES, SCHEDULER
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32, "f16": torch.float16}
INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
# Where the two learned rows stand in a caption.
FIRST, LEARNED = 5, 2


class TokenRows(torch.nn.Module):
    """A frozen token table, two rows of whose answers are the learned vectors, where there are any."""

    def __init__(self, table):
        super().__init__()
        self.table, self.learned = table, None

    @property
    def weight(self):
        return self.table.weight

    def forward(self, ids):
        rows = self.table(ids)
        if self.learned is None:
            return rows
        learned = self.learned.to(rows.dtype).expand(ids.shape[0], -1, -1)
        return torch.cat([rows[:, :FIRST], learned, rows[:, FIRST + LEARNED :]], dim=1)


class Models:
    """Text encoder, UNet, VAE and scheduler. `variant` is how PyTorch is to run them."""

    def __init__(self, name, device, dtype, variant="eager"):
        torch.manual_seed(0)
        structure = ARCHITECTURES[name]
        self.device, self.dtype, self.variant = torch.device(device), DTYPES[dtype], variant
        with self.device:
            self.unet = self.frozen(UNet2DConditionModel(**structure["unet"]))
            self.vae = self.frozen(AutoencoderKL(**structure["vae"]))
            self.text = self.frozen(CLIPTextModel(CLIPTextConfig(**structure["text_encoder"])))
        self.scheduler = DDIMScheduler(**SCHEDULER)
        self.length, self.vocabulary = self.text.config.max_position_embeddings, self.text.config.vocab_size
        self.latent, self.image = self.unet.config.sample_size, self.vae.config.sample_size
        self.width = self.text.config.hidden_size
        self.format = torch.contiguous_format
        if variant == "channels_last":
            self.format = torch.channels_last
            self.unet.to(memory_format=self.format)
            self.vae.to(memory_format=self.format)

    def frozen(self, model):
        return model.to(self.dtype).eval().requires_grad_(False)

    def parameters(self):
        """Numbers of parameters, by part."""
        count = lambda model: sum(parameter.numel() for parameter in model.parameters())
        return {"unet": count(self.unet), "text_encoder": count(self.text), "vae": count(self.vae)}

    def with_learned_rows(self):
        """Puts the learned rows into the text encoder, and compiles what the variant says; returns the module that holds them."""
        rows = TokenRows(self.text.get_input_embeddings())
        self.text.set_input_embeddings(rows)
        modes = {"compile": None, "graphs": "reduce-overhead"}
        if self.variant in modes:
            torch.set_float32_matmul_precision("high")
            self.unet = torch.compile(self.unet, mode=modes[self.variant], dynamic=False)
            self.text = torch.compile(self.text, mode=modes[self.variant], dynamic=False)
            self.vae.decode = torch.compile(self.vae.decode, mode=modes[self.variant], dynamic=False)
        return rows

    def save(self, folder):
        """Writes a folder in the layout of diffusers, fp16 in safetensors, without a tokenizer."""
        self.unet.save_pretrained(folder / "unet", safe_serialization=True)
        self.vae.save_pretrained(folder / "vae", safe_serialization=True)
        self.text.save_pretrained(folder / "text_encoder", safe_serialization=True)
        self.scheduler.save_pretrained(folder / "scheduler")
        (folder / "model_index.json").write_text(json.dumps(INDEX))

    def noise(self, *shape, dtype=None):
        made = torch.randn(shape, device=self.device, dtype=dtype or self.dtype)
        return made.contiguous(memory_format=self.format) if len(shape) == 4 else made

    def ids(self, rows):
        return torch.randint(0, self.vocabulary, (rows, self.length), device=self.device)
