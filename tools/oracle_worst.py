"""Checks `xent worst` and `xent score --as sklearn` against NumPy, mpmath and scikit-learn.

    python tools/oracle_worst.py --xent target/release/xent

The order of the worst rows, their numbers, the parts of the loss and the loss under floors are computed from the files' numbers at 60 digits; the
numbers of --as sklearn by calling scikit-learn on them. What torchmetrics gives is in tests/golden/as_peer.json (tools/golden_as.py).
"""

import argparse
import sys
import tempfile
import warnings

import mpmath
import numpy as np
from mpmath import mpf
from oracle import LN2, Bench, Failure, draw, expect_equal, expect_relative, expect_ulps, hard_columns
from sklearn import metrics

FLOORS = [1e-15, 1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 1e-2]
NAMES = ["cat", "dog", "狗", "horse"]
ULPS_BITS = 2  # a logarithm and the division by ln 2
REL_SHARE = 1e-14  # rounded products and a quotient
REL_TAIL = 0.016  # the histogram's bin that the boundary cuts
REL_PEER = 1e-12


def surprisals(p, y):
    return [mpmath.inf if p[i, c] == 0 else -mpmath.log(mpf(float(p[i, c]))) for i, c in enumerate(y)]


def table(seed, zeros):
    """Probabilities, labels, whole weights and slices; with `zeros`, some rows that cost infinity."""
    rng = np.random.default_rng(seed)
    _, p, y = draw(seed, 400, 4)
    if zeros:
        for i in rng.choice(400, 6, replace=False):
            p[i] = np.eye(4)[(y[i] + 1) % 4]
    return p, y, rng.integers(0, 4, 400), rng.choice(["north", "south"], 400)


def check_rows(bench, p, y, w, region):
    path = bench.write("rows.csv", hard_columns(p, y, NAMES, w=w, region=region, note=np.arange(400)))
    out = bench.json("worst", path, "-n", "30", "--weight", "w", "--by", "region", "--floors")
    worst = out["models"][0]["worst"]
    losses = surprisals(p, y)
    order = sorted((i for i in range(400) if w[i] > 0), key=lambda i: (-losses[i], i))
    expect_equal("rows", [r["row"] for r in worst["rows"]], [i + 1 for i in order[:30]])
    for r, i in zip(worst["rows"], order, strict=False):
        expect_ulps("bits", r["bits"], losses[i] / LN2, ULPS_BITS)
        expect_equal("p of label", r["label_probability"], float(p[i, y[i]]))
        expect_equal("says", (r["predicted"], r["probability"]), (NAMES[p[i].argmax()], float(p[i].max())))
        expect_equal("columns", r["columns"], {"region": region[i], "note": str(i)})
        expect_equal("label", r["label"], NAMES[y[i]])
    finite = [i for i in order if losses[i] < mpmath.inf]
    total = mpmath.fsum(int(w[i]) * losses[i] for i in finite)
    groups = {"classes": [(n, y == c) for c, n in enumerate(NAMES)], "slices": [(n, region == n) for n in ("north", "south")]}
    for kind, parts in groups.items():
        for name, inside in parts:
            key = {"class": name} if kind == "classes" else {"slice": {"region": name}}
            found = next(part for part in worst[kind] if key.items() <= part.items())
            expect_relative("share of rows", found["share_of_rows"], mpf(int(w[inside].sum())) / int(w.sum()), REL_SHARE)
            loss = mpmath.fsum(int(w[i]) * losses[i] for i in finite if inside[i])
            expect_relative("share of loss", found["share_of_loss"], loss / total, REL_SHARE)
            count = sum(1 for i in order if inside[i] and losses[i] == mpmath.inf)
            expect_equal("infinite rows", found["infinite"]["count"], count)
    if len(finite) < len(order):
        expect_equal("shares", worst["shares"], [])
    for share in worst["shares"]:
        left, part = mpf(share["rows"]) * int(w.sum()), mpf(0)
        for i in order:
            take = min(left, int(w[i]))
            part, left = part + take * losses[i], left - take
        expect_relative("share of the worst rows", share["loss"], part / total, REL_TAIL)
    return worst["floors"]


def check_floors(floors, p, y, w):
    expect_equal("floors", [f["floor"] for f in floors], [None, *FLOORS])
    means = []
    for floor in floors:
        e = mpf(0) if floor["floor"] is None else mpf(floor["floor"])
        q = [[max(mpf(float(v)), e) for v in row] if any(v < e for v in row) else [mpf(float(v)) for v in row] for row in p]
        touched = [i for i in range(len(y)) if w[i] > 0 and any(mpf(float(v)) < e for v in p[i])]
        expect_equal("rows touched", floor["rows"], len(touched))
        expect_equal("of the label", floor["label_rows"], sum(1 for i in touched if mpf(float(p[i, y[i]])) < e))
        loss = mpf(0)
        for i, row in enumerate(q):
            if w[i] > 0:
                scale = mpmath.fsum(row) if i in set(touched) else mpf(1)
                loss += int(w[i]) * (mpmath.inf if row[y[i]] == 0 else mpmath.log(scale) - mpmath.log(row[y[i]]))
        mean = loss / int(w.sum())
        means.append(mean)
        expect_relative("log loss", floor["log_loss"], mean, REL_PEER)
        expect_relative("cross entropy", floor["cross_entropy"], mean / LN2, REL_PEER)
    best = means.index(min(means))
    expect_equal("best", [f["best"] for f in floors], [i == best for i in range(len(means))])


def check_contrast(bench, p, y):
    _, q, _ = draw(99, len(y), 4)
    a = bench.write("a.csv", hard_columns(p, y, NAMES, case=np.arange(len(y))))
    b = bench.write("b.csv", hard_columns(q, y, NAMES, case=np.arange(len(y))))
    out = bench.json("worst", a, b, "-n", "12", "--id", "case")
    one, two = surprisals(p, y), surprisals(q, y)
    for contrast, sign in zip(out["contrasts"], (1, -1), strict=True):
        excess = [sign * (s - t) for s, t in zip(one, two, strict=True)]
        order = sorted((i for i in range(len(y)) if excess[i] > 0), key=lambda i: (-excess[i], i))[:12]
        expect_equal("rows", [r["row"] for r in contrast["rows"]], [i + 1 for i in order])
        for r, i in zip(contrast["rows"], order, strict=True):
            expect_equal("id", r["id"], str(i))
            expect_relative("bits lost", r["bits_lost"], excess[i] / LN2, REL_PEER)
            expect_ulps("bits", r["models"][0]["bits"], one[i] / LN2, ULPS_BITS)
            expect_ulps("bits", r["models"][1]["bits"], two[i] / LN2, ULPS_BITS)


def check_sklearn(bench, p, y, w):
    # Sorted, as scikit-learn wants its columns.
    path = bench.write("sk.csv", hard_columns(p, y, ["a", "b", "c", "d"], w=w))
    out = bench.score(path, "--weight", "w", "--as", "sklearn")
    found = {s["function"]: s["value"] for s in out["models"][0]["as"]["scores"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "log_loss": metrics.log_loss(y, p, sample_weight=w),
            "brier_score_loss": metrics.brier_score_loss(y, p, sample_weight=w, labels=[0, 1, 2, 3]),
            "accuracy_score": metrics.accuracy_score(y, p.argmax(axis=1), sample_weight=w),
            "d2_log_loss_score": metrics.d2_log_loss_score(y, p, sample_weight=w),
        }
    expect_equal("functions", sorted(found), sorted(expected))
    for function, value in expected.items():
        expect_relative(function, found[function], value, REL_PEER)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--xent", required=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(parser.parse_args().xent, folder)
        for seed, zeros in ((1, False), (2, True)):
            p, y, w, region = table(seed, zeros)
            try:
                check_floors(check_rows(bench, p, y, w, region), p, y, w)
                check_contrast(bench, p, y)
                check_sklearn(bench, p, y, w)
            except Failure as failure:
                print(f"seed {seed}: {failure}")
                return 1
    print("worst rows, parts of the loss, floors, contrasts, --as sklearn: as computed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
