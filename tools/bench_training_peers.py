"""The peers of tools/bench_training.py, each a process that answers requests, and the judge, a process too.

    python tools/bench_training_peers.py sklearn|glum|liblinear|statsmodels|vw|judge

A request is a line of JSON on standard input, the reply a line of JSON on standard output; `xent-bench training` and
bench/peers speak the same. Threads are set by the environment, before NumPy is imported.

    {"load": "folder"}                                      -> {}
    {"fit": setting, "side": "lbfgs", "out": "coef.npy"}    -> {"wall": s, "cpu": s, "loaded_kb": ..., "peak_kb": ..., "warned": [...]}
    {"judge": "coef.npy"}                                   -> {"F": ..., "gap": ...}, of the judge only

`coef.npy` is (columns + 1, outputs), the intercepts last. Turning the arrays into what a library wants is part of loading and not timed.
"""

import ctypes
import gc
import importlib.metadata
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp

import bench_training_data as data
from benchmark import serve

MANY = 1_000_000  # iterations: the tolerance decides
TIGHT = 1e-14  # tolerance: the iterations decide


class Sklearn:
    package = "scikit-learn"

    def __init__(self):
        from sklearn.linear_model import LogisticRegression

        self.model = LogisticRegression

    def load(self, x, y, classes, folder):
        self.x, self.y = x, y

    def fit(self, solver, setting):
        # newton-cg counts only its outer steps, so its tolerance is the finer setting.
        how = {"tol": setting, "max_iter": MANY} if solver == "newton-cg" else {"tol": TIGHT, "max_iter": setting}
        model = self.model(C=data.C, solver=solver, random_state=0, **how).fit(self.x, self.y)
        return model.coef_.T, model.intercept_


class Glum:
    package = "glum"

    def __init__(self):
        from glum import GeneralizedLinearRegressor

        self.model = GeneralizedLinearRegressor

    def load(self, x, y, classes, folder):
        self.x = x.tocsc() if sp.issparse(x) else x
        self.y = y.astype(np.float64)

    def fit(self, solver, setting):
        ridge = 1 / (data.C * len(self.y))
        model = self.model(
            family="binomial", alpha=ridge, l1_ratio=0, solver=solver, gradient_tol=setting, max_iter=100_000
        ).fit(self.x, self.y)
        return model.coef_[:, None], np.array([model.intercept_])


class Liblinear:
    package = "liblinear-official"
    node = np.dtype([("index", np.int32), ("value", np.float64)], align=True)

    def __init__(self):
        from liblinear import liblinear

        self.own = liblinear

    def load(self, x, y, classes, folder):
        """The library's own rows of (index, value), each ended by the bias and an index of -1."""
        rows, columns = x.shape
        if sp.issparse(x):
            indptr, indices, values = x.indptr.astype(np.int64), x.indices, x.data
        else:
            indptr = np.arange(rows + 1, dtype=np.int64) * columns
            indices, values = None, x.reshape(-1)
        starts = indptr[:-1] + 2 * np.arange(rows)
        self.nodes = np.zeros(indptr[-1] + 2 * rows, self.node)
        ends = indptr[1:] + 2 * np.arange(rows)
        inner = np.ones(len(self.nodes), bool)
        inner[ends] = inner[ends + 1] = False
        self.nodes["value"][inner] = values
        self.nodes["index"][inner] = np.tile(np.arange(1, columns + 1), rows) if indices is None else indices + 1
        self.nodes["index"][ends] = columns + 1
        self.nodes["value"][ends] = 1
        self.nodes["index"][ends + 1] = -1
        self.pointers = (self.nodes.ctypes.data + starts * self.node.itemsize).astype(np.uint64)
        self.labels = y.astype(np.float64)
        own = self.own
        problem = own.problem.__new__(own.problem)
        problem.l, problem.n, problem.bias = rows, columns + 1, 1.0
        problem.y = self.labels.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        problem.x = ctypes.cast(self.pointers.ctypes.data, type(problem.x))
        self.problem = problem

    def fit(self, solver, setting):
        own = self.own
        # -R leaves the bias free; the dual solver has no such option.
        free = "-R" if solver == "-s 0" else ""
        parameter = own.parameter(f"{solver} -c {data.C} -B 1 {free} -e {setting} -q")
        trained = own.liblinear.train(ctypes.byref(self.problem), ctypes.byref(parameter))
        model = trained.contents
        w = np.array(model.w[: model.nr_feature + 1])
        if model.label[0] == 0:
            w = -w
        own.liblinear.free_and_destroy_model(ctypes.byref(trained))
        return w[:-1, None], w[-1:]


class Statsmodels:
    """Without a penalty: its optimum is near enough only where the penalty is nothing beside so many rows."""

    package = "statsmodels"

    def __init__(self):
        import statsmodels.api as sm

        self.own = sm

    def load(self, x, y, classes, folder):
        self.x, self.y, self.classes = self.own.add_constant(x, prepend=False), y, classes

    def fit(self, solver, setting):
        kind = self.own.Logit if self.classes == 2 else self.own.MNLogit
        found = kind(self.y, self.x).fit(method=solver, maxiter=setting, disp=0, warn_convergence=False)
        w = np.asarray(found.params).reshape(self.x.shape[1], -1)
        if self.classes > 2:
            # The first class has none; of all that predict the same, the penalty is least at the mean 0.
            w = np.hstack([np.zeros((len(w), 1)), w])
            w -= w.mean(axis=1, keepdims=True)
        return w[:-1], w[-1]


class VowpalWabbit:
    """Reads its own cache file, made when loading; f32 throughout."""

    package = "vowpalwabbit"

    def __init__(self):
        import vowpalwabbit

        self.own = vowpalwabbit

    def load(self, x, y, classes, folder):
        self.columns = x.shape[1]
        self.cache = Path(folder) / "vw.cache"
        self.options = f"--loss_function logistic --noconstant --bit_precision 20 --quiet --cache_file {self.cache}"
        if self.cache.exists():
            return
        text = Path(folder) / "vw.txt"
        x = sp.csr_matrix(x)
        with text.open("w", encoding="ascii") as file:
            for i in range(len(y)):
                part = slice(x.indptr[i], x.indptr[i + 1])
                pairs = " ".join(f"{j}:{v:.9g}" for j, v in zip(x.indices[part], x.data[part], strict=True))
                # The bias is the feature after the last.
                file.write(f"{2 * y[i] - 1} | {pairs} {self.columns}:1\n")
        self.own.Workspace(f"{self.options} --data {text}").finish()
        text.unlink()

    def fit(self, solver, setting):
        model = self.own.Workspace(
            f"{self.options} --{solver} --passes {setting} --l2 {data.C} --termination 0 --holdout_off --predict_only_model"
        )
        w = np.array([model.get_weight(j) for j in range(self.columns + 1)])
        model.finish()
        return w[:-1, None], w[-1:]


class Judge:
    package = "numpy"

    def load(self, x, y, classes, folder):
        self.x, self.y, self.classes, self.folder = x, y, classes, folder
        self.found = data.facts(folder)

    def judge(self, path, penalised):
        """The gap of a result; `penalised`: to the optimum of the problem whose intercept is penalised too."""
        both = np.load(path)
        value = data.objective(self.x, self.y, both[:-1], both[-1], self.classes)
        best = self.found["F"]
        if penalised:
            value += float(both[-1] @ both[-1]) / (2 * data.C * len(self.y))
            best = data.penalised_optimum(self.folder, self.x, self.y)
        return {"F": value, "gap": (value - best) / best}


PEERS = {
    "sklearn": Sklearn, "glum": Glum, "liblinear": Liblinear, "statsmodels": Statsmodels, "vw": VowpalWabbit, "judge": Judge,
}  # fmt: skip


def memory(key):
    try:
        with open("/proc/self/status", encoding="utf-8") as lines:
            return next((int(line.split()[1]) for line in lines if line.startswith(key)), None)
    except OSError:
        return None


def forget_peak():
    """The peak of resident memory starts anew from what there is."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        pass


def timed(peer, request):
    gc.collect()
    forget_peak()
    loaded = memory("VmRSS:")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wall, cpu = time.perf_counter(), time.process_time()
        w, b = peer.fit(request["side"], request["fit"])
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = memory("VmHWM:")
    np.save(request["out"], np.vstack([w, b]).astype(np.float64))
    warned = sorted({w.category.__name__ for w in caught})
    return {"wall": wall, "cpu": cpu, "loaded_kb": loaded, "peak_kb": peak, "warned": warned}


def answer(peer, request):
    if "load" in request:
        x, y = data.load(request["load"])
        peer.load(x, y, int(y.max()) + 1, request["load"])
        return {}
    if "judge" in request:
        return peer.judge(request["judge"], request.get("penalised", False))
    return timed(peer, request)


if __name__ == "__main__":
    started = PEERS[sys.argv[1]]()
    serve({"version": importlib.metadata.version(started.package)}, lambda request: answer(started, request))
