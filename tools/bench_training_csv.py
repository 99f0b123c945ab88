"""From a CSV on disk to a model file: `xent train` against pandas with scikit-learn, whole processes; a part of tools/bench_training.py.

    python tools/bench_training_csv.py make FOLDER ROWS
    python tools/bench_training_csv.py sklearn FOLDER ENGINE SOLVER ITERATIONS
    python tools/bench_training_csv.py judge FOLDER COEF.json

The table is case (a)'s, with fewer rows and six digits, and a column `vote` of "no" and "yes".
"""

import json
import subprocess
import sys
from pathlib import Path

from benchmark import Refused, measure, pinned, turns

COLUMNS = 30
# Of pandas' readers and scikit-learn's solvers each, with iterations enough for the gap.
PEERS = [(engine, solver, n) for engine in ("c", "pyarrow") for solver, n in (("newton-cholesky", 4), ("lbfgs", 20))]


def make(folder, rows):
    import numpy as np
    import pandas as pd

    import bench_training_data as data

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([ord("s"), rows])
    x, y = data.dense(rng, rows, COLUMNS, 2)
    table = pd.DataFrame(x, columns=[f"x{j}" for j in range(COLUMNS)])
    table["vote"] = np.array(["no", "yes"])[y]
    table.to_csv(folder / "table.csv", index=False, float_format="%.6g")
    x = pd.read_csv(folder / "table.csv", float_precision="round_trip").drop(columns="vote").to_numpy()
    np.save(folder / "X.npy", np.ascontiguousarray(x))
    np.save(folder / "y.npy", y.astype(np.int64))
    coef, intercept, certificate = data.optimum(x, y, 2)
    found = {"F": data.objective(x, y, coef, intercept, 2), **certificate}
    (folder / "fstar.json").write_text(json.dumps(found, indent=1) + "\n")


def sklearn(folder, engine, solver, iterations):
    import warnings

    import joblib
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    table = pd.read_csv(Path(folder) / "table.csv", engine=engine)
    y, x = table["vote"], table.drop(columns="vote")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(solver=solver, tol=1e-14, max_iter=int(iterations)).fit(x, y)
    joblib.dump(model, Path(folder) / "model.joblib")
    print(json.dumps({"coef": model.coef_[0].tolist(), "intercept": float(model.intercept_[0])}))


def judge(folder, path):
    import numpy as np

    import bench_training_data as data

    x, y = data.load(folder)
    found = json.loads(Path(path).read_text())
    value = data.objective(x, y, np.array(found["coef"])[:, None], np.array([found["intercept"]]), 2)
    print(json.dumps({"gap": value / data.facts(folder)["F"] - 1}))


def of_xent(text):
    """Coefficients from `xent train --format json`, for class "yes"."""
    found = {c["feature"]: c["estimate"] for c in json.loads(text)["coefficients"] if c["class"] == "yes"}
    return {"coef": [found[f"x{j}"] for j in range(COLUMNS)], "intercept": found["(intercept)"]}


def measure_csv(run, rows, gap):
    """results[threads][side] = {"wall": [...], "cpu": [...], "mb": ..., "gap": ...}, the gap at most `gap`; or None without the command."""
    xent = run.arguments.xent
    if xent is None or subprocess.run([xent, "train", "--help"], capture_output=True, check=False).returncode != 0:
        return None
    folder, python = run.data / "csv", sys.executable
    script = str(Path(__file__))
    if not (folder / "fstar.json").exists():
        with run.lock:
            subprocess.run([python, script, "make", str(folder), str(rows)], check=True)
    results = {}
    for threads in run.arguments.threads:
        own = [xent, "train", folder / "table.csv", "--target", "vote", "--C", "1", "--no-standardize"]
        own += ["--tolerance", "1e-7", "--threads", threads, "-o", folder / "model.json", "--format", "json", "--quiet"]
        lines = {"xent train": own} | {
            f"pandas ({engine}), scikit-learn {solver}": [python, script, "sklearn", folder, engine, solver, n]
            for engine, solver, n in PEERS
        }
        found = results.setdefault(threads, {})
        for side in turns(lines, run.arguments.repeat):
            if "failed" in found.get(side, {}):
                continue
            try:
                with run.lock:
                    took = measure(lines[side], **pinned(threads))
            except Refused as why:
                found[side] = {"failed": str(why)}
                run.wrong.append(f"CSV: {side}: {why}")
                continue
            kept = found.setdefault(side, {"wall": [], "cpu": [], "mb": took["mb"]})
            kept["wall"].append(took["wall"])
            kept["cpu"].append(took["cpu"])
            if "gap" not in kept:
                path = folder / "coef.json"
                path.write_text(json.dumps(of_xent(took["text"])) if side == "xent train" else took["text"])
                kept["gap"] = json.loads(measure([python, script, "judge", folder, path])["text"])["gap"]
                if not kept["gap"] <= gap:
                    run.wrong.append(f"CSV: {side} is {kept['gap']:.2g} above the optimum")
        run.lock.give_up()
    return {"rows": rows, "mb": (folder / "table.csv").stat().st_size / 1e6, "results": results}


if __name__ == "__main__":
    {"make": lambda folder, rows: make(folder, int(rows)), "sklearn": sklearn, "judge": judge}[sys.argv[1]](*sys.argv[2:])
