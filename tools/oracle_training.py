"""Minima of xent-train's solvers against scikit-learn's at tight tolerance, on the data that scikit-learn brings along.

    python -m pip install -r tools/requirements-test.txt
    cargo build --release -p xent-train --example fit_array
    python tools/oracle_training.py target/release/examples/fit_array [--quick]

Every fit is of the same objective, `mean loss + l2/2 sum(coef^2) + l1 sum(|coef|)` over the raw, unscaled features with a free
intercept; scikit-learn's C is 1 / (n l2), or 1 / (n l1) of a lasso. The reference is scikit-learn's newton-cholesky (ridge) or
saga (lasso, elastic net), which needs features of one scale and is therefore given them standardised, with the objective of the
standardised features on both sides. Objectives are computed here, in NumPy, from the coefficients of both sides.

Bounds
    RELATIVE   ridge: what an objective may be above the lower of the two, relative to it
    OWN        what xent's own objective may differ from the one computed here, in nats
    KKT        lasso, elastic net: largest subgradient at xent's coefficients, computed here in extended precision, in the coordinates of standardised features
"""

import argparse
import struct
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression

RELATIVE = 1e-10
KKT = 1e-9
OWN = 1e-14
EPOCHS = 30_000  # of scikit-learn's saga, which may end above the minimum; digits get fewer
SETS = {"breast cancer": load_breast_cancer, "iris": load_iris, "wine": load_wine, "digits": load_digits}
RIDGE = ("lbfgs", "newton", "irls", "newton-cg", "cd", "auto")
LASSO = ("cd", "auto")
SLOW = ("gd", "saga")  # over standardised features


def write(path, x, y, classes):
    with open(path, "wb") as file:
        file.write(struct.pack("<3Q", *x.shape, classes))
        file.write(np.ascontiguousarray(x, "<f8").tobytes())
        file.write(y.astype("<u4").tobytes())


def fit(binary, path, method, l2, l1, tolerance=1e-12):
    run = subprocess.run(
        [binary, path, method, repr(l2), repr(l1), repr(tolerance)], capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        raise SystemExit(f"{method}: {run.stderr}")
    return {line.split()[0]: line.split()[1:] for line in run.stdout.splitlines()}


def scores(x, coef, intercept):
    """Of all classes; `coef` is (outputs, features)."""
    z = x.astype(np.longdouble) @ coef.T.astype(np.longdouble) + intercept
    return np.column_stack([np.zeros(len(z), np.longdouble), z]) if z.shape[1] == 1 else z


def measure(x, y, l2, l1, coef, intercept):
    """The objective, and the largest subgradient over the spread of each feature."""
    z = scores(x, coef, intercept)
    z = z - z.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(z).sum(axis=1, keepdims=True))
    rows = np.arange(len(y))
    c = coef.astype(np.longdouble)
    loss = (log_sum[:, 0] - z[rows, y]).mean()
    objective = loss + l2 / 2 * (c**2).sum() + l1 * np.abs(c).sum()
    residual = np.exp(z - log_sum)
    residual[rows, y] -= 1
    residual = residual[:, -len(coef) :] / len(y)
    # The gradient of coefficients over centred features: what is left where the intercept's is 0.
    spread, mean = x.std(axis=0), x.mean(axis=0)
    gradient = residual.T @ (x - mean).astype(np.longdouble) + l2 * c
    small = np.sign(gradient) * np.maximum(np.abs(gradient) - l1, 0)
    slopes = np.where(c == 0, small, gradient + l1 * np.sign(c)) / np.where(spread > 0, spread, 1)
    return objective, float(max(np.abs(slopes).max(), np.abs(residual.sum(axis=0)).max()))


def reference(x, y, l2, l1):
    n = len(y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if l1 == 0:
            model = LogisticRegression(C=1 / (n * l2), solver="newton-cholesky", tol=1e-13, max_iter=1000)
            warnings.simplefilter("ignore")
        else:
            share = l1 / (l1 + l2)
            model = LogisticRegression(
                C=1 / (n * (l1 + l2)), l1_ratio=share, solver="saga", tol=1e-13, max_iter=EPOCHS if n < 1000 else 1000, random_state=0
            )
            warnings.simplefilter("ignore")
        model.fit(x, y)
    return model.coef_, model.intercept_


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--quick", action="store_true", help="without digits")
    args = parser.parse_args()
    failures = 0
    print("data penalty method | objective above reference, KKT, gap, iterations, stop")
    with tempfile.TemporaryDirectory() as folder:
        for name, load in SETS.items():
            if args.quick and name == "digits":
                continue
            x, y = load(return_X_y=True)
            x = x[:, x.std(axis=0) > 0]
            classes = int(y.max()) + 1
            standard = (x - x.mean(axis=0)) / x.std(axis=0)
            raw_path, path = Path(folder, "raw"), Path(folder, "standard")
            write(raw_path, x, y, classes)
            write(path, standard, y, classes)
            n = len(y)
            cases = [("ridge", 1 / (c * n), 0.0) for c in (0.01, 1.0, 100.0)]
            cases += [("standardised ridge", 1 / n, 0.0)]
            cases += [("lasso", 0.0, 1 / (c * n)) for c in (0.1, 1.0)]
            cases += [("elastic net", 0.5 / (c * n), 0.5 / (c * n)) for c in (0.1, 1.0)]
            for penalty, l2, l1 in cases:
                # Of a ridge the features are left as they are: scikit-learn's Newton copes; its saga does not.
                data, where = (x, raw_path) if penalty == "ridge" else (standard, path)
                theirs, _ = measure(data, y, l2, l1, *reference(data, y, l2, l1))
                methods = {"ridge": RIDGE, "standardised ridge": SLOW}.get(penalty, LASSO)
                for method in methods:
                    if name == "digits" and method in ("irls", *SLOW):  # minutes
                        continue
                    # A gap of 1e-12 leaves subgradients of 1e-7; of a lasso all digits are asked for.
                    out = fit(args.binary, where, method, l2, l1, 1e-12 if l1 == 0 else 1e-20)
                    intercept = np.array(out["intercept"], float)
                    coef = np.array(out["coef"], float).reshape(-1, len(intercept)).T
                    ours, kkt = measure(data, y, l2, l1, coef, intercept)
                    above = float((ours - theirs) / theirs)
                    own = abs(float(ours) - float(out["objective"][0]))
                    wrong = above > RELATIVE or own > OWN or (l1 > 0 and kkt > KKT)
                    failures += wrong
                    kind = "bound" if out["is_bound"][0] == "1" else "estimate"
                    print(
                        f"{name}, {penalty} {max(l2, l1):.3g}, {method:9} | {above:+.1e} {kkt:.1e} {out['gap'][0]} {kind} "
                        f"{out['iterations'][0]} {out['stop'][0]} {out['seconds'][0]} s{'  FAILED' if wrong else ''}",
                        flush=True,
                    )
    print("all within bounds" if failures == 0 else f"{failures} FAILED")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
