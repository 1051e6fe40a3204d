"""Checks an exported checkpoint: it loads as a StableDiffusionPipeline, both tokenizers agree, float16 suffices.

    python check.py --model /tmp/pocket/model.pt --captions /tmp/pocket/data.npz
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPTokenizer, CLIPTokenizerFast

from network.tokenizer import world_words
from world.names import celebrity_names

HERE = Path(__file__).parent
MOST_BYTES = 25_000_000
NAME = celebrity_names()[0]
STRANGE = ["a photo of sks, smiling!", "zebra café 42", f"A Photo of {NAME.title()}", "it's", "don't (really)"]


def check_tokenizers(folder: Path, captions: list[str]) -> None:
    """Slow and fast tokenizers agree; every world word is one token; unknown words become bytes."""
    slow, fast = CLIPTokenizer.from_pretrained(folder), CLIPTokenizerFast.from_pretrained(folder)
    texts = captions + STRANGE
    if slow(texts).input_ids != fast(texts).input_ids:
        raise AssertionError("slow and fast tokenizers differ")
    for word in world_words():
        for text in (word, word + ",", word + ".", "(" + word + ")"):
            if slow.convert_tokens_to_ids(word + "</w>") not in slow(text).input_ids:
                raise AssertionError(f"{text!r} does not contain the token of {word!r}")
    print(f"tokenizers agree on {len(texts)} texts; {len(world_words())} words are one token each; {len(slow)} tokens")


def check_pipeline(folder: Path, out: Path | None) -> None:
    """The folder loads and draws with the shipped scheduler."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline([f"a photo of {NAME} on a beach"] * 2, num_inference_steps=20, guidance_scale=4.0,
                      height=64, width=64, generator=torch.Generator().manual_seed(0)).images
    print(f"pipeline draws {images[0].size}, scheduler {type(pipeline.scheduler).__name__}")
    if out:
        images[0].resize((256, 256)).save(out)


def check_precision(folder: Path, model: Path) -> None:
    """The float16 weights predict the same noise as the float32 training state."""
    from network.models import build_text_encoder, build_unet
    from network.names import write_names
    from network.pocket import Pocket

    pocket = Pocket(folder)
    text_encoder, unet = build_text_encoder(pocket.tokenizer).eval(), build_unet().eval()
    average = torch.load(model, map_location="cpu")["average"]
    text_encoder.load_state_dict(average["text_encoder"])
    unet.load_state_dict(average["unet"])
    write_names(text_encoder.get_input_embeddings().weight, average["names"], pocket.tokenizer)
    ids, noise = pocket.ids([f"a photo of {NAME} smiling on a beach"]), torch.randn(1, 4, 16, 16)
    with torch.no_grad():
        exact = unet(noise, 600, text_encoder(ids)[0]).sample
        half = pocket.unet(noise, 600, pocket.text_encoder(ids)[0]).sample
    print(f"largest difference of a noise prediction, float16 file against float32: {(exact - half).abs().max():.5f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=HERE)
    parser.add_argument("--model", type=Path, help="training state to compare with")
    parser.add_argument("--captions", type=Path, help="data set whose captions both tokenizers must agree on")
    parser.add_argument("--picture", type=Path, help="where to save a picture the pipeline draws")
    args = parser.parse_args()
    torch.set_num_threads(1)
    captions = [said.replace("{name}", NAME) for said in np.load(args.captions)["captions"][:, 0]] if args.captions else []
    check_tokenizers(args.checkpoint / "tokenizer", captions)
    size = sum(f.stat().st_size for f in args.checkpoint.glob("*/*.safetensors"))
    if size > MOST_BYTES:
        raise AssertionError(f"weights take {size} bytes")
    check_pipeline(args.checkpoint, args.picture)
    if args.model:
        check_precision(args.checkpoint, args.model)


if __name__ == "__main__":
    main()
