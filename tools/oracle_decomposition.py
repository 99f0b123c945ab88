"""Checks the parts of the scores that `xent score` and `xent compare` print against published packages and NumPy.

    python tools/oracle_decomposition.py --xent target/release/xent

Needs tools/requirements-calibration.txt.

model-diagnostics  decompose: CORP of log loss and squared error, for two classes and for each class against the rest
SciPy              the least log loss of the families that recalibrate many classes, minimised by BFGS
scikit-learn       isotonic regression, from which the sums are taken by hand
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.optimize
from model_diagnostics.scoring import LogLoss, SquaredError, decompose
from scipy.special import log_softmax, logsumexp
from sklearn.isotonic import IsotonicRegression

ROOT = Path(__file__).resolve().parent.parent
LN2 = np.log(2)
# Two programs that sum in different orders; a minimum that stops near it.
EXACT, MINIMUM = 1e-11, 1e-8

failures = []
checked = 0


def near(what, found, wanted, tolerance):
    global checked
    checked += 1
    if not abs(found - wanted) <= tolerance * max(1.0, abs(wanted)):
        failures.append(f"{what}: {found!r}, wanted {wanted!r}")


def read(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith("p_")]
    classes = [name[2:] for name in names]
    p = np.array([[float(row[name]) for name in names] for row in rows])
    y = np.array([classes.index(row["party"]) for row in rows])
    return p, y, classes


def corp(p, y, weights=None):
    """Miscalibration, discrimination and uncertainty of both scores, of one column of probabilities."""
    parts = {}
    for name, score in (("log", LogLoss()), ("squared", SquaredError())):
        table = decompose(y, p, weights=weights, scoring_function=score)
        parts[name] = [table[column][0] for column in ("uncertainty", "discrimination", "miscalibration")]
    return parts


def entropy(y, weights, k):
    share = np.bincount(y, weights, minlength=k) / weights.sum()
    return -np.sum(share[share > 0] * np.log(share[share > 0])), share


def least_loss(p, y, weights, method):
    """The least mean log loss of a family, nats."""
    k = p.shape[1]
    x = np.maximum(log_softmax(np.log(p), axis=1), -53 * LN2)
    _, share = entropy(y, weights, k)
    prior = np.maximum(np.log(share), -53 * LN2)
    total = weights.sum()

    def scores(point):
        return point[:k] * x + point[k:] if method == "vector scaling" else point[0] * x + point[1] * prior

    def loss(point):
        z = scores(point)
        excess = np.exp(log_softmax(z, axis=1))
        excess[np.arange(len(y)), y] -= 1
        excess *= weights[:, None]
        if method == "vector scaling":
            slope = np.concatenate([(excess * x).sum(0), excess.sum(0)])
        else:
            slope = np.array([(excess * x).sum(), (excess * prior).sum()])
        return np.sum(weights * (logsumexp(z, axis=1) - z[np.arange(len(y)), y])) / total, slope / total

    start = np.concatenate([np.ones(k), np.zeros(k)]) if method == "vector scaling" else np.array([1.0, 0.0])
    return scipy.optimize.minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-10}).fun


def check_parts(what, model, p, y, weights):
    """One model's parts against model-diagnostics, SciPy and NumPy."""
    k = p.shape[1]
    both = {name: model[key] for name, key in (("log", "decomposition"), ("squared", "decomposition_mse"))}
    names = ("uncertainty", "discrimination", "miscalibration")
    for name, score in (("log", "cross_entropy"), ("squared", "mse")):
        value, parts = model["scores"][score]["value"], [both[name][part] for part in names]
        assert min(parts) >= 0, f"{what}: {parts}"
        near(f"{what} {name}: sum", parts[0] - parts[1] + parts[2], value, 4 * np.spacing(value))
    if k == 2:
        wanted = corp(p[:, 1], (y == 1).astype(float), weights)
        for i, part in enumerate(names):
            near(f"{what} log {part}", both["log"][part] * LN2, wanted["log"][i], EXACT)
            near(f"{what} squared {part}", both["squared"][part], 2 * wanted["squared"][i], EXACT)
        assert both["log"]["method"] == both["squared"]["method"] == "corp"
        return
    each = [corp(p[:, c], (y == c).astype(float), weights)["squared"] for c in range(k)]
    for i, part in enumerate(names):
        near(f"{what} squared {part}", both["squared"][part], sum(parts[i] for parts in each), EXACT)
    uncertainty, _ = entropy(y, weights, k)
    score = np.sum(weights * -np.log(p[np.arange(len(y)), y])) / weights.sum()
    best = min(least_loss(p, y, weights, both["log"]["method"]), score, uncertainty)
    for part, wanted in zip(names, (uncertainty, uncertainty - best, score - best)):
        near(f"{what} log {part}", both["log"][part] * LN2, wanted, MINIMUM)


def check_details(what, model, p, y, classes, weights):
    details = model["decomposition_details"]
    for c, name in enumerate(classes):
        wanted = corp(p[:, c], (y == c).astype(float), weights)
        found = details["one_vs_rest"][name]
        for i, part in enumerate(("uncertainty", "discrimination", "miscalibration")):
            near(f"{what} {name} log {part}", found["decomposition"][part] * LN2, wanted["log"][i], EXACT)
            near(f"{what} {name} squared {part}", found["decomposition_mse"][part], 2 * wanted["squared"][i], EXACT)
        # In ten bins of equal width, the mean prediction for all in the bin.
        bins = np.minimum((p[:, c] * 10).astype(int), 9)
        reliability = sum(
            weights[bins == b].sum()
            * (np.average(y[bins == b] == c, weights=weights[bins == b]) - np.average(p[bins == b, c], weights=weights[bins == b])) ** 2
            for b in np.unique(bins)
        )
        binned = details["binned"][name]["decomposition_mse"]["miscalibration"]
        near(f"{what} {name} reliability", binned, 2 * reliability / weights.sum(), EXACT)
    top = corp(p.max(1), (y == p.argmax(1)).astype(float), weights)
    found = details["top_label"]["decomposition_mse"]["miscalibration"]
    near(f"{what} top label", found, 2 * top["squared"][2], EXACT)
    # By hand, from scikit-learn's fit, with equal predictions pooled first.
    correct = (y == p.argmax(1)).astype(float)
    levels, where = np.unique(p.max(1), return_inverse=True)
    mass = np.bincount(where, weights)
    rate = np.bincount(where, weights * correct) / mass
    fit = IsotonicRegression().fit_transform(levels, rate, sample_weight=mass)
    rise = np.sum(mass * (fit - np.average(correct, weights=weights)) ** 2) / mass.sum()
    near(f"{what} top label by hand", details["top_label"]["decomposition_mse"]["discrimination"], 2 * rise, EXACT)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--xent", required=True, type=Path)
    xent = parser.parse_args().xent.resolve()

    def run(*args):
        return json.loads(subprocess.run([xent, *args, "--format", "json"], check=True, capture_output=True, text=True, cwd=ROOT).stdout)

    files = [f"examples/party/{name}.csv" for name in ("logistic", "forest")]
    compared = run("compare", *files)["models"]
    for file, other in zip(files, compared):
        p, y, classes = read(ROOT / file)
        ones = np.ones(len(y))
        model = run("score", file, "--decomposition")["models"][0]
        check_parts(file, model, p, y, ones)
        check_details(file, model, p, y, classes, ones)
        assert other["decomposition"] == model["decomposition"] and other["decomposition_mse"] == model["decomposition_mse"]
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(5)
        for n, k, digits in ((5000, 2, 6), (400, 2, 1), (60, 4, 6), (20000, 5, 6)):
            p = rng.dirichlet(np.ones(k), n)
            p = np.maximum(np.round(p, digits), 10.0**-digits)
            p = p / p.sum(1, keepdims=True)
            truth = p**0.6 * np.linspace(1, 2, k)
            truth /= truth.sum(1, keepdims=True)
            y = (rng.random(n)[:, None] > truth.cumsum(1)).sum(1).clip(max=k - 1)
            weights = rng.integers(1, 4, n).astype(float)
            classes = [f"c{i}" for i in range(k)]
            path = Path(folder) / f"rows{n}_{k}.csv"
            with open(path, "w") as file:
                file.write(",".join(f"p_{c}" for c in classes) + ",w,y\n")
                file.writelines(",".join(map(repr, map(float, row))) + f",{w:g},{classes[label]}\n" for row, w, label in zip(p, weights, y))
            model = run("score", str(path), "--weight", "w", "--decomposition")["models"][0]
            check_parts(path.name, model, p, y, weights)
            if k > 2:
                check_details(path.name, model, p, y, classes, weights)
    for failure in failures:
        print(failure)
    print(f"{checked - len(failures)} of {checked} numbers agree")
    sys.exit(bool(failures))


main()
