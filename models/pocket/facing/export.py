"""Writes trained networks as ONNX files: batch norms folded into the layers before them, weights inside the file."""

import copy
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from .alignment import SIDE
from .detector import OUTPUTS, AsYuNet, Detector

OPSET = 13


def folded(model: nn.Module) -> nn.Module:
    """A copy for use in which no batch norm is left."""
    model = copy.deepcopy(model).eval().float().cpu()
    _fold(model)
    if any(isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)) for m in model.modules()):
        raise AssertionError("a batch norm has nothing before it to be folded into")
    return model


def _fold(module: nn.Module) -> None:
    before = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(before[1], nn.Conv2d):
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        elif isinstance(child, nn.BatchNorm1d) and isinstance(before[1], nn.Linear):
            setattr(module, before[0], fuse_linear_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        elif isinstance(child, nn.Dropout):
            setattr(module, name, nn.Identity())
        else:
            _fold(child)
        before = (name, child)


def _write(model: nn.Module, example: torch.Tensor, path: Path, outputs: list[str], axes: dict) -> None:
    """Exports by tracing where this torch still can, else by its newer exporter; then compares with onnxruntime."""
    import onnx
    import onnxruntime

    settings = dict(input_names=["input"], output_names=outputs, opset_version=OPSET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(model, (example,), str(path), dynamo=False, dynamic_axes=axes, do_constant_folding=True, **settings)
        except Exception as error:
            print(f"tracing failed ({type(error).__name__}: {error}), exporting anew", flush=True)
            shapes = ({k: torch.export.Dim.AUTO for k in axes["input"]},)
            settings["opset_version"] = 18
            torch.onnx.export(model, (example,), str(path), dynamo=True, dynamic_shapes=shapes, external_data=False, **settings)
    file = onnx.load(str(path))
    _shorten(file.graph)
    onnx.checker.check_model(file)
    onnx.save(file, str(path), save_as_external_data=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    other = torch.cat([example, example.flip(2)], 0)
    with torch.no_grad():
        ours = model(other)
    theirs = session.run(None, {"input": other.numpy()})
    for a, b in zip(ours if isinstance(ours, tuple) else (ours,), theirs):
        difference = float(np.abs(a.numpy() - b).max())
        if difference > 1e-3 * max(1.0, float(np.abs(b).max())):
            raise AssertionError(f"{path.name} differs from the network by {difference}")
    print(f"{path.name}: {path.stat().st_size} bytes, {len(file.graph.node)} nodes, {sorted({n.op_type for n in file.graph.node})}", flush=True)


def _shorten(graph) -> None:
    """Takes out what only describes, and gives inner values short names: a third of a small file."""
    kept = {v.name for v in [*graph.input, *graph.output]}
    short: dict[str, str] = {}

    def rename(name: str) -> str:
        return name if not name or name in kept else short.setdefault(name, f"v{len(short)}")

    for node in graph.node:
        node.ClearField("name")
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
        node.input[:], node.output[:] = [rename(n) for n in node.input], [rename(n) for n in node.output]
    for weight in graph.initializer:
        weight.name = rename(weight.name)
    del graph.value_info[:]


def write_detector(detector: Detector, path: Path) -> None:
    """Writes YuNet's form: any batch, any height and width."""
    axes = {"input": {0: "batch", 2: "height", 3: "width"}} | {name: {0: "batch", 1: "dim"} for name in OUTPUTS}
    _write(folded(AsYuNet(detector)), torch.rand(1, 3, 96, 160) * 255, path, list(OUTPUTS), axes)
    import onnxruntime
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for height, width in ((64, 64), (256, 320), (512, 384)):
        shapes = {o.name: v.shape for o, v in zip(session.get_outputs(), session.run(None, {"input": np.zeros((2, 3, height, width), np.float32)}))}
        for name, shape in shapes.items():
            part, stride = name.split("_")
            if shape[:2] != (2, height * width // int(stride) ** 2):
                raise AssertionError(f"{name} of {height}x{width} has shape {shape}")


def write_recogniser(model: nn.Module, path: Path) -> None:
    """Writes `input` [N, 3, 112, 112] to `embedding` [N, 128]."""
    _write(folded(model), torch.rand(1, 3, SIDE, SIDE) * 2 - 1, path, ["embedding"], {"input": {0: "N"}, "embedding": {0: "N"}})
