"""Writes tests/golden/calibration_netcal.json: what netcal 1.4.0 says of data made here.

    python tools/oracle_netcal.py            # writes the file
    python tools/oracle_netcal.py --check    # computes it anew and compares, to 1e-12; writes nothing

crates/xent/tests/calibration.rs holds xent to these numbers. Apart from tools/oracle_calibration.py because importing netcal needs PyTorch and
Pyro (gigabytes): python -m pip install netcal==1.4.0.

ece, mce, ace      ECE, MCE, ACE of the second of two classes, 10 bins; ACE is the mean over the bins without their weights
top_ece, top_mce   ECE, MCE of a matrix: of the top label
class_wise         the mean over the classes of ECE of one class against the rest
edges              ECE where predictions lie on i/10: netcal's edges are numpy.linspace's, some of which are above i/10.
                   `nudged` are the predictions with those moved below i/10, where netcal has them
temperature, platt, beta    parameters of least log loss; netcal's optimizer stops at about 1e-5
"""

import json
import sys

import numpy as np
from netcal.metrics import ACE, ECE, MCE
from netcal.scaling import BetaCalibration, LogisticCalibration, TemperatureScaling

from golden_file import write_or_check

BINS = 10


def content():
    rng = np.random.default_rng(5)
    n = 300
    p = rng.random(n)
    y = (rng.random(n) < p**1.5).astype(int)
    x = rng.normal(size=(n, 4)) * 2
    soft = lambda z: np.exp(z) / np.exp(z).sum(1, keepdims=True)
    P = soft(x)
    labels = np.array([rng.choice(4, p=row) for row in soft(x / 2)])
    on = np.array([0, 1, 1, 2, 3, 5, 7, 9, 10, 10]) / 10
    on_y = np.array([0, 0, 1, 0, 1, 0, 1, 1, 1, 0])
    nudged = np.where(on < np.linspace(0, 1, BINS + 1)[np.rint(on * BINS).astype(int)], on - 1e-15, on)
    temperature = TemperatureScaling()
    temperature.fit(P, labels)
    platt = LogisticCalibration()
    platt.fit(p, y)
    beta = BetaCalibration()
    beta.fit(p, y)
    sites = beta._sites
    flat = lambda value: np.ravel(np.asarray(value, dtype=float)).tolist()
    return {
        "p": p.tolist(),
        "y": y.tolist(),
        "ece": float(ECE(BINS).measure(p, y)),
        "mce": float(MCE(BINS).measure(p, y)),
        "ace": float(ACE(BINS).measure(p, y)),
        "P": P.ravel().tolist(),
        "labels": labels.tolist(),
        "top_ece": float(ECE(BINS).measure(P, labels)),
        "top_mce": float(MCE(BINS).measure(P, labels)),
        "class_wise": float(np.mean([ECE(BINS).measure(P[:, c], (labels == c).astype(int)) for c in range(4)])),
        "edges": {"p": on.tolist(), "y": on_y.tolist(), "ece": float(ECE(BINS).measure(on, on_y)), "nudged": nudged.tolist()},
        "temperature": flat(1 / np.asarray(temperature.temperature)),
        "platt": flat(platt.weights) + flat(platt.intercept),
        "beta": flat(sites["weights"]["values"]) + flat(sites["bias"]["values"]),
    }


def made():
    return json.dumps(content(), separators=(",", ":")) + "\n"


def bound(where):
    return 1e-4 if any(name in where for name in ("temperature", "platt", "beta")) else 1e-12


if __name__ == "__main__":
    sys.exit(write_or_check(__doc__, {"calibration_netcal.json": made}, bound))
