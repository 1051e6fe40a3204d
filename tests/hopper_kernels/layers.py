"""Layers of Stable Diffusion 2.1-base by the kernels and by PyTorch: whether they agree, and how long each takes."""

import ctypes

import texts
import torch
import torch.nn.functional as functional

APART = 5e-3
CONVOLUTIONS = [(64, 320, 320), (64, 640, 320), (64, 960, 320), (32, 640, 640), (32, 1280, 640), (32, 1920, 640), (16, 1280, 1280),
                (16, 2560, 1280), (8, 1280, 1280), (8, 2560, 1280), (64, 640, 640), (32, 1280, 1280)]  # side, inputs, outputs
LINEAR = [(64, 320, 320), (64, 320, 2560), (64, 1280, 320), (32, 640, 640), (32, 640, 5120), (32, 2560, 640), (16, 1280, 1280),
          (16, 1280, 10240), (16, 5120, 1280), (8, 1280, 1280)]
ATTENTION = [(5, 4096, 4096), (10, 1024, 1024), (20, 256, 256), (20, 64, 64), (5, 4096, 77), (10, 1024, 77)]  # heads, queries, keys
cuda = ctypes.CDLL("libcuda.so.1")


class Kernel:
    def __init__(self, module, name):
        self.function = ctypes.c_void_p()
        check(cuda.cuModuleGetFunction(ctypes.byref(self.function), module, name.encode()))

    def __call__(self, blocks, threads, tensors, numbers):
        numbers = (ctypes.c_uint32 * len(numbers))(*numbers)
        arguments = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
        pointers = [ctypes.addressof(argument) for argument in arguments] + [ctypes.addressof(numbers)]
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        grid = [*blocks, 1, 1][:3]
        check(cuda.cuLaunchKernel(self.function, *grid, threads, 1, 1, 0, stream, (ctypes.c_void_p * len(pointers))(*pointers), None))


def check(result):
    if result:
        raise SystemExit(f"the driver's answer is error {result}")


def load(text):
    module = ctypes.c_void_p()
    check(cuda.cuModuleLoadData(ctypes.byref(module), texts.compile_text(text)[0]))
    return module


def milliseconds(work, count=20):
    for _ in range(3):
        work()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(count):
        work()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / count


def error(found, expected):
    return ((found.float() - expected.float()).norm() / expected.float().norm()).item()


def up(a, b):
    return -(-a // b)


class Kernels:
    def __init__(self):
        self.products = {}
        for outputs, blocks in texts.TILES:
            for side in (1, 3):
                module = load(texts.product(outputs, blocks, side))
                self.products[outputs, blocks, side] = Kernel(module, "product"), Kernel(module, "gather")
        pack, attention = load(dict(texts.every())["pack"]), load(dict(texts.every())["attention"])
        self.pack = {name: Kernel(pack, name) for name in ("from_rows", "from_columns", "for_gradient")}
        names = ("attend", "attend_sums", "gradient_of_queries", "gradient_of_keys")
        self.attention = {name: Kernel(attention, name) for name in names}

    def packed(self, name, weight, inputs, outputs, taps):
        result = torch.empty(weight.numel(), device="cuda", dtype=torch.bfloat16)
        blocks = [up(weight.numel(), 2048)] if name == "from_rows" else [outputs // 32, inputs // 32, taps]
        self.pack[name](blocks, 256, [weight, result], [inputs, outputs, taps, 0])
        return result

    def product(self, key, x, weight, bias, outputs, splits):
        batch, height, width, inputs = x.shape
        y = torch.empty(batch, height, width, outputs, device="cuda", dtype=torch.bfloat16)
        parts = torch.empty(splits * y.numel() if splits > 1 else 1, device="cuda")
        pixels, tiles, side = batch * height * width, up(outputs, key[0]), key[2]
        numbers = [height, width, inputs, outputs, height, width, 1, side // 2, pixels, tiles, splits, 1, inputs, 0, 0, 0]
        product, gather = self.products[key]

        def work():
            product([up(pixels, 128 * key[1]) * tiles, splits], 256, [x, weight, bias, y, parts], numbers)
            if splits > 1:
                gather([up(y.numel(), 1024)], 256, [parts, bias, y], numbers)
            return y

        return work


def normal(*shape, scale=1.0):
    return (torch.randn(*shape, device="cuda") * scale).bfloat16()


def layer(kernels, batch, height, inputs, outputs, side):
    """PyTorch's milliseconds and the best of ours, and how far ours are apart at most."""
    x, w, b = normal(batch, height, height, inputs), normal(outputs, side, side, inputs, scale=(inputs * side * side) ** -0.5), normal(outputs)
    if side == 1:
        ready = kernels.packed("from_columns", w.view(outputs, inputs).t().contiguous(), inputs, outputs, 1)
        theirs = lambda: functional.linear(x, w.view(outputs, inputs), b)  # noqa: E731
        expected = theirs()
    else:
        ready = kernels.packed("from_rows", w, inputs, outputs, 9)
        theirs = lambda: functional.conv2d(x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2), b, padding=1)  # noqa: E731
        expected = theirs().permute(0, 2, 3, 1)
    best, apart = None, 0.0
    for key in (key for key in kernels.products if key[2] == side):
        tiles = up(batch * height * height, 128 * key[1]) * up(outputs, key[0])
        for splits in (splits for splits in (1, 2, 3, 4, 6, 8) if splits == 1 or tiles * splits <= 300):
            work = kernels.product(key, x, ready, b, outputs, splits)
            apart = max(apart, error(work(), expected))
            taken = milliseconds(work)
            if best is None or taken < best[0]:
                best = taken, f"{key[0]}x{key[1]}/{splits}"
    grad = normal(batch, height, height, outputs)
    turned = kernels.packed("for_gradient", ready, outputs, inputs, side * side)
    zeros = torch.zeros(inputs, device="cuda", dtype=torch.bfloat16)
    found = kernels.product((128, 1, side), grad, turned, zeros, inputs, 1)()
    if side == 1:
        of_input = grad @ w.view(outputs, inputs)
    else:
        of_input = torch.nn.grad.conv2d_input((batch, inputs, height, height), w.permute(0, 3, 1, 2), grad.permute(0, 3, 1, 2), padding=1)
        of_input = of_input.permute(0, 2, 3, 1)
    return milliseconds(theirs), best, max(apart, error(found, of_input))


def attention(kernels, batch, heads, queries, keys):
    """Milliseconds of PyTorch (forward, with gradients), of ours (the same), and how far ours are apart at most."""
    by_position = lambda count: normal(batch, count, heads, 64).permute(0, 2, 1, 3)  # noqa: E731
    q, k, v, g = by_position(queries), by_position(keys), by_position(keys), by_position(queries)
    y, dq, dk, dv = (torch.empty_like(x) for x in (q, q, k, v))
    sums = torch.empty(batch, heads, queries, 2, device="cuda")
    scale = torch.tensor(64**-0.5).view(torch.int32).item()

    def numbers(result):
        strides = [[x.stride(0), x.stride(1), x.stride(2), 0] for x in (q, k, v, g, result)]
        return [queries, keys, heads, 0, scale, 0, 0, 0, *sum(strides, [])]

    wide = [up(queries, 128), batch * heads]
    of_queries, of_keys = numbers(dq), numbers(dk)

    def forward():
        kernels.attention["attend"](wide, 256, [q, k, v, y], numbers(y))

    def backward():
        kernels.attention["attend_sums"](wide, 256, [q, k, v, g, sums], of_queries)
        kernels.attention["gradient_of_queries"]([up(queries, 64), batch * heads], 128, [q, k, v, g, sums, dq], of_queries)
        kernels.attention["gradient_of_keys"]([up(keys, 64), batch * heads], 128, [q, k, v, g, sums, dk, dv], of_keys)

    def both():
        forward()
        backward()

    tracked = [x.detach().requires_grad_() for x in (q, k, v)]
    functional.scaled_dot_product_attention(*tracked).backward(g)
    gradients = [x.grad.clone() for x in tracked]
    both()
    pairs = zip((y, dq, dk, dv), (functional.scaled_dot_product_attention(q, k, v), *gradients))
    apart = max(error(found, expected) for found, expected in pairs)
    theirs = milliseconds(lambda: functional.scaled_dot_product_attention(q, k, v), 10)
    theirs_both = milliseconds(lambda: functional.scaled_dot_product_attention(*tracked).backward(g), 10)
    return theirs, theirs_both, milliseconds(forward, 10), milliseconds(both, 10), apart


def run(batch):
    torch.backends.cudnn.benchmark = True
    torch.zeros(1, device="cuda")
    kernels, wrong = Kernels(), 0
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, batch {batch}\n")
    print("| layer | PyTorch ms | ours ms | tile | ours TFLOP/s | ratio | apart |\n|---|---|---|---|---|---|---|")
    for what, side, shapes in (("3x3", 3, CONVOLUTIONS), ("linear", 1, LINEAR)):
        total = [0.0, 0.0]
        for height, inputs, outputs in shapes:
            theirs, (ours, tile), apart = layer(kernels, batch, height, inputs, outputs, side)
            wrong += not apart < APART
            total = [total[0] + theirs, total[1] + ours]
            rate = 2 * batch * height * height * inputs * outputs * side * side / ours / 1e9
            print(f"| {what} {height}x{height} {inputs}->{outputs} | {theirs:.4f} | {ours:.4f} | {tile} | {rate:.0f} | {ours / theirs:.2f} | {apart:.1e} |", flush=True)
        print(f"| {what}, all | {total[0]:.3f} | {total[1]:.3f} | | | {total[1] / total[0]:.2f} | |")
    print("\n| attention | PyTorch ms, forward | with gradients | ours, forward | with gradients | apart |\n|---|---|---|---|---|---|")
    for heads, queries, keys in ATTENTION:
        *times, apart = attention(kernels, batch, heads, queries, keys)
        wrong += not apart < APART
        print(f"| {heads} heads, {queries} by {keys} | " + " | ".join(f"{time:.3f}" for time in times) + f" | {apart:.1e} |", flush=True)
    return 1 if wrong else 0
