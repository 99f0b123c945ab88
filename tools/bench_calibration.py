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
    same: the recalibrated squared error to 1e-9, the loss to 1e-6, the temperature to 1e-4, and to 1e-3 where the search has no derivatives: a minimum
    is flat, and NumPy's f32 sums are noisy beside it.
"""

import datetime
import platform
import statistics
import sys
import time

from benchmark import Document, Refused, Run, Server, digits, machine, parser, pinned, serve, turns

GOAL = 10
ROWS, SHAPE = 10_000_000, (100_000, 1_000)
QUICK, PART = 100, "a hundredth"  # of the rows
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


# Peers: `--peer CASE X Y` answers requests, as xent-bench does.


def serve_peer(case, x, y):
    import numpy as np

    x, y = np.load(x), np.load(y)
    work = corp_peer(np, x, y) if case == "corp" else temperature_peer(np, x, y)

    def answer(request):
        wall, cpu = time.perf_counter(), time.process_time()
        found = work(request["call"])
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "found": found}

    serve({"version": np.__version__}, answer)


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


def measure(run, case, files):
    """Seconds and findings of each side."""
    xent = Server([run.arguments.bench, "calibration"], 1)
    xent.ask(load=case, x=str(files[0]), y=str(files[1]))
    peer = Server([sys.executable, __file__, "--peer", case, *files], 1, **pinned(1))
    run.hello["xent"] = xent.hello
    sides = {"xent": []} | {way: [] for way in WAYS[case]}
    for side in turns(sides, run.arguments.repeat):
        with run.lock:
            if side == "xent":
                xent.ask(call=1)
                sides[side].append(xent.ask(call=1))
            else:
                sides[side].append(peer.ask(call=side))
    if case == "corp":
        sides["fit"][-1]["found"] = peer.ask(call="check")["found"]
    xent.stop()
    peer.stop()
    return sides


def check(case, sides):
    own = sides["xent"][-1]["found"]
    for way in WAYS[case]:
        found = sides[way][-1]["found"]
        near = 1e-3 if way in ("bounded", "Brent") else 1e-4
        bounds = {"recalibrated": 1e-9} if case == "corp" else {"temperature": near, "after": 1e-6}
        for key, bound in bounds.items():
            if abs(own[key] / found[key] - 1) > bound:
                sys.exit(f"{case}, {way}: {key} is {found[key]}, xent says {own[key]}")


def write(doc, run, sizes):
    doc.say("# Calibration, measured")
    doc.say("Written by `cargo xtask bench calibration`.")
    doc.say(
        f"{datetime.date.today().isoformat()}, {machine()}, one thread, instruction level {run.hello['xent']['simd']}, "
        f"Python {platform.python_version()}."
    )
    doc.quick(run.arguments, PART)
    table = []
    for case, sides in run.results.items():
        times = {side: statistics.median(found["cpu"] for found in runs) for side, runs in sides.items()}
        best = min(WAYS[case], key=times.get)
        ratio = times[best] / times["xent"]
        doc.failed |= ratio < GOAL and not run.arguments.quick
        memory = max(found["memory_kb"] or 0 for found in sides["xent"]) / 1024
        table.append([
            f"{NAMES[case]}, {sizes[case]}", f"{GOAL} x", digits(times["xent"]), "scikit-learn" if case == "corp" else f"SciPy, {best}",
            digits(times[best]), f"{ratio:.1f}", "yes" if ratio >= GOAL else "**no**", f"{memory:,.0f} MiB",
        ])  # fmt: skip
    doc.table(["task", "goal", "xent, CPU s", "best peer", "CPU s", "times", "reached", "memory of xent beside the arrays"], table, "---")
    for case, sides in run.results.items():
        seconds = {side: ", ".join(digits(found["cpu"]) for found in runs) for side, runs in sides.items()}
        found = {side: runs[-1]["found"] for side, runs in sides.items()}
        if case == "corp":
            doc.say("## CORP")
            rows = [[{"fit": "scikit-learn"}.get(s, s), seconds[s], f"{found[s]['recalibrated']:.12f}"] for s in sides]
            doc.table(["side", "CPU s, each run", "squared error after the fit"], rows, "---")
        else:
            doc.say("## Temperature scaling")
            rows = [[s, seconds[s], str(f.get("evaluations", "")), f"{f['temperature']:.7f}", f"{f['after']:.7f}"] for s, f in found.items()]
            doc.table(["way", "CPU s, each run", "passes", "T", "mean log loss"], rows, "---")
    for section in __doc__.rstrip().split("\n\n")[2:]:
        title, _, words = section.partition("\n")
        doc.say(f"**{title}.** {' '.join(words.split())}")


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--peer":
        serve_peer(*sys.argv[2:])
        return 0
    arguments = parser(__doc__, 3, PART).parse_args()
    doc, run = Document(arguments.out), Run(arguments)
    arguments.data.mkdir(parents=True, exist_ok=True)
    less = QUICK if arguments.quick else 1
    rows, shape = ROWS // less, (SHAPE[0] // less, SHAPE[1])
    with run.lock:
        files = arrays(arguments.data, rows, shape)
    for case in WAYS:
        try:
            run.results[case] = measure(run, case, files[case])
        except Refused as why:
            sys.exit(f"{case}: {why}")
        check(case, run.results[case])
    write(doc, run, {"corp": f"{rows:,} rows", "temperature": "{:,} x {:,} logits".format(*shape)})
    return doc.finish()


if __name__ == "__main__":
    sys.exit(main())
