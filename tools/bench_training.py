"""Measures xent's training against its peers: the same tables, the same penalised problem, in turns, in one run on one machine.

    python -m pip install -r tools/requirements-training-bench.txt
    python tools/bench_training.py --bench target/release/xent-bench --out docs/bench-training.md
    python tools/bench_training.py --bench target/release/xent-bench --quick       (small tables: does it run?)

The problem
    Logistic regression of two classes, softmax regression of ten, with a ridge: mean log loss + 1 / (2 C n) |w|^2, C = 1, the intercept free,
    w on the scale of the columns as they are. This is scikit-learn's problem at its default C. Nobody may standardise it: who
    scales columns inside must scale the penalty back. Tables are drawn from seeds by `tools/bench_training_data.py`: (a) to (d) f64 in C order, their columns of mean
    0 and of spreads between 0.5 and 2.5, of (d) grey values from 0 to 255, three of four zero; (e) sparse rows of length 1 (CSR), columns as frequent as words.
    "Badly scaled": each column is standardised, multiplied by 10^u, u uniform in [-2, 3], and shifted by about three times that; sparse ones are multiplied only.

Same accuracy
    The optimum F* is found beforehand by Newton's method in NumPy, by nothing that is timed, with a certificate from strong convexity (shown
    below each case). Each side hands in its coefficients, and one function in NumPy (scores in f64, sums in long double) gives the relative gap
    (F - F*) / F*. Each side runs at the cheapest setting on a ladder (its tolerance in half decades, or its number of
    iterations) whose gap is at most 1e-6; whoever picks a solver in practice does not know F* and pays more.
    The peers' steps are kept in `tools/bench_training_ladders.json`, because finding them takes an hour; each measured peer's gap is checked again.
    Peers that penalise the intercept (LIBLINEAR -s 7, scikit-learn's liblinear, Vowpal Wabbit) are judged by the optimum of that problem; statsmodels has no penalty here and is there where its optimum is near enough.
    scikit-learn's liblinear and LIBLINEAR fit one class against the rest, and have no softmax.

Times
    Each side is a process that has the table in memory, in its own form, before it is timed; reading, importing and turning the arrays into what a
    library wants are free. xent gets the arrays as NumPy has them, and its time is that of the whole call: checks, scaling, fit, certificate.
    CPU time is user and system of all threads; one thread by OMP_NUM_THREADS and the like. Sides whose CPU time is within twice the best peer's take turns, back and
    forth, after an untimed call: medians, in brackets minima. The others' times, far from the best, are from when
    their step was found, and marked so. Ratios are best peer / xent by medians and by minima; a goal is reached if both say so.

Memory
    Resident memory with the table loaded, and its peak during the call (Linux forgets the old peak on request). xent's goal: the peak of
    the whole process is at most the arrays plus 64 MiB. On both sides the arrays lie on huge pages, which NumPy asks for and xent's process gets by
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1.
"""

import datetime
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench_training_csv import measure_csv
from bench_training_document import write
from benchmark import Document, Refused, Run, Server, binary, counts, on_huge_pages, parser, pinned, say, turns

HERE = Path(__file__).parent
GAP = 1e-6
NEAR = 2  # peers within so many times the best take turns
PATIENCE = (15, 100)  # seconds that a fit of a peer may take at least and at most when its step is sought
TIMES_BEST = 12  # and at most so many times the best peer
UNKNOWN = {"d": 10}  # seconds of the best peer while none is known, if not 2
SHORT = 0.3  # seconds: a side's turn lasts about that long
CALLS = 3  # calls of a turn at most

TOLERANCES = [m * 10.0**-k for k in range(1, 13) for m in (1, 0.3)]
ITERATIONS = sorted({round(5 * 1.2**k) for k in range(48)})
EPOCHS = sorted({round(2 * 1.3**k) for k in range(26)})
STEPS = list(range(1, 31))
XENT = [m * 10.0**-k for k in range(3, 12) for m in (1, 0.3)]

SIDES = {
    # name: server, side there, ladder, where to start, cases (badly scaled ones too), whether the intercept is penalised
    "scikit-learn newton-cholesky": ("sklearn", "newton-cholesky", STEPS, 3, "abc", False),
    "scikit-learn lbfgs": ("sklearn", "lbfgs", ITERATIONS, 12, "abcde", False),
    "scikit-learn newton-cg": ("sklearn", "newton-cg", TOLERANCES, 6, "abcde", False),
    "glum irls-ls": ("glum", "irls-ls", TOLERANCES, 4, "ab", False),
    "glum lbfgs": ("glum", "lbfgs", TOLERANCES, 7, "abe", False),
    "LIBLINEAR -s 7": ("liblinear", "-s 7", TOLERANCES, 0, "abe", True),
    "LIBLINEAR -s 0": ("liblinear", "-s 0", TOLERANCES, 4, "abe", False),
    "scikit-learn liblinear": ("sklearn", "liblinear", STEPS, 6, "abe", True),
    "scikit-learn saga": ("sklearn", "saga", EPOCHS, 5, "abcde", False),
    "scikit-learn sag": ("sklearn", "sag", EPOCHS, 5, "abcde", False),
    "linfa": ("rust", "linfa", ITERATIONS, 9, "abcd", False),
    "smartcore": ("rust", "smartcore", [0], 0, "abcd", False),
    "statsmodels newton": ("statsmodels", "newton", STEPS, 4, "abc", False),
    "Vowpal Wabbit --bfgs": ("vw", "bfgs", EPOCHS, 10, "e", True),
}  # fmt: skip
CASES = "abcde"
CSV_ROWS = 500_000


def server_of(side):
    """The server of a side, what the side is called there, and whether it penalises the intercept."""
    kind, own, *_, penalised = SIDES.get(side, ("xent", "", False))
    return kind, own, penalised


class Case:
    """The sides of a table: servers started when asked for, results judged."""

    def __init__(self, run, name):
        self.run, self.name, self.folder = run, name, run.data / name
        self.servers = {}

    def server(self, kind, threads=1):
        found = self.servers.get((kind, threads))
        if found is None or not found.is_alive():
            if kind == "xent":
                found = on_huge_pages([self.run.arguments.bench, "training"], threads)
            elif kind == "rust":
                found = Server([self.run.arguments.peers], threads, **pinned(threads))
            else:
                found = Server([sys.executable, HERE / "bench_training_peers.py", kind], threads, **pinned(threads))
            self.run.hello.setdefault(kind, found.hello)
            found.ask(load=str(self.folder))
            self.servers[kind, threads] = found
        return found

    def drop(self, *kinds):
        """Ends servers, so that their tables do not lie around."""
        for key in list(self.servers):
            if not kinds or key[0] in kinds:
                self.servers.pop(key).stop()

    def time(self, side, setting, threads, patience=None):
        """One fit."""
        kind, own, _ = server_of(side)
        return self.server(kind, threads).ask(fit=setting, side=own, out=str(self.run.coef), patience=patience)

    def fit(self, side, setting, threads=1, patience=None):
        """One fit, with its gap."""
        with self.run.lock:
            reply = self.time(side, setting, threads, patience)
        judged = self.server("judge").ask(judge=str(self.run.coef), penalised=server_of(side)[2])
        if not math.isfinite(judged["gap"]):
            raise Refused("coefficients are not finite")
        return reply | judged | {"setting": setting}


class Training(Run):
    """results[case][threads][side] = {"wall": [...], "cpu": [...], "first": the first fit with its gap}."""

    def __init__(self, arguments):
        super().__init__(arguments)
        self.data = arguments.data / ("training-quick" if arguments.quick else "training")
        self.coef = self.data / f"coef-{os.getpid()}.npy"
        self.path = self.data / "ladders.json" if arguments.quick else HERE / "bench_training_ladders.json"
        self.ladders = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.facts, self.csv = {}, None

    def unknown(self, name):
        """The peers that have a case, and no setting is known."""
        return [side for side, (*_, cases, _) in SIDES.items() if name[0] in cases and side not in self.ladders.get(name, {})]

    def keep(self):
        cases = (f' {json.dumps(case)}: {{\n' + ",\n".join(f"  {json.dumps(side)}: {json.dumps(found)}" for side, found in sides.items()) + "\n }" for case, sides in self.ladders.items())
        self.path.write_text("{\n" + ",\n".join(cases) + "\n}\n", encoding="utf-8")

    def table(self, name):
        """Makes the table of a case, by a process of its own."""
        line = [sys.executable, str(HERE / "bench_training_data.py"), str(self.data), name]
        with self.lock:
            subprocess.run(line + ["--quick"] * self.arguments.quick, check=True, stdout=subprocess.DEVNULL)
        self.facts[name] = json.loads((self.data / name / "fstar.json").read_text())


# The ladders.


def climb(case, side, patience):
    """The cheapest setting of a peer that reaches the gap, with what it took; or how near it came."""
    _, _, ladder, start, _, _ = SIDES[side]
    tried, left = {}, len(ladder)

    def reaches(i):
        tried[i] = case.fit(side, ladder[i], patience=patience)
        say(f"    {side} {ladder[i]:g}: gap {tried[i]['gap']:.1e}, {tried[i]['cpu']:.2f} s")
        return tried[i]["gap"] <= GAP

    i, low, why = min(start, left - 1), -1, None
    stride = 1 if ladder in (STEPS, EPOCHS) else 3 if ladder is ITERATIONS else 2
    try:
        while not reaches(i):
            low = i
            if tried[i]["wall"] > patience / 1.5:
                raise Refused(f"not within {patience:.0f} s")
            i, stride = min(i + stride, left - 1), 2 * stride if tried[i]["gap"] > 100 * GAP else stride
            if low == i:
                raise Refused("not at its finest setting")
    except Refused as refused:
        why = str(refused)
    if why:
        best = min(tried.values(), key=lambda found: found["gap"], default=None)
        return {"failed": why} | ({} if best is None else {k: best[k] for k in ("setting", "gap", "cpu")})
    high, width = i, stride
    while low == -1 and high > 0:  # cheaper ones may do as well
        j = max(high - width, 0)
        if reaches(j):
            high, width = j, 2 * width
        else:
            low = j
    while high - low > 1:
        middle = (low + high) // 2
        if reaches(middle):
            high = middle
        else:
            low = middle
    found = tried[high]
    return {key: found[key] for key in ("setting", "gap", "cpu", "wall", "loaded_kb", "peak_kb", "warned")}


def find_ladders(run, case):
    """Fills in what is missing of a case."""
    known = run.ladders.setdefault(case.name, {})
    for side in run.unknown(case.name):
        kind, _, _ = server_of(side)
        if run.arguments.sides and side not in run.arguments.sides or kind == "rust" and run.arguments.peers is None:
            continue
        best = min((found["cpu"] for found in known.values() if "failed" not in found), default=UNKNOWN.get(case.name[0], 2))
        patience = min(max(TIMES_BEST * best, PATIENCE[0]), PATIENCE[1])
        say(f"  {case.name}: {side}")
        try:
            known[side] = climb(case, side, patience)
        except Refused as why:
            known[side] = {"failed": str(why)}
        known[side]["date"] = datetime.date.today().isoformat()
        run.keep()
        if kind not in [server_of(s)[0] for s in run.unknown(case.name)]:
            case.drop(kind)


def xent_setting(case, threads=1):
    """xent's loosest tolerance that reaches the gap."""
    i = XENT.index(1e-6)
    found = case.fit("xent", XENT[i], threads)
    step = -1 if found["gap"] <= GAP else 1
    while 0 <= i + step < len(XENT):
        i += step
        other = case.fit("xent", XENT[i], threads)
        if step == -1 and other["gap"] > GAP:
            break
        found = other
        if step == 1 and other["gap"] <= GAP:
            break
    return found


# Measuring.


def measure(run, case):
    """Turns of xent and the peers near the best; results[case][threads][side]."""
    known = run.ladders.get(case.name, {})
    able = {s: f for s, f in known.items() if "failed" not in f and (run.arguments.peers or server_of(s)[0] != "rust")}
    best = min((f["cpu"] for f in able.values()), default=math.inf)
    near = sorted((s for s, f in able.items() if f["cpu"] <= NEAR * best), key=lambda s: able[s]["cpu"])
    for threads in run.arguments.threads:
        settings = {"xent": xent_setting(case, threads)["setting"]}
        settings |= {s: able[s]["setting"] for s in (near if threads == 1 else near[:2])}
        results = run.results.setdefault(case.name, {}).setdefault(threads, {})
        for side, setting in list(settings.items()):
            try:
                found = case.fit(side, setting, threads)
            except Refused as why:
                run.wrong.append(f"{case.name}: {side}: {why}")
                del settings[side]
                continue
            if found["gap"] > GAP:
                run.wrong.append(f"{case.name}: {side} is {found['gap']:.2g} above the optimum at its setting {setting:g}")
            results[side] = {"cpu": [], "wall": [], "first": found}
        with run.watched({case.server(server_of(side)[0], threads) for side in settings}):
            for side in turns(settings, run.arguments.repeat):
                with run.lock:
                    begun, calls = time.perf_counter(), 0
                    while calls == 0 or calls < CALLS and time.perf_counter() - begun < SHORT:
                        reply = case.time(side, settings[side], threads)
                        results[side]["cpu"].append(reply["cpu"])
                        results[side]["wall"].append(reply["wall"])
                        calls += 1
        xent = results.get("xent", {}).get("cpu")
        say(f"  {case.name}, {threads} thread(s): " + ", ".join(f"{s} {statistics.median(r['cpu']):.3g} s" for s, r in results.items()) if xent else "  nothing")
        case.drop("xent" if threads != run.arguments.threads[-1] else "", *(k[0] for k in case.servers if k[0] != "judge"))


def main():
    options = parser(__doc__, 3, "a twentieth")
    options.add_argument("--peers", type=binary, help="the binary of bench/peers; without it, no linfa and smartcore")
    options.add_argument("--xent", type=binary, help="the command xent, for the table from CSV")
    options.add_argument("--threads", type=counts, default="1,2", help="numbers of threads (default 1,2)")
    options.add_argument("--only", help="cases to run: a,araw,b,... and csv (default all)")
    options.add_argument("--sides", type=lambda text: text.split(","), help="peers whose ladders to find (default all that are missing)")
    options.add_argument("--ladders", action="store_true", help="only find the peers' missing ladder steps")
    arguments = options.parse_args()
    cases = arguments.only.split(",") if arguments.only else [c + kind for c in CASES for kind in ("", "raw")] + ["csv"]
    for name in cases:
        if name != "csv" and name.removesuffix("raw") not in list(CASES):
            options.error(f"no case {name}")
    doc, run = Document(arguments.out), Training(arguments)
    run.data.mkdir(parents=True, exist_ok=True)
    for name in cases:
        if name == "csv":
            if not arguments.ladders:
                run.csv = measure_csv(run, CSV_ROWS // 20 if arguments.quick else CSV_ROWS, GAP)
            continue
        say(f"{name}, after {time.perf_counter() - run.start:.0f} s")
        run.table(name)
        case = Case(run, name)
        try:
            if arguments.ladders or arguments.quick:
                find_ladders(run, case)
            if not arguments.ladders:
                measure(run, case)
        finally:
            case.drop()
            run.lock.give_up()
    run.coef.unlink(missing_ok=True)
    if arguments.ladders:
        return 0
    write(doc, run, __doc__)
    return doc.finish()


if __name__ == "__main__":
    sys.exit(main())
