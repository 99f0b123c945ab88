"""Writes the golden values of tests/golden/calibration.json: calibration by exact rationals and 50-digit arithmetic (mpmath).

    python tools/golden_calibration.py            # writes the file
    python tools/golden_calibration.py --check    # recomputes it and compares; writes nothing

Written apart from crates/xent, from the papers' formulas: isotonic regression by its min-max definition over rationals; standard errors by numerical
derivatives at 60 digits times the covariance of the sums, not by the formulas that xent uses.

Floats are hexadecimal strings, or "inf". A case has rows p, y, w (whole weights); log and squared are [score, uncertainty, discrimination,
miscalibration], nats and summed over both classes.

corp       log, squared
binned     bins of equal width: log, squared, corrected (squared), each with within, and errors [uncertainty, discrimination, miscalibration]
errors     ece, rms, mce in bins of equal width; ece_mass in bins of equal mass; debiased (square, both kinds); sweep [error, bins]
fits       log-odds x, y, w: platt [slope, intercept, mean loss], temperature [T, mean loss]
"""

import json
import math
import random
import sys
from fractions import Fraction

import mpmath
from mpmath import mp, mpf

from golden import nearest, text
from golden_file import write_or_check

mp.dps = 60
BINS = 4


def real(x):
    return mpf(x.numerator) / mpf(x.denominator) if isinstance(x, Fraction) else mpf(x)


def ln(x):
    return mpmath.log(real(x)) if x > 0 else -mpf("inf")


def divergence(a, b):
    """KL of binary distributions, nats."""
    total = mpf(0)
    for x, y in ((a, b), (1 - a, 1 - b)):
        if x > 0:
            total += mpf("inf") if y == 0 else real(x) * (ln(x) - ln(y))
    return total


def loss(p, y):
    return -ln(p if y else 1 - p)


def groups_of(rows):
    groups = {}
    for p, y, w in rows:
        group = groups.setdefault(p, [0, 0])
        group[y] += w
    return sorted(groups.items())


def isotonic(groups):
    """The fit at each group: the largest over starts of the smallest over ends of the mean."""
    ones = [0]
    mass = [0]
    for _, (zero, one) in groups:
        ones.append(ones[-1] + one)
        mass.append(mass[-1] + zero + one)
    mean = lambda a, b: Fraction(ones[b + 1] - ones[a], mass[b + 1] - mass[a])
    n = len(groups)
    lowest = [[None] * n for _ in range(n)]
    for a in range(n):
        least = None
        for b in range(n - 1, a - 1, -1):
            least = mean(a, b) if least is None else min(least, mean(a, b))
            lowest[a][b] = least
    return [max(lowest[a][i] for a in range(i + 1)) for i in range(n)]


def corp(rows):
    groups = groups_of(rows)
    fit = isotonic(groups)
    n = sum(w for _, _, w in rows)
    base = Fraction(sum(w for _, y, w in rows if y), n)
    score = recalibrated = mpf(0)
    squared = recalibrated_squared = Fraction(0)
    for (p, counts), x in zip(groups, fit):
        for y, w in enumerate(counts):
            if w:
                score += w * loss(p, y)
                recalibrated += w * loss(x, y)
                squared += 2 * w * (p - y) ** 2
                recalibrated_squared += 2 * w * (x - y) ** 2
    entropy = divergence(base, Fraction(1, 2)) * -1 + mpmath.log(2)
    spread = 2 * base * (1 - base)
    log = [score / n, entropy, entropy - recalibrated / n, score / n - recalibrated / n]
    square = [squared / n, spread, spread - recalibrated_squared / n, (squared - recalibrated_squared) / n]
    return {"log": log, "squared": square}


def equal_width(p, k):
    return next(i for i in range(k) if i == k - 1 or p < Fraction((i + 1) / k))


def in_bins(rows, k, mass=False):
    bins = {}
    total = sum(w for _, _, w in rows)
    below = 0
    for p, counts in groups_of(rows):
        w = sum(counts)
        i = min(int(Fraction(2 * below + w, 2 * total) * k), k - 1) if mass else equal_width(p, k)
        below += w
        bin = bins.setdefault(i, [0, 0, Fraction(0)])
        bin[0] += w
        bin[1] += counts[1]
        bin[2] += w * p
    return [bins[i] for i in sorted(bins)]


def parts_in_bins(a, b, c, y, n):
    """[uncertainty, discrimination, miscalibration] of log, squared and corrected, from sums by bin: a real function of them."""
    rate, said, base = [bi / ai for ai, bi in zip(a, b)], [ci / ai for ai, ci in zip(a, c)], y / n
    sums = lambda f: sum(ai * f(i) for i, ai in enumerate(a)) / n
    reliability = sums(lambda i: (rate[i] - said[i]) ** 2)
    resolution = sums(lambda i: (rate[i] - base) ** 2)
    s = sums(lambda i: rate[i] * (1 - rate[i]) / (a[i] - 1) if a[i] > 1 else 0)
    uncertainty = base * (1 - base)
    t = uncertainty / (n - 1)
    log = [
        -base * ln(base) - (1 - base) * ln(1 - base),
        sums(lambda i: divergence(rate[i], base)),
        sums(lambda i: divergence(rate[i], said[i])),
    ]
    return log, [uncertainty, resolution, reliability], [s, t]


def binned(rows):
    bins = in_bins(rows, BINS)
    n = sum(w for _, _, w in rows)
    a, b, c = ([real(bin[i]) for bin in bins] for i in range(3))
    y = sum(b)
    log, half, (s, t) = parts_in_bins(a, b, c, y, mpf(n))
    alpha = min(half[2] / s, (half[1] / (s - t) if s > t else (half[1] - 1) / (s - t)), (mpf(1) / 4 - half[0]) / t, mpf(1))
    corrected = [half[0] + alpha * t, half[1] - alpha * s + alpha * t, half[2] - alpha * s]

    def all_parts(point):
        k = len(bins)
        log, half, (s, t) = parts_in_bins(point[:k], point[k : 2 * k], point[2 * k : 3 * k], point[3 * k], mpf(n))
        return log + half + [half[0] + t, half[1] - s + t, half[2] - s]

    point = a + b + c + [y]
    step = mpf(10) ** -20
    jacobian = []
    for j in range(len(point)):
        up, down = list(point), list(point)
        up[j] += step
        down[j] -= step
        jacobian.append([(u - d) / (2 * step) for u, d in zip(all_parts(up), all_parts(down))])
    k = len(bins)
    number = {p: equal_width(p, BINS) for p, _, _ in rows}
    present = sorted(set(number.values()))
    vectors = []
    for p, outcome, w in rows:
        i = present.index(number[p])
        x = [mpf(0)] * (3 * k + 1)
        x[i], x[k + i], x[2 * k + i], x[3 * k] = mpf(1), mpf(outcome), real(p), mpf(outcome)
        vectors += [x] * w
    means = [v / n for v in point]
    errors = []
    for part in range(9):
        variance = mpf(0)
        for x in vectors:
            variance += sum(jacobian[j][part] * (x[j] - means[j]) for j in range(3 * k + 1)) ** 2
        errors.append(mpmath.sqrt(variance))
    scores = corp(rows)
    within = lambda score, parts: score - (parts[0] - parts[1] + parts[2])
    twice = lambda parts: [2 * part for part in parts]
    return {
        "log": log + [within(scores["log"][0], log)],
        "squared": twice(half) + [within(real(scores["squared"][0]), twice(half))],
        "corrected": twice(corrected),
        "errors_log": errors[:3],
        "errors_squared": twice(errors[3:6]),
        "errors_corrected": twice(errors[6:]),
    }


def errors(rows):
    n = sum(w for _, _, w in rows)
    off = lambda bin: (bin[2] - bin[1]) / bin[0]
    plain = lambda bins: sum(bin[0] * abs(off(bin)) for bin in bins) / n

    def debiased(bins):
        total = Fraction(0)
        for bin in bins:
            if bin[0] > 1:
                rate = Fraction(bin[1], bin[0])
                total += bin[0] * (off(bin) ** 2 - rate * (1 - rate) / (bin[0] - 1))
        return total / n

    wide, mass = in_bins(rows, 15), in_bins(rows, 15, mass=True)
    k = 1
    while k < len(groups_of(rows)):
        rates = [Fraction(bin[1], bin[0]) for bin in in_bins(rows, k + 1, mass=True)]
        if any(x > y for x, y in zip(rates, rates[1:])):
            break
        k += 1
    return {
        "ece": plain(wide),
        "rms": mpmath.sqrt(real(sum(bin[0] * off(bin) ** 2 for bin in wide) / n)),
        "mce": max(abs(off(bin)) for bin in wide),
        "ece_mass": plain(mass),
        "debiased": debiased(wide),
        "debiased_mass": debiased(mass),
        "sweep": [plain(in_bins(rows, k, mass=True)), k],
    }


def fits(rng):
    cases = []
    for n in (12, 60):
        x = [rng.uniform(-4, 4) for _ in range(n)]
        y = [int(rng.random() < 1 / (1 + math.exp(-0.4 * v - 0.3))) for v in x]
        w = [rng.randint(1, 3) for _ in range(n)]

        def mean(a, b):
            return sum(
                wi * mpmath.log1p(mpmath.exp(-(a * mpf(xi) + b) if yi else (a * mpf(xi) + b))) for xi, yi, wi in zip(x, y, w)
            ) / sum(w)

        def slopes(a, b):
            off = [wi * (1 / (1 + mpmath.exp(-(a * mpf(xi) + b))) - yi) for xi, yi, wi in zip(x, y, w)]
            return sum(o * mpf(xi) for o, xi in zip(off, x)), sum(off)

        a, b = mpmath.findroot(slopes, (mpf("0.4"), mpf("0.3")))
        inverse = mpmath.findroot(lambda a: slopes(a, 0)[0], mpf("0.4"))
        cases.append(
            {
                "x": [text(v) for v in x],
                "y": y,
                "w": w,
                "platt": [text(nearest(v)) for v in (a, b, mean(a, b))],
                "temperature": [text(nearest(v)) for v in (1 / inverse, mean(inverse, 0))],
            }
        )
    return cases


def render(value):
    if isinstance(value, dict):
        return {key: render(item) for key, item in value.items()}
    if isinstance(value, list):
        return [render(item) for item in value]
    if isinstance(value, int):
        return value
    return text(nearest(value))


def content():
    rng = random.Random(5)
    tables = [
        [(0.5, 0, 1), (0.5, 1, 1), (0.5, 1, 1), (0.5, 0, 1)],
        [(0.2, 0, 1), (1 - 1.1e-16, 0, 1), (1.0, 1, 1)],
        [(0.0, 1, 1), (0.5, 0, 2), (1.0, 1, 1)],
        [(1e-300, 0, 3), (1e-12, 1, 1), (0.75, 1, 2), (1 - 2.0**-53, 1, 5), (1.0, 1, 1)],
    ]
    for digits, n, weights in ((1, 60, 1), (2, 150, 3), (17, 120, 1), (17, 200, 2), (3, 90, 4), (17, 40, 1)):
        table = []
        for _ in range(n):
            p = round(rng.random(), digits)
            truth = 0.15 + 0.3 * p + 0.4 * p * p
            table.append((p, int(rng.random() < truth), rng.randint(1, weights)))
        tables.append(table)
    # Nearly calibrated: small miscalibration keeps its digits.
    tables.append([(0.25 + 2.0**-30, y, 1) for y in (1, 0, 0, 0)] + [(0.75 + 2.0**-30, y, 1) for y in (1, 1, 0, 1)])
    cases = []
    for table in tables:
        rows = [(Fraction(p), y, w) for p, y, w in table]
        case = {"p": [text(p) for p, _, _ in table], "y": [y for _, y, _ in table], "w": [w for _, _, w in table]}
        case["corp"] = render(corp(rows))
        if len(rows) >= 40:
            case["errors"] = render(errors(rows))
            bins = in_bins(rows, BINS)
            if all(0 < bin[1] < bin[0] for bin in bins):
                case["binned"] = render(binned(rows))
        cases.append(case)
    return {"bins": BINS, "cases": cases, "fits": fits(rng)}


def made():
    return json.dumps(content(), separators=(",", ":")).replace('{"p":', '\n{"p":').replace('{"x":', '\n{"x":') + "\n"


if __name__ == "__main__":
    sys.exit(write_or_check(__doc__, {"calibration.json": made}))
