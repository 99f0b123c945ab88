"""Checks `xent score` and `xent compare` against independent computation.

    python tools/oracle.py --xent target/release/xent     # generates files, runs xent on them, checks its JSON
    python tools/oracle.py --self-test                    # checks the references themselves; needs no xent
    python tools/oracle.py --xent BIN --only weights      # the checks whose name contains "weights"
    python tools/oracle.py --xent BIN --keep DIR          # leaves the generated files in DIR

Means are computed at 60 digits from the numbers in the files; standard errors in extended precision; both are compared with
scikit-learn (log_loss, brier_score_loss, top_k_accuracy_score, confusion_matrix), scipy (ttest_rel) and statsmodels
(mcnemar, multipletests) where those are defined. Every check is a function of the name it reports.
"""

import argparse
import gzip
import json
import math
import random
import subprocess
import sys
import tempfile
import traceback
import warnings
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import scipy.stats
from mpmath import mp, mpf
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

mp.dps = 60

ULPS_MEAN = 2  # a mean of per-row losses: 1 ulp of the logarithm, 1 of rounding
ULPS_MEAN_BITS = 3  # and the division by ln 2
ULPS_MSE = 4  # a row's squared error is a sum of rounded squares
ULPS_LOGITS = 8  # log-sum-exp: the differences of logits are rounded too
REL_SOFT = 4e-15  # sums of products of targets and logarithms
REL_SOFTMAX = 1e-13  # squared errors of a softmax
REL_SE = 1e-11
REL_PEER = 1e-12  # against scikit-learn
REL_P = 1e-10
REL_CI = 1e-10
MSE_FLOOR = 1e-28  # below this a squared error is rounding in the file itself
TIMEOUT = 120
LEVEL = 0.95

SCORES = ["error_rate", "mse", "brier_half", "cross_entropy", "log_loss", "perplexity"]
LN2 = mpmath.log(2)


class Failure(Exception):
    """A check that does not hold; its text says which number, expected and found."""


# Numbers


def nearest(x):
    """Returns an mpf or Fraction as the nearest f64."""
    return x.numerator / x.denominator if isinstance(x, Fraction) else float(x)


def ulps(a, b):
    """Returns the distance of two f64 in units of the last place of the second."""
    if a == b:
        return 0.0
    return abs(a - b) / math.ulp(b)


def number(value, what):
    """Returns a number of the JSON contract as a float; null is None."""
    if value is None:
        return None
    if value in ("inf", "-inf"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Failure(f"{what}: {value!r} is no number, null, 'inf' or '-inf'")
    return float(value)


def expect_ulps(what, found, expected, bound, floor=0.0):
    expected = nearest(expected)
    found = number(found, what)
    if found is None or not (ulps(found, expected) <= bound or abs(found - expected) <= floor):
        off = "" if found is None else f", {ulps(found, expected):.3g} ulp (at most {bound})"
        raise Failure(f"{what}: found {found!r}, expected {expected!r}{off}")


def expect_relative(what, found, expected, bound, floor=0.0):
    expected = nearest(expected)
    found = number(found, what)
    if found is None or not (found == expected or abs(found - expected) <= max(bound * abs(expected), floor)):
        off = "" if found is None or expected == 0 else f", relative {abs(found / expected - 1):.3g} (at most {bound:.3g})"
        raise Failure(f"{what}: found {found!r}, expected {expected!r}{off}")


def expect_equal(what, found, expected):
    if found != expected or isinstance(found, bool) != isinstance(expected, bool):
        raise Failure(f"{what}: found {found!r}, expected {expected!r}")


def expect_null(what, found):
    if found is not None:
        raise Failure(f"{what}: found {found!r}, expected null")


# References


@dataclass
class Rows:
    """Predictions and what was true, and from these the per-row losses at 60 digits."""

    p: np.ndarray  # (n_samples, n_classes), as given
    y: np.ndarray | None = None  # class indices
    targets: np.ndarray | None = None  # (n_samples, n_classes), instead of y
    weights: np.ndarray | None = None
    kind: str = "probabilities"
    smoothing: str = "0"
    log_losses: list = field(default_factory=list)
    squared_errors: list = field(default_factory=list)
    errors: list = field(default_factory=list)

    def __post_init__(self):
        n, k = self.p.shape
        epsilon = mpf(self.smoothing)
        for i in range(n):
            z = [mpf(float(v)) for v in self.p[i]]
            if self.kind == "probabilities":
                q = z
                surprisal = [mpmath.inf if v == 0 else -mpmath.log(v) for v in z]
            elif self.kind == "log-probabilities":
                q = [mpmath.exp(v) for v in z]
                surprisal = [-v for v in z]
            else:
                top = max(z)
                lse = top + mpmath.log(mpmath.fsum(mpmath.exp(v - top) for v in z))
                surprisal = [lse - v for v in z]
                q = [mpmath.exp(v - lse) for v in z]
            best = int(np.argmax(self.p[i]))
            if self.targets is not None:
                t = [mpf(float(v)) for v in self.targets[i]]
                self.errors.append(1 - t[best])
            else:
                t = [mpf(int(c == self.y[i])) for c in range(k)]
                self.errors.append(mpf(int(best != self.y[i])))
            self.squared_errors.append(mpmath.fsum((a - b) ** 2 for a, b in zip(q, t, strict=True)))
            t = [(1 - epsilon) * v + epsilon / k for v in t]
            self.log_losses.append(mpmath.fsum(a * b for a, b in zip(t, surprisal, strict=True) if a > 0))

    @property
    def n(self):
        return len(self.p)

    def losses(self, score):
        return {
            "error_rate": lambda: self.errors,
            "mse": lambda: self.squared_errors,
            "brier_half": lambda: [v / 2 for v in self.squared_errors],
            "log_loss": lambda: self.log_losses,
            "cross_entropy": lambda: [v / LN2 for v in self.log_losses],
        }[score]()


def mean_and_se(losses, weights=None):
    """Returns the exact (weighted) mean and its standard error; None for the error of one row.

    Whole weights repeat rows: se = sd(ddof=1) / sqrt(sum w). Others are importances:
    se = sqrt(sum w^2 (l - m)^2) / sum w * sqrt(n / (n - 1)).
    """
    n = len(losses)
    if weights is None:
        weights = [mpf(1)] * n
    w = [mpf(float(v)) for v in weights]
    whole = all(v == int(v) for v in w)
    total = mpmath.fsum(w)
    mean = mpmath.fsum(a * b for a, b in zip(w, losses, strict=True)) / total
    if whole:
        if total <= 1:
            return mean, None
        spread = mpmath.fsum(a * (v - mean) ** 2 for a, v in zip(w, losses, strict=True))
        return mean, mpmath.sqrt(spread / (total - 1) / total)
    if n == 1:
        return mean, None
    spread = mpmath.fsum((a * (v - mean)) ** 2 for a, v in zip(w, losses, strict=True))
    return mean, mpmath.sqrt(spread) / total * mpmath.sqrt(mpf(n) / (n - 1))


def student_p(t, df):
    """Returns the two-sided p of Student's t, at 60 digits."""
    t, df = mpf(t), mpf(df)
    return mpmath.betainc(df / 2, mpf(1) / 2, 0, df / (df + t * t), regularized=True)


def exact_mcnemar(only_a, only_b):
    """Returns the two-sided binomial p of the discordant rows at one half, exactly."""
    n = only_a + only_b
    tail = sum(math.comb(n, i) for i in range(min(only_a, only_b) + 1))
    return min(Fraction(1), Fraction(2 * tail, 2**n))


def entropy_of(frequencies):
    return -mpmath.fsum(f * mpmath.log(f) for f in frequencies if f > 0)


# Data


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def draw(seed, n, k, spread=1.5, noise=0.0, base=None):
    """Returns logits, probabilities and labels drawn from a model's own probabilities; with `noise`, logits moved from `base`."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * spread if base is None else base + rng.normal(size=base.shape) * noise
    p = softmax(z)
    y = np.array([rng.choice(k, p=row) for row in p]) if n else np.zeros(0, int)
    return z, p, y


ENGLISH = [f"c{i}" for i in range(200)]
CHINESE = ["民主党", "共和党", "其他党", "猫", "狗", "马"]


class Bench:
    """A folder of generated files and the binary to run on them."""

    def __init__(self, xent, folder):
        self.xent = xent
        self.folder = Path(folder)

    def write(self, name, columns):
        """Writes columns by name as the format that the file's name says, and returns the path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        plain = {key: np.asarray(v).tolist() for key, v in columns.items()}
        if name.endswith((".parquet", ".arrow")):
            table = pa.table({key: pa.array(v) if isinstance(v, np.ndarray) else pa.array(list(v)) for key, v in columns.items()})
            if name.endswith(".parquet"):
                pa.parquet.write_table(table, path)
            else:
                with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                    writer.write_table(table)
            return path
        rows = list(zip(*plain.values(), strict=True))
        if name.endswith(".jsonl"):
            text = "".join(json.dumps(dict(zip(plain, r, strict=True)), ensure_ascii=False) + "\n" for r in rows)
        else:
            gap = "\t" if ".tsv" in name else ","
            lines = [gap.join(plain)]
            lines += [gap.join(repr(v) if isinstance(v, float) else str(v) for v in r) for r in rows]
            text = "\n".join(lines) + "\n"
        data = text.encode()
        if name.endswith(".gz"):
            data = gzip.compress(data, mtime=0)
        elif name.endswith(".zst"):
            data = pa.compress(data, codec="zstd", asbytes=True)
        path.write_bytes(data)
        return path

    def run(self, command, *arguments):
        """Returns the text xent prints; a failure says how it was called and what it said."""
        line = [str(self.xent), command, *map(str, arguments), "--format", "json"]
        try:
            done = subprocess.run(line, capture_output=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise Failure(f"no answer within {TIMEOUT} s: {' '.join(line)}") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise Failure(f"exit code {done.returncode} from: {' '.join(line)}\n      {said}")
        return done.stdout.decode()

    def json(self, command, *arguments):
        text = self.run(command, *arguments)
        try:
            out = json.loads(text, parse_constant=lambda c: (_ for _ in ()).throw(Failure(f"JSON holds {c}")))
        except json.JSONDecodeError as e:
            raise Failure(f"no JSON: {e}: {text[:200]!r}") from None
        expect_equal("schema", out.get("schema"), f"xent.{command}/1")
        return out

    def score(self, *arguments):
        return self.json("score", *arguments)

    def compare(self, *arguments):
        return self.json("compare", *arguments)


def hard_columns(p, y, names, prefix="p_", label="label", **extra):
    columns = {f"{prefix}{name}": p[:, i] for i, name in enumerate(names)}
    columns[label] = np.array([names[i] for i in y], dtype=object)
    columns.update(extra)
    return columns


def only_model(out):
    models = out.get("models")
    if not isinstance(models, list) or len(models) != 1:
        raise Failure(f"models: expected one, found {models!r}"[:300])
    return models[0]


def dig(node, key):
    """Returns the first value under `key` anywhere in a JSON value, or None."""
    if isinstance(node, dict):
        if key in node:
            return node[key]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            found = dig(item, key)
            if found is not None:
                return found
    return None


# What every score must satisfy


def check_model(model, rows, skip=()):
    """Checks all scores of one model: values, standard errors, intervals, relations between units."""
    scores = model["scores"]
    df = (sum(rows.weights) if rows.weights is not None and all(v == int(v) for v in rows.weights) else rows.n) - 1
    hard_probabilities = rows.kind == "probabilities" and rows.targets is None and rows.smoothing == "0"
    for score in SCORES:
        if score in skip:
            continue
        got = scores[score]
        if score == "perplexity":
            mean, se = mean_and_se(rows.log_losses, rows.weights)
            mean, se = mpmath.exp(mean), None if se is None else mpmath.exp(mean) * se
            expect_relative("perplexity.value", got["value"], mean, 1e-14 * max(1, float(mpmath.log(mean))))
        else:
            mean, se = mean_and_se(rows.losses(score), rows.weights)
            what = f"{score}.value"
            if score == "error_rate":
                expect_ulps(what, got["value"], mean, 1 if rows.targets is None else 8, 1e-300)
            elif score in ("mse", "brier_half"):
                if rows.kind != "probabilities":
                    expect_relative(what, got["value"], mean, REL_SOFTMAX, MSE_FLOOR)
                else:
                    expect_ulps(what, got["value"], mean, ULPS_MSE if rows.targets is None else 2 * ULPS_MSE, MSE_FLOOR)
            elif rows.targets is not None or rows.smoothing != "0":
                expect_relative(what, got["value"], mean, REL_SOFT)
            else:
                bound = ULPS_LOGITS if not hard_probabilities else ULPS_MEAN if score == "log_loss" else ULPS_MEAN_BITS
                expect_ulps(what, got["value"], mean, bound)
        if se is None:
            expect_null(f"{score}.se of one row", got["se"])
            continue
        expect_relative(f"{score}.se", got["se"], se, REL_SE, 1e-15 * abs(nearest(mean)) / math.sqrt(rows.n))
        ci = got["ci"]
        if not isinstance(ci, list) or len(ci) != 2:
            raise Failure(f"{score}.ci: found {ci!r}, expected two numbers")
        if score == "error_rate":
            low, high = (number(v, "error_rate.ci") for v in ci)
            # Of a proportion any sound interval may be used: it lies in [0, 1] around the value.
            slack = 1e-12
            if not -slack <= low <= number(got["value"], "") + slack <= high + 2 * slack <= 1 + 3 * slack and rows.targets is None:
                raise Failure(f"error_rate.ci: {ci!r} does not lie in [0, 1] around {got['value']!r}")
            continue
        t = scipy.stats.t.ppf((1 + LEVEL) / 2, df)
        if score == "perplexity":
            m, s = mean_and_se(rows.log_losses, rows.weights)
            ends = [mpmath.exp(m - t * s), mpmath.exp(m + t * s)]
        else:
            ends = [mean - t * se, mean + t * se]
        for end, name, expected in zip(ci, ("low", "high"), ends, strict=True):
            expect_relative(f"{score}.ci {name}", end, expected, REL_CI * max(1, abs(t) / 10), REL_CI * abs(nearest(mean)))


def check_baseline(out, rows):
    """The model that knows only the class frequencies: its cross entropy is the labels' entropy."""
    k = rows.p.shape[1]
    w = np.ones(rows.n) if rows.weights is None else np.asarray(rows.weights, float)
    t = np.eye(k)[rows.y] if rows.targets is None else rows.targets
    totals = [mpmath.fsum(mpf(float(a)) * mpf(float(b)) for a, b in zip(w, t[:, c], strict=True)) for c in range(k)]
    f = [v / mpmath.fsum(totals) for v in totals]
    h = entropy_of(f)
    square = mpmath.fsum(v * v for v in f)
    expected = {"error_rate": 1 - max(f), "log_loss": h, "cross_entropy": h / LN2, "perplexity": mpmath.exp(h)}
    if rows.targets is None:
        expected |= {"mse": 1 - square, "brier_half": (1 - square) / 2}
    for score, value in expected.items():
        expect_relative(f"baseline.{score}.value", out["baseline"]["scores"][score]["value"], value, 1e-13, 1e-15)


def check_sklearn(model, rows):
    """The same numbers by scikit-learn."""
    k = rows.p.shape[1]
    labels, scores, w = list(range(k)), model["scores"], rows.weights
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expect_relative("log_loss against scikit-learn", scores["log_loss"]["value"],
                        metrics.log_loss(rows.y, rows.p, labels=labels, sample_weight=w), REL_PEER)
        brier = sklearn_brier(rows, scale_by_half=False)
        expect_relative("mse against scikit-learn", scores["mse"]["value"], brier, REL_PEER)
        expect_relative("brier_half against scikit-learn", scores["brier_half"]["value"],
                        sklearn_brier(rows, scale_by_half=True), REL_PEER)
        expect_relative("error_rate against scikit-learn", scores["error_rate"]["value"],
                        metrics.zero_one_loss(rows.y, rows.p.argmax(axis=1), sample_weight=w), REL_PEER, 1e-15)


def sklearn_brier(rows, scale_by_half):
    return metrics.brier_score_loss(
        rows.y, rows.p[:, 1] if rows.p.shape[1] == 2 else rows.p, labels=list(range(rows.p.shape[1])),
        sample_weight=rows.weights, scale_by_half=scale_by_half, **({"pos_label": 1} if rows.p.shape[1] == 2 else {}),
    )


def check_head(out, rows, names):
    expect_equal("rows", out["rows"], rows.n)
    expect_equal("classes", out["classes"], list(names))


# Checks of `xent score`

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def score_of_size(bench, seed, n, k):
    _, p, y = draw(seed, n, k)
    names = ENGLISH[:k]
    out = bench.score(bench.write(f"size-{k}-{n}.csv", hard_columns(p, y, names)))
    rows = Rows(p, y)
    check_head(out, rows, names)
    check_model(only_model(out), rows)
    check_baseline(out, rows)
    check_sklearn(only_model(out), rows)


def sized(seed, n, k):
    def one(bench):
        score_of_size(bench, seed, n, k)

    one.__name__ = f"score_{k}_classes_{n}_rows"
    one.__doc__ = f"{n} rows of {k} classes against exact means and scikit-learn."
    return check(one)


for _seed, (_k, _n) in enumerate(
    [(2, 1), (2, 2), (2, 3), (2, 7), (2, 1000), (2, 5000), (3, 1), (3, 2), (3, 3), (3, 8), (3, 9), (3, 17), (3, 944), (3, 5000)]
    + [(10, 1), (10, 5), (10, 1000), (50, 3), (50, 200), (50, 1000), (200, 20)]
):
    sized(_seed + 100, _n, _k)


@check
def score_chinese_labels(bench):
    _, p, y = draw(1, 300, 6)
    rows = Rows(p, y)
    for prefix in ("", "p_"):
        out = bench.score(bench.write(f"中文{prefix}.csv", hard_columns(p, y, CHINESE, prefix, "标签")), "--label", "标签")
        check_head(out, rows, CHINESE)
        check_model(only_model(out), rows)
        expect_equal("the model's name", only_model(out)["name"], f"中文{prefix}")


@check
def score_integer_labels(bench):
    _, p, y = draw(2, 300, 4)
    rows = Rows(p, y)
    columns = {f"p_{i}": p[:, i] for i in range(4)} | {"y": y}
    for name in ("integers.csv", "integers.parquet"):
        out = bench.score(bench.write(name, columns))
        check_head(out, rows, ["0", "1", "2", "3"])
        check_model(only_model(out), rows)


@check
def score_binds_by_name(bench):
    """The order of the columns and classes without rows change nothing but the order of the classes."""
    _, p, _ = draw(3, 400, 5)
    y = np.array([i % 2 for i in range(400)])
    order = [4, 1, 3, 0, 2]
    names = ["zebra", "ape", "lion", "bear", "dog"]
    straight = hard_columns(p, y, names)
    turned = {f"p_{names[i]}": p[:, i] for i in order} | {"label": straight["label"]}
    a = only_model(bench.score(bench.write("straight.csv", straight)))
    b = only_model(bench.score(bench.write("turned.csv", turned)))
    check_model(a, Rows(p, y))
    for score in ("error_rate", "cross_entropy", "log_loss", "perplexity"):
        expect_equal(f"{score} under another order of the columns", b["scores"][score], a["scores"][score])
    expect_relative("mse under another order of the columns", b["scores"]["mse"]["value"], a["scores"]["mse"]["value"], 1e-15)


@check
def score_proba_glob_and_label_options(bench):
    _, p, y = draw(4, 100, 3)
    columns = {"p_wrong": np.full(100, 0.5)} | hard_columns(p, y, ENGLISH[:3], "model_", "truth", target=np.zeros(100, int))
    out = bench.score(bench.write("options.csv", columns), "--label", "truth", "--proba", "model_*")
    check_head(out, Rows(p, y), ENGLISH[:3])
    check_model(only_model(out), Rows(p, y))


@check
def score_positive_column(bench):
    """One column for the positive class of a binary task."""
    _, p, y = draw(5, 500, 2)
    # Any f64 p and the exact 1 - p: multiples of 2^-53.
    positive = np.round(p[:, 1] * 2.0**52) / 2.0**52
    rows = Rows(np.column_stack([1 - positive, positive]), y)
    columns = {"p": positive, "label": np.array(["no", "yes"], dtype=object)[y]}
    out = bench.score(bench.write("positive.csv", columns), "--label", "label", "--proba", "p", "--positive", "yes")
    expect_equal("rows", out["rows"], 500)
    expect_equal("classes", sorted(out["classes"]), ["no", "yes"])
    check_model(only_model(out), rows)


@check
def score_one_hot_targets(bench):
    """One-hot targets give what labels give."""
    _, p, y = draw(6, 300, 3)
    probabilities = {f"p_{c}": p[:, i] for i, c in enumerate("abc")}
    onehot = {f"t_{c}": (y == i).astype(int) for i, c in enumerate("abc")}
    a = only_model(bench.score(bench.write("onehot.csv", probabilities | onehot), "--targets", "t_*"))
    b = only_model(bench.score(bench.write("hard.csv", hard_columns(p, y, "abc"))))
    for score in SCORES:
        for part in ("value", "se"):
            expect_equal(f"{score}.{part} of one-hot targets", a["scores"][score][part], b["scores"][score][part])


@check
def score_soft_targets(bench):
    _, p, _ = draw(7, 300, 4)
    _, t, _ = draw(8, 300, 4, spread=3)
    t[:40] = np.eye(4)[np.arange(40) % 4]
    names = "abcd"
    columns = {f"p_{c}": p[:, i] for i, c in enumerate(names)} | {f"t_{c}": t[:, i] for i, c in enumerate(names)}
    rows = Rows(p, targets=t)
    out = bench.score(bench.write("soft.csv", columns), "--targets", "t_*")
    check_head(out, rows, names)
    check_model(only_model(out), rows)
    check_baseline(out, rows)


@check
def score_soft_target_zero_times_infinity(bench):
    """A target of 0 on a probability of 0 costs nothing."""
    p = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
    t = np.array([[0.25, 0.75, 0.0], [0.0, 1.0, 0.0]])
    columns = {f"p_{c}": p[:, i] for i, c in enumerate("abc")} | {f"t_{c}": t[:, i] for i, c in enumerate("abc")}
    check_model(only_model(bench.score(bench.write("zeros.csv", columns), "--targets", "t_*")), Rows(p, targets=t))


@check
def score_logits(bench):
    for k, spread in ((2, 1.0), (3, 5.0), (10, 3.0)):
        z, _, y = draw(9 + k, 400, k, spread)
        rows = Rows(z, y, kind="logits")
        columns = hard_columns(z, y, ENGLISH[:k], "z_")
        out = bench.score(bench.write(f"logits-{k}.csv", columns), "--input", "logits", "--proba", "z_*")
        check_head(out, rows, ENGLISH[:k])
        check_model(only_model(out), rows)


@check
def score_logits_margin_40(bench):
    """A loss of 4.248354255291589e-18 comes out as that, alone and in company; not as 0."""
    for n in (1, 2, 9, 1000):
        z = np.zeros((n, 2))
        z[:, 1] = 40.0
        path = bench.write(f"margin-{n}.csv", hard_columns(z, np.ones(n, int), "ab"))
        got = only_model(bench.score(path, "--input", "logits", "--proba", "p_*"))["scores"]["log_loss"]["value"]
        expect_ulps(f"log_loss of {n} rows of margin 40", got, 4.248354255291589e-18, 1)


@check
def score_log_probabilities(bench):
    z, _, y = draw(20, 400, 5, 6.0)
    lp = np.array([[float(v) for v in row] for row in (z - np.log(np.exp(z).sum(axis=1, keepdims=True)))])
    rows = Rows(np.minimum(lp, 0.0), y, kind="log-probabilities")
    path = bench.write("logp.csv", hard_columns(rows.p, y, ENGLISH[:5]))
    out = bench.score(path, "--input", "log-probabilities", "--proba", "p_*")
    check_model(only_model(out), rows)


@check
def score_f32_parquet(bench):
    """f32 input means the exact value of those numbers."""
    for k in (2, 3, 10):
        _, p, y = draw(30 + k, 1500, k)
        p = p.astype(np.float32)
        out = bench.score(bench.write(f"f32-{k}.parquet", hard_columns(p, y, ENGLISH[:k])))
        check_model(only_model(out), Rows(p.astype(float), y))


@check
def score_extreme_probabilities(bench):
    p = np.array([[1e-300, 1.0], [1.0, 1e-300], [1 - 1e-16, 1e-16], [5e-324, 1.0], [2.3e-308, 1.0], [0.5, 0.5], [1 - 2e-16, 2e-16]])
    for y in ([0] * 7, [1, 0, 0, 1, 1, 0, 0], [0, 1, 0, 1, 0, 1, 0], [1, 1, 1, 1, 1, 0, 1]):
        rows = Rows(p, np.array(y))
        out = bench.score(bench.write("extreme.csv", hard_columns(p, rows.y, "ab")))
        check_model(only_model(out), rows)


@check
def score_tiny_losses(bench):
    """Losses of 1e-16 are not lost beside one another nor beside large ones."""
    p = np.array([[1 - k * 2.0**-53, k * 2.0**-53] for k in range(1, 60)])
    y = np.zeros(59, int)
    out = bench.score(bench.write("tiny.csv", hard_columns(p, y, "ab")))
    expect_ulps("log_loss", only_model(out)["scores"]["log_loss"]["value"], mean_and_se(Rows(p, y).log_losses)[0], ULPS_MEAN)
    y[-1] = 1
    check_model(only_model(bench.score(bench.write("tiny-1.csv", hard_columns(p, y, "ab")))), Rows(p, y))


@check
def score_certain_and_right(bench):
    """Probability 1 of what happens costs exactly 0."""
    p = np.eye(3)[[0, 1, 2, 0]]
    out = bench.score(bench.write("certain.csv", hard_columns(p, np.array([0, 1, 2, 0]), "abc")))
    for score in ("error_rate", "mse", "brier_half", "cross_entropy", "log_loss"):
        got = only_model(out)["scores"][score]
        if got["value"] != 0 or got["se"] != 0 or math.copysign(1, got["value"]) < 0:
            raise Failure(f"{score}: found {got!r}, expected 0 with standard error 0")
    expect_equal("perplexity", only_model(out)["scores"]["perplexity"]["value"], 1)


@check
def score_infinite_losses(bench):
    """A class of probability 0 that happens costs infinity; the count is reported and other scores stand."""
    _, p, y = draw(40, 200, 3)
    bad = [6, 77, 199]
    for i in bad:
        p[i] = 0.5
        p[i, y[i]] = 0.0
    rows = Rows(p, y)
    out = bench.score(bench.write("infinite.csv", hard_columns(p, y, "abc")))
    model = only_model(out)
    for score in ("cross_entropy", "log_loss", "perplexity"):
        expect_equal(f"{score}.value", model["scores"][score]["value"], "inf")
        expect_null(f"{score}.se", model["scores"][score]["se"])
    check_model(model, rows, skip=("cross_entropy", "log_loss", "perplexity"))
    infinite = dig(model, "infinite") or dig(out, "infinite")
    if infinite is None:
        raise Failure("infinite: no such key")
    expect_equal("infinite.count", infinite["count"], len(bad))
    found = [r.get("row", r.get("line")) if isinstance(r, dict) else r for r in infinite["rows"]]
    offsets = {a - b for a, b in zip(found, bad, strict=True)} if len(found) == len(bad) else {None}
    if len(offsets) != 1 or not offsets <= {0, 1, 2}:  # counted from 0, from 1, or as lines of the file
        raise Failure(f"infinite.rows: found {infinite['rows']!r}, expected rows {bad} (from 0), all by one way of counting")


@check
def score_label_smoothing(bench):
    for k in (2, 3, 10):
        _, p, y = draw(50 + k, 300, k)
        rows = Rows(p, y, smoothing="0.1")
        out = bench.score(bench.write(f"smooth-{k}.csv", hard_columns(p, y, ENGLISH[:k])), "--label-smoothing", "0.1")
        check_model(only_model(out), rows, skip=("error_rate", "mse", "brier_half"))


@check
def score_top_k(bench):
    _, p, y = draw(60, 800, 10)
    path = bench.write("top.csv", hard_columns(p, y, ENGLISH[:10]))
    for k in (1, 2, 3, 5):
        out = bench.score(path, "--top-k", k)
        got = dig(out["models"], f"top_{k}_error")
        if got is None:
            raise Failure(f"no key top_{k}_error")
        got = got["value"] if isinstance(got, dict) else got
        expected = 1 - metrics.top_k_accuracy_score(y, p, k=k, labels=range(10))
        expect_relative(f"top_{k}_error", got, expected, REL_PEER)


def confusion_of(out, names):
    """Returns the confusion matrix as an array, rows = true class, whichever way the JSON holds it."""
    found = dig(out["models"], "confusion")
    if isinstance(found, dict):
        found = next((found[key] for key in ("counts", "matrix", "rows", "values") if key in found), found)
    if isinstance(found, list) and found and isinstance(found[0], dict):
        matrix = np.zeros((len(names), len(names)))
        for cell in found:
            value = next(cell[key] for key in ("count", "rows", "weight", "value", "n") if key in cell)
            matrix[names.index(cell.get("true", cell.get("label"))), names.index(cell["predicted"])] = value
        return matrix
    if not isinstance(found, list):
        raise Failure(f"confusion: found {found!r}, expected a matrix")
    return np.array(found, dtype=float)


@check
def score_confusion(bench):
    for k, n in ((2, 100), (4, 700)):
        _, p, y = draw(70 + k, n, k)
        names = ENGLISH[:k]
        out = bench.score(bench.write(f"confusion-{k}.csv", hard_columns(p, y, names)), "--confusion")
        expected = metrics.confusion_matrix(y, p.argmax(axis=1), labels=range(k))
        if not np.array_equal(confusion_of(out, names), expected):
            raise Failure(f"confusion: found {confusion_of(out, names).tolist()}, expected {expected.tolist()}")


@check
def score_ties_go_to_the_first_class(bench):
    p = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [1 / 3, 1 / 3, 1 / 3], [0.1, 0.2, 0.7]])
    for y in ([0, 1, 0, 2], [1, 2, 2, 2]):
        rows = Rows(p, np.array(y))
        check_model(only_model(bench.score(bench.write("ties.csv", hard_columns(p, rows.y, "abc")))), rows)


# Weights


@check
def weights_whole_repeat_rows(bench):
    """Whole weights give exactly what repeated rows give: value, standard error and interval."""
    for k, n in ((2, 50), (3, 400), (10, 100)):
        _, p, y = draw(80 + k, n, k)
        w = np.random.default_rng(k).integers(0, 5, n)
        names = ENGLISH[:k]
        a = bench.score(bench.write(f"weighted-{k}.csv", hard_columns(p, y, names, weight=w)), "--weight", "weight")
        many = np.repeat(np.arange(n), w)
        b = bench.score(bench.write(f"repeated-{k}.csv", hard_columns(p[many], y[many], names)))
        for score in SCORES:
            for part in ("value", "se", "ci"):
                expect_equal(f"{score}.{part}, weighted against repeated", only_model(a)["scores"][score][part],
                             only_model(b)["scores"][score][part])
            expect_equal(f"baseline.{score}.value, weighted against repeated", a["baseline"]["scores"][score]["value"],
                         b["baseline"]["scores"][score]["value"])
        check_model(only_model(b), Rows(p[many], y[many]))


@check
def weights_fractional(bench):
    for k, n in ((2, 2), (3, 3), (3, 800), (10, 100)):
        _, p, y = draw(90 + k, n, k)
        w = np.random.default_rng(k).gamma(1.5, size=n)
        rows = Rows(p, y, weights=w)
        columns = hard_columns(p, y, ENGLISH[:k], importance=w)
        out = bench.score(bench.write(f"fractional-{k}-{n}.csv", columns), "--weight", "importance")
        check_model(only_model(out), rows)
        check_baseline(out, rows)
        check_sklearn(only_model(out), rows)


@check
def weights_scale_of_importances(bench):
    """Fractional weights times a power of two change nothing."""
    _, p, y = draw(95, 200, 3)
    w = np.random.default_rng(3).random(200) + 0.1
    found = []
    for i, c in enumerate((1.0, 2.0**-20, 2.0**-300)):
        path = bench.write(f"scaled-{i}.csv", hard_columns(p, y, "abc", w=w * c))
        found.append(only_model(bench.score(path, "--weight", "w"))["scores"])
    for score in SCORES:
        expect_equal(f"{score} under weights x 2^-20", found[1][score], found[0][score])
        expect_equal(f"{score} under weights x 2^-300", found[2][score], found[0][score])


@check
def weights_in_compare(bench):
    za, a, y = draw(96, 300, 3)
    _, b, _ = draw(97, 300, 3, noise=0.7, base=za)
    w = np.random.default_rng(5).integers(1, 5, 300)
    many = np.repeat(np.arange(300), w)
    weighted = [bench.write(f"w/{m}.csv", hard_columns(q, y, "abc", w=w)) for m, q in (("a", a), ("b", b))]
    repeated = [bench.write(f"r/{m}.csv", hard_columns(q[many], y[many], "abc")) for m, q in (("a", a), ("b", b))]
    x = differences(bench.compare(*weighted, "--weight", "w"))
    z = differences(bench.compare(*repeated))
    for key in z:
        for part in ("value", "se", "ci", "p"):
            expect_equal(f"{key[1]}.{part}, weighted against repeated", x[key][part], z[key][part])


# Sameness


def same_numbers(what, a, b):
    for score in SCORES:
        expect_equal(f"{score}, {what}", only_model(b)["scores"][score], only_model(a)["scores"][score])


@check
def same_in_every_format(bench):
    _, p, y = draw(110, 500, 3)
    columns = hard_columns(p, y, CHINESE[:3])
    first = bench.score(bench.write("format.csv", columns))
    check_model(only_model(first), Rows(p, y))
    for ending in ("tsv", "csv.gz", "csv.zst", "tsv.gz", "jsonl", "parquet", "arrow"):
        same_numbers(f"{ending} against csv", first, bench.score(bench.write(f"format.{ending}", columns)))


@check
def same_for_any_threads(bench):
    """The output is the same byte for byte."""
    _, p, y = draw(111, 5000, 3)
    for ending in ("csv", "parquet"):
        path = bench.write(f"threads.{ending}", hard_columns(p, y, "abc"))
        first = bench.run("score", path, "--threads", 1)
        for threads in (2, 3, 8):
            expect_equal(f"output of {threads} threads, {ending}", bench.run("score", path, "--threads", threads), first)


@check
def same_for_shuffled_rows(bench):
    _, p, y = draw(112, 3000, 4)
    order = np.random.default_rng(1).permutation(3000)
    a = bench.score(bench.write("in-order.csv", hard_columns(p, y, "abcd")))
    b = bench.score(bench.write("shuffled.csv", hard_columns(p[order], y[order], "abcd")))
    same_numbers("shuffled rows", a, b)


# Checks of `xent compare`


def differences(out):
    """Returns the differences by (model, score)."""
    return {(d["model"], d["score"]): d for d in out["differences"]}


def sized_pair(seed, n, k, noise):
    z, a, y = draw(seed, n, k)
    _, b, _ = draw(seed + 1000, n, k, noise=noise, base=z)
    return a, b, y


def check_difference(d, a, b):
    """Checks one difference, model `b` minus baseline `a`, by paired t or exact McNemar."""
    score = d["score"]
    per_row = [v - u for u, v in zip(a.losses(score), b.losses(score), strict=True)]
    mean, se = mean_and_se(per_row)
    scale = max(abs(nearest(mean_and_se(m.losses(score))[0])) for m in (a, b))
    expect_relative(f"{score} difference", d["value"], mean, 1e-14, 4e-16 * scale)
    expect_relative(f"{score} difference se", d["se"], se, REL_SE)
    if score == "error_rate":
        only_a = sum(1 for u, v in zip(a.errors, b.errors, strict=True) if u == 0 and v == 1)
        only_b = sum(1 for u, v in zip(a.errors, b.errors, strict=True) if u == 1 and v == 0)
        expect_relative("McNemar p, exact", d["p"], exact_mcnemar(only_a, only_b), REL_P)
        table = [[0, only_a], [only_b, 0]]
        if only_a + only_b:
            expect_relative("McNemar p against statsmodels", d["p"], mcnemar(table, exact=True).pvalue, REL_P)
        return
    n = len(per_row)
    t = scipy.stats.t.ppf((1 + LEVEL) / 2, n - 1)
    for end, expected in zip(d["ci"], (mean - t * se, mean + t * se), strict=True):
        expect_relative(f"{score} difference ci", end, expected, 1e-9, 1e-11 * nearest(abs(mean) + t * se))
    expect_relative(f"{score} paired t p, exact", d["p"], student_p(mean / se, n - 1), REL_P)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        u, v = (np.array([float(x) for x in m.losses(score)]) for m in (a, b))
        peer = scipy.stats.ttest_rel(v, u).pvalue
    if peer > 1e-200:
        expect_relative(f"{score} paired t p against scipy", d["p"], peer, 10 * REL_P if peer < 1e-30 else REL_P)


PAIRED = ["error_rate", "mse", "brier_half", "cross_entropy", "log_loss"]


def compare_of_size(bench, seed, n, k, noise):
    pa_, pb, y = sized_pair(seed, n, k, noise)
    names = ENGLISH[:k]
    folder = f"pair-{k}-{n}"
    paths = [bench.write(f"{folder}/{m}.csv", hard_columns(q, y, names)) for m, q in (("first", pa_), ("second", pb))]
    out = bench.compare(*paths)
    a, b = Rows(pa_, y), Rows(pb, y)
    check_head(out, a, names)
    for model, rows, name in zip(out["models"], (a, b), ("first", "second"), strict=True):
        expect_equal("the model's name", model["name"], name)
        check_model(model, rows)
    got = differences(out)
    for score in PAIRED:
        d = got.get(("second", score))
        if d is None:
            raise Failure(f"differences: no {score} of second, only {sorted(got)}")
        expect_equal(f"{score} baseline", d["baseline"], "first")
        check_difference(d, a, b)
        if d["p_adjusted"] is not None:
            expect_equal(f"{score} p_adjusted of a single comparison", d["p_adjusted"], d["p"])


def sized_compare(seed, n, k, noise):
    def one(bench):
        compare_of_size(bench, seed, n, k, noise)

    one.__name__ = f"compare_{k}_classes_{n}_rows_noise_{noise}"
    one.__doc__ = f"{n} rows of {k} classes under two models against scipy and statsmodels."
    return check(one)


for _seed, (_k, _n, _noise) in enumerate(
    [(2, 2, 1.0), (2, 10, 1.0), (2, 1000, 0.3), (3, 3, 1.0), (3, 5, 0.5), (3, 30, 0.5), (3, 944, 0.3), (3, 2000, 2.0), (10, 500, 0.5)]
):
    sized_compare(_seed + 200, _n, _k, _noise)


@check
def compare_many_models_holm(bench):
    z, base, y = draw(300, 600, 3)
    models = {"base": base}
    for i, noise in enumerate((0.2, 0.25, 0.4, 0.6)):
        models[f"m{i}"] = draw(301 + i, 600, 3, noise=noise, base=z)[1]
    paths = [bench.write(f"holm/{m}.csv", hard_columns(p, y, "abc")) for m, p in models.items()]
    got = differences(bench.compare(*paths))
    references = {m: Rows(p, y) for m, p in models.items()}
    for score in PAIRED:
        ds = [got[(m, score)] for m in models if m != "base"]
        for d in ds:
            check_difference(d, references["base"], references[d["model"]])
        adjusted = multipletests([d["p"] for d in ds], method="holm")[1]
        for d, expected in zip(ds, adjusted, strict=True):
            expect_relative(f"{score} p_adjusted of {d['model']} (Holm)", d["p_adjusted"], expected, 1e-12)


@check
def compare_baseline_option(bench):
    pa_, pb, y = sized_pair(310, 200, 3, 0.5)
    paths = [bench.write(f"base/{m}.csv", hard_columns(q, y, "abc")) for m, q in (("first", pa_), ("second", pb))]
    forward = differences(bench.compare(*paths))
    back = differences(bench.compare(*paths, "--baseline", "second"))
    for score in PAIRED:
        f, b = forward[("second", score)], back[("first", score)]
        expect_equal(f"{score} baseline", b["baseline"], "second")
        for part in ("value", "se", "p"):
            expected = -f[part] if part == "value" else f[part]
            expect_equal(f"{score}.{part} the other way round", b[part], expected)


@check
def compare_same_model(bench):
    """A model against itself: 0 with standard error 0, and nobody is ahead."""
    _, p, y = draw(320, 100, 3)
    paths = [bench.write(f"self/{m}.csv", hard_columns(p, y, "abc")) for m in ("one", "two")]
    out = bench.compare(*paths)
    for score in PAIRED:
        d = differences(out)[("two", score)]
        if d["value"] != 0 or d["se"] != 0:
            raise Failure(f"{score} of a model against itself: value {d['value']!r}, se {d['se']!r}, expected 0 and 0")
        if d["p"] not in (None, 1, 1.0):
            raise Failure(f"{score} of a model against itself: p {d['p']!r}, expected 1 or null")
    expect_null("verdict.better", out["verdict"]["better"])


@check
def compare_verdict(bench):
    """A model that is clearly better is named; its text is there."""
    _, p, y = draw(330, 1000, 3, spread=3)
    flat = np.full_like(p, 1 / 3)
    paths = [bench.write(f"verdict/{m}.csv", hard_columns(q, y, "abc")) for m, q in (("flat", flat), ("sharp", p))]
    for order in (paths, paths[::-1]):
        out = bench.compare(*order)
        expect_equal("verdict.better", out["verdict"]["better"], "sharp")
        if "sharp" not in out["verdict"]["text"]:
            raise Failure(f"verdict.text does not name the model: {out['verdict']['text']!r}")


@check
def compare_infinite(bench):
    pa_, pb, y = sized_pair(340, 100, 3, 0.5)
    pb[5] = 0.5
    pb[5, y[5]] = 0.0
    paths = {m: bench.write(f"inf/{m}.csv", hard_columns(q, y, "abc")) for m, q in (("a", pa_), ("b", pb))}
    for first, second, expected in (("a", "b", "inf"), ("b", "a", "-inf")):
        got = differences(bench.compare(paths[first], paths[second]))
        for score in ("cross_entropy", "log_loss"):
            d = got[(second, score)]
            expect_equal(f"{score} difference", d["value"], expected)
            expect_null(f"{score} difference se", d["se"])
            expect_null(f"{score} difference p", d["p"])
        a, b = (Rows(q, y) for q in ((pa_, pb) if first == "a" else (pb, pa_)))
        check_difference(got[(second, "mse")], a, b)


@check
def compare_by_id(bench):
    """Rows matched by id: any order gives the same bits."""
    pa_, pb, y = sized_pair(350, 700, 3, 0.5)
    ids = np.array([f"row {i}" for i in range(700)], dtype=object)
    order = np.random.default_rng(2).permutation(700)
    a = bench.write("ids/a.csv", hard_columns(pa_, y, "abc", id=ids))
    b = bench.write("ids/b.csv", hard_columns(pb, y, "abc", id=ids))
    shuffled = bench.write("ids/other/b.csv", hard_columns(pb[order], y[order], "abc", id=ids[order]))
    by_position = differences(bench.compare(a, b))
    for other in (b, shuffled):
        by_id = differences(bench.compare(a, other, "--id", "id"))
        for key in by_position:
            for part in ("value", "se", "ci", "p"):
                expect_equal(f"{key[1]}.{part} by id", by_id[key][part], by_position[key][part])


@check
def compare_same_for_any_threads(bench):
    pa_, pb, y = sized_pair(360, 5000, 3, 0.3)
    paths = [bench.write(f"threads/{m}.parquet", hard_columns(q, y, "abc")) for m, q in (("a", pa_), ("b", pb))]
    first = bench.run("compare", *paths, "--threads", 1)
    for threads in (2, 3, 8):
        expect_equal(f"output of {threads} threads", bench.run("compare", *paths, "--threads", threads), first)


# The committed examples


EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def read_csv(path):
    table = pa.csv.read_csv(path).to_pydict()
    return {key: np.array(v, dtype=object if isinstance(v[0], str) else float) for key, v in table.items()}


@check
def example_lecture(bench):
    """The lecture's figures at the lecture's precision."""
    expected = {
        "model1": {"error_rate": (1 / 3, 1e-15), "mse": (0.807, 5e-4), "cross_entropy": (1.989, 5e-4)},
        "model2": {"error_rate": (1 / 3, 1e-15), "mse": (0.34, 5e-3), "cross_entropy": (0.922, 5e-4)},
        "binary1": {"cross_entropy": (0.736966, 5e-7)},
        "binary2": {"cross_entropy": (0.321928, 5e-7)},
        "animals": {"cross_entropy": (0.515, 5e-4)},
    }
    expected |= {"模型1": expected["model1"], "模型2": expected["model2"]}
    for name, figures in expected.items():
        scores = only_model(bench.score(EXAMPLES / "lecture" / f"{name}.csv"))["scores"]
        for score, (value, within) in figures.items():
            if not abs(scores[score]["value"] - value) <= within:
                raise Failure(f"{name}: {score} is {scores[score]['value']!r}, the lecture has {value}")


@check
def example_party(bench):
    classes = ["democrat", "independent", "republican"]
    references = {}
    for name in ("logistic", "forest"):
        columns = read_csv(EXAMPLES / "party" / f"{name}.csv")
        p = np.column_stack([columns[f"p_{c}"] for c in classes]).astype(float)
        references[name] = Rows(p, np.array([classes.index(c) for c in columns["party"]]))
    out = bench.compare(EXAMPLES / "party" / "logistic.csv", EXAMPLES / "party" / "forest.csv")
    check_head(out, references["logistic"], classes)
    for model in out["models"]:
        check_model(model, references[model["name"]])
        check_sklearn(model, references[model["name"]])
    check_baseline(out, references["logistic"])
    for score in PAIRED:
        check_difference(differences(out)[("forest", score)], references["logistic"], references["forest"])


# The references themselves


def self_test(_bench=None):
    """Checks the references of this script against scikit-learn, scipy and statsmodels."""
    for seed, (n, k) in enumerate([(5, 2), (200, 2), (7, 3), (300, 3), (100, 10), (30, 50)]):
        _, p, y = draw(seed, n, k)
        for w in (None, np.random.default_rng(seed).random(n)):
            rows = Rows(p, y, weights=w)
            fake = {"scores": {s: {"value": nearest(mean_and_se(rows.losses(s), w)[0])} for s in PAIRED}}
            check_sklearn(fake, rows)
            losses = np.array([float(v) for v in rows.log_losses])
            se = mean_and_se(rows.log_losses, w)[1]
            if w is None:
                expect_relative("se", float(scipy.stats.sem(losses)), se, 1e-12)
            else:
                m = np.average(losses, weights=w)
                formula = math.sqrt(np.sum(w**2 * (losses - m) ** 2)) / w.sum() * math.sqrt(n / (n - 1))
                expect_relative("weighted se", formula, se, 1e-12)
        w = np.random.default_rng(seed).integers(1, 4, n)
        many = np.repeat(np.arange(n), w)
        whole, repeated = Rows(p, y, weights=w), Rows(p[many], y[many])
        for one, other in zip(mean_and_se(whole.log_losses, w), mean_and_se(repeated.log_losses), strict=True):
            expect_relative("whole weights against repeated rows", nearest(one), other, 1e-30, 1e-30)
    for seed, (n, k, noise) in enumerate([(5, 2, 1.0), (100, 3, 0.5), (944, 3, 0.3), (1000, 2, 0.3)]):
        pa_, pb, y = sized_pair(seed, n, k, noise)
        a, b = Rows(pa_, y), Rows(pb, y)
        for score in PAIRED:
            per_row = [v - u for u, v in zip(a.losses(score), b.losses(score), strict=True)]
            mean, se = mean_and_se(per_row)
            t = scipy.stats.t.ppf(0.975, n - 1)
            if score == "error_rate":
                only_a = sum(1 for v in per_row if v > 0)
                p = exact_mcnemar(only_a, sum(1 for v in per_row if v < 0))
            else:
                p = student_p(mean / se, n - 1)
            d = {"score": score, "value": nearest(mean), "se": nearest(se), "p": nearest(p),
                 "ci": [nearest(mean - t * se), nearest(mean + t * se)]}
            check_difference(d, a, b)
    z, _, y = draw(77, 50, 4, 3.0)
    logits, lp = Rows(z, y, kind="logits"), scipy.special.log_softmax(z, axis=1)
    expect_relative("logits", float(-lp[np.arange(50), y].mean()), mean_and_se(logits.log_losses)[0], 1e-14)
    expect_relative("log-probabilities", nearest(mean_and_se(Rows(lp, y, kind="log-probabilities").log_losses)[0]),
                    nearest(mean_and_se(logits.log_losses)[0]), 1e-14)
    margin = Rows(np.array([[0.0, 40.0]]), np.array([1]), kind="logits").log_losses[0]
    expect_equal("margin 40", nearest(margin), 4.248354255291589e-18)
    rng = random.Random(1)
    for _ in range(200):
        value = rng.uniform(1e-3, 1e3)
        expect_ulps("ulps", math.nextafter(value, math.inf), value, 1)
        try:
            expect_ulps("ulps", value + 4 * math.ulp(value), value, 2)
        except Failure:
            continue
        raise Failure("a distance of 4 ulp passes for 2")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--xent", type=Path, help="the xent binary")
    parser.add_argument("--self-test", action="store_true", help="check the references only")
    parser.add_argument("--only", default="", help="run the checks whose name contains this")
    parser.add_argument("--keep", type=Path, help="write the generated files here and leave them")
    parser.add_argument("--verbose", action="store_true", help="name the checks that pass too")
    arguments = parser.parse_args()
    if not arguments.self_test and arguments.xent is None:
        parser.error("give --xent BINARY or --self-test")
    checks = [self_test]
    if arguments.xent is not None and not arguments.self_test:
        if not arguments.xent.is_file():
            parser.error(f"no such file: {arguments.xent}")
        checks += CHECKS
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="xent-oracle-") as temporary:
        bench = Bench(arguments.xent and arguments.xent.resolve(), arguments.keep or temporary)
        for function in checks:
            if arguments.only not in function.__name__:
                continue
            try:
                function(bench)
            except Failure as failure:
                failed += 1
                print(f"FAIL {function.__name__}: {failure}")
            except Exception as error:  # a missing key or column is the contract broken, not an end to the checks
                failed += 1
                place = traceback.extract_tb(error.__traceback__)[-1]
                print(f"FAIL {function.__name__}: {type(error).__name__}: {error} (oracle.py:{place.lineno}: {place.line})")
            else:
                passed += 1
                if arguments.verbose:
                    print(f"ok   {function.__name__}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
