"""The physical floor of Stable Diffusion 2.1-base on one H100 in bf16: counted, not measured.

Source: the published graph (diffusers 0.35.2, transformers) run on torch's meta tensors in bf16, FLOPs by torch's own registry
(1 multiply-add = 2 FLOP), attention analytically; 790 TFLOP/s and 3.0 TB/s, both as measured on an H100 (a product of 8192^3,
a copy on the device). Three levels:

    peak      FLOPs over 790e12: nothing that multiplies in bf16 is faster
    roofline  over convolutions, products and attention: the larger of their arithmetic and their memory traffic; all else free
    unfused   the same, and every norm and elementwise kernel reads and writes memory; launches cost nothing

On another card the floor is another one.
"""

MODEL = "synthetic:sd21-base"
SIZE = [512, 512]
CARD = "H100"
TFLOPS = 790.0
TERABYTES_PER_SECOND = 3.0

GIB = 2.0**30
PARAMETERS = {"unet": 865_910_724, "text_encoder": 340_387_840, "vae": 83_653_863}

# What, batch: TFLOP, and milliseconds of peak, roofline and unfused. A sampler step is guided: twice the batch in the UNet.
COUNTED = {
    ("train", 1): (1.76, 2.23, 3.14, 4.64),
    ("train", 4): (7.05, 8.92, 9.60, 15.52),
    ("train", 8): (14.10, 17.84, 18.85, 30.61),
    ("train", 16): (28.19, 35.69, 37.66, 61.12),
    ("sample", 1): (1.609, 2.04, 2.28, 3.36),
    ("sample", 4): (6.434, 8.14, 8.57, 12.89),
    ("sample", 8): (12.868, 16.29, 17.11, 25.75),
    ("picture", 1): (83.0, 105.0, 118.0, 174.0),
    ("picture", 8): (664.2, 841.0, 883.0, 1332.0),
    ("decode", 1): (2.515, 3.18, 3.26, 5.35),
    ("decode", 8): (20.116, 25.46, 26.10, 42.78),
    ("encode", 1): (1.117, 1.41, 1.45, 2.62),
    ("encode", 8): (8.933, 11.31, 11.63, 20.95),
    ("text", 1): (0.045, 0.06, 0.22, 0.28),
    ("text", 2): (0.090, 0.11, 0.25, 0.32),
}
# Pictures are counted with so many sampler steps, and users' steps with so many users.
PICTURE_STEPS = 50
USERS = 8

# Bytes that a training step must keep for its backward, in GiB, by batch: the least (inputs of norms, q, k, v and o, inputs
# of GEGLU), and what torch's autograd saves with frozen weights and fused attention. Text encoder included.
LEAST_ACTIVATIONS = {1: 0.45 + 0.03, 8: 3.63 + 0.27}
AUTOGRAD_ACTIVATIONS = {1: 0.65 + 0.03, 8: 5.17 + 0.27}

# TFLOP of one sample's UNet forward by kind of kernel, and of one caption's text encoder. The backward to the context is 1.08 of
# the forward in all; that it is so in each kind is an assumption.
UNET_FORWARD = {"convolution": 0.418, "matmul": 0.260, "attention": 0.126}
TEXT_FORWARD = 0.045
BACKWARD = 1.08
# GB that norms and elementwise kernels read and write, by batch.
OTHER_GIGABYTES = {
    "train": {1: 4.12 + 0.38, 8: 33.68 + 1.61, 16: 67.36 + 3.02},
    "sample": {1: 3.24, 4: 12.96, 8: 25.92},
}


def of(what, batch, rows_each=1):
    """The floor of a row of figures, or None where none is counted.

    Batches between and beyond the counted ones lie on the line through the two nearest; `counted` is then false.
    `users_batched` is a training step of all rows, `users_one_by_one` a step of each user's rows.
    """
    if what == "users_batched":
        return of("train", batch)
    if what == "users_one_by_one":
        each = of("train", rows_each)
        return {name: value if name == "counted" else USERS * value for name, value in each.items()}
    points = {counted: numbers for (name, counted), numbers in COUNTED.items() if name == what}
    if not points:
        return None
    names = ("tflop", "peak", "roofline", "unfused")
    numbers = [on_line({at: numbers[index] for at, numbers in points.items()}, batch) for index in range(len(names))]
    return dict(zip(names, numbers), counted=batch in points)


def on_line(points, at):
    """The value at `at` of the line through the two nearest of `points` (argument to value), exact on a point."""
    if at in points:
        return points[at]
    below, above = nearest_two(sorted(points), at)
    slope = (points[above] - points[below]) / (above - below)
    return points[below] + slope * (at - below)


def nearest_two(arguments, at):
    """The neighbours of `at` on either side; beyond the last, the last two."""
    place = sum(argument < at for argument in arguments)
    place = min(max(place, 1), len(arguments) - 1)
    return arguments[place - 1], arguments[place]


def least_bytes(batch, weights):
    """The least memory of a training step of `batch` rows: the weights and what the backward cannot do without."""
    return weights + on_line(LEAST_ACTIVATIONS, batch) * GIB


def by_class(what, batch):
    """Milliseconds of the floor by kind of kernel of a training step or a guided sampler step: arithmetic at the peak rate, other
    kernels by their bytes."""
    if what not in OTHER_GIGABYTES:
        return {}
    samples = batch if what == "train" else 2 * batch
    passes = 1 + BACKWARD if what == "train" else 1
    tflop = {kind: samples * passes * each for kind, each in UNET_FORWARD.items()}
    if what == "train":
        tflop["matmul"] += 2 * batch * TEXT_FORWARD
    floor = {kind: each / TFLOPS * 1e3 for kind, each in tflop.items()}
    floor["other"] = on_line(OTHER_GIGABYTES[what], batch) / TERABYTES_PER_SECOND
    return floor
