"""The texts of the kernels as the program compiles them, and NVRTC."""

import ctypes
import ctypes.util
import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "worker/diffusion/src/kernels/gpu/hopper"
TILES = [(160, 2), (128, 2), (160, 1), (128, 1)]


def product(outputs, blocks, side):
    """As `Tile::beginning` in product.rs."""
    sums = outputs // 2
    names = ", ".join(f"%{i}" for i in range(sums))
    places = ", ".join(f'"+f"(d[{i}])' for i in range(sums))
    rows = ", ".join(f"%{sums + i}" for i in range(4))
    return (
        f"#define TILE_N {outputs}\n#define BLOCKS {blocks}\n#define SIDE {side}\n"
        f"__device__ __forceinline__ void multiply(float (&d)[{sums}], unsigned a0, unsigned a1, unsigned a2, unsigned a3, "
        f'unsigned long long b) {{\n  asm volatile("wgmma.mma_async.sync.aligned.m64n{outputs}k16.f32.bf16.bf16 {{{names}}}, '
        f'{{{rows}}}, %{sums + 4}, 1, 1, 1, 0;" : {places} : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(b));\n}}\n'
        + (FOLDER / "product.cu").read_text()
    )


def every():
    """Names and texts."""
    for outputs, blocks in TILES:
        for side in (1, 3):
            yield f"product {outputs}x{blocks} side {side}", product(outputs, blocks, side)
    yield "pack", (FOLDER / "pack.cu").read_text()
    yield "attention", (FOLDER / "attention.cu").read_text()


def library():
    root = os.environ.get("CUDA_PATH", "/usr/local/cuda")
    places = [f"{root}/{lib}/libnvrtc.so.{version}" for lib in ("lib64", "lib") for version in (13, 12)]
    for place in [*places, "libnvrtc.so.13", "libnvrtc.so.12"]:
        try:
            return ctypes.CDLL(place)
        except OSError:
            continue
    raise SystemExit("NVRTC is not found: install CUDA's toolkit, or set CUDA_PATH and LD_LIBRARY_PATH (docs/devices.md)")


def compile_text(text, verbose=False):
    """Machine code for compute capability 9.0, and what the compiler said."""
    nvrtc, program, size = library(), ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None)
    options = [b"--gpu-architecture=sm_90a", *([b"--ptxas-options=-v"] if verbose else [])]
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    if failed:
        raise SystemExit(log.value.decode())
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetCUBIN(program, code)
    return code.raw, log.value.decode()
