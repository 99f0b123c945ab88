"""Writes tests/golden/sums.json: sums that are hard to get right, with their correctly rounded results.

    python tools/fsum.py            # writes the file
    python tools/fsum.py --check    # recomputes it and compares; writes nothing

Every float is a hexadecimal string (`float.hex`), or "inf", "-inf". A result is the exact rational result rounded once
to the nearest f64, ties to even; one beyond the largest f64 is "inf" or "-inf". Standard library only.

Each case has `name`, `x` and, of x_1 .. x_n:

    sum                 sum of x_i; also equal to math.fsum, which is checked here
    sum_of_squares      sum of x_i^2
    sum_of_products     sum of x_i x_{n+1-i} (x against itself reversed)
    mean                sum / n
    variance            sum of (x_i - mean)^2 / (n - 1), mean unrounded; null when n = 1

and, where the case has weights `w` (same length, not negative, not all zero):

    weighted_sum        sum of w_i x_i
    weighted_mean       sum of w_i x_i / sum of w_i
    weighted_se         sqrt(sum w_i^2 (x_i - weighted mean)^2) / sum w_i * sqrt(n / (n - 1)); null when n = 1
"""

import json
import math
import random
import sys
from fractions import Fraction

from golden_file import write_or_check

SEED = 20
LARGEST = 300_000  # bytes

TINY = 5e-324  # the least subnormal
SMALL = sys.float_info.min  # the least normal number
MARGIN_40 = 4.248354255291589e-18  # the loss of a row whose logits differ by 40


def nearest(q):
    """Returns the rational `q` rounded to the nearest f64, ties to even; infinite beyond the range."""
    try:
        return q.numerator / q.denominator  # Python rounds int / int correctly, subnormals included
    except OverflowError:
        return math.inf if q > 0 else -math.inf


def nearest_sqrt(q):
    """Returns the square root of the rational `q` rounded to the nearest f64."""
    if q == 0:
        return 0.0
    # Scale by a power of 4 to an integer of some 400 bits: the root then has 200, and a sticky bit settles the rest.
    shift = max(0, 400 - (q.numerator.bit_length() - q.denominator.bit_length()))
    shift += shift % 2
    scaled = (q.numerator << shift) // q.denominator
    root = math.isqrt(scaled)
    exact = root * root == scaled and (q.numerator << shift) % q.denominator == 0
    return nearest(Fraction(2 * root + (0 if exact else 1), 2 << (shift // 2)))


def to_text(x):
    return x.hex() if math.isfinite(x) else ("inf" if x > 0 else "-inf")


def results(x, w=None):
    """Returns the results of one case as text."""
    exact = [Fraction(v) for v in x]
    n = len(exact)
    total = sum(exact)
    mean = total / n
    out = {
        "sum": nearest(total),
        "sum_of_squares": nearest(sum(v * v for v in exact)),
        "sum_of_products": nearest(sum(a * b for a, b in zip(exact, reversed(exact), strict=True))),
        "mean": nearest(mean),
        "variance": nearest(sum((v - mean) ** 2 for v in exact) / (n - 1)) if n > 1 else None,
    }
    assert math.fsum(x) == out["sum"], "math.fsum and the exact rational sum differ"
    if w is not None:
        weights = [Fraction(v) for v in w]
        weighted = sum(a * b for a, b in zip(weights, exact, strict=True))
        centre = weighted / sum(weights)
        spread = sum((a * (v - centre)) ** 2 for a, v in zip(weights, exact, strict=True))
        out["weighted_sum"] = nearest(weighted)
        out["weighted_mean"] = nearest(centre)
        out["weighted_se"] = nearest_sqrt(spread / sum(weights) ** 2 * Fraction(n, n - 1)) if n > 1 else None
    return {key: None if value is None else to_text(value) for key, value in out.items()}


def cases():
    """Yields (name, x, w or None)."""
    rng = random.Random(SEED)

    def magnitude(low, high):
        return rng.uniform(1, 2) * 2.0 ** rng.randint(low, high)

    def signed(x):
        return x if rng.random() < 0.5 else -x

    def loss():
        return -math.log(rng.random() or 0.5)

    # By hand.
    yield "one value", [0.1], [3.0]
    yield "one subnormal", [TINY], [1.0]
    yield "one zero", [0.0], None
    yield "zero and minus zero", [-0.0, 0.0], None
    yield "ten tenths", [0.1] * 10, None
    yield "one large hides a small", [1e16, 1.0, -1e16], None
    yield "one huge hides a small", [1e100, 1.0, -1e100], None
    yield "one huge hides the least", [1e300, TINY, -1e300], None
    yield "everything cancels", [1e300, -1e300, 1e-300, -1e-300, 1.0, -1.0], None
    yield "margin 40", [MARGIN_40], [1.0]
    yield "margin 40, twice", [MARGIN_40, MARGIN_40], [1.0, 2.0]
    yield "margin 40 beside 1", [MARGIN_40, 1.0], None
    yield "margin 40 beside two losses of 0", [MARGIN_40, 0.0, 0.0], None
    yield "margin 40 beside 745", [745.1332191019412, MARGIN_40], None
    yield "losses at both ends", [690.7755278982137, 1.1102230246251565e-16, 0.0, 690.7755278982137], None
    yield "subnormals", [TINY, 3 * TINY, 5 * TINY], [1.0, 2.0, 1.0]
    yield "subnormals to a normal number", [SMALL - TINY, TINY], None
    yield "subnormal squares round to zero", [1e-170, -1e-170], None
    yield "squares just above half the least", [math.ldexp(1.01, -538), 0.0], None
    yield "squares beyond the largest", [1e200, 1e200], None
    yield "products beyond the largest that cancel", [1e200, -1e200, 1e200, 1e200], None
    yield "the least and the largest", [TINY, sys.float_info.max / 4], None

    # Ties to even, just above, just below.
    for k in (-1000, -300, -53, -19, 0, 1, 31, 52, 500):
        one = 2.0**k
        ulp = one * 2.0**-52
        yield f"tie down at 2^{k}", [one, ulp / 2], None
        yield f"tie up at 2^{k}", [one + ulp, ulp / 2], None
        if k > -900:
            yield f"above a tie at 2^{k}", [one, ulp / 2, ulp * 2.0**-80], None
            yield f"below a tie at 2^{k}", [one + ulp, ulp / 2, -ulp * 2.0**-80], None
            yield f"tie in many parts at 2^{k}", [one, *([ulp / 16] * 8)], None
    for k in (1, 3, 5, 7, 6):
        yield f"mean ties among subnormals, {k}", [k * TINY, 0.0], None
    yield "mean of two neighbours", [1.0, 1.0 + 2.0**-52], [0.25, 0.25]
    yield "mean of three thirds", [1 / 3, 1 / 3, 1 / 3], [0.1, 0.2, 0.7]

    # Drawn.
    for i in range(20):
        yield f"losses {i}", [loss() for _ in range(rng.randint(2, 24))], None
    for i in range(16):
        n = rng.randint(2, 12)
        yield f"losses with fractional weights {i}", [loss() for _ in range(n)], [rng.random() for _ in range(n)]
    for i in range(8):
        n = rng.randint(2, 12)
        yield f"losses with integer weights {i}", [loss() for _ in range(n)], [float(rng.randint(0, 9) or 1) for _ in range(n)]
    for i in range(8):
        n = rng.randint(2, 8)
        x = [signed(magnitude(-60, 60)) for _ in range(n)]
        yield f"wide weights {i}", x, [magnitude(-200, 200) for _ in range(n)]
    for i in range(12):
        yield f"losses of confident rows {i}", [magnitude(-60, -30) for _ in range(rng.randint(2, 16))] + [loss()], None
    for i in range(12):
        yield f"losses within the fixed-point range {i}", [magnitude(-19, 30) for _ in range(rng.randint(2, 16))], None
    for i in range(12):
        x = [magnitude(-1074, -1000) for _ in range(rng.randint(2, 10))]
        yield f"near the least {i}", [signed(v) for v in x], None
    for i in range(30):
        x = [signed(magnitude(-996, 996)) for _ in range(rng.randint(2, 24))]
        yield f"all magnitudes {i}", x, None
    for i in range(20):
        x = [signed(magnitude(-996, 996)) for _ in range(rng.randint(2, 10))]
        x += [-v for v in x] + [signed(magnitude(-1000, -900)), signed(magnitude(-60, 0))]
        rng.shuffle(x)
        yield f"all cancels but the smallest {i}", x, None
    for i in range(20):
        x = [signed(magnitude(-30, 30)) for _ in range(rng.randint(2, 12))]
        x.append(-math.fsum(x))  # leaves the rounding error of the sum
        rng.shuffle(x)
        yield f"leaves the rounding error {i}", x, None
    for i in range(12):
        centre = magnitude(-5, 5)
        x = [centre * (1 + rng.randint(-9, 9) * 2.0**-52) for _ in range(rng.randint(2, 16))]
        yield f"nearly equal {i}", x, None
    for i in range(12):
        x = [float(rng.randint(-(2**53), 2**53)) for _ in range(rng.randint(2, 12))]
        yield f"integers {i}", x, None
    for n in (100, 333, 1000):
        yield f"{n} losses", [loss() for _ in range(n)], None
    yield "4096 ones", [1.0] * 4096, None
    yield "5000 times a tenth", [0.1] * 5000, None
    yield "3000 of margin 40", [MARGIN_40] * 3000, None


def build():
    """Returns the text of the file."""
    out = []
    for name, x, w in cases():
        case = {"name": name}
        if len(x) > 30 and len({v.hex() for v in x}) == 1:
            case["x"] = [x[0].hex()]
            case["repeat"] = len(x)
        else:
            case["x"] = [v.hex() for v in x]
        if w is not None:
            case["w"] = [v.hex() for v in w]
        case.update(results(x, w))
        out.append(case)
    head = {
        "about": "Hard sums with correctly rounded results; written by tools/fsum.py, which says what each key means. "
        "Where `repeat` stands, x is its one value that many times.",
    }
    lines = ",\n".join("  " + json.dumps(case, separators=(",", ":")) for case in out)
    text = "{\n" + json.dumps(head)[1:-1] + ',\n"cases": [\n' + lines + "\n]}\n"
    assert len(text) < LARGEST, f"{len(text)} bytes"
    return text


if __name__ == "__main__":
    sys.exit(write_or_check(__doc__, {"sums.json": build}))
