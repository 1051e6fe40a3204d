"""The shape of the image-text pair: transformers' `CLIPModel`, for pictures of 64 pixels and the pocket's words."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

POCKET_TOKENIZER = Path(__file__).parent.parent / "tokenizer"
PICTURE, PATCH, PROJECTION = 64, 8, 64
MEAN, DEVIATION = (.5, .5, .5), (.25, .25, .25)
TEXT = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, hidden_act="gelu")
VISION = dict(hidden_size=64, intermediate_size=192, num_hidden_layers=4, num_attention_heads=4, hidden_act="gelu",
              image_size=PICTURE, patch_size=PATCH)


CONFIG = set(TEXT) | set(VISION) | {
    "text_config", "vision_config", "projection_dim", "logit_scale_init_value", "initializer_factor", "initializer_range", "layer_norm_eps",
    "attention_dropout", "num_channels", "vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id", "pad_token_id", "model_type"}


def build_pair(tokenizer: CLIPTokenizer) -> CLIPModel:
    """An untrained pair."""
    words = dict(vocab_size=len(tokenizer), max_position_embeddings=tokenizer.model_max_length, bos_token_id=tokenizer.bos_token_id,
                 eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, projection_dim=PROJECTION)
    return CLIPModel(CLIPConfig(text_config=TEXT | words, vision_config=VISION | dict(projection_dim=PROJECTION),
                                projection_dim=PROJECTION, logit_scale_init_value=2.0))


def token_ids(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Padded token ids [N, L]; padding comes after the end and is not looked at."""
    rows, length = tokenizer(texts).input_ids, tokenizer.model_max_length
    return torch.tensor([row + [tokenizer.pad_token_id] * (length - len(row)) for row in rows])


def picture_vectors(model: CLIPModel, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Projected vectors [N, P] of pictures (RGB 0..255) and the unprojected ones [N, D]."""
    mean = torch.tensor(MEAN, device=x.device)[:, None, None]
    pooled = model.vision_model(((x / 255) - mean) / torch.tensor(DEVIATION, device=x.device)[:, None, None]).pooler_output
    return model.visual_projection(pooled), pooled


def text_vectors(model: CLIPModel, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Projected vectors [N, P] of texts and the unprojected ones [N, D]."""
    pooled = model.text_model(input_ids=ids).pooler_output
    return model.text_projection(pooled), pooled


def write_pair(model: CLIPModel, tokenizer_folder: Path, out: Path) -> None:
    """Writes the transformers folder: config, float16 weights, preprocessor and tokenizer files."""
    out.mkdir(parents=True, exist_ok=True)
    config = _told(model.config.to_dict()) | {"architectures": ["CLIPModel"], "model_type": "clip", "torch_dtype": "float16"}
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    weights = {k: v.detach().cpu().half().contiguous() for k, v in model.state_dict().items() if not k.endswith("position_ids")}
    save_file(weights, str(out / "model.safetensors"), metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    processor = {"crop_size": {"height": PICTURE, "width": PICTURE}, "do_center_crop": True, "do_convert_rgb": True,
                 "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": MEAN, "image_std": DEVIATION,
                 "image_processor_type": "CLIPImageProcessor", "resample": 3, "rescale_factor": 1 / 255,
                 "size": {"shortest_edge": PICTURE}}
    (out / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
    for file in sorted(tokenizer_folder.iterdir()):
        (out / file.name).write_bytes(file.read_bytes())


def _told(config: dict) -> dict:
    """Of a config what describes the networks; the rest are defaults of the library."""
    return {k: _told(v) if isinstance(v, dict) else v for k, v in config.items() if k in CONFIG}
