"""The peers of tools/bench_kernels.py, each a process that answers requests, and the arrays and their oracle.

    python tools/bench_kernels_peers.py torch|jax|sklearn THREADS
    python tools/bench_kernels_peers.py arrays '{"kind": "logits", "rows": 1000, "width": 10, "folder": "..."}'

A request is a line of JSON on standard input, the reply a line of JSON on standard output; `xent-bench kernels` speaks the
same. The number of threads belongs to the process, because JAX cannot change it.

    {"load": {"values": "x.npy", "labels": "y.npy"}}      -> {"anonymous_kb": ..., "huge_kb": ...}
    {"case": "forward", "warm": 1, "calls": 1}            -> {"wall": s, "cpu": s, "result": number}, times for one call
    {"gradient": {"rows": [...], "columns": [[...]]}}     -> {"values": [[...]], "l1": number}, of the latest gradient
"""

import gc
import json
import math
import os
import sys
import time
from pathlib import Path

from benchmark import serve

HUGE_KEYS = {"Anonymous:": "anonymous_kb", "AnonHugePages:": "huge_kb"}
CHUNK = 1 << 22  # numbers that the oracle widens to f64 at once
PICKED_ROWS = 8


class Torch:
    def __init__(self, threads):
        import torch
        import torch.nn.functional as F

        torch.set_num_threads(threads)
        self.torch, self.F, self.arrays = torch, F, {}
        self.version = torch.__version__
        self.cases = {
            "forward": lambda: self.forward(F.cross_entropy),
            "gradient": lambda: self.backward(F.cross_entropy),
            "forward, compiled": lambda: self.forward(self.compiled),
            "gradient, compiled": lambda: self.backward(self.compiled),
            "product": self.product,
            "three products": self.three_products,
            "linear forward": lambda: self.linear_forward(None),
            "linear forward, chunked": lambda: self.linear_forward(torch.nn.LinearCrossEntropyOptions()),
            "linear gradient": lambda: self.linear_gradient(None),
            "linear gradient, chunked": lambda: self.linear_gradient(torch.nn.LinearCrossEntropyOptions()),
            "sum": lambda: self.arrays["values"].sum().item(),
        }

    def load(self, arrays):
        self.torch._dynamo.reset()
        self.compiled = self.torch.compile(lambda x, y: self.F.cross_entropy(x, y), dynamic=False)
        self.latest = None
        self.arrays = {name: self.torch.from_numpy(array) for name, array in arrays.items()}
        if "weights" in arrays:
            n, v = arrays["values"].shape[0], arrays["weights"].shape[0]
            self.logits = self.torch.zeros(n, v)
            self.d_values = self.torch.zeros_like(self.arrays["values"])
            self.d_weights = self.torch.zeros_like(self.arrays["weights"])
        else:
            self.logits = self.d_values = self.d_weights = None

    def forward(self, loss):
        with self.torch.no_grad():
            return loss(self.arrays["values"], self.arrays["labels"]).item()

    def backward(self, loss):
        self.latest = None
        x = self.arrays["values"].detach().requires_grad_()
        value = loss(x, self.arrays["labels"])
        value.backward()
        self.latest = x.grad
        return value.item()

    def product(self):
        self.torch.mm(self.arrays["values"], self.arrays["weights"].T, out=self.logits)
        return self.logits[0, 0].item()

    def three_products(self):
        self.torch.mm(self.arrays["values"], self.arrays["weights"].T, out=self.logits)
        self.torch.mm(self.logits, self.arrays["weights"], out=self.d_values)
        self.torch.mm(self.logits.T, self.arrays["values"], out=self.d_weights)
        return self.d_weights[0, 0].item()

    def linear_forward(self, options):
        with self.torch.no_grad():
            return self.F.linear_cross_entropy(
                self.arrays["values"], self.arrays["weights"], self.arrays["labels"], options=options
            ).item()

    def linear_gradient(self, options):
        self.latest = None
        x = self.arrays["values"].detach().requires_grad_()
        w = self.arrays["weights"].detach().requires_grad_()
        value = self.F.linear_cross_entropy(x, w, self.arrays["labels"], options=options)
        value.backward()
        self.latest = x.grad
        return value.item()

    def gradient(self):
        return self.latest.numpy()


class Jax:
    def __init__(self, threads):
        # XLA takes as many threads as the process may use cores, and has no other setting that holds.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
        import jax
        import optax

        def loss(x, y):
            return optax.softmax_cross_entropy_with_integer_labels(x, y).mean()

        self.jax = jax
        self.version = f"{jax.__version__}, optax {optax.__version__}"
        self.loss, self.both = jax.jit(loss), jax.jit(jax.value_and_grad(loss))
        self.cases = {"forward": self.forward, "gradient": self.backward}

    def load(self, arrays):
        self.latest = self.arrays = None
        values, labels = arrays["values"], arrays["labels"].astype("int32")
        self.arrays = self.jax.block_until_ready((self.jax.device_put(values), self.jax.device_put(labels)))

    def forward(self):
        return float(self.loss(*self.arrays))

    def backward(self):
        self.latest = None
        value, self.latest = self.jax.block_until_ready(self.both(*self.arrays))
        return float(value)

    def gradient(self):
        import numpy as np

        return np.asarray(self.latest)


class Sklearn:
    def __init__(self, _threads):
        import sklearn
        from sklearn.metrics import log_loss

        self.log_loss, self.version = log_loss, sklearn.__version__
        self.cases = {"log loss": self.score, "sum": lambda: float(self.arrays["values"].sum())}

    def load(self, arrays):
        self.arrays = arrays

    def score(self):
        p = self.arrays["values"]
        classes = list(range(p.shape[1])) if p.ndim == 2 else [0, 1]
        return float(self.log_loss(self.arrays["labels"], p, labels=classes))


PEERS = {"torch": Torch, "jax": Jax, "sklearn": Sklearn}


def huge_pages():
    """How much of the process's own memory there is, and how much of it lies on huge pages."""
    try:
        with open("/proc/self/smaps_rollup", encoding="utf-8") as lines:
            fields = [line.split() for line in lines]
        return {HUGE_KEYS[f[0]]: int(f[1]) for f in fields if f[0] in HUGE_KEYS}
    except OSError:
        return {}


def answer(np, peer, request):
    if "load" in request:
        peer.load({name: np.load(path) for name, path in request["load"].items()})
        gc.collect()
        return huge_pages()
    if "gradient" in request:
        return picked(np, peer.gradient(), request["gradient"])
    if request["case"] not in peer.cases:
        return {"error": f"no case {request['case']!r}"}
    return timed(peer.cases[request["case"]], request.get("warm", 0), request.get("calls", 1))


def timed(call, warm, calls):
    # Until whoever asked is asleep: a thread woken while both cores are busy is put behind this one for milliseconds.
    time.sleep(0.002)
    for _ in range(warm):
        call()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        result = call()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"wall": wall / calls, "cpu": cpu / calls, "result": result}


def picked(np, gradient, request):
    values = [[float(gradient[i, j]) for j in js] for i, js in zip(request["rows"], request["columns"], strict=True)]
    step = max(1, CHUNK // gradient.shape[1])
    l1 = sum(float(np.abs(gradient[i : i + step]).sum(dtype=np.float64)) for i in range(0, len(gradient), step))
    return {"values": values, "l1": l1}


# The arrays, each beside its right answers, computed in f64 with NumPy.


def arrays(kind, folder, rows, width, depth=0):
    import numpy as np

    folder = Path(folder)
    name = "-".join(str(part) for part in (kind, rows, width, depth) if part)
    paths = {what: str(folder / f"{name}-{what}.npy") for what in ("values", "labels", "weights")}
    if not depth:
        del paths["weights"]
    if kind == "numbers":
        del paths["labels"]
    answers = folder / f"{name}.json"
    if not answers.exists():
        rng = np.random.default_rng([rows, width, depth])
        made, found = MAKERS[kind](np, rng, rows, width, depth)
        for what, path in paths.items():
            np.save(path, made[what])
        answers.write_text(json.dumps(found))
    return {"paths": paths, "answers": json.loads(answers.read_text())}


def make_logits(np, rng, rows, width, _depth):
    x = rng.standard_normal((rows, width), dtype=np.float32)
    x *= 3
    y = rng.integers(0, width, rows)
    step = max(1, CHUNK // width)
    losses, misses = [], []
    chosen, columns, values = pick(np, y, width), [], []
    for i in range(0, rows, step):
        chunk, labels = x[i : i + step].astype(np.float64), y[i : i + step]
        loss, p = softmax_loss(np, chunk, labels)
        losses.append(loss)
        p[np.arange(len(p)), labels] -= 1
        misses.append(float(np.abs(p).sum()))
        for row, js in chosen.items():
            if i <= row < i + step:
                columns.append(js)
                values.append([float(p[row - i, j]) / rows for j in js])
    found = {
        "loss": math.fsum(np.concatenate(losses)) / rows,
        "gradient": {"rows": list(chosen), "columns": columns},
        "values": values,
        "l1": math.fsum(misses) / rows,
    }
    return {"values": x, "labels": y}, found


def softmax_loss(np, x, labels):
    top = x.max(axis=1, keepdims=True)
    p = np.exp(x - top)
    total = p.sum(axis=1, keepdims=True)
    loss = np.log(total[:, 0]) - (x[np.arange(len(x)), labels] - top[:, 0])
    p /= total
    return loss, p


def pick(np, y, width):
    rows = sorted({int(r) for r in np.linspace(0, len(y) - 1, PICKED_ROWS)})
    return {r: sorted({int(y[r]), (int(y[r]) + 1) % width, 0, width // 2, width - 1}) for r in rows}


def make_probabilities(np, rng, rows, width, _depth):
    """f64 rows that sum to 1; width 1 is the probability of the second of two classes."""
    z = rng.normal(size=(rows, max(width, 2))) * 1.5
    _, p = softmax_loss(np, z, np.zeros(rows, dtype=np.int64))
    if width == 1:
        p = np.ascontiguousarray(p[:, 1])
        y = (rng.random(rows) < p).astype(np.int64)
        right = np.where(y == 1, p, 1 - p)
    else:
        y = np.minimum((np.cumsum(p, axis=1) < rng.random((rows, 1))).sum(axis=1), width - 1)
        right = p[np.arange(rows), y]
    return {"values": p, "labels": y}, {"loss": math.fsum(-np.log(right)) / rows}


def make_numbers(np, rng, rows, _width, _depth):
    """Losses of coin-like rows: positive numbers around 1."""
    x = rng.exponential(size=rows)
    return {"values": x}, {"sum": math.fsum(x)}


def make_linear(np, rng, rows, width, depth):
    x = rng.standard_normal((rows, depth), dtype=np.float32)
    w = rng.standard_normal((width, depth), dtype=np.float32) * np.float32(3 / math.sqrt(depth))
    y = rng.integers(0, width, rows)
    wide = w.astype(np.float64)
    loss, p = softmax_loss(np, x.astype(np.float64) @ wide.T, y)
    p[np.arange(rows), y] -= 1
    dx = p @ wide / rows
    chosen = pick(np, np.minimum(y, depth - 1), depth)
    return {"values": x, "labels": y, "weights": w}, {
        "loss": math.fsum(loss) / rows,
        "product": float(x[0].astype(np.float64) @ wide[0]),
        "gradient": {"rows": list(chosen), "columns": list(chosen.values())},
        "values": [[float(dx[i, j]) for j in js] for i, js in chosen.items()],
        "l1": float(np.abs(dx).sum()),
        "scale": float(np.abs(dx).max()),
    }


MAKERS = {"logits": make_logits, "probabilities": make_probabilities, "numbers": make_numbers, "linear": make_linear}


if __name__ == "__main__":
    if sys.argv[1] == "arrays":
        print(json.dumps(arrays(**json.loads(sys.argv[2]))))
    else:
        started = PEERS[sys.argv[1]](int(sys.argv[2]))
        import numpy

        serve({"version": started.version}, lambda request: answer(numpy, started, request))
