"""Writes tests/golden/calibration_peers.json: what published packages say about calibration, on data made here.

    python tools/oracle_calibration.py            # writes the file
    python tools/oracle_calibration.py --check    # computes it anew and compares, to 1e-12; writes nothing

crates/xent/tests/calibration.rs holds xent to these numbers. Needs tools/requirements-calibration.txt.

model-diagnostics       decompose: miscalibration, discrimination, uncertainty, score, of log loss and squared error (0 to 1)
relplot                 smECE with its bandwidth
uncertainty-calibration ECE in bins of equal width and equal mass (its bins are closed above, so predictions keep off edges), debiased
                        root mean square error, class-wise and top-label for three classes
scikit-learn            isotonic regression at each row
SciPy                   the temperature, Platt and beta parameters of least log loss, by minimising it
SpecsVerification       BrierDecomp (R), plain and bias-corrected with standard deviations, by the covariance matrices of Siegert (2014) in NumPy

Data have no ties except where a case says so: uncertainty-calibration cuts ties by the order of rows.
"""

import json
import sys
import warnings

import calibration
import numpy as np
import relplot
import scipy.optimize
from model_diagnostics.scoring import LogLoss, SquaredError, decompose
from sklearn.isotonic import IsotonicRegression

from golden_file import write_or_check

TOLERANCE = 1e-12


def rows(seed, n, digits):
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(n), digits)
    y = (rng.random(n) < 0.15 + 0.3 * p + 0.4 * p * p).astype(int)
    return p, y, rng.integers(1, 5, n).astype(float)


def parts(p, y, w, score):
    found = decompose(y_obs=y, y_pred=p, weights=w, scoring_function=score).row(0, named=True)
    return [found[key] for key in ("score", "uncertainty", "discrimination", "miscalibration")]


def brier_decomposition(p, y, k, corrected):
    """Components and their standard deviations, [uncertainty, resolution, reliability], as R's SpecsVerification gives them."""
    n = len(p)
    bin = np.minimum((p * k).astype(int), k - 1)
    one_hot = np.eye(k)[bin]
    a, b, c, total = one_hot.sum(0), one_hot.T @ y, one_hot.T @ p, y.sum()
    assert (a > 1).all()
    rel = ((b - c) ** 2 / a).sum() / n
    res = (a * (b / a - total / n) ** 2).sum() / n
    unc = total * (n - total) / n**2
    s = (b * (a - b) / (a * (a - 1))).sum() / n
    t = total * (n - total) / n**2 / (n - 1)
    d_rel = [-((b - c) ** 2) / (n * a**2), 2 * (b - c) / (n * a), -2 * (b - c) / (n * a)]
    d_res = [-(b**2 / a**2 - (total / n) ** 2) / n, 2 / n * (b / a - total / n), np.zeros(1)]
    d_unc = (1 - 2 * total / n) / n
    if corrected:
        alpha = min(rel / s, max(res / (s - t), (res - 1) / (s - t)), (1 - 4 * unc) / (4 * t), 1)
        rel, res, unc = rel - alpha * s, res - alpha * (s - t), unc + alpha * t
        s_a = (b / (a * (a - 1)) - b * (a - b) * (2 * a - 1) / (a * (a - 1)) ** 2) / n
        s_b = (a - 2 * b) / (a * (a - 1)) / n
        d_t = (n - 2 * total) / n**2 / (n - 1)
        d_rel = [d_rel[0] - s_a, d_rel[1] - s_b, d_rel[2]]
        d_res = [d_res[0] - s_a, d_res[1] - s_b, np.array([d_t])]
        d_unc += d_t
    deviation = lambda jacobian, columns: np.sqrt(jacobian @ np.cov(columns.T, bias=True) * n @ jacobian)
    for_rel = np.hstack([one_hot, one_hot * y[:, None], one_hot * p[:, None]])
    for_res = np.hstack([one_hot, one_hot * y[:, None], y[:, None]])
    errors = [abs(d_unc) * np.sqrt(n * y.var()), deviation(np.hstack(d_res), for_res), deviation(np.hstack(d_rel), for_rel)]
    return [unc, res, rel] + [float(e) for e in errors]


def minimum(loss, start):
    """The point of least loss: BFGS, polished by Nelder and Mead."""
    first = scipy.optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-10})
    found = scipy.optimize.minimize(loss, first.x, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-16, "maxiter": 4000})
    return [float(v) for v in found.x] + [float(found.fun)]


def binary(seed, n, digits, weighted):
    p, y, w = rows(seed, n, digits)
    ones = np.ones(n)
    use = w if weighted else ones
    iso = IsotonicRegression().fit(p, y, sample_weight=use)
    case = {
        "p": p.tolist(),
        "y": y.tolist(),
        "w": use.tolist(),
        "isotonic": iso.predict(p).tolist(),
        "squared": parts(p, y, use, SquaredError()),
    }
    if ((p > 0) & (p < 1)).all():
        case["log"] = parts(p, y, use, LogLoss())
        logit = np.log(p / (1 - p))
        sign = np.where(y == 1, -1, 1)
        mean = lambda z: np.average(np.logaddexp(0, sign * z), weights=use)
        case["platt"] = minimum(lambda v: mean(v[0] * logit + v[1]), [1, 0])
        case["beta"] = minimum(lambda v: mean(v[0] * np.log(p) - v[1] * np.log(1 - p) + v[2]), [1, 1, 0])
    if not weighted:
        value, width = relplot.smECE(p, y, return_width=True)
        case["smooth"] = [float(value), width]
        case["brier"] = brier_decomposition(p, y, 7, False)
        case["brier_corrected"] = brier_decomposition(p, y, 7, True)
        if digits > 6:
            case["ece"] = float(calibration.get_ece(p, y, num_bins=15))
            case["ece_mass"] = float(calibration.get_ece_em(p, y, num_bins=15))
            case["debiased"] = float(calibration.lower_bound_scaling_ce(p, y, p=2, debias=True, num_bins=15))
            case["rms"] = float(calibration.lower_bound_scaling_ce(p, y, p=2, debias=False, num_bins=15))
    return case


def classes(seed, n, k):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k)) * 3
    share = np.exp(0.45 * x) / np.exp(0.45 * x).sum(1, keepdims=True)
    y = np.array([rng.choice(k, p=row) for row in share])
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)

    def loss(v):
        z = x / v[0]
        return np.mean(scipy.special.logsumexp(z, axis=1) - z[np.arange(n), y])

    return {
        "x": x.ravel().tolist(),
        "p": p.ravel().tolist(),
        "y": y.tolist(),
        "k": k,
        "temperature": minimum(loss, [2]),
        "top_label": float(calibration.get_ece_em(p, y, num_bins=10, mode="top-label")),
        "class_wise": float(calibration.get_ece_em(p, y, num_bins=10, mode="marginal")),
        "class_wise_debiased": float(
            calibration.lower_bound_scaling_ce(p, y, p=2, debias=True, num_bins=10, mode="marginal")
        ),
    }


def content():
    return {
        "binary": [
            binary(1, 300, 12, False),
            binary(2, 600, 12, False),
            binary(3, 300, 12, True),
            binary(4, 250, 1, False),
            binary(5, 400, 2, True),
        ],
        "classes": [classes(6, 400, 3), classes(7, 300, 5)],
    }


def made():
    return json.dumps(content(), separators=(",", ":")).replace('{"p":', '\n{"p":').replace('{"x":', '\n{"x":') + "\n"


def bound(where):
    # Where a minimum lies is known to the root of what its value is.
    return 1e-6 if any(name in where for name in ("platt", "beta", "temperature")) else TOLERANCE


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(write_or_check(__doc__, {"calibration_peers.json": made}, bound))
