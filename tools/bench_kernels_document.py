"""The document of tools/bench_kernels.py: goals, then a table for each case and shape."""

import statistics

from benchmark import both, digits, thread_words, verdict

PER_ROW = 100  # below so many classes, times are per row
GOALS = [
    # case, shapes (smallest and largest width), side, goal, direction, words
    ("logits", "forward", (1_000, None), "PyTorch eager", 10, "x PyTorch eager"),
    ("logits", "forward", (1_000, None), "torch.compile", 1.5, "x torch.compile"),
    ("logits", "forward", (1_000, None), "read", 0.45, "of read bandwidth"),
    ("logits", "gradient", (1_000, None), "PyTorch eager", 14, "x PyTorch eager"),
    ("logits", "gradient", (1_000, None), "torch.compile", 8, "x torch.compile"),
    ("logits", "gradient", (1_000, None), "copy", 1 / 1.4, "of copy bandwidth (1.4 times a copy)"),
    ("logits", "forward", (2, 10), "PyTorch eager", 20, "x PyTorch eager"),
    ("logits", "forward", (2, 10), "JAX jit", 4, "x JAX jit"),
    ("logits", "gradient", (2, 10), "PyTorch eager", 20, "x PyTorch eager"),
    ("logits", "gradient", (2, 10), "JAX jit", 4, "x JAX jit"),
    ("probabilities", "log loss", (3, 3), "scikit-learn", 30, "x scikit-learn"),
    ("probabilities", "log loss", (10, None), "scikit-learn", 40, "x scikit-learn"),
    ("probabilities", "log loss", (1, 1), "scikit-learn", 90, "x scikit-learn"),
    ("probabilities", "log loss", (1_000, None), "read", 0.8, "of read bandwidth"),
    ("numbers", "sum", (1, None), "plain sum", 1 / 1.2, "of a plain sum's speed (1.2 times its time)"),
    ("linear", "linear forward", (1, None), "xent, bare", 1 / 1.05, "of the bare product's speed (1.05 times its time)"),
    ("linear", "linear gradient", (1, None), "xent, bare", 1 / 1.1, "of three products' speed (1.1 times their time)"),
    # Beside a peer's product as well: a slow product of xent's own would make its share look good.
    ("linear", "linear forward", (1, None), "PyTorch, bare", 1 / 1.05, "of PyTorch's product's speed"),
    ("linear", "linear gradient", (1, None), "PyTorch, bare", 1 / 1.1, "of PyTorch's three products' speed"),
    ("logits", "forward", (2, None), "xent, AVX2", 2, "at most 2 times the time of AVX-512"),
    ("logits", "gradient", (2, None), "xent, AVX2", 2, "at most 2 times the time of AVX-512"),
]
NAMES = {
    "forward": "Forward", "gradient": "Forward and backward", "log loss": "Log loss from f64 probabilities", "sum": "Exact sum of f64",
    "linear forward": "Fused linear, forward", "linear gradient": "Fused linear, forward and backward",
}  # fmt: skip


def shape_words(part, shape):
    if part == "probabilities" and shape[1] == 1:
        return f"{shape[0]:,} rows, binary"
    if part == "linear":
        return f"n = {shape[0]:,}, d = {shape[1]:,}, v = {shape[2]:,}"
    return " x ".join(f"{n:,}" for n in shape)


def unit(part, shape):
    """Name, and how many of it a call works on."""
    if part == "linear":
        return "ms", 1e-6 * 1e9
    if part == "numbers":
        return "ns per number", shape[0]
    if shape[1] < PER_ROW:
        return "ns per row", shape[0]
    return "ns per element", shape[0] * shape[1]


def middle(run, key, side, what, of=statistics.median):
    found = run.results.get(key, {}).get(side, {}).get(what)
    return of(found) if found else None


def ratio(run, key, side, what="cpu", of=statistics.median):
    """Time of a side / time of xent."""
    own, other = middle(run, key, "xent", what, of), middle(run, key, side, what, of)
    return other / own if own and other else None


def part_goals(doc, run):
    threads = min(key[3] for key in run.results)
    doc.say("## Goals")
    doc.say(f"CPU time, {thread_words(threads)}. `xent` checks every label on the way.")
    table = []
    for part, case, (least, most), side, goal, words in GOALS:
        for key in run.results:
            if key[0] != part or key[2] != case or key[3] != threads:
                continue
            width = 1 if part == "numbers" else key[1][-1]
            if width < least or (most is not None and width > most):
                continue
            label = f"{NAMES[case]}, {shape_words(part, key[1])}"
            wanted, shown, reached = f"{goal:g} {words}", "{:.1f}".format, lambda x, goal=goal: x >= goal
            if goal <= 1:
                wanted, shown = f"{goal:.0%} {words}", "{:.0%}".format
            elif side == "xent, AVX2":
                wanted, shown, reached = words, "{:.2f}".format, lambda x, goal=goal: x <= goal
            found = [ratio(run, key, side, of=of) for of in (statistics.median, min)]
            huge = ratio(run, key, f"{side}, huge pages")
            if None in found:
                table.append([label, wanted, "", "", "", "not measured"])
                continue
            table.append([label, wanted, *map(shown, found), shown(huge) if huge else "", verdict(*map(reached, found))])
    doc.table(["", "goal", "by medians", "by minima", "by medians, peer on huge pages", "reached"], table)


def part_case(doc, run, part, shape, case, counts):
    name, items = unit(part, shape)
    scale = 1e3 if part == "linear" else 1e9 / items
    doc.say(f"### {shape_words(part, shape)}")
    header = [name]
    for threads in counts:
        header += [f"{thread_words(threads)}: CPU", "wall", "CPU / xent", "wall / xent"]
    header += ["off: loss", "off: gradient"] if "gradient" in case else ["off"]
    table, sides = [], {}
    for threads in counts:
        for side, found in run.results.get((part, shape, case, threads), {}).items():
            sides.setdefault(side, {})[threads] = found
    for side, by_threads in sides.items():
        row, off = [side], []
        for threads in counts:
            key = (part, shape, case, threads)
            found = by_threads.get(threads, {})
            if "cpu" not in found:
                row += [f"not run: {found['refused']}" if found else "", "", "", ""]
                continue
            row += [both(found["cpu"], scale), both(found["wall"], scale), digits(ratio(run, key, side)), digits(ratio(run, key, side, "wall"))]
            off.append(found["off"])
        worst = [f"{max(found):.1g}" for found in zip(*(o for o in off if o), strict=True)]
        table.append(row + worst + [""] * (len(header) - len(row) - len(worst)))
    doc.table(header, table)


def write(doc, run, about):
    names = {"xent": "xent", "torch": "PyTorch", "jax": "JAX", "sklearn": "scikit-learn"}
    doc.opening("Kernels", run, names, "`tools/requirements-kernels.txt`", "a hundredth")
    part_goals(doc, run)
    doc.sections(about)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in sorted(run.huge.items()))
    doc.say(f"Share of each process's own memory on huge pages after loading, at most: {shares}.")
    counts = sorted({key[3] for key in run.results})
    seen = dict.fromkeys((part, case) for part, _, case, _ in run.results)
    for part, case in seen:
        doc.say(f"## {NAMES[case]}")
        shapes = dict.fromkeys(key[1] for key in run.results if key[0] == part and key[2] == case)
        for shape in shapes:
            part_case(doc, run, part, shape, case, counts)
    doc.failures(run.wrong)
