"""The document of tools/bench_training.py: goals, then a table for each case."""

import statistics

from benchmark import both, digits, thread_words, verdict

GOALS = {"a": 15, "b": 7, "c": 10, "d": 15, "e": 5}  # times the best peer, one thread, badly scaled too
THREADS_GOAL = 1.7  # wall of one thread / wall of two
MEMORY_GOAL = 64 * 2**20  # bytes beside the arrays
CSV_GOAL = 5
NAMES = {"sklearn": "scikit-learn", "glum": "glum", "liblinear": "liblinear-official", "statsmodels": "statsmodels",
         "vw": "Vowpal Wabbit", "judge": "NumPy", "xent": "xent", "rust": ""}  # fmt: skip


def title(run, name):
    facts = run.facts[name]
    classes = "two classes" if facts["classes"] == 2 else f"{facts['classes']} classes"
    sparse = f" sparse, {facts['nonzero'] / facts['rows']:.0f} numbers a row" if name[0] == "e" else ""
    return f"({name[0]}) {facts['rows']:,} x {facts['columns']:,}{sparse}, {classes}" + (", badly scaled" if name.endswith("raw") else "")


def measured(run, name, threads=1):
    """The sides that took turns, in the order of their CPU time."""
    found = run.results.get(name, {}).get(threads, {})
    return dict(sorted(((s, r) for s, r in found.items() if r["cpu"]), key=lambda item: statistics.median(item[1]["cpu"])))


def best(found, what, of):
    """Least time of a peer, and its name."""
    return min(((of(r[what]), side) for side, r in found.items() if side != "xent"), default=(None, None))


def reached(values, goal):
    """Whether the goal is reached, by medians and by minima."""
    return verdict(*(x >= goal for x in values))


def arrays_bytes(run, name):
    return sum(path.stat().st_size for path in (run.data / name).glob("*.npy") if path.stem != "optimum")


def part_goals(doc, run):
    doc.say("## Goals")
    doc.say("CPU time of one thread, best peer / xent.")
    table = []
    for name in run.results:
        found = measured(run, name)
        if "xent" not in found:
            table.append([title(run, name), f"{GOALS[name[0]]} x", "", "", "", "", "", "not measured"])
            continue
        own = found["xent"]["cpu"]
        if len(found) < 2:
            table.append([title(run, name), f"{GOALS[name[0]]} x", digits(statistics.median(own)), *nearest(run, name, own)])
            continue
        middle, side = best(found, "cpu", statistics.median)
        least, _ = best(found, "cpu", min)
        ratios = [middle / statistics.median(own), least / min(own)]
        table.append([
            title(run, name), f"{GOALS[name[0]]} x", digits(statistics.median(own)), side, digits(middle),
            *(f"{x:.1f}" for x in ratios), reached(ratios, GOALS[name[0]]),
        ])  # fmt: skip
    doc.table(["case", "goal", "xent, s", "best peer", "s", "by medians", "by minima", "reached"], table)
    part_threads(doc, run)
    part_memory(doc, run)


def nearest(run, name, own):
    """Where no peer reaches the gap: the longest that one was tried for, and how near it came."""
    tried = [(found["cpu"], side, found["gap"]) for side, found in run.ladders.get(name, {}).items() if found.get("cpu")]
    if not tried:
        return ["", "", "", "", "not measured"]
    seconds, side, gap = max(tried)
    ratios = [seconds / of(own) for of in (statistics.median, min)]
    words = "yes: none got there" if min(ratios) >= GOALS[name[0]] else "not tried for longer"
    return [f"none; {side} is at {gap:.1g}", f"{seconds:.1f}", *(f"> {x:.1f}" for x in ratios), words]


def part_threads(doc, run):
    if not {1, 2} <= set(run.arguments.threads):
        return
    doc.say("Two threads: wall time of one thread / wall time of two, and the best peer's wall time with two / xent's.")
    table = []
    for name in run.results:
        one, two = measured(run, name), measured(run, name, 2)
        if "xent" not in one or "xent" not in two:
            continue
        gains = [of(one["xent"]["wall"]) / of(two["xent"]["wall"]) for of in (statistics.median, min)]
        middle, side = best(two, "wall", statistics.median)
        peer = f"{middle / statistics.median(two['xent']['wall']):.1f} x {side}" if middle else ""
        gain = ""
        if side in one:
            gain = f"{statistics.median(one[side]['wall']) / middle:.2f}"
        table.append([title(run, name), f"{THREADS_GOAL:g}", *(f"{x:.2f}" for x in gains), reached(gains, THREADS_GOAL), gain, peer])
    doc.table(["case", "goal", "by medians", "by minima", "reached", "the best peer gains", "best peer / xent"], table)


def part_memory(doc, run):
    doc.say("Memory, MiB: xent's peak beside the arrays, and what the call itself added; the same of the best peer.")
    table = []
    for name in run.results:
        found = measured(run, name)
        if "xent" not in found:
            continue
        arrays = arrays_bytes(run, name) / 2**20
        own = found["xent"]["first"]
        _, side = best(found, "cpu", statistics.median)
        if own.get("peak_kb") is None:
            continue
        beside = own["peak_kb"] / 1024 - arrays
        row = [title(run, name), f"{arrays:.0f}", f"{beside:.0f}", f"{(own['peak_kb'] - own['loaded_kb']) / 1024:.0f}"]
        row.append("yes" if beside * 2**20 <= MEMORY_GOAL else "**no**")
        peer = found[side]["first"] if side else {}
        row += [side or "", f"{(peer['peak_kb'] - peer['loaded_kb']) / 1024:.0f}" if peer.get("peak_kb") else ""]
        table.append(row)
    doc.table(["case", "arrays", "peak beside them", "added by the call", "at most 64 beside", "best peer", "added by its call"], table)


def setting_words(setting):
    return f"{setting:g}"


def memory_words(found):
    if found.get("peak_kb") is None:
        return ""
    return f"{found['loaded_kb'] / 1024:.0f} -> {found['peak_kb'] / 1024:.0f}"


def part_case(doc, run, name):
    facts = run.facts[name]
    doc.say(f"### {title(run, name)}")
    doc.say(
        f"F* = {facts['F']:.12g} nats a row, {facts['null']:.4g} without any column. Certificate: within {facts['bound']:.0e} of the optimum, relative; "
        f"intercepts' gradient {facts['intercepts']:.0e}, Newton decrement {facts['decrement']:.0e}."
    )
    counts = run.arguments.threads
    header = ["side", "setting", "gap"]
    for threads in counts:
        header += [f"{thread_words(threads)}: CPU, s", "wall, s"]
    header += ["CPU / xent", "memory, MiB"]
    first = measured(run, name, counts[0])
    own = statistics.median(first["xent"]["cpu"]) if "xent" in first else None
    table = []
    for side, result in first.items():
        found = result["first"]
        row = [side, setting_words(found["setting"]), f"{max(found['gap'], 0):.1e}"]
        for threads in counts:
            there = measured(run, name, threads).get(side)
            row += [both(there[what]) if there else "" for what in ("cpu", "wall")]
        table.append([*row, f"{statistics.median(result['cpu']) / own:.1f}" if own else "", memory_words(found)])
    blank = [""] * (2 * len(counts) - 2)
    rest = [(side, found) for side, found in run.ladders.get(name, {}).items() if side not in first]
    for side, found in sorted(rest, key=lambda item: ("failed" in item[1], item[1].get("cpu", 0))):
        if "failed" in found:
            gap = f"{found['gap']:.1e}" if "gap" in found else ""
            setting = setting_words(found["setting"]) if "setting" in found else ""
            row = [side, setting, gap, f"gap not reached: {found['failed']}", "", *blank, "", ""]
        else:
            ratio = f"{found['cpu'] / own:.0f}" if own else ""
            row = [side, setting_words(found["setting"]), f"{max(found['gap'], 0):.1e}", f"{digits(found['cpu'])} *", f"{digits(found['wall'])} *", *blank, ratio, memory_words(found)]
        table.append(row)
    doc.table(header, table)
    missing = run.unknown(name)
    if missing:
        doc.say(f"Not measured, as no setting is known yet (`--ladders` finds it): {', '.join(missing)}.")
    if "xent" in first:
        found = first["xent"]["first"]
        reason = f" ({found['reason']})" if found.get("reason") else ""
        doc.say(f"xent: {found['method']}{reason}; {found['iterations']} iterations, {found['passes']} passes over all rows; claimed gap {found['claimed_gap']:.1e}.")
    if any("failed" not in found for _, found in rest):
        dates = sorted({found["date"] for _, found in rest})
        doc.say(f"\\* Measured once, when the step was found ({', '.join(dates)}), on a machine that had other work to do.")


def part_csv(doc, run):
    doc.say("## From a CSV to a model file")
    if run.csv is None:
        doc.say("Not measured: the command has no `train`, or the part was not asked for.")
        return
    doc.say(
        f"{run.csv['rows']:,} rows of 30 numbers of six digits and a vote, {run.csv['mb']:.0f} MB; whole processes, start, imports and writing the model included; "
        f"medians, in brackets minima. Goal: {CSV_GOAL} times faster than the best of pandas with scikit-learn."
    )
    table = []
    for threads, found in run.csv["results"].items():
        own = found.get("xent train", {})
        for side, result in found.items():
            if "failed" in result:
                table.append([str(threads), side, f"failed: {result['failed']}", "", "", "", "", ""])
                continue
            times = [both(result[what]) for what in ("wall", "cpu")]
            ratios = [f"{statistics.median(result[w]) / statistics.median(own[w]):.1f}" if own.get(w) else "" for w in ("wall", "cpu")]
            table.append([str(threads), side, *times, *ratios, f"{max(result['gap'], 0):.1e}", f"{result['mb']:.0f}"])
    doc.table(["threads", "side", "wall, s", "CPU, s", "wall / xent", "CPU / xent", "gap", "peak MB"], table)
    lines = []
    for threads, found in run.csv["results"].items():
        if "wall" not in found.get("xent train", {}) or not any("wall" in r for s, r in found.items() if s != "xent train"):
            continue
        ratios = []
        for of in (statistics.median, min):
            peers = min(of(r["wall"]) for s, r in found.items() if s != "xent train" and "wall" in r)
            ratios.append(peers / of(found["xent train"]["wall"]))
        lines.append(f"- {thread_words(threads)}, wall: {ratios[0]:.1f} times by medians, {ratios[1]:.1f} by minima; reached: {reached(ratios, CSV_GOAL)}")
    doc.say(*lines)


def write(doc, run, about):
    doc.opening("Training", run, NAMES, "`tools/requirements-training-bench.txt` and `bench/peers/Cargo.toml`", "a twentieth")
    if run.results:
        part_goals(doc, run)
    doc.sections(about)
    doc.say("## Cases")
    for name in run.results:
        part_case(doc, run, name)
    part_csv(doc, run)
    doc.failures(run.wrong)
