"""Checks that training reaches the optimum with default settings, whatever the scale of the columns.

    python tools/oracle_training_defaults.py --bench target/release/xent-bench

On the tables bundled with scikit-learn (breast cancer, wine, digits, iris), as they are and standardised, with ridge of C = 0.01, 1 and 100 per unit of the columns,
the objective of xent's fit at its default tolerance is compared with the optimum by Newton's method in NumPy
(tools/bench_training_data.py): at most 1e-10 above it, relative, and not below it by more than rounding. Columns that never vary are left out.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn import datasets

import bench_training_data as data
from benchmark import Refused, Server, binary

REL_ABOVE = 1e-10
REL_BELOW = 1e-13  # rounding of the optimum itself
TABLES = {
    "breast cancer": datasets.load_breast_cancer, "wine": datasets.load_wine,
    "digits": datasets.load_digits, "iris": datasets.load_iris,
}  # fmt: skip


def check(xent, folder, name, x, y, c):
    """Whether the gap is within bounds; says so."""
    classes = int(y.max()) + 1
    data.C = c
    coef, intercept, certificate = data.optimum(x, y, classes)
    best = data.objective(x, y, coef, intercept, classes)
    out = str(folder / "coef.npy")
    try:
        reply = xent.ask(fit=None, C=c, out=out)
    except Refused as why:
        print(f"FAIL {name}, C = {c:g}: {why}")
        return False
    both = np.load(out)
    gap = data.objective(x, y, both[:-1], both[-1], classes) / best - 1
    good = -REL_BELOW <= gap <= REL_ABOVE and certificate["decrement"] <= REL_BELOW
    print(
        f"{'ok  ' if good else 'FAIL'} {name}, C = {c:g}: F* = {best:.13g}, xent {gap:.1e} above, {reply['iterations']} iterations, "
        f"claimed {reply['claimed_gap']:.1e}, {reply['stop']}; Newton decrement of F* {certificate['decrement']:.0e}"
    )
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", type=binary, required=True, help="the binary xent-bench")
    arguments = parser.parse_args()
    xent = Server([arguments.bench, "training"], 1)
    results = []
    with tempfile.TemporaryDirectory(prefix="xent-oracle-") as folder:
        folder = Path(folder)
        for name, load in TABLES.items():
            x, y = load(return_X_y=True)
            x = x[:, x.std(axis=0) > 0]
            for kind, table in (("raw", x), ("standardised", (x - x.mean(axis=0)) / x.std(axis=0))):
                np.save(folder / "X.npy", np.ascontiguousarray(table, np.float64))
                np.save(folder / "y.npy", y.astype(np.int64))
                xent.ask(load=str(folder))
                results += [check(xent, folder, f"{name}, {kind}", table, y, c) for c in (0.01, 1.0, 100.0)]
    xent.stop()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
