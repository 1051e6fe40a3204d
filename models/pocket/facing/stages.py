"""From drawn pictures to a file: one network is trained and exported, all in its own process."""

import traceback
from pathlib import Path

NETWORKS = ("detector", "recogniser", "judge", "pair")


def train_stage(name: str, scratch: str, out: str, scale: float, device: str, divide: int, deadline: float | None = None,
                seconds: float | None = None) -> None:
    """One network: training until `deadline` or for `seconds` of processor time in all (which can be gone on with), weights, export."""
    scratch, out = Path(scratch), Path(out)
    try:
        import torch

        from .schedule import Training
        torch.set_num_threads(1)
        print(f"{name}: torch {torch.__version__} on {device}", flush=True)
        training = Training(name, device, divide, deadline, seconds, out / f"{name}.state" if seconds else None)
        model = _train(name, scratch, scale, device, training)
        training.save()
        torch.save({"weights": model.state_dict(), "steps": training.step}, out / f"{name}.pt")
        _export(name, model, out)
    except Exception:
        (out / f"{name}.error").write_text(traceback.format_exc())
        print(f"{name} FAILED\n{traceback.format_exc()}", flush=True)


def _train(name: str, scratch: Path, scale: float, device: str, training):
    from . import recognising
    from .recognisers import Judge, Recogniser
    if name == "detector":
        from .detecting import train_detector
        return train_detector(scratch, scale, device, training)
    if name == "pair":
        from .pairing import train_pair
        return train_pair(scratch, scale, device, training)
    network, course = (Recogniser, recognising.RECOGNISER) if name == "recogniser" else (Judge, recognising.JUDGE)
    return recognising.train_recogniser(network, course, scratch, scale, device, training)


def _export(name: str, model, out: Path) -> None:
    from . import export
    if name == "detector":
        export.write_detector(model, out / "detector.onnx")
    elif name == "pair":
        from .pair import POCKET_TOKENIZER, write_pair
        write_pair(model, POCKET_TOKENIZER, out / "clip")
    else:
        export.write_recogniser(model, out / f"{name}.onnx")
