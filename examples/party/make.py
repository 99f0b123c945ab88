"""Writes voters.csv, logistic.csv and forest.csv beside this file.

Downloads nothing: the voters come out of the statsmodels package (`statsmodels.datasets.anes96`).

    python -m pip install -r tools/requirements-test.txt
    python examples/party/make.py            # writes the three files
    python examples/party/make.py --check    # compares them with the committed ones instead

The predictions are out of fold: every voter is predicted by a model that has not seen them.
"""

import argparse
import csv
import io
import math
import sys
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.datasets import anes96

SEED = 1996
N_FOLDS = 10
N_TREES = 300
MIN_SAMPLES_LEAF = 5

CLASSES = ["democrat", "independent", "republican"]
# PID: 0 strong and 1 weak democrat; 2, 3, 4 independent, leaning either way or not; 5 weak and 6 strong republican.
PARTY_OF_PID = [0, 0, 1, 1, 1, 2, 2]

COLUMNS = ["PID", "popul", "TVnews", "selfLR", "ClinLR", "DoleLR", "age", "educ", "income", "vote"]
FEATURES = ["popul", "TVnews", "selfLR", "ClinLR", "DoleLR", "age", "educ", "income"]  # neither PID nor vote

SUM_TOLERANCE = 1e-9
CHECK_TOLERANCE = 1e-6  # between machines: another BLAS or CPU may move the last digits of a fit


def load():
    """Returns the ten integer columns by name, each of shape (944,)."""
    data = anes96.load_pandas().data
    return {name: data[name].to_numpy().astype(np.int64) for name in COLUMNS}


def log_population(voters):
    """Returns log(population + 0.1), (n_samples,): statsmodels' own `logpopul`."""
    return np.log(voters["popul"] + 0.1)


def features(voters):
    """Returns the features, (n_samples, 8); the population enters as log(population + 0.1)."""
    columns = [log_population(voters) if f == "popul" else voters[f].astype(float) for f in FEATURES]
    return np.column_stack(columns)


def out_of_fold(make_model, x, y):
    """Returns out-of-fold probabilities, (n_samples, 3), and the fold of every row, 1 to N_FOLDS."""
    y_proba = np.full((len(y), len(CLASSES)), np.nan)
    fold = np.zeros(len(y), dtype=int)
    splitter = StratifiedKFold(n_splits=N_FOLDS, shuffle=True, random_state=SEED)
    for number, (train, test) in enumerate(splitter.split(x, y), start=1):
        model = make_model().fit(x[train], y[train])
        assert list(model.classes_) == [0, 1, 2]
        y_proba[test] = model.predict_proba(x[test])
        fold[test] = number
    assert np.all(np.abs(y_proba.sum(axis=1) - 1) <= SUM_TOLERANCE)
    return y_proba, fold


def to_csv(header, rows):
    """Returns the text of a CSV file; floats are written so that reading them back gives the same bits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def build():
    """Returns the three files' texts by name, and prints a summary of each model."""
    voters = load()
    y = np.array([PARTY_OF_PID[pid] for pid in voters["PID"]])
    n = len(y)
    party = [CLASSES[k] for k in y]
    logpopul = log_population(voters)
    files = {
        "voters.csv": to_csv(
            ["id", "party", *COLUMNS, "logpopul"],
            (
                [i + 1, party[i], *(int(voters[c][i]) for c in COLUMNS), repr(float(logpopul[i]))]
                for i in range(n)
            ),
        )
    }
    frequency = np.bincount(y) / n
    print("class sizes:", dict(zip(CLASSES, np.bincount(y).tolist(), strict=True)))
    print(f"entropy of the parties: {-np.sum(frequency * np.log2(frequency)):.6f} bits")

    x = features(voters)
    models = {
        "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        # One job: the trees' votes are then added in one order, so that the sums have the same bits each time.
        "forest": lambda: RandomForestClassifier(
            n_estimators=N_TREES, min_samples_leaf=MIN_SAMPLES_LEAF, random_state=SEED, n_jobs=1
        ),
    }
    for name, make_model in models.items():
        y_proba, fold = out_of_fold(make_model, x, y)
        truth = y_proba[np.arange(n), y]
        assert truth.min() > 0, f"{name}: a true class has probability 0"
        files[f"{name}.csv"] = to_csv(
            ["id", "party", "fold", *(f"p_{c}" for c in CLASSES)],
            ([i + 1, party[i], int(fold[i]), *(repr(float(p)) for p in y_proba[i])] for i in range(n)),
        )
        onehot = np.eye(len(CLASSES))[y]
        print(
            f"{name}: cross entropy {-math.fsum(np.log2(truth)) / n:.6f} bits, "
            f"mean squared error {math.fsum(((y_proba - onehot) ** 2).ravel()) / n:.6f}, "
            f"error rate {np.mean(y_proba.argmax(axis=1) != y):.6f}, "
            f"least probability {y_proba.min():.3g}, of a true class {truth.min():.3g}"
        )
    return files


def differs(old, new):
    """Returns the first difference between two CSV texts beyond CHECK_TOLERANCE, or None."""
    old, new = list(csv.reader(io.StringIO(old))), list(csv.reader(io.StringIO(new)))
    if len(old) != len(new):
        return f"{len(old)} lines against {len(new)}"
    for line, (a, b) in enumerate(zip(old, new, strict=True), start=1):
        for s, t in zip(a, b, strict=True):
            if s != t and not ("." in s and abs(float(s) - float(t)) <= CHECK_TOLERANCE):
                return f"line {line}: {s} against {t}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the files beside this script; write nothing")
    arguments = parser.parse_args()
    here = Path(__file__).resolve().parent
    failed = False
    for name, text in build().items():
        path = here / name
        if arguments.check:
            committed = path.read_text(encoding="utf-8")
            difference = None if committed == text else differs(committed, text)
            failed |= difference is not None
            state = "the same bytes" if committed == text else difference or f"the same within {CHECK_TOLERANCE}"
            print(f"{name}: {state}")
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
