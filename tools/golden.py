"""Writes the golden values of tests/golden/ by 50-digit arithmetic (mpmath) and exact rationals.

    python tools/golden.py            # writes ln.json, elementary.json, logits.json, special.json, information.json,
                                      # row_losses.json
    python tools/golden.py --check    # recomputes them and compares; writes nothing

Floats are hexadecimal strings (`float.hex`), or "inf", "-inf". Every argument is an f64 taken at its exact value, and
every result is rounded once to the nearest f64, ties to even, subnormals included. Each transcendental result is computed at 50 and
again at 80 digits and must round to the same f64.

ln.json           points: [x, ln x]
logits.json       rows: [seed, n_classes, scale, offset, margin, kind, -ln softmax(x)_label], x as `logit_row` makes it
                  slopes: [x, label, s, T, kind, loss, slope by x], loss = -ln softmax(x / T)_label, slope that of s loss
elementary.json   exp: [x, e^x]; ln_1p: [x, ln(1 + x)]
special.json      student_t_p          [t, df, P(|T| >= |t|)]
                  student_t_quantile   [probability, df, quantile]
                  binomial_p           [k, n, two-sided p of k successes in n at probability 1/2]
                  normal_cdf           [z, P(Z <= z)]
                  normal_quantile      [probability, quantile]
                  ln_gamma             [x, ln gamma(x)]
                  incomplete_beta      [a, b, x, I_x(a, b)]
information.json  cases of distributions p and q over the same classes, in nats: entropy = H(p), cross_entropy = H(p, q),
                  kl = D(p||q), kl_back = D(q||p), js = (D(p||m) + D(q||m)) / 2 with m = (p + q) / 2. 0 ln 0 = 0.
                  `exact` says whether p and q each sum to exactly 1; where not, kl is the plain sum of p ln(p/q), which
                  differs from the sum of p (r - ln(1 + r)), r = (q - p) / p, by sum(q) - sum(p).
row_losses.json   losses of rows, of logits unless said, at 700 digits and again at 900, because some are differences of nearly
                  equal numbers as small as 1e-300:
                  sigmoid   [x, t, loss, its slope, (p - t)^2, its slope], loss = t softplus(-x) + (1 - t) softplus(x)
                  softmax   cases of logits x and target t (a class, or numbers): squared = sum of (p - t)^2, slope by x
                  logits    cases of logits a and b, p = softmax(a), q = softmax(b): [value, slope by a, slope by b] of
                            cross = H(p, q), kl = D(p||q), js; [value, slope by a] of entropy = H(p)
                  rows      cases of probabilities p and q: [value, slope by p] of entropy = H(p), and [value, slope by q,
                            slope by p] of cross, of kl = sum of p ln(p/q) + q - p, and of js
"""

import json
import math
import random
import sys
from fractions import Fraction

import mpmath
import numpy
import scipy.special
from mpmath import mp, mpf

from golden_file import write_or_check

SEED = 50
DIGITS = (50, 80)


def nearest(value):
    """Returns an mpf or Fraction rounded to the nearest f64, ties to even, subnormals included."""
    if isinstance(value, mpf):
        if mpmath.isinf(value):
            return math.inf if value > 0 else -math.inf
        sign, man, exp, _ = value._mpf_
        value = Fraction(int(man)) * (Fraction(2) ** int(exp))
        value = -value if sign else value
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def text(x):
    return x.hex() if math.isfinite(x) else ("inf" if x > 0 else "-inf")


def twice(compute, precisions=DIGITS):
    """Returns `compute()` rounded to f64, having seen it agree at both precisions."""
    results = []
    for digits in precisions:
        with mp.workdps(digits + 15):
            results.append(nearest(mpf(compute())))
    if results[0] != results[1]:
        raise AssertionError(f"{precisions} digits round differently: {results}")
    return results[0]


# ln


def ln_points():
    rng = random.Random(SEED)
    tiny, small, largest = 5e-324, sys.float_info.min, sys.float_info.max
    x = [tiny, 2 * tiny, 3 * tiny, small - tiny, small, small + tiny, largest, 1e-300, 1e-16, 0.1, 0.5, 0.7, math.e, 10.0]
    x += [math.sqrt(0.5), math.sqrt(2.0), math.nextafter(math.sqrt(0.5), 0), math.nextafter(math.sqrt(2.0), 2)]
    x += [i / 100 for i in range(1, 100)]
    x += [2.0**k for k in range(-1074, 1024, 14)]
    x += [math.nextafter(2.0**k, 0) for k in range(-1022, 1024, 31)]
    x += [1 - 2.0**-k for k in range(1, 54)] + [1 + 2.0**-k for k in range(1, 53)]
    x += [1 - k * 2.0**-53 for k in range(1, 40)] + [1 + k * 2.0**-52 for k in range(1, 40)]
    x += [rng.randint(1, 2**52 - 1) * tiny for _ in range(60)]
    x += [rng.randint(1, 2**20) * tiny for _ in range(60)]
    x += [math.exp(rng.uniform(-30, -1e-3)) for _ in range(200)]
    x += [1 + rng.uniform(-1, 1) * 2.0 ** -rng.randint(1, 50) for _ in range(300)]
    x += [rng.uniform(1, 2) * 2.0 ** rng.randint(-1022, 1022) for _ in range(200)]
    x = list(dict.fromkeys(x))
    while len(x) < 2000:  # probabilities
        x.append(1 - rng.random())
    return x


def ln_file():
    points = ln_points()
    assert len(points) == 2000 and all(v > 0 for v in points)
    return {"points": [[text(v), text(twice(lambda v=v: mpmath.log(mpf(v))))] for v in points]}


# exp and ln(1 + x)


def exp_points():
    rng = random.Random(SEED + 1)
    x = [0.0, 1.0, -1.0, 0.5, -0.5, math.log(2), -math.log(2), 709.78, -708.39, -745.13, 1e-300, -1e-17]
    x += [k * math.log(2) + d for k in range(-1070, 1020, 19) for d in (0.0, 1e-9, 0.3465, -0.3465)]
    x += [(k + 0.5) * math.log(2) for k in range(-1000, 1000, 17)]
    x += [rng.uniform(-1, 1) * 2.0 ** -rng.randint(0, 60) for _ in range(400)]
    x += [rng.uniform(-40, 40) for _ in range(700)] + [rng.uniform(-745, 709) for _ in range(400)]
    return list(dict.fromkeys(x))


def ln_1p_points():
    rng = random.Random(SEED + 2)
    x = [5e-324, 1e-300, 1e-17, 2.0**-54, 2.0**-53, 2.0**-52, 1.0, 0.5, sys.float_info.max, 2.0**53, 2.0**52 + 1]
    x += [rng.uniform(0.5, 1) * 2.0 ** -rng.randint(0, 70) for _ in range(600)]
    x += [-rng.uniform(0.5, 1) * 2.0 ** -rng.randint(0, 70) for _ in range(300)]
    x += [rng.uniform(0, 3) for _ in range(500)] + [rng.uniform(1, 2) * 2.0 ** rng.randint(0, 1022) for _ in range(200)]
    x += [v for k in range(1, 54) for v in (math.sqrt(2) - 1 + 2.0**-k, 1 - 2.0**-k, 2.0**-k - 1)]
    return list(dict.fromkeys(x))


def elementary_file():
    return {
        "exp": [[text(v), text(twice(lambda v=v: mpmath.exp(mpf(v))))] for v in exp_points()],
        "ln_1p": [[text(v), text(twice(lambda v=v: mpmath.log1p(mpf(v))))] for v in ln_1p_points()],
    }


# cross entropy from logits


class Random:
    """The generator of the tests in Rust: the same logits without storing them."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 11) / 2**53


def logit_row(seed, v, scale, offset, margin, kind):
    """Returns v logits as floats, and the label. `margin` is added to the label's logit."""
    rng = Random(seed)
    single = (lambda x: float(numpy.float32(x))) if kind == "f32" else float
    x = [single((rng.next() - 0.5) * scale + offset) for _ in range(v)]
    label = int(rng.next() * v)
    x[label] = single(x[label] + margin)
    return x, label


def logits_file():
    cases = []
    for kind in ("f32", "f64"):
        for v in (2, 3, 4, 10, 32, 33, 64, 200, 700, 1500):
            for scale in (1e-3, 4.0, 60.0):
                for offset in (0.0, -35.5, 1e6):
                    for margin in (0.0, 8.0, 37.0, 80.0):
                        # 2^-126 is the least loss promised from f32.
                        cases.append((len(cases) + 1, v, scale, offset, margin, kind))
    # Targets far below large logits.
    for kind in ("f32", "f64"):
        for v in (2, 3, 7, 40, 700):
            for offset in (1e4, -1e5, 262100.0):
                for margin in (-650.0, -710.0, -790.0, -3e4, -1.5e5):
                    cases.append((len(cases) + 1, v, 4.0, offset, margin, kind))
    rows = []
    for seed, v, scale, offset, margin, kind in cases:
        x, label = logit_row(seed, v, scale, offset, margin, kind)

        def loss(x=x, label=label):
            others = mpmath.fsum(mpmath.exp(mpf(value) - mpf(x[label])) for c, value in enumerate(x) if c != label)
            return mpmath.log1p(others)

        rows.append([seed, v, text(scale), text(offset), text(margin), kind, text(twice(loss))])
    return {"rows": rows, "slopes": [slope_case(*case) for case in slope_cases()]}


def slope_cases():
    """Margins up to where a probability, or what a scale makes of it, ends; then rows far below 0, and temperatures."""
    for margin in (600.5, 689.0, 690.0, 695.0, 699.0, 700.0, 701.0, 707.5, 708.3):
        for scale in (1.0, 1e300, -1e-3):
            yield [margin, 0.0], 0, scale, 1.0, "f64"
            yield [0.25, -margin, -1.5], 0, scale, 1.0, "f64"
            yield [0.0, margin, margin - 3.0, 1.0], 2, scale, 1.0, "f64"
    for margin in (720.0, 745.0, 800.0, 1300.0):
        yield [margin, 0.0, -2.5], 0, 1e300, 1.0, "f64"
    # The ratio of the terms is above every number, the loss is not.
    for low, high in ((-300.0, 410.5), (-300.25, 450.0), (-590.0, 620.125), (-599.5, 111.0)):
        yield [high, low], 1, 1.0, 1.0, "f64"
        yield [low + 0.75, high, low, high - 1.5, 0.5], 2, 1.0, 1.0, "f64"
    yield [400.0, -340.0], 0, 1e300, 1.0, "f64"
    for low in (-650.0, -700.0, -760.0, -900.0, -1200.0):
        yield [-599.0, -599.5, low], 0, 1.0, 1.0, "f64"
        yield [-300.0, low, -310.0, -299.0, low - 1.25], 3, 1.0, 1.0, "f64"
    for low in (-88.0, -100.0, -115.0, -140.0, -160.0):
        yield [-79.0, -79.5, -78.0, -80.0, low], 0, 1.0, 1.0, "f32"
        yield [-30.0, low, -31.0, -29.0, -30.5, low - 1.25], 3, 1.0, 1.0, "f32"
    rng = random.Random(SEED + 7)
    for temperature in (0.7, 3.7, 0.1, 1.0 / 3.0, 1e-3, 1.5, 250.0, 1e-200, 1e200):
        for base in (0.0, 1.0, 420.0, 1e5):
            for margin in (0.0, 3.0, 60.0, 420.0):
                size = max(temperature, 1.0) if base else temperature
                x = [base * size + rng.gauss(0, 1) * temperature for _ in range(rng.choice((2, 3, 5)))]
                x[0] += margin * temperature
                for label in (0, 1):
                    yield x, label, 1.0, temperature, "f64"


def slope_case(x, label, scale, temperature, kind):
    assert kind == "f64" or all(float(numpy.float32(v)) == v for v in x)

    def parts():
        z = [mpf(v) / mpf(temperature) for v in x]
        others = mpmath.fsum(mpmath.exp(v - z[label]) for c, v in enumerate(z) if c != label)
        factor = mpf(scale) / mpf(temperature)
        slope = [mpmath.exp(v - z[label]) / (1 + others) for v in z]
        slope[label] = -others / (1 + others)
        return [mpmath.log1p(others), [factor * v for v in slope]]

    # 1 + others has all digits of a loss of 1e-310 only at more than 310.
    loss, slope = exactly(parts)
    return [[text(v) for v in x], label, text(scale), text(temperature), kind, loss, slope]


# special functions


def incomplete_beta(a, b, x, complement):
    """Returns I_x(a, b), `complement` being 1 - x, by the continued fraction (modified Lentz).

    mpmath's own betainc gives the same (`agree_with_mpmath` compares them where it is quick); this one stays quick
    for large a and b.
    """
    if x == 0 or complement == 0:
        return mpf(0 if x == 0 else 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, complement, x)
    front = a * mpmath.log(x) + b * mpmath.log(complement)
    front += mpmath.loggamma(a + b) - mpmath.loggamma(a) - mpmath.loggamma(b)
    c = mpf(1)
    d = 1 / (1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 10**6):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + numerator * d)
            c = 1 + numerator / c
            fraction *= c * d
        if abs(c * d - 1) < mp.eps * 2**16:  # 15 digits are to spare
            return mpmath.exp(front) * fraction / a
    raise AssertionError("no convergence")


def student_t_upper(t, df):
    """Returns P(|T| >= |t|) = I_{df/(df+t^2)}(df/2, 1/2)."""
    t, df = mpf(t), mpf(df)
    return incomplete_beta(df / 2, mpf(1) / 2, df / (df + t * t), t * t / (df + t * t))


def student_t_quantile(probability, df):
    """Solves the upper tail for its argument by Newton's method, from scipy's f64 answer: 13 digits, 26, 52, 104."""
    start = abs(float(scipy.special.stdtrit(df, probability)))
    probability, df = mpf(probability), mpf(df)
    if probability == mpf(1) / 2:
        return mpf(0)
    tail = min(probability, 1 - probability)
    log_scale = mpmath.loggamma((df + 1) / 2) - mpmath.loggamma(df / 2) - mpmath.log(df * mpmath.pi) / 2
    t = mpf(start)
    for _ in range(4):
        density = mpmath.exp(log_scale - (df + 1) / 2 * mpmath.log1p(t * t / df))
        t += (student_t_upper(t, df) / 2 - tail) / density
    assert abs(t / start - 1) < mpf(10) ** -9
    return t if probability > mpf(1) / 2 else -t


def normal_quantile(probability):
    probability = mpf(probability)
    if probability == mpf(1) / 2:
        return mpf(0)
    tail = min(probability, 1 - probability)
    start = mpmath.sqrt(-2 * mpmath.log(tail)) if tail < mpf("0.1") else mpf(1)
    root = mpmath.findroot(lambda z: mpmath.log(mpmath.erfc(z / mpmath.sqrt(2)) / 2 / tail), start)
    return root if probability > mpf(1) / 2 else -root


def binomial_p(k, n):
    """Returns min(1, 2 P(K <= min(k, n - k))), exactly."""
    tail = term = 1  # C(n, 0)
    for i in range(min(k, n - k)):
        term = term * (n - i) // (i + 1)
        tail += term
    return min(Fraction(1), Fraction(2 * tail, 2**n))


def agree_with_mpmath():
    """Compares `incomplete_beta` with mpmath's own on small arguments."""
    with mp.workdps(DIGITS[0]):
        for a, b, x in ((0.5, 0.5, 0.3), (2.5, 0.5, 0.9), (5.0, 7.25, 0.01), (15.0, 0.5, 0.6), (10.0, 3.0, 0.999)):
            a, b, x = mpf(a), mpf(b), mpf(x)
            own, theirs = incomplete_beta(a, b, x, 1 - x), mpmath.betainc(a, b, 0, x, regularized=True)
            assert abs(own / theirs - 1) < mpf(10) ** -45, (a, b, x)


def special_file():
    agree_with_mpmath()
    rng = random.Random(SEED + 1)
    degrees = [1, 2, 3, 4, 5, 8, 10, 29, 30, 31, 99, 100, 943, 1000, 12345, 10**5, 10**6]
    t_points = [(t, df) for df in degrees for t in (0.0, 1e-12, 0.001, 0.1, 0.5, 1.0, 1.96, 2.5, 5.0, 10.0, 37.5)]
    t_points += [(t, df) for df in (1, 2, 5, 30, 943) for t in (100.0, 1e4, 1e8, -2.0)]
    t_points += [(rng.uniform(0, 8), rng.randint(1, 5000)) for _ in range(100)]
    probabilities = [1e-12, 0.0005, 0.005, 0.025, 0.05, 0.1, 0.25, 0.4, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.9995, 1 - 1e-9]
    binomials = [(k, n) for n in range(0, 13) for k in range(n + 1)]
    binomials += [(k, 95) for k in (0, 1, 20, 42, 47, 48, 53, 95)]
    binomials += [(k, 1000) for k in (0, 100, 400, 450, 490, 499, 500, 501, 600, 1000)]
    binomials += [(k, 10**5) for k in (49_000, 49_500, 49_900, 49_999, 50_000, 50_300)]
    zs = [0.0, 1e-10, 0.1, 0.5, 1.0, 1.959963984540054, 2.5, 4.0, 6.0, 8.3, 10.0, 20.0, 37.0, 38.4]
    zs += [-z for z in zs[1:]] + [rng.uniform(-6, 6) for _ in range(60)]
    quantiles = [1e-300, 1e-100, 1e-20, 1e-10, 1e-6, 0.001, 0.01, 0.02425, *probabilities, *(1 - rng.random() for _ in range(60))]
    gammas = [1e-300, 1e-10, 0.001, 0.1, 0.25, 0.5, 0.75, 0.999, 1.0, 1.0000001, 1.25, 1.4616321449683623, 1.5, 1.9999999, 2.0]
    gammas += [2.5, 3.0, 4.5, 7.0, 10.0, 14.5, 15.0, 100.0, 170.5, 171.0, 471.5, 1000.0, 1e5, 1e8, 1e15, 1e100, 1e300]
    gammas += [k / 2 for k in range(1, 60)] + [math.exp(rng.uniform(-5, 15)) for _ in range(60)]
    betas = [(a, b, x) for a in (0.5, 1.0, 2.5, 10.0, 471.5, 5000.0) for b in (0.5, 1.0, 3.0, 50.0, 5000.0)
             for x in (0.0, 1e-10, 0.01, 0.3, 0.5, 0.9, 0.999, 1.0)]
    betas += [(rng.uniform(0.1, 50), rng.uniform(0.1, 50), rng.random()) for _ in range(100)]

    def rows(points, function):
        return [[*(v if isinstance(v, int) else text(v) for v in point), text(function(*point))] for point in points]

    def beta(a, b, x):
        return twice(lambda: incomplete_beta(mpf(a), mpf(b), mpf(x), 1 - mpf(x)))

    return {
        "student_t_p": rows(dict.fromkeys(t_points), lambda t, df: twice(lambda: student_t_upper(t, df))),
        "student_t_quantile": rows(
            [(p, df) for df in degrees for p in probabilities], lambda p, df: twice(lambda: student_t_quantile(p, df))
        ),
        "binomial_p": rows(dict.fromkeys(binomials), lambda k, n: nearest(binomial_p(k, n))),
        "normal_cdf": rows(
            [(z,) for z in dict.fromkeys(zs)], lambda z: twice(lambda: mpmath.erfc(-mpf(z) / mpmath.sqrt(2)) / 2)
        ),
        "normal_quantile": rows([(p,) for p in dict.fromkeys(quantiles)], lambda p: twice(lambda: normal_quantile(p))),
        "ln_gamma": rows([(x,) for x in dict.fromkeys(gammas)], lambda x: twice(lambda: mpmath.loggamma(mpf(x)))),
        "incomplete_beta": rows(dict.fromkeys(betas), beta),
    }


# information


def entropy(p):
    return mpmath.fsum(-a * mpmath.log(a) for a in p if a > 0)


def cross_entropy(p, q):
    return mpmath.fsum(mpmath.inf if b == 0 else -a * mpmath.log(b) for a, b in zip(p, q, strict=True) if a > 0)


def kl(p, q):
    return mpmath.fsum(mpmath.inf if b == 0 else a * mpmath.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def js(p, q):
    m = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return (kl(p, m) + kl(q, m)) / 2


def distributions():
    """Yields (name, p, q)."""
    rng = random.Random(SEED + 2)
    whole = 2**52

    def drawn(k, zeros=0.0, spread=1.0):
        raw = [0.0 if rng.random() < zeros else math.exp(spread * rng.gauss(0, 1)) for _ in range(k)]
        raw = raw if any(raw) else [1.0] * k
        counts = [int(v / math.fsum(raw) * whole) for v in raw]
        counts[counts.index(max(counts))] += whole - sum(counts)
        return [c / whole for c in counts]  # sums to exactly 1

    def moved(p, ulps):
        counts = [int(v * whole) for v in p]
        for _ in range(len(p)):
            i, j = rng.randrange(len(p)), rng.randrange(len(p))
            step = min(ulps, counts[i])
            counts[i] -= step
            counts[j] += step
        return [c / whole for c in counts]

    yield "lecture: KL of (0.75, 0.25) from (0.5, 0.5)", [0.75, 0.25], [0.5, 0.5]
    yield "lecture: one exam passed in ten", [0.9, 0.1], [0.9, 0.1]
    yield "lecture: cat, dog, horse", [0.0, 1.0, 0.0], [0.2, 0.7, 0.1]
    yield "a certain event", [1.0], [1.0]
    yield "a certain event, three classes", [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]
    yield "what happens was held impossible", [0.5, 0.5], [1.0, 0.0]
    yield "disjoint", [1.0, 0.0], [0.0, 1.0]
    yield "uniform", [0.25] * 4, [0.25] * 4
    yield "against uniform", [0.5, 0.25, 0.125, 0.125], [0.25] * 4
    yield "nearly certain", [1 - 2.0**-52, 2.0**-52], [0.5, 0.5]
    yield "two nearly certain", [1 - 2.0**-52, 2.0**-52], [1 - 2.0**-51, 2.0**-51]
    for i in range(60):
        k = rng.choice([2, 2, 3, 3, 5, 10])
        yield f"drawn {i}", drawn(k), drawn(k)
    for i in range(20):
        k = rng.choice([3, 5, 10])
        yield f"peaked {i}", drawn(k, spread=6), drawn(k, spread=6)
    for i in range(20):
        k = rng.choice([3, 5, 10])
        yield f"with zeros {i}", drawn(k, zeros=0.4), drawn(k, zeros=0.1 if i % 2 else 0)
    for i in range(20):
        p = drawn(rng.choice([2, 3, 5]))
        yield f"nearly equal {i}", p, moved(p, 2 ** rng.randint(0, 40))
    for i in range(4):
        yield f"fifty classes {i}", drawn(50), drawn(50)
    for i in range(12):  # as a person would type them: decimals that sum to 1 only nearly
        k = rng.choice([2, 3, 4])
        def typed():
            cuts = sorted(rng.sample(range(1, 100), k - 1))
            return [(b - a) / 100 for a, b in zip([0, *cuts], [*cuts, 100], strict=True)]
        yield f"two decimals {i}", typed(), typed()


def information_file():
    cases = []
    for name, p, q in distributions():
        def of(function, *arguments):
            return text(twice(lambda: function(*([mpf(v) for v in a] for a in arguments))))
        exact = sum(map(Fraction, p)) == 1 and sum(map(Fraction, q)) == 1
        cases.append({
            "name": name, "exact": exact, "p": [text(v) for v in p], "q": [text(v) for v in q],
            "entropy": of(entropy, p), "cross_entropy": of(cross_entropy, p, q),
            "kl": of(kl, p, q), "kl_back": of(kl, q, p), "js": of(js, p, q),
        })
    return {"cases": cases}


# losses of rows

MANY_DIGITS = (700, 900)


def exactly(compute):
    """Returns the numbers of `compute()`, a list of lists and numbers, as text."""
    def rounded(a, b):
        if isinstance(a, list):
            return [rounded(x, y) for x, y in zip(a, b, strict=True)]
        assert nearest(mpf(a)) == nearest(mpf(b)), (a, b)
        return text(nearest(mpf(a)))

    results = []
    for digits in MANY_DIGITS:
        with mp.workdps(digits):
            results.append(compute())
    return rounded(*results)


def exact_softmax(x):
    """Returns the probabilities; where one logit is +inf, their limit."""
    if math.inf in x:
        return [mpf(v == math.inf) for v in x]
    e = [mpmath.exp(mpf(v)) for v in x]
    return [v / mpmath.fsum(e) for v in e]


def sigmoid_point(x, t):
    def compute():
        if math.isinf(x):
            p, q = mpf(x > 0), mpf(x < 0)
            loss = [a * mpmath.inf for a in ([1 - t] if x > 0 else [t]) if a > 0]
            loss = loss[0] if loss else mpf(0)
        else:
            p, q = 1 / (1 + mpmath.exp(-mpf(x))), 1 / (1 + mpmath.exp(mpf(x)))
            loss = -mpf(t) * mpmath.log(p) - (1 - mpf(t)) * mpmath.log(q)
        d = p - mpf(t)
        return [loss, d, d * d, 2 * d * p * q]

    return [text(x), text(t), *exactly(compute)]


def softmax_case(name, x, target):
    def compute():
        p = exact_softmax(x)
        t = [mpf(i == target) for i in range(len(x))] if isinstance(target, int) else [mpf(v) for v in target]
        d = [a - b for a, b in zip(p, t, strict=True)]
        mean = mpmath.fsum(a * b for a, b in zip(p, d, strict=True))
        return [mpmath.fsum(v * v for v in d), [2 * a * (b - mean) for a, b in zip(p, d, strict=True)]]

    squared, slope = exactly(compute)
    target = target if isinstance(target, int) else [text(v) for v in target]
    return {"name": name, "x": [text(v) for v in x], "t": target, "squared": squared, "slope": slope}


def logits_case(name, a, b):
    def compute():
        p, q = exact_softmax(a), exact_softmax(b)
        m = [(x + y) / 2 for x, y in zip(p, q, strict=True)]
        log = [mpmath.log(v) if v > 0 else mpf(0) for v in p]
        log_q = [mpmath.log(v) if v > 0 else mpf(0) for v in q]
        gap = [y - x for x, y in zip(p, q, strict=True)]
        h, cross, divergence = entropy(p), cross_entropy(p, q), kl(p, q)

        def half(p):
            d = kl(p, m)
            return [x * (mpmath.log(x / y) - d) / 2 if x > 0 else mpf(0) for x, y in zip(p, m, strict=True)]

        cases = [
            [h, [-x * (lx + h) for x, lx in zip(p, log, strict=True)]],
            [cross, [-x * (ly + cross) for x, ly in zip(p, log_q, strict=True)], gap],
            [divergence, [x * (lx - ly - divergence) for x, lx, ly in zip(p, log, log_q, strict=True)], gap],
            [js(p, q), half(p), half(q)],
        ]
        if not mpmath.isfinite(divergence):
            cases[1][1] = cases[2][1] = [mpf(0)] * len(a)  # there is none
        return cases

    values = dict(zip(("entropy", "cross", "kl", "js"), exactly(compute), strict=True))
    return {"name": name, "a": [text(v) for v in a], "b": [text(v) for v in b], **values}


def rows_case(name, p, q):
    def compute():
        pairs = [(mpf(x), mpf(y)) for x, y in zip(p, q, strict=True)]
        excess = mpmath.fsum(y - x for x, y in pairs)

        def share(x, y):
            if x == y == 0:
                return mpmath.log(2) / 2
            return -mpmath.inf if y == 0 else mpmath.log(2 * y / (x + y)) / 2

        def slope(x, y):
            return (-mpmath.inf if y == 0 else -x / y) if x > 0 else mpf(0)

        first, second = zip(*pairs, strict=True)
        def log(x):
            return -mpmath.inf if x == 0 else mpmath.log(x)

        def log_ratio(x, y):
            return mpmath.inf if y == 0 else log(x) - log(y)

        return [
            [entropy(first), [-log(x) - 1 for x in first]],
            [cross_entropy(first, second), [slope(x, y) for x, y in pairs], [-log(y) for y in second]],
            [kl(first, second) + excess, [1 + slope(x, y) for x, y in pairs], [log_ratio(x, y) for x, y in pairs]],
            [js(first, second), [share(x, y) for x, y in pairs], [share(y, x) for x, y in pairs]],
        ]

    values = dict(zip(("entropy", "cross", "kl", "js"), exactly(compute), strict=True))
    return {"name": name, "p": [text(v) for v in p], "q": [text(v) for v in q], **values}


def row_losses_file():
    rng = random.Random(SEED + 3)
    points = [(x, t) for x in (0.0, 1e-9, -1e-300, 0.5, -1.0, 3.0, -17.25, 36.5, 40.0, -40.0, 710.5, -745.0, 1000.0, -1000.0, math.inf, -math.inf)
              for t in (0.0, 1.0, 0.3)]
    points += [(rng.uniform(-30, 30), t) for t in (0.0, 1.0) for _ in range(30)]
    points += [(rng.uniform(-800, 800), t) for t in (0.0, 1.0) for _ in range(15)]
    points += [(rng.gauss(0, 10), rng.random()) for _ in range(40)]
    points += [(x, 2.0**-k) for x in (-30.0, 2.0) for k in (20, 60)] + [(x, 1 - 2.0**-k) for x in (30.0, -2.0) for k in (20, 50)]

    def drawn(k, spread):
        return [rng.gauss(0, spread) for _ in range(k)]

    def soft(k):
        raw = [rng.random() for _ in range(k)]
        return [v / math.fsum(raw) for v in raw]

    softmaxes = [("one class", [3.0], 0), ("even", [1e8, 1e8], 1), ("right", [40.0, 0.0], 0), ("wrong", [40.0, 0.0], 1)]
    softmaxes += [("surely right", [350.0, 0.0, -5.5], 0), ("surely wrong", [400.0, 0.0, -300.0], 1), ("excluded", [2.0, -math.inf, 1.0], 1)]
    softmaxes += [("certain", [2.0, math.inf, 1.0], 1), ("certainly wrong", [2.0, math.inf, 1.0], 0)]
    softmaxes += [(f"drawn {i}", drawn(k, s), rng.randrange(k)) for i, (k, s) in enumerate((k, s) for k in (2, 3, 7) for s in (1, 5, 20, 100))]
    softmaxes += [(f"soft {i}", drawn(k, s), soft(k)) for i, (k, s) in enumerate((k, s) for k in (2, 5) for s in (1, 5, 20))]

    def moved(x, by):
        return [v + rng.gauss(0, by) for v in x]

    pairs = [("even", [0.0, 0.0], [0.0, 0.0]), ("one class", [5.0], [-7.0]), ("shifted", [1.0, 2.0, 3.5], [1001.0, 1002.0, 1003.5])]
    pairs += [("margin of 40", [40.0, 0.0], [0.0, 0.0]), ("margins of 40 and 41", [40.0, 0.0], [41.0, 0.0]), ("swapped", [40.0, 0.0], [0.0, 40.0])]
    pairs += [("margin of 800", [800.0, 100.0], [700.0, 0.0]), ("margins of 700", [700.0, 0.0, 1.0], [0.0, 700.0, 2.0])]
    pairs += [("excluded by both", [1.0, -math.inf, 2.0], [0.5, -math.inf, -1.0]), ("excluded by p", [1.0, -math.inf, 2.0], [0.5, 3.0, -1.0])]
    pairs += [("excluded by q", [1.0, 0.25, 2.0], [0.5, -math.inf, -1.0]), ("certain", [1.0, math.inf], [0.0, 1.0])]
    pairs += [("certain, differently", [0.0, math.inf], [math.inf, 0.0]), ("large offset", [1e8, 1e8 + 1], [-1e8, 1 - 1e8])]
    pairs += [("large offsets, nearly equal", [1e5, 1e5 + 1, 1e5 + 2], [0.0, 1.0 + 2.0**-40, 2.0])]
    pairs += [(f"drawn {i}", drawn(k, s), drawn(k, s)) for i, (k, s) in enumerate((k, s) for k in (2, 3, 6) for s in (1, 5, 20))]
    pairs += [(f"moved by {by}", x, moved(x, by)) for k in (2, 5) for by in (1.0, 1e-2, 1e-5, 1e-9, 1e-12) for x in [drawn(k, 3)]]

    chances = [("even", [0.5, 0.5], [0.5, 0.5]), ("excluded by q", [0.5, 0.5, 0.0], [0.5, 0.0, 0.5]), ("zeros", [0.25, 0.0, 0.75], [0.5, 0.0, 0.5])]
    chances += [("tiny", [1e-310, 1.0], [0.25, 0.75]), ("tiny q", [0.25, 0.75], [1e-310, 1.0]), ("one class", [1.0], [0.995])]
    chances += [("about 1/e", [0.36787944117144233, 0.3678794411714422, 0.26424111765711533], [0.3, 0.4, 0.3])]
    chances += [("far from 1", [0.3, 0.3, 0.395], [0.2, 0.5, 0.308])]
    chances += [(f"drawn {i}", soft(k), soft(k)) for i, k in enumerate((2, 3, 3, 5, 8))]
    for by in (1e-3, 1e-8, 2.0**-50):
        p = soft(3)
        chances.append((f"moved by {by}", p, [p[0] + by, p[1] - by, p[2]]))
    return {
        "sigmoid": [sigmoid_point(*point) for point in dict.fromkeys(points)],
        "softmax": [softmax_case(*case) for case in softmaxes],
        "logits": [logits_case(*case) for case in pairs],
        "rows": [rows_case(*case) for case in chances],
    }


def render(content):
    """Returns JSON with one point or case a line."""
    parts = []
    for key, rows in content.items():
        lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
        parts.append(f"{json.dumps(key)}: [\n{lines}\n]")
    about = json.dumps("Written by tools/golden.py, which says what each key means.")
    return '{\n"about": ' + about + ",\n" + ",\n".join(parts) + "\n}\n"


FILES = {
    "ln.json": ln_file, "elementary.json": elementary_file, "logits.json": logits_file,
    "information.json": information_file, "special.json": special_file, "row_losses.json": row_losses_file,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(write_or_check(__doc__, {name: lambda make=make: render(make()) for name, make in FILES.items()}))
