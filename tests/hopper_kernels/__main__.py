"""`just bench-hopper`: the CUDA kernels for Hopper beside PyTorch's on the layers of Stable Diffusion 2.1-base, one by one.

Needs a card of compute capability 9.0, NVRTC, and python3 with PyTorch. Every result is held against PyTorch's; the exit code is 1 where
one is apart from it. `--compile` needs no card: it compiles every text and says what ptxas has to say of registers.
"""

import argparse
import sys

import texts


def main():
    parser = argparse.ArgumentParser(prog="just bench-hopper", description=__doc__.split("\n\n")[0])
    parser.add_argument("--compile", action="store_true", help="only compile, and say what registers are used")
    parser.add_argument("--batch", type=int, default=8, help="pictures [default: 8]")
    options = parser.parse_args()
    if options.compile:
        for name, text in texts.every():
            log = texts.compile_text(text, verbose=True)[1]
            wanted = [line.split(":")[-1].strip() for line in log.splitlines() if "Used" in line or "spill" in line or "Loss" in line]
            print(f"{name}: {'; '.join(wanted)}")
        return 0
    import layers  # PyTorch is for cards alone

    return layers.run(options.batch)


if __name__ == "__main__":
    sys.exit(main())
