"""Measures xent's scoring against its peers, as ratios in one run on one machine.

    python -m pip install -r tools/requirements-bench.txt
    python tools/bench_scoring.py --xent target/release/xent --bench target/release/xent-bench --out docs/bench-scoring.md
    python tools/bench_scoring.py --xent target/release/xent --bench target/release/xent-bench --quick       (few rows: does it run?)

Method
    Every measurement is a process of its own; xent and its peers take turns, so that a change of the machine's mood
    meets all of them; the table shows medians. `whole` is the wall time of the process, from start to exit. `inside`
    is what the peer itself times around its query alone: its interpreter and imports are then free, so this side
    favours the peer, while `whole` favours xent, which starts faster. Ratios are given for both; of xent it is always `whole`.
    CPU seconds and peak memory are the kernel's own, from wait4. The files lie in the page cache: one untimed run
    of xent reads each before it is measured. This process imports nothing large, because a child's peak memory starts at that
    of its parent.

    `xent-bench in-memory data.npy labels.npy` prints one line {"case": ..., "seconds": [...]} per case.
    data.npy is f64 of shape (n_samples, n_classes), C order; labels.npy is int64 of shape (n_samples,). The binary task is
    two columns.
"""

import datetime
import json
import math
import os
import platform
import statistics
import sys
import time
from pathlib import Path

from benchmark import HUGE, Document, Refused, Run, binary, counts, machine, measure, parser, say, turns

CLASSES = ["a", "b", "c"]
BATCH = 1_000_000
ROWS = {"memory": 1_000_000, "parquet": 20_000_000, "csv": 5_000_000}
QUICK = 100  # a hundredth of the rows
IN_MEMORY_CLASSES = (3, 10, 2)
INNER = 5  # timed calls in one process of the in-memory peers
LATENCY_RUNS = 30
REL_SAME = 1e-9  # everybody must find the same log loss
SQL = (
    "SELECT avg(-ln(CASE label WHEN 'a' THEN p_a WHEN 'b' THEN p_b WHEN 'c' THEN p_c END)) "
    "FROM {reader}('{path}')"
)


# Workers: each runs in a process of its own and prints one JSON line.


def timed(function):
    start = time.perf_counter()
    value = function()
    return value, time.perf_counter() - start


def worker_arrays(folder, rows):
    import numpy as np

    for k in IN_MEMORY_CLASSES:
        rng = np.random.default_rng(k)
        p, y = drawn(np, rng, int(rows), k)
        np.save(Path(folder) / f"data-{k}-{rows}.npy", p)
        np.save(Path(folder) / f"labels-{k}-{rows}.npy", y)
    return {}


def drawn(np, rng, n, k):
    z = rng.normal(size=(n, k)) * 1.5
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    y = np.minimum((np.cumsum(p, axis=1) < rng.random((n, 1))).sum(axis=1), k - 1).astype(np.int64)
    return np.ascontiguousarray(p), y


def worker_table(path, rows):
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    path, rows = Path(path), int(rows)
    part = path.with_suffix(path.suffix + ".part")
    schema = pa.schema([("label", pa.string()), *((f"p_{c}", pa.float64()) for c in CLASSES)])
    if path.suffix == ".parquet":
        writer = pa.parquet.ParquetWriter(part, schema)
    else:
        writer = pa.csv.CSVWriter(part, schema, write_options=pa.csv.WriteOptions(quoting_style="none"))
    names = np.array(CLASSES)
    rng = np.random.default_rng(rows)
    with writer:
        for start in range(0, rows, BATCH):
            p, y = drawn(np, rng, min(BATCH, rows - start), len(CLASSES))
            writer.write_table(pa.table([pa.array(names[y]), *(pa.array(p[:, i]) for i in range(3))], schema=schema))
    part.rename(path)
    return {}


def worker_sklearn(data, labels):
    import numpy as np
    from sklearn.metrics import log_loss

    p, y = np.load(data), np.load(labels)
    classes = list(range(p.shape[1]))
    value, _ = timed(lambda: log_loss(y, p, labels=classes))
    return {"value": float(value), "seconds": [timed(lambda: log_loss(y, p, labels=classes))[1] for _ in range(INNER)]}


def worker_read(data, _labels):
    import numpy as np

    p = np.load(data)
    p.sum()
    return {"seconds": [timed(p.sum)[1] for _ in range(4 * INNER)]}


def worker_duckdb(path, threads):
    import duckdb

    reader = "read_parquet" if path.endswith(".parquet") else "read_csv"
    connection = duckdb.connect(config={"threads": int(threads)})
    value, seconds = timed(lambda: connection.execute(SQL.format(reader=reader, path=path)).fetchone()[0])
    return {"value": value, "seconds": [seconds], "version": duckdb.__version__}


def worker_polars(path, threads):
    os.environ["POLARS_MAX_THREADS"] = threads
    import polars as pl

    def query():
        scan = pl.scan_parquet(path) if path.endswith(".parquet") else pl.scan_csv(path)
        truth = pl.when(pl.col("label") == "a").then(pl.col("p_a"))
        truth = truth.when(pl.col("label") == "b").then(pl.col("p_b")).when(pl.col("label") == "c").then(pl.col("p_c"))
        return scan.select((-truth.log()).mean()).collect(engine="streaming").item()

    assert pl.thread_pool_size() == int(threads)
    value, seconds = timed(query)
    return {"value": value, "seconds": [seconds], "version": pl.__version__}


def worker_pandas(path, _threads):
    import pandas as pd
    from sklearn.metrics import log_loss

    def query():
        table = pd.read_parquet(path) if path.endswith(".parquet") else pd.read_csv(path)
        return float(log_loss(table["label"], table[[f"p_{c}" for c in CLASSES]].to_numpy(), labels=CLASSES))

    value, seconds = timed(query)
    return {"value": value, "seconds": [seconds], "version": pd.__version__}


WORKERS = {
    "arrays": worker_arrays, "table": worker_table, "sklearn": worker_sklearn, "read": worker_read,
    "duckdb": worker_duckdb, "polars": worker_polars, "pandas": worker_pandas,
}


# Measuring


def worker(name, *arguments):
    result = measure([sys.executable, __file__, "--worker", name, *arguments])
    result |= json.loads(result["text"].splitlines()[-1])
    return result


def xent(command, path, threads):
    result = measure([command, "score", path, "--format", "json", "--threads", threads])
    result["value"] = json.loads(result["text"])["models"][0]["scores"]["log_loss"]["value"]
    return result


def median(results, key):
    return statistics.median(r[key] for r in results)


def alternate(run, runners, rounds):
    """Runs each of `runners` (name -> function) in turn; returns name -> results, and name -> reason."""
    results = {name: [] for name in runners}
    reasons = {}
    for name in turns(runners, rounds):
        if name in reasons:
            continue
        try:
            with run.lock:
                results[name].append(runners[name]())
        except Refused as reason:
            reasons[name] = str(reason)
    return results, reasons


def seconds(x):
    return f"{x * 1e3:.1f} ms" if x < 0.1 else f"{x:.2f} s"


# The four parts


def part_in_memory(doc, run):
    """Returns the nanoseconds that xent takes to score a row of three classes."""
    doc.say("## In memory")
    arguments = run.arguments
    rows = arguments.rows["memory"]
    doc.say(
        f"{rows:,} rows of f64 probabilities. scikit-learn computes `log_loss` alone; xent what its line says; "
        "NumPy's `x.sum()` reads the same memory once, on one thread. Both sides hold the arrays on huge pages. Medians of all "
        "timed calls; data loading is not timed."
    )
    if not all((arguments.data / f"labels-{k}-{rows}.npy").exists() for k in IN_MEMORY_CLASSES):
        with run.lock:
            worker("arrays", arguments.data, rows)
    table, scoring_ns = [], None
    for k in IN_MEMORY_CLASSES:
        data, labels = (arguments.data / f"{what}-{k}-{rows}.npy" for what in ("data", "labels"))

        def own(data=data, labels=labels):
            # NumPy asks for huge pages for large arrays; glibc's allocator does when told so.
            result = measure([arguments.bench, "in-memory", data, labels], **HUGE)
            result["cases"] = [json.loads(line) for line in result["text"].splitlines() if line.strip()]
            return result

        runners = {
            "xent": own,
            "scikit-learn": lambda data=data, labels=labels: worker("sklearn", data, labels),
            "read": lambda data=data, labels=labels: worker("read", data, labels),
        }
        results, reasons = alternate(run, runners, arguments.repeat)
        for name, reason in reasons.items():
            doc.say(f"{name}, {k} classes: not run: {reason}")
        peers = {}
        for name, what in (("scikit-learn", "scikit-learn log_loss"), ("read", "NumPy x.sum()")):
            if results[name]:
                peers[name] = statistics.median(s for r in results[name] for s in r["seconds"])
                table.append([f"{k} classes: {what}", f"{peers[name] / rows * 1e9:.2f}", "", ""])
        cases = {}
        for result in results["xent"]:
            for case in result["cases"]:
                cases.setdefault(case["case"], []).extend(case["seconds"])
        for case, times in cases.items():
            t = statistics.median(times)
            row = [f"{k} classes: xent, {case}", f"{t / rows * 1e9:.2f}"]
            if k == len(CLASSES) and case == "with standard errors, 1 thread":
                scoring_ns = t / rows * 1e9
            row.append(f"{peers['scikit-learn'] / t:.1f}" if "scikit-learn" in peers else "")
            row.append(f"{t / peers['read']:.2f}" if "read" in peers else "")
            table.append(row)
    doc.table(["", "ns per row", "scikit-learn / xent", "xent / x.sum()"], table)
    return scoring_ns


def part_file(doc, run, kind, peers, scoring_ns):
    """One file by xent and its peers, for each number of threads."""
    arguments = run.arguments
    rows = arguments.rows[kind]
    path = arguments.data / f"rows-{rows}.{kind}"
    make(run, path, rows)
    size = path.stat().st_size / 1e6
    doc.say(
        f"{rows:,} rows x 3 classes, {size:,.0f} MB, a text label and three f64 columns. xent computes all its scores with "
        "standard errors and checks every row; the peers compute the log loss only and check nothing. Medians of "
        f"{arguments.repeat} runs, taking turns. Ratios are peer / xent (above 1: xent is faster)."
    )
    table, values = [], {}
    cpu_ns = None
    for threads in arguments.threads:
        try:
            xent(arguments.xent, path, threads)
        except Refused as reason:
            doc.say(f"xent: not run: {reason}")
            doc.failed = True
            return
        runners = {"xent": lambda threads=threads: xent(arguments.xent, path, threads)}
        for peer in peers:
            if peer != "pandas":
                runners[peer] = lambda peer=peer, threads=threads: worker(peer, path.resolve(), threads)
        results, reasons = alternate(run, runners, arguments.repeat)
        if "pandas" in peers and threads == arguments.threads[0]:
            once, why = alternate(run, {"pandas": lambda: worker("pandas", path.resolve(), threads)}, 1)
            results |= once
            reasons |= why
        own = median(results["xent"], "wall") if results["xent"] else math.nan
        if results["xent"] and threads == 1:
            cpu_ns = median(results["xent"], "cpu") / rows * 1e9
        for name, found in results.items():
            label = {"pandas": "pandas + scikit-learn (once)"}.get(name, name)
            if not found:
                table.append([label, str(threads), *[""] * 6, f"not run: {reasons.get(name)}"])
                continue
            values[name, threads] = found[-1]["value"]
            whole = median(found, "wall")
            row = [label, "as it likes" if name == "pandas" else str(threads), seconds(whole)]
            if name == "xent":
                row += ["", f"{median(found, 'cpu'):.2f}", f"{max(r['mb'] for r in found):.0f}", "", "",
                        f"{rows / whole / 1e6:.1f} million rows/s"]
            else:
                inside = statistics.median(s for r in found for s in r["seconds"])
                row += [seconds(inside), f"{median(found, 'cpu'):.2f}", f"{max(r['mb'] for r in found):.0f}",
                        f"{whole / own:.2f}", f"{inside / own:.2f}", found[-1]["version"]]
            table.append(row)
    doc.table(["", "threads", "whole", "inside", "CPU s", "peak MB", "whole / xent", "inside / xent", ""], table)
    reference = next((v for (name, _), v in values.items() if name == "xent"), None)
    for (name, threads), value in values.items():
        if reference is not None and not abs(value - reference) <= REL_SAME * abs(reference):
            doc.say(f"**{name} ({threads} threads) finds another log loss: {value!r}, xent {reference!r}.**")
            doc.failed = True
    same = all(abs(v - reference) <= REL_SAME * abs(reference) for v in values.values())
    doc.say(f"All find the log loss {reference!r} (relative {REL_SAME:g})." if same else "The log losses differ.")
    if cpu_ns and scoring_ns:
        doc.say(
            f"Where xent's time goes: {cpu_ns:.0f} ns of CPU a row on one thread, of which scoring from memory takes "
            f"{scoring_ns:.0f} ns ({scoring_ns / cpu_ns:.0%}); the rest is reading, decoding, labels and the distribution of losses."
        )


def part_linear(doc, run):
    doc.say("## Memory and time against rows")
    arguments = run.arguments
    threads = arguments.threads[0]
    table = []
    for kind in ("parquet", "csv"):
        largest = arguments.rows[kind]
        for rows in (largest // 20, largest // 4, largest):
            path = arguments.data / f"rows-{rows}.{kind}"
            make(run, path, rows)
            try:
                with run.lock:
                    xent(arguments.xent, path, threads)
                    found = [xent(arguments.xent, path, threads) for _ in range(arguments.repeat)]
            except Refused as reason:
                table.append([kind, f"{rows:,}", f"not run: {reason}", "", ""])
                doc.failed = True
                continue
            whole = median(found, "wall")
            table.append([kind, f"{rows:,}", seconds(whole), f"{whole / rows * 1e9:.1f}", f"{max(r['mb'] for r in found):.0f}"])
    doc.table(["file", "rows", f"whole, {threads} threads", "ns per row", "peak MB"], table)


def part_latency(doc, run):
    doc.say("## Three rows")
    path = run.arguments.data / "three.csv"
    path.write_text("other,republican,democrat,party\n0.3,0.3,0.4,democrat\n0.3,0.4,0.3,republican\n0.1,0.2,0.7,other\n")
    line = [run.arguments.xent, "score", path]
    try:
        with run.lock:
            measure(line)
            times = sorted(measure(line)["wall"] for _ in range(LATENCY_RUNS))
    except Refused as reason:
        doc.say(f"Not run: {reason}")
        doc.failed = True
        return
    doc.say(
        f"`xent score` of three rows, from start to exit, {LATENCY_RUNS} runs: median {times[len(times) // 2] * 1e3:.1f} ms, "
        f"slowest {times[-1] * 1e3:.1f} ms."
    )


def make(run, path, rows):
    if not path.exists():
        say(f"writing {path.name} ...")
        with run.lock:
            worker("table", path, rows)


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "--worker":
        print(json.dumps(WORKERS[sys.argv[2]](*sys.argv[3:])))
        return 0
    options = parser(__doc__, 5, "a hundredth")
    options.add_argument("--xent", type=binary, required=True, help="the command xent")
    options.add_argument("--threads", type=counts, default="2,1", help="numbers of threads to measure files with (default 2,1)")
    options.add_argument("--only", default="memory,parquet,csv,linear,latency", help="the parts to run")
    arguments = options.parse_args()
    doc, run = Document(arguments.out), Run(arguments)
    arguments.data.mkdir(parents=True, exist_ok=True)
    arguments.rows = {kind: rows // (QUICK if arguments.quick else 1) for kind, rows in ROWS.items()}
    parts = arguments.only.split(",")
    doc.say("# Scoring: xent and its peers")
    version = measure([arguments.xent, "--version"])["text"].strip()
    doc.say(
        f"Written by `tools/bench_scoring.py` on {datetime.date.today().isoformat()}. Machine: {machine()}.",
        f"{version}, Python {platform.python_version()}; the peers' versions are pinned in `tools/requirements-bench.txt`.",
    )
    doc.quick(arguments, "a hundredth")
    method = __doc__.split("Method\n", 1)[1].split("\n\n", 1)[0]
    doc.say(" ".join(method.split()))
    scoring_ns = part_in_memory(doc, run) if "memory" in parts else None
    if "parquet" in parts:
        doc.say("## Parquet")
        part_file(doc, run, "parquet", ["duckdb", "polars", "pandas"], scoring_ns)
    if "csv" in parts:
        doc.say("## CSV")
        part_file(doc, run, "csv", ["duckdb", "polars"], scoring_ns)
    if "linear" in parts:
        part_linear(doc, run)
    if "latency" in parts:
        part_latency(doc, run)
    return doc.finish()


if __name__ == "__main__":
    sys.exit(main())
