"""From a detector's outputs to faces, as the product decodes YuNet: the same arithmetic, written in numpy."""

from dataclasses import dataclass

import numpy as np

from .detector import OUTPUTS, STRIDES

SCORE = .6
OVERLAP = .45


@dataclass(frozen=True)
class Face:
    """A face found: its score, box (x, y, width, height) and five points [5, 2], in pixels."""

    score: float
    box: np.ndarray
    points: np.ndarray


def decode(outputs: dict[str, np.ndarray], width: int, least: float = SCORE) -> list[Face]:
    """Faces of one picture, best first; outputs have no batch dimension."""
    faces = []
    for stride in STRIDES:
        score = np.sqrt(outputs[f"cls_{stride}"][:, 0] * outputs[f"obj_{stride}"][:, 0])
        columns = width // stride
        for at in np.flatnonzero(score >= least):
            cell = np.array([at % columns, at // columns], np.float32)
            box = outputs[f"bbox_{stride}"][at]
            centre, size = (cell + box[:2]) * stride, np.exp(box[2:]) * stride
            points = (cell + outputs[f"kps_{stride}"][at].reshape(5, 2)) * stride
            faces.append(Face(float(score[at]), np.concatenate([centre - size / 2, size]), points))
    return suppress(sorted(faces, key=lambda face: -face.score))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    inner = np.clip(np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(inner / (a[2:].prod() + b[2:].prod() - inner + 1e-9))


def suppress(faces: list[Face], most: float = OVERLAP) -> list[Face]:
    """Of faces that overlap, only the best."""
    kept: list[Face] = []
    for face in faces:
        if all(overlap(face.box, other.box) < most for other in kept):
            kept.append(face)
    return kept


class DetectorFile:
    """A detector as an ONNX file: this one, or YuNet."""

    def __init__(self, path, threads: int = 1):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, pictures: np.ndarray, least: float = SCORE) -> list[list[Face]]:
        """Faces in RGB uint8 pictures [N, H, W, 3] of one size, sides multiples of 32."""
        x = np.ascontiguousarray(pictures[..., ::-1].transpose(0, 3, 1, 2), np.float32)
        outputs = dict(zip(OUTPUTS, self.session.run(list(OUTPUTS), {"input": x})))
        return [decode({k: v[i] for k, v in outputs.items()}, pictures.shape[2], least) for i in range(len(pictures))]
