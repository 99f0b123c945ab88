"""Measures xent's calibration against its peers, in one run on one machine, one thread.

    python tools/bench_calibration.py --bench target/release/xent-bench --out docs/bench-calibration.md

CORP
    10,000,000 binary rows, probabilities uniform in f64, outcomes with probability p^2. scikit-learn: IsotonicRegression().fit(p, y), which
    sorts, pools and fits. xent: rows sorted, isotonic fit, and the three parts of log loss and squared error. No grid: the fit is that of
    the numbers as they are.

Temperature
    100,000 x 1,000 f32 logits, normal with standard deviation 3, labels drawn from softmax(x / 2). SciPy minimises the mean log
    loss over ln T in four ways, each to about 1e-7 of T; the loss is NumPy's in f32 over blocks of rows that stay in
    the cache, which is faster than scipy.special.logsumexp over the whole array. The best of the four is the peer. xent: the temperature
    with the loss before and after.

Method
    xent, each time after a call that is not counted, and the peers take turns in processes of their own that hold the arrays; the table shows medians of CPU seconds. Both must find the
    same: the recalibrated squared error to 1e-9, the loss to 1e-6, the temperature to 1e-5, and to 1e-3 where the search has no derivatives: a minimum
    is flat, and the f32 loss is noisy beside it.
"""

import argparse
import contextlib
import datetime
import fcntl
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

from bench_kernels_document import digits, machine_words  # noqa: E402

GOAL = 10
ROWS, SHAPE = 10_000_000, (100_000, 1_000)
BLOCK = 256  # rows: a megabyte of f32


def arrays(folder, rows, shape):
    import numpy as np

    p, y = folder / f"corp-p-{rows}.npy", folder / f"corp-y-{rows}.npy"
    if not y.exists():
        rng = np.random.default_rng(1)
        said = rng.random(rows)
        np.save(p, said)
        np.save(y, (rng.random(rows) < said * said).astype(np.uint8))
    x, labels = folder / f"temperature-x-{shape[0]}.npy", folder / f"temperature-y-{shape[0]}.npy"
    if not labels.exists():
        rng = np.random.default_rng(2)
        logits = rng.standard_normal(shape, dtype=np.float32) * np.float32(3)
        noisy = lambda part: part / 2 - np.log(-np.log(rng.random(part.shape, dtype=np.float32) + np.float32(1e-20)))
        drawn = [noisy(logits[i : i + 1000]).argmax(1) for i in range(0, shape[0], 1000)]
        np.save(x, logits)
        np.save(labels, np.concatenate(drawn).astype(np.int64))
    return {"corp": (p, y), "temperature": (x, labels)}


# Peers: `--peer CASE X Y` answers a line for each line, as xent-bench does.


def serve(case, x, y):
    import numpy as np

    x, y = np.load(x), np.load(y)
    work = corp_peer(np, x, y) if case == "corp" else temperature_peer(np, x, y)
    for line in sys.stdin:
        way = json.loads(line)["call"]
        wall, cpu = time.perf_counter(), time.process_time()
        found = work(way)
        print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "found": found}), flush=True)


def corp_peer(np, p, y):
    from sklearn.isotonic import IsotonicRegression

    y = y.astype(np.float64)
    fitted = []

    def work(way):
        fitted[:] = [IsotonicRegression().fit(p, y)]
        return {}

    def both(way):
        if way == "check":
            rest = fitted[0].predict(p) - y
            return {"recalibrated": float(rest @ rest / len(y))}
        return work(way)

    return both


def temperature_peer(np, x, labels):
    import scipy.optimize as so

    n, k = x.shape
    own = x[np.arange(n), labels].astype(np.float64)
    maxima = x.max(1)
    buffer = np.empty((BLOCK, k), np.float32)
    evaluations = 0

    def sums(b, powers):
        """Mean loss and its derivatives by b = 1/T."""
        nonlocal evaluations
        evaluations += 1
        total = np.zeros(powers + 1)
        for i in range(0, n, BLOCK):
            d = x[i : i + BLOCK] - maxima[i : i + BLOCK, None]
            e = buffer[: len(d)]
            np.multiply(d, np.float32(b), out=e)
            np.exp(e, out=e)
            s = e.sum(1)
            below = own[i : i + BLOCK] - maxima[i : i + BLOCK]
            total[0] += (np.log(s.astype(np.float64)) - b * below).sum()
            if powers:
                mean = np.einsum("ij,ij->i", e, d) / s
                total[1] += (mean - below).sum(dtype=np.float64)
            if powers > 1:
                np.multiply(d, d, out=d)
                total[2] += (np.einsum("ij,ij->i", e, d) / s - mean * mean).sum(dtype=np.float64)
        return total / n

    def loss(t):
        return sums(np.exp(-t), 0)[0]

    def gradient(v):
        value, slope = sums(np.exp(-v[0]), 1)
        return value, np.array([-slope * np.exp(-v[0])])

    def curved(v):
        b = np.exp(-v[0])
        value, slope, curve = sums(b, 2)
        return value, -slope * b, curve * b * b + slope * b

    kept = {}

    def once(v, part):
        if kept.get("at") != v[0]:
            kept.update(at=v[0], values=curved(v))
        return kept["values"][part]

    def work(way):
        nonlocal evaluations
        evaluations = 0
        kept.clear()
        if way == "bounded":
            found = so.minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-7})
        elif way == "Brent":
            found = so.minimize_scalar(loss, bracket=(-0.5, 0.5), method="brent", options={"xtol": 1e-7})
        elif way == "BFGS":
            found = so.minimize(gradient, [0.0], jac=True, method="BFGS", options={"gtol": 1e-7})
        else:
            found = so.minimize(
                lambda v: once(v, 0), [0.0], jac=lambda v: np.array([once(v, 1)]), hess=lambda v: np.array([[once(v, 2)]]),
                method="trust-exact", options={"gtol": 1e-7},
            )  # fmt: skip
        t = found.x if np.ndim(found.x) == 0 else found.x[0]
        return {"temperature": float(np.exp(t)), "after": float(found.fun), "evaluations": evaluations}

    return work


WAYS = {"corp": ["fit"], "temperature": ["bounded", "Brent", "BFGS", "trust-exact"]}
NAMES = {"corp": "CORP", "temperature": "temperature scaling"}


class Server:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline())
        if "error" in reply:
            sys.exit(f"xent-bench: {reply['error']}")
        return reply

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def measure(arguments, case, files):
    """Seconds and findings of each side."""
    xent = Server([str(arguments.bench), "calibration"])
    xent.ask({"load": case, "x": str(files[0]), "y": str(files[1])})
    peer = Server([sys.executable, __file__, "--peer", case, *map(str, files)])
    sides = {"xent": []} | {way: [] for way in WAYS[case]}

    @contextlib.contextmanager
    def alone():
        if not arguments.lock:
            yield
            return
        with open(arguments.lock, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # A round of temperature scaling takes as long as all rounds of CORP.
    rounds = arguments.repeat if case == "corp" else 1
    for _ in range(0, arguments.repeat, rounds):
        with alone():
            for side, found in list(sides.items()) * rounds:
                if side == "xent":
                    xent.ask({"call": 1})
                    found.append(xent.ask({"call": 1}))
                else:
                    found.append(peer.ask({"call": side}))
    if case == "corp":
        sides["fit"][-1]["found"] = peer.ask({"call": "check"})["found"]
    xent.stop()
    peer.stop()
    return sides


def check(case, sides):
    own = sides["xent"][-1]["found"]
    for way in WAYS[case]:
        found = sides[way][-1]["found"]
        near = 1e-3 if way in ("bounded", "Brent") else 1e-5
        bounds = {"recalibrated": 1e-9} if case == "corp" else {"temperature": near, "after": 1e-6}
        for key, bound in bounds.items():
            if abs(own[key] / found[key] - 1) > bound:
                sys.exit(f"{case}, {way}: {key} is {found[key]}, xent says {own[key]}")


def document(arguments, results):
    out = ["# Calibration, measured", "", "Written by `cargo xtask bench calibration`.", ""]
    simd = next(iter(results.values()))["xent"][0]["simd"]
    out += [f"{datetime.date.today().isoformat()}, {machine_words()}, one thread, instruction level {simd}, Python {platform.python_version()}.", ""]
    out += ["| task | goal | xent, CPU s | best peer | CPU s | times | reached | memory of xent beside the arrays |", "|---|---|---|---|---|---|---|---|"]
    failed = False
    for case, sides in results.items():
        of = lambda side, what: statistics.median(run[what] for run in sides[side])
        best = min(WAYS[case], key=lambda way: of(way, "cpu"))
        ratio = of(best, "cpu") / of("xent", "cpu")
        failed |= ratio < GOAL
        name = "scikit-learn" if case == "corp" else f"SciPy, {best}"
        size = f"{ROWS:,} rows" if case == "corp" else "{:,} x {:,} logits".format(*SHAPE)
        memory = max(run["memory_kb"] or 0 for run in sides["xent"]) / 1024
        out.append(
            f"| {NAMES[case]}, {size} | {GOAL} x | {digits(of('xent', 'cpu'))} | {name} | {digits(of(best, 'cpu'))} "
            f"| {ratio:.1f} | {'yes' if ratio >= GOAL else '**no**'} | {memory:,.0f} MiB |"
        )
    out.append("")
    for case, sides in results.items():
        out += [f"## {NAMES[case].capitalize() if case != 'corp' else 'CORP'}", ""]
        if case == "temperature":
            out += ["| way | CPU s, each run | passes | T | mean log loss |", "|---|---|---|---|---|"]
        else:
            out += ["| side | CPU s, each run | squared error after the fit |", "|---|---|---|"]
        for side, runs in sides.items():
            seconds = ", ".join(digits(run["cpu"]) for run in runs)
            found = runs[-1]["found"]
            name = side if case == "temperature" and side != "xent" else {"xent": "xent", "fit": "scikit-learn"}[side]
            if case == "temperature":
                out.append(f"| {name} | {seconds} | {found.get('evaluations', '')} | {found['temperature']:.7f} | {found['after']:.7f} |")
            else:
                out.append(f"| {name} | {seconds} | {found['recalibrated']:.12f} |")
        out.append("")
    for section in __doc__.split("\n\n")[2:]:
        title, *lines = section.strip().splitlines()
        out += [f"**{title}.** " + " ".join(line.strip() for line in lines), ""]
    return "\n".join(out).rstrip() + "\n", failed


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--peer":
        serve(*sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", type=Path, required=True, help="the binary xent-bench")
    parser.add_argument("--repeat", type=int, default=3, help="timed calls of each side (default 3)")
    parser.add_argument("--data", type=Path, default=Path("target/bench"), help="where the arrays are kept")
    parser.add_argument("--out", type=Path, help="write the document here too")
    parser.add_argument("--lock", type=Path, help="a lock file, held for each round of calls, on a shared machine")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the rows: whether it runs, not how fast")
    arguments = parser.parse_args()
    arguments.data.mkdir(parents=True, exist_ok=True)
    less = 100 if arguments.quick else 1
    files = arrays(arguments.data, ROWS // less, (SHAPE[0] // less, SHAPE[1]))
    results = {case: measure(arguments, case, files[case]) for case in WAYS}
    for case, sides in results.items():
        check(case, sides)
    text, failed = document(arguments, results)
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    return 1 if failed and not arguments.quick else 0


if __name__ == "__main__":
    sys.exit(main())
