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

import argparse
import contextlib
import datetime
import fcntl
import json
import math
import os
import platform
import select
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench_kernels import HUGE, Refused, Server, on_huge_pages, others
from bench_scoring import Document

HERE = Path(__file__).parent
GAP = 1e-6
NEAR = 2  # peers within so many times the best take turns
PATIENCE = (15, 100)  # seconds that a fit of a peer may take at least and at most when its step is sought
TIMES_BEST = 12  # and at most so many times the best peer
UNKNOWN = {"d": 10}  # seconds of the best peer while none is known, if not 2
SHORT = 0.3  # seconds: a side's turn lasts about that long
CALLS = 3  # calls of a turn at most
SLICE = 20  # seconds that a lock is held before others may have it

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


class Side(Server):
    """A process that answers requests, and is ended when it takes too long."""

    patience = None

    def reply(self):
        if self.patience is not None and not select.select([self.process.stdout], [], [], self.patience)[0]:
            self.process.kill()
            self.process.wait()
            raise Refused(f"not within {self.patience:.0f} s")
        return super().reply()

    def ask(self, patience=None, **request):
        self.patience = patience
        return super().ask(**request)

    def is_alive(self):
        return self.process.poll() is None


class Case:
    """The sides of a table: servers started when asked for, results judged."""

    def __init__(self, run, name):
        self.run, self.name, self.folder = run, name, run.data / name
        self.servers = {}

    def server(self, kind, threads=1):
        found = self.servers.get((kind, threads))
        if found is None or not found.is_alive():
            env = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
            if kind == "xent":
                found = on_huge_pages([str(self.run.arguments.bench), "training"], threads, HUGE, Side)
            elif kind == "rust":
                found = Side([str(self.run.arguments.peers)], threads, **env)
            else:
                found = Side([sys.executable, str(HERE / "bench_training_peers.py"), kind], threads, **env)
            self.run.hello.setdefault(kind, found.hello)
            found.ask(load=str(self.folder))
            self.servers[kind, threads] = found
        return found

    def drop(self, *kinds):
        """Ends servers, so that their tables do not lie around."""
        for key in list(self.servers):
            if not kinds or key[0] in kinds:
                server = self.servers.pop(key)
                if server.is_alive():
                    server.stop()

    def fit(self, side, setting, threads=1, patience=None):
        """One fit, with its gap."""
        kind, own, *_, penalised = SIDES[side] if side != "xent" else ("xent", "", False)
        out = str(self.run.data / f"coef-{os.getpid()}.npy")
        server, judge = self.server(kind, threads), self.server("judge")
        with self.run.lock():
            reply = server.ask(fit=setting, side=own, out=out, patience=patience)
        judged = judge.ask(judge=out, penalised=penalised)
        if not math.isfinite(judged["gap"]):
            raise Refused("coefficients are not finite")
        return reply | judged | {"setting": setting}


class Run:
    def __init__(self, arguments):
        self.arguments = arguments
        self.data = arguments.data / ("training-quick" if arguments.quick else "training")
        self.path = self.data / "ladders.json" if arguments.quick else HERE / "bench_training_ladders.json"
        self.ladders = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.results, self.hello, self.wrong, self.facts = {}, {}, [], {}
        self.csv = self.locked = None
        self.measured = self.taken = 0.0

    @contextlib.contextmanager
    def lock(self):
        """Holds the lock file, if there is one, and gives it up only after a while."""
        if self.arguments.lock is not None and self.locked is None:
            self.locked = open(self.arguments.lock, "a", encoding="utf-8"), time.perf_counter()
            fcntl.flock(self.locked[0], fcntl.LOCK_EX)
            self.locked = self.locked[0], time.perf_counter()
        yield
        if self.locked is not None and time.perf_counter() - self.locked[1] > SLICE:
            self.unlock()

    def unlock(self):
        if self.locked is not None:
            self.locked[0].close()
            self.locked = None

    def keep(self):
        cases = (f' {json.dumps(case)}: {{\n' + ",\n".join(f"  {json.dumps(side)}: {json.dumps(found)}" for side, found in sides.items()) + "\n }" for case, sides in self.ladders.items())
        self.path.write_text("{\n" + ",\n".join(cases) + "\n}\n", encoding="utf-8")

    def table(self, name):
        """Makes the table of a case, by a process of its own."""
        line = [sys.executable, str(HERE / "bench_training_data.py"), str(self.data), name]
        with self.lock():
            subprocess.run(line + ["--quick"] * self.arguments.quick, check=True, stdout=subprocess.DEVNULL)
        self.facts[name] = json.loads((self.data / name / "fstar.json").read_text())


def say(*words):
    print(*words, file=sys.stderr, flush=True)


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
    for side, (kind, _, _, _, cases, _) in SIDES.items():
        if case.name[0] not in cases or side in known or run.arguments.sides and side not in run.arguments.sides:
            continue
        if kind == "rust" and run.arguments.peers is None:
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
        following = [k for s, (k, _, _, _, c, _) in SIDES.items() if case.name[0] in c and s not in known]
        if kind not in following:
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
    able = {s: f for s, f in known.items() if "failed" not in f and (run.arguments.peers or SIDES[s][0] != "rust")}
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
        servers = {case.server(SIDES[s][0] if s != "xent" else "xent", threads) for s in settings}
        start, before = time.perf_counter(), others(servers)
        for round_ in range(run.arguments.repeat):
            for side in list(settings) if round_ % 2 == 0 else reversed(list(settings)):
                kind, own = SIDES[side][:2] if side != "xent" else ("xent", "")
                out = str(run.data / f"coef-{os.getpid()}.npy")
                begun, calls = time.perf_counter(), 0
                with run.lock():
                    while calls == 0 or calls < CALLS and time.perf_counter() - begun < SHORT:
                        reply = case.server(kind, threads).ask(fit=settings[side], side=own, out=out)
                        results[side]["cpu"].append(reply["cpu"])
                        results[side]["wall"].append(reply["wall"])
                        calls += 1
        run.measured += time.perf_counter() - start
        run.taken += others(servers) - before
        xent = results.get("xent", {}).get("cpu")
        say(f"  {case.name}, {threads} thread(s): " + ", ".join(f"{s} {statistics.median(r['cpu']):.3g} s" for s, r in results.items()) if xent else "  nothing")
        case.drop("xent" if threads != run.arguments.threads[-1] else "", *(k[0] for k in case.servers if k[0] != "judge"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", type=Path, required=True, help="the binary xent-bench")
    parser.add_argument("--peers", type=Path, help="the binary of bench/peers; without it, no linfa and smartcore")
    parser.add_argument("--xent", type=Path, help="the command xent, for the table from CSV")
    parser.add_argument("--repeat", type=int, help="rounds of turns (default 3; quick 2)")
    parser.add_argument("--threads", default="1,2", help="numbers of threads (default 1,2)")
    parser.add_argument("--data", type=Path, default=Path("target/bench"), help="where the tables are kept")
    parser.add_argument("--out", type=Path, help="write the document here too")
    parser.add_argument("--only", help="cases to run: a,araw,b,... and csv (default all)")
    parser.add_argument("--sides", type=lambda text: text.split(","), help="peers whose ladders to find (default all that are missing)")
    parser.add_argument("--ladders", action="store_true", help="only find the peers' missing ladder steps")
    parser.add_argument("--lock", type=Path, help="a lock file, as of flock(1), held for each fit and given up between, on a shared machine")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the rows: whether it runs, not how fast")
    arguments = parser.parse_args()
    arguments.repeat = arguments.repeat or (2 if arguments.quick else 3)
    arguments.threads = [int(t) for t in arguments.threads.split(",")]
    for binary in (arguments.bench, arguments.peers, arguments.xent):
        if binary is not None and not binary.is_file():
            parser.error(f"no such file: {binary}")
    cases = arguments.only.split(",") if arguments.only else [c + kind for c in CASES for kind in ("", "raw")] + ["csv"]
    for name in cases:
        if name != "csv" and name.removesuffix("raw") not in list(CASES):
            parser.error(f"no case {name}")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.touch()
    start = time.perf_counter()
    run = Run(arguments)
    run.data.mkdir(parents=True, exist_ok=True)
    for name in cases:
        if name == "csv":
            if not arguments.ladders:
                from bench_training_csv import measure_csv

                run.csv = measure_csv(run, CSV_ROWS // 20 if arguments.quick else CSV_ROWS)
            continue
        say(f"{name}, after {time.perf_counter() - start:.0f} s")
        run.table(name)
        case = Case(run, name)
        try:
            if arguments.ladders or arguments.quick:
                find_ladders(run, case)
            if not arguments.ladders:
                measure(run, case)
        finally:
            case.drop()
            run.unlock()
    (run.data / f"coef-{os.getpid()}.npy").unlink(missing_ok=True)
    if arguments.ladders:
        return 0
    from bench_training_document import write

    doc = Document()
    sections = __doc__.split("\n\n", 2)[2].rstrip().split("\n\n")
    write(doc, run, sections, {
        "date": datetime.date.today().isoformat(), "python": platform.python_version(), "quick": arguments.quick,
        "minutes": (time.perf_counter() - start) / 60, "others": run.taken / max(run.measured, 1e-9) / os.cpu_count(),
    })  # fmt: skip
    if arguments.out:
        arguments.out.write_text("\n".join(doc.lines).rstrip() + "\n", encoding="utf-8")
    return 1 if doc.failed else 0


if __name__ == "__main__":
    sys.exit(main())
