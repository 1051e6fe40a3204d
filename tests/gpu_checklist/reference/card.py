"""The two ceilings of a card, to hold the floor's constants against: products in bf16, and copies in its memory."""

import time

import torch

SIDE = 8192
COPY_BYTES = 4 << 30
REPEATS = 10


def measure(device):
    left, right = (torch.randn(SIDE, SIDE, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.empty(COPY_BYTES, device=device, dtype=torch.uint8).random_()
    target = torch.empty_like(source)
    product = seconds(lambda: torch.matmul(left, right))
    copy = seconds(lambda: target.copy_(source))
    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "tflops": 2 * SIDE**3 / product / 1e12,
        "terabytes_per_second": 2 * COPY_BYTES / copy / 1e12,
    }


def seconds(work):
    """Of the median repeat."""
    times = []
    for _ in range(REPEATS + 3):
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return sorted(times[3:])[REPEATS // 2]
