"""Writes tests/golden/as_peer.json: what scikit-learn and torchmetrics print for some files, run on the files' own numbers.

    python tools/golden_as.py            # writes the file
    python tools/golden_as.py --check    # computes it anew and compares, to 1e-12; writes nothing

crates/xent-cli/tests/as_peer.rs holds `xent score --as` to these numbers. Needs scikit-learn, torch and torchmetrics: tools/requirements-as.txt.
(torch is 6 GB with its CUDA libraries, which is why the tests read a file and do not run it.)

yardstick is R and is not run here: its formulas are those of its source, R/prob-mn_log_loss.R and R/prob-brier_class.R, in NumPy.
"""

import csv
import io
import json
import sys
import warnings

import numpy as np
import torch
from sklearn import metrics
from torchmetrics.functional import classification

from golden_file import write_or_check

TOLERANCE = 1e-12
EPS = np.finfo(float).eps


def table(columns):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([repr(float(v)) if isinstance(v, float) else v for v in row])
    return out.getvalue()


def soft(rng, n, k, spread):
    z = rng.normal(size=(n, k)) * spread
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def labels_of(rng, p):
    return np.array([rng.choice(len(row), p=row / row.sum()) for row in p])


def cases():
    rng = np.random.default_rng(5)
    p = soft(rng, 60, 3, 2.0)
    yield "three classes", p, labels_of(rng, p), None, False
    p = soft(rng, 40, 3, 2.0)
    y = labels_of(rng, p)
    p[3] = [0.0, 1.0, 0.0]
    p[4] = [0.0, 0.0, 1.0]
    y[3], y[4] = 0, 2
    yield "a zero that happens", p, y, None, False
    p = np.round(soft(rng, 50, 3, 1.5), 3)
    p[7] *= 0.995
    yield "sums that are not 1", p, labels_of(rng, p), None, False
    p = soft(rng, 50, 4, 1.5)
    yield "whole weights", p, labels_of(rng, p), rng.integers(0, 4, 50), False
    p = soft(rng, 50, 4, 1.5)
    p[0] = [1.0, 0.0, 0.0, 0.0]
    yield "a class without rows", p, np.minimum(labels_of(rng, p), 2), None, False
    one = np.concatenate([rng.random(40), [0.0, 1.0, 0.5, 0.0, 1.0], np.arange(16) / 15])
    y = (rng.random(len(one)) < one).astype(int)
    y[43] = 1
    yield "one column", np.stack([1 - one, one], axis=1), y, None, True
    yield "one column with weights", np.stack([1 - one, one], axis=1), y, rng.integers(1, 5, len(one)), True
    big = rng.integers(1, 2000, len(one))
    yield "one column with large weights", np.stack([1 - one, one], axis=1), y, big, True
    yield "two columns", np.stack([1 - one, one], axis=1), y, None, False


def sklearn_says(p, y, weights, single):
    k = p.shape[1]
    proba = p[:, 1] if single else p
    more = {"sample_weight": weights, "labels": list(range(k))}
    base = np.average(np.eye(k)[y], axis=0, weights=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = {
            "log_loss": metrics.log_loss(y, proba, **more),
            "brier_score_loss": metrics.brier_score_loss(
                y, proba, sample_weight=weights, **({"pos_label": 1} if single else {"labels": list(range(k))})
            ),
            "accuracy_score": metrics.accuracy_score(y, p.argmax(axis=1), sample_weight=weights),
        }
        if (base > 0).all():
            out["d2_log_loss_score"] = metrics.d2_log_loss_score(y, proba, **more)
    return out


def yardstick_says(p, y, weights):
    w = np.ones(len(y)) if weights is None else weights.astype(float)
    rows = np.arange(len(y))
    loss = -np.log(np.clip(p[rows, y], EPS, 1 - EPS))
    squares = ((np.eye(p.shape[1])[y] - p) ** 2).sum(axis=1)
    softened = np.exp(w - w.max()) / np.exp(w - w.max()).sum()
    return {
        "mn_log_loss": np.average(loss, weights=w),
        "brier_class": (squares * softened).sum() / (2 * softened.sum()),
        "accuracy": np.average(p.argmax(axis=1) == y, weights=w),
    }


def torchmetrics_says(p, y):
    preds, target = torch.tensor(p), torch.tensor(y)
    k = p.shape[1]
    if k == 2:
        return {
            "binary_accuracy": classification.binary_accuracy(preds[:, 1], target).item(),
            "calibration_error": classification.binary_calibration_error(preds[:, 1], target).item(),
        }
    return {
        'accuracy(task="multiclass")': classification.accuracy(preds, target, task="multiclass", num_classes=k).item(),
        "multiclass_accuracy": classification.multiclass_accuracy(preds, target, num_classes=k).item(),
        "calibration_error": classification.multiclass_calibration_error(preds, target, num_classes=k).item(),
    }


def compute():
    out = []
    for name, p, y, weights, single in cases():
        columns = {"p_1": p[:, 1]} if single else {f"p_{c}": p[:, c] for c in range(p.shape[1])}
        columns |= {"label": y.tolist()}
        if weights is not None:
            columns["w"] = weights.tolist()
        out.append(
            {
                "name": name,
                "csv": table(columns),
                "weighted": weights is not None,
                "sklearn": sklearn_says(p, y, weights, single),
                "yardstick": yardstick_says(p, y, weights),
                "torchmetrics": torchmetrics_says(p, y),
            }
        )
    return json.dumps(out, indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(write_or_check(__doc__, {"as_peer.json": compute}, lambda _where: TOLERANCE))
