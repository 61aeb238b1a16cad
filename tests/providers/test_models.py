"""Bundles: the same bytes for the same model, and nothing from them is trusted blindly."""

import io
import json
import os
import re
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.svm import LinearSVC

from mlform.sdk import ResourceError
from mlform_core import models, skops_files
from mlform_core.bundles import BundleError, pack
from mlform_core.columns import conform

NUMBERS = ["mean radius", "mean texture", "mean smoothness"]
FEATURES = [
    *({"name": n, "type": "float64"} for n in NUMBERS),
    {"name": "size", "type": "string"},
]


def table():
    """Three measurements of tumours and one category made of a fourth."""
    data = load_breast_cancer(as_frame=True)
    frame = data.data[NUMBERS].copy()
    frame["size"] = pd.cut(data.data["mean area"], 4, labels=["xs", "s", "m", "l"]).astype(object)
    frame.loc[::40, "size"] = None
    return frame, data.target.to_numpy()


def raw():
    frame, y = table()
    return conform(frame, FEATURES), y


def front(categories):
    return ColumnTransformer(
        [("c", categories, ["size"]), ("n", SimpleImputer(strategy="median"), NUMBERS)]
    )


def one_hot(model):
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(front(encoder), StandardScaler(), model)


def histogram():
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
    )
    model = HistGradientBoostingClassifier(
        max_iter=10, categorical_features=[0], random_state=0, early_stopping=True
    )
    return make_pipeline(front(ordinal), model)


MODELS = {
    "logistic": lambda: one_hot(LogisticRegression()),
    "histogram": histogram,
    "forest": lambda: one_hot(RandomForestClassifier(10, random_state=0)),
    "boosting": lambda: one_hot(GradientBoostingClassifier(n_estimators=10, random_state=0)),
    "mlp": lambda: one_hot(
        MLPClassifier((5,), max_iter=20, random_state=0, early_stopping=True, n_iter_no_change=50)
    ),
    "sgd": lambda: one_hot(SGDClassifier(loss="log_loss", random_state=0)),
    "svc": lambda: one_hot(CalibratedClassifierCV(LinearSVC(random_state=0), cv=3)),
    "isotonic": lambda: one_hot(
        CalibratedClassifierCV(LinearSVC(random_state=0), cv=3, method="isotonic")
    ),
    "neighbors": lambda: one_hot(KNeighborsClassifier()),
}


def fitted(name):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MODELS[name]().fit(*raw())


def meta(**given):
    return {
        "format": "skops",
        "task": "binary",
        "target": "benign",
        "classes": [0, 1],
        "features": FEATURES,
        "framework": "scikit-learn",
        "framework_version": "1",
        **given,
    }


def saved(model, folder, **given):
    folder.mkdir(exist_ok=True)
    allowed = given.get("format") == "pickle"
    return models.save(model, meta(**given), {"rows": 1}, folder, allowed)


@pytest.mark.parametrize("name", MODELS)
def test_bundle_gives_the_model_back(name, tmp_path):
    model = fitted(name)
    path = saved(model, tmp_path)
    loaded = models.load(path)
    frame, _ = table()
    expected = model.predict_proba(raw()[0])[:, 1]
    np.testing.assert_array_equal(loaded.predict(frame), expected)
    np.testing.assert_array_equal(loaded.labels(frame), (expected >= 0.5).astype(int))
    assert loaded.meta == meta()
    assert loaded.reference == {"rows": 1}
    # The file inside is an ordinary skops file.
    inside = zipfile.ZipFile(path).read("model.skops")
    plain = skops.io.loads(inside, trusted=skops.io.get_untrusted_types(data=inside))
    np.testing.assert_array_equal(plain.predict_proba(raw()[0])[:, 1], expected)


@pytest.mark.parametrize("kind", ["skops", "pickle"])
@pytest.mark.parametrize("name", MODELS)
def test_equal_models_give_equal_bytes(name, kind, tmp_path):
    first = saved(fitted(name), tmp_path / "a", format=kind).read_bytes()
    again = saved(fitted(name), tmp_path / "b", format=kind).read_bytes()
    assert again == first
    assert pack({"other": b"1"}) != first


ELSEWHERE = """
import hashlib, pathlib, sys, tempfile
sys.path.insert(0, ".")
from tests.providers import test_models as t
folder = pathlib.Path(tempfile.mkdtemp())
for kind in ("skops", "pickle"):
    for name in t.MODELS:
        data = t.saved(t.fitted(name), folder, format=kind).read_bytes()
        print(kind, name, hashlib.sha256(data).hexdigest())
"""


def test_other_processes_give_the_same_bytes():
    def run(seed):
        return subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            env={**os.environ, "PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    first = run("0")
    assert first.count("\n") == 2 * len(MODELS)
    assert run("7") == first


def test_threads_and_verbosity_are_no_part_of_the_model(tmp_path):
    rows, y = raw()
    plain = one_hot(RandomForestClassifier(5, random_state=0)).fit(rows, y)
    loud = one_hot(RandomForestClassifier(5, random_state=0, n_jobs=2, verbose=1)).fit(rows, y)
    assert saved(plain, tmp_path / "a").read_bytes() == saved(loud, tmp_path / "b").read_bytes()
    assert loud[-1].n_jobs == 2, "the model in hand stays as it was"
    assert loud[-1].verbose == 1


def test_a_loaded_model_saves_to_the_same_bytes(tmp_path):
    path = saved(fitted("forest"), tmp_path / "a")
    loaded = models.load(path)
    assert saved(loaded.estimator, tmp_path / "b").read_bytes() == path.read_bytes()


def test_tasks(tmp_path):
    flowers = load_iris(as_frame=True)
    features = [{"name": c, "type": "float64"} for c in flowers.data]
    names = flowers.target_names[flowers.target].astype(object)
    model = LogisticRegression(max_iter=1000).fit(flowers.data, names)
    path = saved(
        model, tmp_path, task="multiclass", classes=model.classes_.tolist(), features=features
    )
    loaded = models.load(path)
    assert loaded.predict(flowers.data).shape == (150, 3)
    assert list(loaded.labels(flowers.data)) == list(model.predict(flowers.data))

    ill = load_diabetes(as_frame=True)
    features = [{"name": c, "type": "float64"} for c in ill.data]
    ridge = Ridge().fit(ill.data, ill.target)
    path = saved(ridge, tmp_path, task="regression", classes=None, features=features)
    loaded = models.load(path)
    # Sums over rows and over columns differ in the last digit.
    np.testing.assert_allclose(loaded.predict(ill.data), ridge.predict(ill.data), rtol=1e-12)
    np.testing.assert_array_equal(loaded.labels(ill.data), loaded.predict(ill.data))


def test_histogram_regressor_with_another_loss(tmp_path):
    ill = load_diabetes(as_frame=True)
    features = [{"name": c, "type": "float64"} for c in ill.data]
    model = HistGradientBoostingRegressor(loss="poisson", max_iter=5).fit(ill.data, ill.target)
    loaded = models.load(saved(model, tmp_path, task="regression", classes=None, features=features))
    np.testing.assert_array_equal(loaded.predict(ill.data), model.predict(ill.data))


def test_one_row_of_json_predicts_as_the_table_does(tmp_path):
    model = models.load(saved(fitted("histogram"), tmp_path))
    frame, _ = table()
    row = json.loads(frame.iloc[[3]].to_json(orient="records"))
    assert model.predict(pd.DataFrame(row))[0] == model.predict(frame)[3]
    unknown = [{**row[0], "size": "gigantic", "mean texture": None}]
    assert 0 <= model.predict(pd.DataFrame(unknown))[0] <= 1


def test_wrong_columns_are_named(tmp_path):
    model = models.load(saved(fitted("logistic"), tmp_path))
    frame, _ = table()
    wrong = frame.drop(columns="size").assign(**{"mean radius": "large"})
    with pytest.raises(ValueError, match='"mean radius" should be float64') as error:
        model.predict(wrong)
    assert 'The column "size" (string) is missing.' in str(error.value)


def test_conform_types():
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None], dtype="Int64"),
            "yes": [True, False],
            "when": pd.to_datetime(["1970-01-02", None]),
            "text": pd.array(["a", None], dtype="string"),
            "mixed": [5, "b"],
            "json": [1.5, None],
        }
    )
    kinds = {"whole": "int64", "yes": "bool", "when": "timestamp", "json": "float64"}
    features = [{"name": n, "type": kinds.get(n, "string")} for n in frame]
    out = conform(frame, features)
    assert out["whole"].tolist()[0] == 1
    assert out["yes"].tolist() == [1, 0]
    assert out["when"].tolist()[0] == 86400
    assert out["mixed"].tolist() == ["5", "b"]
    assert all(np.isnan(out[n][1]) for n in ("whole", "when", "text", "json"))
    assert {str(d) for d in out.dtypes} == {"float64", "object"}


class Doubled(TransformerMixin, BaseEstimator):
    """A transformer of the user's own."""

    def fit(self, rows, y=None):
        return self

    def transform(self, rows):
        return rows * 2


def own():
    rows, y = load_breast_cancer(return_X_y=True)
    return make_pipeline(Doubled(), LogisticRegression(max_iter=5000)).fit(rows[:, :3], y)


def test_own_types_need_pickle_by_name(tmp_path):
    with pytest.raises(ResourceError) as error:
        saved(own(), tmp_path)
    assert "Doubled" in error.value.detail
    assert 'format = "pickle"' in error.value.detail
    assert error.value.argument == "format"


def test_pickle_runs_only_where_it_is_allowed(tmp_path):
    model = fitted("logistic")
    with pytest.raises(ResourceError, match="Pickle is not allowed"):
        models.save(model, meta(format="pickle"), {}, tmp_path, pickle_allowed=False)
    path = saved(model, tmp_path, format="pickle")
    with pytest.raises(ResourceError, match="Pickle is not allowed"):
        models.load(path)
    frame, _ = table()
    np.testing.assert_array_equal(
        models.load(path, allow_pickle=True).predict(frame), model.predict_proba(raw()[0])[:, 1]
    )


def test_a_bundle_that_says_skops_never_reads_a_pickle(tmp_path):
    path = saved(fitted("logistic"), tmp_path, format="pickle")
    parts = {n: zipfile.ZipFile(path).read(n) for n in zipfile.ZipFile(path).namelist()}
    about = json.loads(parts["meta.json"])
    parts["meta.json"] = json.dumps({**about, "format": "skops"}).encode()
    path.write_bytes(pack(parts))
    with pytest.raises(ResourceError, match=r"lacks model\.skops"):
        models.load(path, allow_pickle=True)


def rebuilt(path, change, *, compression=zipfile.ZIP_STORED):
    """Write the bundle again with members changed by ``change``."""
    parts = {n: zipfile.ZipFile(path).read(n) for n in zipfile.ZipFile(path).namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "model.skops/../x", "other.py"])
def test_foreign_members_are_refused(name, tmp_path):
    path = rebuilt(saved(fitted("logistic"), tmp_path), lambda parts: parts.update({name: b"x"}))
    with pytest.raises(ResourceError, match="does not belong"):
        models.load(path)


def test_zip_bombs_are_refused(tmp_path):
    path = saved(fitted("logistic"), tmp_path)
    rebuilt(path, lambda parts: parts.update({"reference.json": b" " * 10**7}),
            compression=zipfile.ZIP_DEFLATED)  # fmt: skip
    with pytest.raises(ResourceError, match="compressed member"):
        models.load(path)


def test_a_bomb_inside_the_model_is_refused():
    data = skops_files.dumps(fitted("logistic"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in zipfile.ZipFile(io.BytesIO(data)).namelist():
            archive.writestr(name, zipfile.ZipFile(io.BytesIO(data)).read(name))
    with pytest.raises(BundleError, match="compressed member"):
        skops_files.loads(buffer.getvalue())


def test_damaged_files_are_refused(tmp_path):
    path = saved(fitted("logistic"), tmp_path)
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:cut])
        with pytest.raises(ResourceError, match="Invalid model file"):
            models.load(path)
    flipped = bytearray(whole)
    flipped[whole.index(b"model.skops") + 500] ^= 1
    path.write_bytes(bytes(flipped))
    with pytest.raises(ResourceError, match="Invalid model file"):
        models.load(path)


def crafted(change):
    """Return a skops file of a fitted pipeline with its schema changed."""
    rows, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(FunctionTransformer(np.log1p), LogisticRegression(max_iter=5000))
    archive = zipfile.ZipFile(io.BytesIO(skops_files.dumps(model.fit(rows[:, :3], y))))
    parts = {n: archive.read(n) for n in archive.namelist()}
    schema = parts["schema.json"].decode()
    changed = change(schema)
    assert changed != schema
    return pack({**parts, "schema.json": changed.encode()})


FUNCTION = re.compile(
    r'\{"__class__":"log1p","__module__":"[^"]+","__loader__":"FunctionNode"[^}]*\}'
)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("numpy", "load"),
        ("numpy", "memmap"),
        ("numpy", "fromfile"),
        ("sklearn.datasets", "fetch_openml"),
        ("sklearn.datasets._base", "makedirs"),
        ("sklearn.utils", "Path"),
        ("sklearn.utils.tests.test_utils", "assert_array_equal"),
        ("subprocess", "Popen"),
    ],
)
def test_functions_and_foreign_types_are_refused(module, name):
    node = {"__class__": name, "__module__": module, "__loader__": "FunctionNode"}
    data = crafted(lambda schema: FUNCTION.sub(json.dumps(node), schema))
    with pytest.raises(BundleError, match=re.escape(f"not trusted: {module}.{name}")):
        skops_files.loads(data)


def test_calls_are_refused():
    inner = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode",
             "content": '"true"', "is_json": True}  # fmt: skip
    arguments = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode",
                 "content": [inner]}  # fmt: skip
    node = {"__class__": "system", "__module__": "os", "content": arguments,
            "__loader__": "ConstructorFromReduceNode"}  # fmt: skip
    data = crafted(lambda schema: FUNCTION.sub(json.dumps(node), schema))
    with pytest.raises(BundleError, match=r"not trusted: os\.system"):
        skops_files.loads(data)


@pytest.mark.parametrize("name", ["forest", "boosting", "histogram"])
@pytest.mark.parametrize("field", ["left", "feature", "circle"])
def test_trees_that_point_outside_are_refused(name, field):
    archive = zipfile.ZipFile(io.BytesIO(skops_files.dumps(fitted(name))))
    parts = {n: archive.read(n) for n in archive.namelist()}
    schema = parts["schema.json"].decode()
    changed = 0
    for member in [n for n in parts if n.endswith(".npy")]:
        nodes = np.load(io.BytesIO(parts[member]), allow_pickle=False)
        if nodes.dtype.names is None or len(nodes) < 3:
            continue
        left = "left_child" if "left_child" in nodes.dtype.names else "left"
        feature = "feature" if "feature" in nodes.dtype.names else "feature_idx"
        if field == "left":
            nodes[left][0] = 1_000_000
        elif field == "feature":
            nodes[feature][0] = 1_000_000
        else:
            nodes[left][0] = 0
        out = io.BytesIO()
        np.save(out, nodes)
        new = f"{changed:064x}.npy"
        del parts[member]
        parts[new] = out.getvalue()
        schema = schema.replace(member, new)
        changed += 1
    assert changed
    with pytest.raises(BundleError, match="a tree"):
        skops_files.loads(pack({**parts, "schema.json": schema.encode()}))


def test_a_forest_of_trees_for_more_features_is_refused():
    rows, y = load_breast_cancer(return_X_y=True)
    forest = RandomForestClassifier(3, random_state=0).fit(rows, y)
    forest.n_features_in_ = 2
    with pytest.raises(BundleError, match="another number of features"):
        skops_files.loads(skops_files.dumps(forest))


def test_sparse_and_shared_parts_survive():
    """Nearest neighbours keep a sparse matrix; one array in two places stays one."""
    import scipy.sparse

    rows, y = load_iris(return_X_y=True)
    model = KNeighborsClassifier().fit(scipy.sparse.csr_matrix(rows), y)
    model.again_ = model.classes_
    data = skops_files.dumps(model)
    assert skops_files.dumps(model) == data
    loaded = skops_files.loads(data)
    assert loaded.again_ is loaded.classes_
    np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows))


def test_pipeline_is_a_pipeline(tmp_path):
    assert isinstance(models.load(saved(fitted("svc"), tmp_path)).estimator, Pipeline)
