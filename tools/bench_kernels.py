"""Measures xent's kernels against their peers: the same arrays, in turns, in one run on one machine.

    python -m pip install -r tools/requirements-kernels.txt
    python tools/bench_kernels.py --bench target/release/xent-bench --out docs/bench-kernels.md
    python tools/bench_kernels.py --bench target/release/xent-bench --quick       (small arrays: does it run?)

Method
    Each side is a process that loads the arrays once and then answers requests of one call each; the sides take turns call by call,
    back and forth, so that a change of the machine's mood meets all of them. A side times its own call, so starting, importing,
    compiling and loading are free: wall time, and CPU time, user and system, of all threads of its process. The tables
    show medians and, in brackets, minima. Ratios are side / xent of the medians, so above 1 xent is faster; the goals are judged by CPU
    time on one thread, by medians and by minima, and count as reached if both say so; for `read` and `copy` the ratio is the share of the limit's speed that xent reaches. An untimed call comes right before each timed one, on every side: so arrays of up to the cache's size lie in the cache, larger ones come from
    memory, and memory that a call allocates is what the one before gave back (a virtual machine may return it to its host within
    seconds, and asking for it anew costs several times the work). PyTorch and xent take their number of threads as a setting; JAX has none
    that holds, and is bound to as many cores; all keep their threads
    between calls, xent's side in rayon's pool. The loss is the mean over the rows, the gradient that of the mean.
    `read` adds up the array, `copy` copies it to a buffer touched before, both in plain Rust: the limits.

Right answers first
    Before a side is timed, its loss must agree with the oracle's, computed in f64 by NumPy from the same arrays, and so must 8 rows'
    gradients in up to 5 columns (the target's among them) and the sum of the magnitudes of all. Each table shows the largest relative
    difference of loss and gradient. A side that exceeds its bound is a failure: the document says so and the command exits with 1.

Memory
    On all sides the arrays that NumPy loads lie on huge pages (2 MiB, which NumPy asks for and xent's process gets by GLIBC_TUNABLES=glibc.malloc.hugetlb=1; glibc 2.36 heeds that in about
    every other process only, so a process is started again until it does).
    What PyTorch and JAX allocate on the way, and JAX's copy of the arrays, lies on ordinary pages as they are installed; that costs them
    much of their time in large arrays, but it is what their users get. "Huge pages" marks the same peer in a process with
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1 and THP_MEM_ALLOC_ENABLE=1. xent allocates nothing of that size: it writes the gradient to a
    buffer of the caller's, used again by each call.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from bench_kernels_document import write
from benchmark import Document, Refused, Run, Server, counts, on_huge_pages, parser, say, turns

PEERS = Path(__file__).with_name("bench_kernels_peers.py")
SHAPES = ((1_000_000, 3), (1_000_000, 10), (100_000, 1_000), (4_096, 32_000), (1_024, 128_000))
PROBABILITIES = ((1_000_000, 3), (1_000_000, 10), (100_000, 1_000), (1_000_000, 1))
NUMBERS = (4_000_000, 50_000)
LINEAR = (1_024, 768, 32_000)  # n, d, v
LINEAR_QUICK = (100, 64, 300)
QUICK = 100  # a hundredth of the rows
SHORT = 100e-6  # seconds: calls below are repeated inside one measurement

# Bounds of the relative difference from the oracle. Peers work and add up in f32.
REL_PEER = 3e-5
REL_XENT = 3e-7  # 2.5 ulp of f32
REL_WIDE = 1e-12  # from f64 probabilities
# A gradient's component may also differ by this part of 1 / n: p - 1 has no more digits where p is near 1.
ABS_PEER = 3e-6

# Side: server and how its cases are named there.
LOGIT_SIDES = {
    "xent": ("xent", ""), "xent, AVX2": ("xent avx2", ""),
    "PyTorch eager": ("torch", ""), "torch.compile": ("torch", ", compiled"), "JAX jit": ("jax", ""),
    "PyTorch eager, huge pages": ("torch huge", ""), "torch.compile, huge pages": ("torch huge", ", compiled"),
    "JAX jit, huge pages": ("jax huge", ""),
}  # fmt: skip


class Kernels(Run):
    """All measurements: results[part, shape, case, threads][side] = {"wall": [...], "cpu": [...], "off": ..., ...}."""

    def __init__(self, arguments):
        super().__init__(arguments)
        self.huge = {}  # the share of each server's own memory on huge pages

    def servers(self, names, threads):
        """Starts servers; one that does not start is missing from the tables, and says why."""
        cache = {"TORCHINDUCTOR_CACHE_DIR": str(self.arguments.data.resolve() / "inductor"), "JAX_PLATFORMS": "cpu"}
        started = {}
        for name in names:
            # The question of huge pages needs one answer, not one for each number of threads.
            if name.endswith("huge") and (self.arguments.quick or threads > self.arguments.threads[0]):
                continue
            kind, _, how = name.partition(" ")
            if kind == "xent":
                line, env = [self.arguments.bench, "kernels"], {"XENT_SIMD": how} if how else {}
            else:
                line, env = [sys.executable, PEERS, kind, threads], cache
            try:
                started[name] = (on_huge_pages if kind == "xent" or how == "huge" else Server)(line, threads, **env)
                self.hello.setdefault(name, started[name].hello)
            except (Refused, OSError) as why:
                self.wrong.append(f"{name} does not start: {why}")
        if "xent avx2" in started and started["xent"].hello["simd"] != "avx512":
            started.pop("xent avx2").stop()
        return started

    def arrays(self, kind, rows, width, depth=0):
        request = {"kind": kind, "folder": str(self.arguments.data), "rows": rows, "width": width, "depth": depth}
        with self.lock:
            made = subprocess.run([sys.executable, str(PEERS), "arrays", json.dumps(request)], stdout=subprocess.PIPE, check=True)
        return json.loads(made.stdout)

    def load(self, servers, paths):
        for name in list(servers):
            memory = servers[name].ask(load=paths)
            if memory.get("anonymous_kb"):
                self.huge[name] = max(self.huge.get(name, 0), memory["huge_kb"] / memory["anonymous_kb"])

    def measure(self, key, sides, check, warm=1):
        """Checks each side once, then lets them take turns. `sides`: name -> (server, case)."""
        say(*key)
        with self.lock, self.watched({server for server, _ in sides.values()}):
            self.take_turns(self.results.setdefault(key, {}), sides, check, warm)

    def take_turns(self, found, sides, check, warm):
        calls = {}
        for name, (server, case) in sides.items():
            try:
                off = check(name, server, case)
                first = server.ask(case=case, warm=1)
                calls[name] = max(1, round(SHORT / max(first["wall"], 1e-9)))
                found[name] = {"wall": [], "cpu": [], "off": off}
            except Refused as why:
                found[name] = {"refused": str(why)}
        for name in turns(calls, self.arguments.repeat):
            server, case = sides[name]
            time.sleep(0.003)  # threads of the one before that still wait actively
            reply = server.ask(case=case, warm=warm, calls=calls[name])
            found[name]["wall"].append(reply["wall"])
            found[name]["cpu"].append(reply["cpu"])

    def judge(self, key, name, off, bound):
        if not off <= bound:
            self.wrong.append(f"{', '.join(map(str, key))}: {name} differs from the oracle by {off:.2g}, more than {bound:.2g}")

    def check_loss(self, key, answers, bounds):
        """Loss, and for a gradient its numbers, against the oracle; returns the largest relative differences."""

        def check(name, server, case):
            own = name.startswith("xent")
            bound = bounds[0] if own else bounds[1]
            loss = server.ask(case=case)["result"]
            off = abs(loss - answers["loss"]) / answers["loss"]
            self.judge(key, f"{name}'s loss", off, bound)
            if "gradient" not in case:
                return [off]
            found = server.ask(gradient=answers["gradient"])
            slack = 0 if own else ABS_PEER * answers.get("scale", 1 / answers["rows"])
            parts = [abs(found["l1"] - answers["l1"]) / answers["l1"]]
            for mine, right in zip(sum(found["values"], []), sum(answers["values"], []), strict=True):
                parts.append(max(0, abs(mine - right) - slack) / abs(right))
            self.judge(key, f"{name}'s gradient", max(parts), max(bound, answers.get("bound", 0)))
            return [off, max(parts)]

        return check


def logits(run, servers, threads, shapes):
    for rows, width in shapes:
        made = run.arrays("logits", rows, width)
        answers = made["answers"] | {"rows": rows}
        run.load(servers, made["paths"])
        for case, limit in (("forward", "read"), ("gradient", "copy")):
            key = ("logits", (rows, width), case, threads)
            sides = {name: (servers[s], case + suffix) for name, (s, suffix) in LOGIT_SIDES.items() if s in servers}
            check = run.check_loss(key, answers, (REL_XENT, REL_PEER))
            run.measure(
                key,
                sides | {limit: (servers["xent"], limit)},
                lambda name, *rest, check=check, limit=limit: None if name == limit else check(name, *rest),
            )


def probabilities(run, servers, threads, shapes):
    for rows, width in shapes:
        made = run.arrays("probabilities", rows, width)
        run.load(servers, made["paths"])
        key = ("probabilities", (rows, width), "log loss", threads)
        check = run.check_loss(key, made["answers"], (REL_WIDE, REL_WIDE))
        sides = {"xent": (servers["xent"], "log loss"), "read": (servers["xent"], "read")}
        if threads == 1 and "sklearn" in servers:
            sides["scikit-learn"] = (servers["sklearn"], "log loss")
        run.measure(key, sides, lambda name, *rest, check=check: None if name == "read" else check(name, *rest))


def numbers(run, servers, threads, lengths):
    for length in lengths:
        made = run.arrays("numbers", length, 1)
        right = made["answers"]["sum"]
        run.load(servers, made["paths"])
        key = ("numbers", (length,), "sum", threads)

        def check(name, server, case, key=key, right=right):
            off = abs(server.ask(case=case)["result"] - right) / right
            run.judge(key, name, off, 0 if name == "xent" else REL_WIDE)
            return [off]

        sides = {"xent": (servers["xent"], "sum, exact"), "plain sum": (servers["xent"], "sum, plain")}
        if threads == 1 and "sklearn" in servers:
            sides["NumPy sum"] = (servers["sklearn"], "sum")
        run.measure(key, sides, check)


def linear(run, servers, threads, shape):
    rows, depth, width = shape
    made = run.arrays("linear", rows, width, depth)
    answers = made["answers"] | {"rows": rows, "bound": REL_PEER}
    run.load(servers, made["paths"])

    def check_product(name, server, case):
        off = abs(server.ask(case=case)["result"] - answers["product"]) / abs(answers["product"])
        run.judge((rows, depth, width), f"{name}'s product", off, 1e-4)
        return [off]

    for case, product in (("linear forward", "product"), ("linear gradient", "three products")):
        key = ("linear", shape, case, threads)
        # xent's logits are f32 sums of `depth` products like anyone's.
        check = run.check_loss(key, answers, (REL_PEER, REL_PEER))
        sides = {
            "xent": ("xent", case), "xent, bare": ("xent", product), "PyTorch, bare": ("torch", product),
            "PyTorch linear_cross_entropy": ("torch", case), "PyTorch linear_cross_entropy, chunked": ("torch", f"{case}, chunked"),
            "PyTorch linear_cross_entropy, huge pages": ("torch huge", case),
        }  # fmt: skip
        sides = {name: (servers[s], c) for name, (s, c) in sides.items() if s in servers}

        def checked(name, server, case, check=check):
            if case == "product":
                return check_product(name, server, case)
            return None if case == "three products" else check(name, server, case)

        run.measure(key, sides, checked, warm=0)


def main():
    options = parser(__doc__, 5, "a hundredth")
    options.add_argument("--threads", type=counts, default="1,2", help="numbers of threads (default 1,2)")
    options.add_argument("--only", default="logits,probabilities,numbers,linear", help="the parts to run")
    arguments = options.parse_args()
    doc = Document(arguments.out)
    arguments.data.mkdir(parents=True, exist_ok=True)
    parts = arguments.only.split(",")
    less = QUICK if arguments.quick else 1
    run = Kernels(arguments)
    plan = {
        "logits": (logits, ["xent", "xent avx2", "torch", "jax", "torch huge", "jax huge"], [(n // less, v) for n, v in SHAPES]),
        "probabilities": (probabilities, ["xent", "sklearn"], [(n // less, v) for n, v in PROBABILITIES]),
        "numbers": (numbers, ["xent", "sklearn"], [n // less for n in NUMBERS]),
        "linear": (linear, ["xent", "torch", "torch huge"], LINEAR_QUICK if arguments.quick else LINEAR),
    }  # fmt: skip
    for threads in arguments.threads:
        for part, (function, names, what) in plan.items():
            if part in parts:
                servers = run.servers(names, threads)
                function(run, servers, threads, what)
                for server in servers.values():
                    server.stop()
    write(doc, run, __doc__)
    return doc.finish()


if __name__ == "__main__":
    sys.exit(main())
