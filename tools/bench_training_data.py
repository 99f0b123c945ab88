"""The tables of tools/bench_training.py, their optimum, and the one function that judges every result.

    python tools/bench_training_data.py FOLDER CASE...      (a b c d e, and araw ... eraw)
    python tools/bench_training_data.py FOLDER CASE --quick

Writes FOLDER/CASE/: `X.npy`, f64 in C order (of sparse rows `data.npy`, `indices.npy`, `indptr.npy` and `shape.json`),
`y.npy`, i64, and `fstar.json`. All draws are seeded.

The problem, with C = 1 and n rows, classes k, coefficients w on the scale of the columns as they are:

    F(w, b) = 1/n sum_i -ln p(y_i | x_i)  +  1 / (2 C n) sum w^2        nats, the intercepts b free

of two classes p = sigmoid(x'w + b) with one w, of more a softmax over one w a class.

The optimum is found by Newton's method with conjugate gradients, in f64, on standardised columns (a change of coordinates, not of the problem),
by nothing that is timed. Its certificate: F is strongly convex in w with modulus 1 / (C n), so with the
gradients g of w and h of b at the end

    F - F*  <=  C n / 2 |g|^2  +  |h| |b - b*|

and `fstar.json` has the first term and |h| relative to F.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sp

C = 1.0
QUICK = 20  # a twentieth of the rows
CASES = {
    # rows, columns, classes
    "a": (1_000_000, 30, 2),
    "b": (100_000, 300, 2),
    "c": (200_000, 50, 10),
    "d": (20_000, 784, 10),
    "e": (200_000, 100_000, 2),
}
PER_ROW = 50  # numbers in a sparse row
CHUNK = 8192  # rows that the judge holds at once


def names():
    return [case + kind for case in CASES for kind in ("", "raw")]


def shape(case, quick):
    rows, columns, classes = CASES[case[0]]
    if quick:
        rows //= QUICK
        columns = columns // QUICK if case[0] == "e" else min(columns, 100)
    return rows, columns, classes


# The tables.


def correlated(rng, rows, columns):
    """Columns that share factors, of mean 0 and spreads between 0.5 and 2.5: as peers ask for."""
    factors = max(2, columns // 5)
    x = rng.standard_normal((rows, columns))
    mix = rng.standard_normal((factors, columns)) / math.sqrt(factors)
    for start in range(0, rows, CHUNK):
        part = x[start : start + CHUNK]
        part += rng.standard_normal((len(part), factors)) @ mix
    x *= rng.uniform(0.4, 1.4, columns)
    return x


def drawn(rng, z):
    """A class a row from scores."""
    if z.shape[1] == 1:
        return (rng.random(len(z)) < 1 / (1 + np.exp(-z[:, 0]))).astype(np.int64)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return np.minimum((np.cumsum(p, axis=1) < rng.random((len(z), 1))).sum(axis=1), z.shape[1] - 1)


def dense(rng, rows, columns, classes):
    x = correlated(rng, rows, columns)
    outputs = 1 if classes == 2 else classes
    w = rng.standard_normal((columns, outputs)) * (1.5 / math.sqrt(columns))
    b = rng.standard_normal(outputs) * 0.5
    z = x @ w + b
    return x, drawn(rng, z)


def pixels(rng, rows, side, classes):
    """Grey strokes on black, 0 to 255, three of four numbers zero; every pixel is touched by some row."""
    grid = np.arange(side)
    ink = np.zeros((classes, 3, side, side))
    for k in range(classes):
        for style in range(3):
            points = side * (0.5 + 0.3 * np.clip(rng.standard_normal((6, 2)), -1.2, 1.2))
            for t in np.linspace(0, 5, 60):
                i = min(int(t), 4)
                at = points[i] + (t - i) * (points[i + 1] - points[i])
                spot = np.exp(-0.5 * ((grid[:, None] - at[0]) ** 2 + (grid[None, :] - at[1]) ** 2) / 1.1**2)
                ink[k, style] = np.maximum(ink[k, style], spot)
    y = rng.integers(0, classes, rows)
    x = np.empty((rows, side * side))
    for i in range(rows):
        image = ink[y[i], rng.integers(3)]
        dx, dy = rng.integers(-3, 4, 2)
        image = np.roll(np.roll(image, dx, axis=0), dy, axis=1)
        image = image * rng.uniform(0.7, 1.2) + 0.15 * rng.standard_normal((side, side)) * (image > 0.1)
        x[i] = np.where(image > 0.12, np.clip(np.round(255 * image), 0, 255), 0).ravel()
    # A speck now and then, and labels that are wrong now and then, as with people.
    specks = rng.integers(0, side * side, (rows, 2))
    x[np.arange(rows)[:, None], specks] = rng.integers(1, 256, specks.shape)
    wrong = rng.random(rows) < 0.05
    y[wrong] = rng.integers(0, classes, wrong.sum())
    return x, y


def sparse(rng, rows, columns):
    """Rows of PER_ROW positive numbers in columns as frequent as words (1 / rank), of length 1, each column in some row."""
    rank = np.exp(rng.random((rows, 2 * PER_ROW)) * math.log(columns + 1)).astype(np.int64) - 1
    np.clip(rank, 0, columns - 1, out=rank)
    rank[:, 0] = np.arange(rows) % columns
    indices, indptr = [], np.zeros(rows + 1, np.int64)
    for i, row in enumerate(rank):
        _, first = np.unique(row, return_index=True)
        found = np.sort(row[np.sort(first)[:PER_ROW]])
        indices.append(found)
        indptr[i + 1] = indptr[i] + len(found)
    indices = rng.permutation(columns).astype(np.int32)[np.concatenate(indices)]
    values = rng.exponential(size=len(indices)) + 0.2
    x = sp.csr_matrix((values, indices, indptr.astype(np.int32)), shape=(rows, columns))
    x.sort_indices()
    norms = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel())
    x.data /= np.repeat(norms, np.diff(x.indptr))
    w = rng.standard_normal(columns) * 4 * (rng.random(columns) < 0.3)
    return x, drawn(rng, (x @ w)[:, None])


def made(case, quick):
    kind = case[0]
    rows, columns, classes = shape(case, quick)
    rng = np.random.default_rng([ord(kind), rows, columns])
    if kind == "e":
        x, y = sparse(rng, rows, columns)
    elif kind == "d":
        x, y = pixels(rng, rows, math.isqrt(columns), classes)
    else:
        x, y = dense(rng, rows, columns, classes)
    if case.endswith("raw"):
        # Columns from hundredths to thousands; sparse ones keep their zeros.
        rng = np.random.default_rng([ord(kind), rows, columns, 1])
        factor = 10 ** rng.uniform(-2, 3, columns)
        if sp.issparse(x):
            x.data *= factor[x.indices]
        else:
            x -= x.mean(axis=0)
            x /= x.std(axis=0)
            x *= factor
            x += factor * rng.standard_normal(columns) * 3
    return x, y


# The judge.


def objective(x, y, w, b, classes):
    """F(w, b): w is (columns, outputs), b (outputs,); scores in f64 with the intercept added last, sums in long double."""
    w, b = np.asarray(w, np.float64), np.asarray(b, np.float64)
    rows = x.shape[0]
    total = np.longdouble(0)
    for start in range(0, rows, CHUNK):
        labels = y[start : start + CHUNK]
        z = x[start : start + CHUNK] @ w + b
        if classes == 2:
            z = z[:, 0]
            loss = np.logaddexp(0, z) - labels * z
        else:
            top = z.max(axis=1)
            loss = np.log(np.exp(z - top[:, None]).sum(axis=1)) + top - z[np.arange(len(z)), labels]
        total += loss.sum(dtype=np.longdouble)
    wide = w.astype(np.longdouble)
    return float(total / rows + (wide * wide).sum() / (2 * np.longdouble(C) * rows))


# The optimum.


class Standardised:
    """F and its derivatives in coordinates u = scale w; scores are ((x - center) / scale) u + c.

    With `penalised`, of two classes, the intercept b = c - center' w is penalised like a coefficient, as some peers do.
    """

    def __init__(self, x, y, classes, penalised=False):
        self.rows, self.columns = x.shape
        self.classes, self.outputs = classes, 1 if classes == 2 else classes
        if sp.issparse(x):
            square = np.asarray(x.multiply(x).mean(axis=0)).ravel()
            self.center, self.scale = np.zeros(self.columns), np.sqrt(square)
            self.scale[self.scale == 0] = 1
            self.x = x.copy()
            self.x.data /= self.scale[x.indices]
            self.xt = self.x.T.tocsr()
        else:
            self.center, self.scale = x.mean(axis=0), x.std(axis=0)
            self.x = (x - self.center) / self.scale
            self.xt = self.x.T
        self.y = y
        self.l2 = 1 / (C * self.rows * self.scale[:, None] ** 2)
        self.bias = 1 / (C * self.rows) if penalised else 0.0
        self.turn = np.append(-self.center / self.scale, 1.0)  # b = turn' u

    def pack(self, w, b):
        return np.concatenate([w.ravel(), b])

    def unpack(self, u):
        split = self.columns * self.outputs
        return u[:split].reshape(self.columns, self.outputs), u[split:]

    def scores(self, u):
        w, b = self.unpack(u)
        return self.x @ w + b

    def at(self, u):
        """Value, gradient and probabilities."""
        w, _ = self.unpack(u)
        z = self.scores(u)
        if self.outputs == 1:
            z = z[:, 0]
            loss = np.logaddexp(0, z) - self.y * z
            p = (1 / (1 + np.exp(-z)))[:, None]
            r = p - self.y[:, None]
        else:
            top = z.max(axis=1, keepdims=True)
            p = np.exp(z - top)
            total = p.sum(axis=1, keepdims=True)
            loss = np.log(total[:, 0]) + top[:, 0] - z[np.arange(self.rows), self.y]
            p /= total
            r = p.copy()
            r[np.arange(self.rows), self.y] -= 1
        value = float(loss.mean(dtype=np.longdouble) + 0.5 * (self.l2 * w * w).sum(dtype=np.longdouble))
        gradient = self.pack(self.xt @ r / self.rows + self.l2 * w, r.mean(axis=0))
        if self.bias:
            b = self.turn @ u
            value += 0.5 * self.bias * b * b
            gradient += self.bias * b * self.turn
        return value, gradient, p

    def curved(self, p, v):
        w, _ = self.unpack(v)
        s = self.scores(v)
        s = p * (1 - p) * s if self.outputs == 1 else p * (s - (p * s).sum(axis=1, keepdims=True))
        product = self.pack(self.xt @ s / self.rows + self.l2 * w, s.mean(axis=0))
        return product + self.bias * (self.turn @ v) * self.turn if self.bias else product

    def preconditioner(self, p):
        """The inverse of curvature of the columns times that of the outputs; of sparse rows of the diagonal."""
        spread = p * (1 - p)
        if sp.issparse(self.x):
            square = self.x.copy()
            square.data **= 2
            diagonal = self.pack(square.T @ spread / self.rows + self.l2, spread.mean(axis=0))
            return lambda v: v / diagonal
        k = self.outputs
        weight = spread.mean(axis=1) / spread.mean()
        full = np.empty((self.columns + 1, self.columns + 1))
        full[:-1, :-1] = self.xt @ (self.x * weight[:, None]) / self.rows
        full[-1, :-1] = full[:-1, -1] = self.xt @ weight / self.rows
        full[-1, -1] = weight.mean()
        if k == 1:
            full *= spread.mean()
            inner = np.ones((1, 1))
        else:
            inner = np.diag(p.mean(axis=0)) - p.T @ p / self.rows
            inner += np.full((k, k), inner.trace() / k**2)  # the direction that moves no probability
        level, turn = np.linalg.eigh(inner)
        ridge = np.append(self.l2[:, 0], 0.0)
        inverses = [np.linalg.inv(full * t + np.diag(ridge + 1e-14 * t)) for t in level]

        def apply(v):
            w, b = self.unpack(v)
            both = np.vstack([w, b]) @ turn
            for i, inverse in enumerate(inverses):
                both[:, i] = inverse @ both[:, i]
            both = both @ turn.T
            return self.pack(both[:-1], both[-1])

        return apply


def conjugate(product, precondition, right, tolerance, steps):
    """Solves product(x) = right; returns x."""
    x, r = np.zeros_like(right), right.copy()
    z = precondition(r)
    d, rz = z.copy(), r @ z
    first = rz
    for _ in range(steps):
        if not rz > tolerance**2 * first:
            break
        q = product(d)
        curve = d @ q
        if not curve > 0:
            break
        x += rz / curve * d
        r -= rz / curve * q
        z = precondition(r)
        rz, old = r @ z, rz
        d = z + rz / old * d
    return x


def optimum(x, y, classes, say=lambda *_: None, penalised=False):
    """Coefficients and intercepts at the minimum, and the certificate."""
    problem = Standardised(x, y, classes, penalised)
    u = np.zeros((problem.columns + 1) * problem.outputs)
    value, gradient, p = problem.at(u)
    decrement = math.inf
    for iteration in range(200):
        precondition = problem.preconditioner(p)
        tolerance = min(0.1, math.sqrt(max(decrement, 0.0) / value) if math.isfinite(decrement) else 0.1)
        step = conjugate(lambda v, p=p: problem.curved(p, v), precondition, gradient, max(tolerance, 1e-4), 2000)
        slope = gradient @ step
        length, last = 1.0, decrement
        while True:
            found = problem.at(u - length * step)
            flat = abs(found[0] - value) <= 1e-13 * value
            if found[0] <= value - 1e-4 * length * slope or flat or length < 1e-6:
                break
            length /= 2
        u = u - length * step
        value, gradient, p = found
        decrement = slope / 2
        say(f"  Newton step {iteration}: F = {value:.16g}, decrement {decrement / value:.2g}")
        # Twice below rounding, or no nearer than before.
        if decrement <= 1e-17 * value or decrement <= 1e-14 * value and decrement >= 0.25 * last:
            break
    w, b = problem.unpack(u)
    g, h = problem.unpack(gradient)
    coef = w / problem.scale[:, None]
    g = g * problem.scale[:, None]  # the gradient by the coefficients on the scale of the columns
    intercept = b - problem.center @ coef
    certificate = {
        "bound": 0.5 * C * problem.rows * float((g * g).sum()) / value,
        "intercepts": float(np.abs(h).max()) / value,
        "decrement": decrement / value,
        "newton_steps": iteration + 1,
    }
    return coef, intercept, certificate


# Files.


def load(folder):
    """x and y of a case."""
    folder = Path(folder)
    y = np.load(folder / "y.npy")
    if (folder / "X.npy").exists():
        return np.load(folder / "X.npy"), y
    parts = [np.load(folder / f"{part}.npy") for part in ("data", "indices", "indptr")]
    x = sp.csr_matrix(tuple(parts), shape=json.loads((folder / "shape.json").read_text()))
    x.has_sorted_indices = True
    return x, y


def facts(folder):
    return json.loads((Path(folder) / "fstar.json").read_text())


def penalised_optimum(folder, x, y):
    """The least F of two classes whose intercept is penalised like a coefficient; kept in `penalised.json`."""
    path = Path(folder) / "penalised.json"
    if not path.exists():
        coef, intercept, _ = optimum(x, y, 2, penalised=True)
        value = objective(x, y, coef, intercept, 2) + float(intercept @ intercept) / (2 * C * len(y))
        path.write_text(json.dumps({"F": value}) + "\n")
    return json.loads(path.read_text())["F"]


def write(folder, case, quick=False, say=lambda *_: None):
    """Makes a case unless it is there."""
    folder = Path(folder) / case
    if (folder / "fstar.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    classes = shape(case, quick)[2]
    x, y = made(case, quick)
    say(f"{case}: {x.shape[0]:,} x {x.shape[1]:,} drawn")
    if sp.issparse(x):
        for part in ("data", "indices", "indptr"):
            np.save(folder / f"{part}.npy", getattr(x, part))
        (folder / "shape.json").write_text(json.dumps(x.shape))
    else:
        np.save(folder / "X.npy", x)
    np.save(folder / "y.npy", y)
    coef, intercept, certificate = optimum(x, y, classes, say)
    value = objective(x, y, coef, intercept, classes)
    np.save(folder / "optimum.npy", np.vstack([coef, intercept]))
    nonzero = x.nnz if sp.issparse(x) else int(np.count_nonzero(x))
    found = {
        "F": value, "C": C, "rows": x.shape[0], "columns": x.shape[1], "classes": classes,
        "nonzero": nonzero, "null": null(y, classes), **certificate,
    }  # fmt: skip
    (folder / "fstar.json").write_text(json.dumps(found, indent=1) + "\n")
    say(f"{case}: F* = {value:.15g}, certificate {certificate}")
    return folder


def null(y, classes):
    """F without any column."""
    p = np.bincount(y, minlength=classes) / len(y)
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("cases", nargs="+", choices=names())
    parser.add_argument("--quick", action="store_true", help="a twentieth of the rows")
    arguments = parser.parse_args()
    for case in arguments.cases:
        write(arguments.folder, case, arguments.quick, lambda *words: print(*words, file=sys.stderr, flush=True))


if __name__ == "__main__":
    main()
