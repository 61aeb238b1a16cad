"""``mlform serve``: in the foreground, and as the files of an image."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.providers.serving_bench import call
from tests.scenarios.command import Folder

TOKEN = "a token that is long enough"
SPEC = """
dataset "file" "points" {
  path = "points.csv"
  split = { by = "hash", on = ["id"], seed = 1, parts = { train = 0.8, rest = 0.2 } }
}
training_job "sklearn" "line" {
  data      = dataset.points
  split     = "train"
  target    = "y"
  exclude   = ["id"]
  estimator = "sklearn.linear_model.LogisticRegression"
}
deployment "http" "My_API" {
  model      = training_job.line.model
  workers    = 2
  tokens_env = "API_TOKENS"
}
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("deployed"), {"API_TOKENS": TOKEN})
    chance = np.random.default_rng(1)
    frame = pd.DataFrame({"id": range(80), "x": chance.normal(size=80)})
    frame["y"] = (frame["x"] > 0).map({True: "above", False: "below"})
    frame.to_csv(folder.path / "points.csv", index=False)
    (folder.path / "main.mlf.hcl").write_text(SPEC)
    folder.mlform("apply", "-auto-approve")
    yield folder
    folder.mlform("destroy", "-auto-approve")


@pytest.fixture(scope="module")
def image(deployed, tmp_path_factory):
    target = tmp_path_factory.mktemp("image") / "image"
    said = deployed.mlform("serve", "deployment.My_API", "-export", str(target)).out
    assert f"docker build -t NAME {target}" in said
    return target


def asked(port, headers):
    tensor = {"name": "x", "datatype": "FP64", "shape": [1], "data": [3.0]}
    url = f"http://127.0.0.1:{port}/v2/models/My_API/infer"
    return call(url, {"inputs": [tensor]}, headers=headers)


def healthy(image, port):
    """Tell whether the image's own check finds a server at a port."""
    recipe = (image / "Dockerfile").read_text().replace("\\\n", "")
    python, *rest = json.loads(re.search(r"HEALTHCHECK .* CMD (\[.*\])", recipe)[1])
    assert python == "python"
    return subprocess.run([sys.executable, *rest], env={"PORT": port}, check=False).returncode == 0


def test_what_is_exported_serves_elsewhere_until_it_is_told_to_end(image, tmp_path):
    # A folder of its own: no spec, no state, no store.
    shutil.copytree(image / "app", tmp_path / "app")
    ours = {"Authorization": f"Bearer {TOKEN}"}
    elsewhere = Folder(tmp_path, {"MLFORM_TOKENS": TOKEN, "PORT": "0"})
    process = elsewhere.start("serve", "app")
    try:
        said = process.stdout.readline()
        port = re.fullmatch(r"My_API \(sha256:\w+\) is served at port (\d+)\.\n", said)[1]
        status, answer = asked(port, ours)
        assert (status, answer["outputs"][1]["data"]) == (200, ["above"])
        assert asked(port, {})[0] == 401
        assert healthy(image, port)
        again = elsewhere.mlform("serve", "app", expect=1)
        assert "Served already" in again.err
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    assert not healthy(image, port)
    elsewhere.environment["MLFORM_TOKENS"] = ""
    said = elsewhere.mlform("serve", "app", expect=1).err
    assert "The environment variable MLFORM_TOKENS holds no tokens" in said


def test_nothing_is_left_to_do(deployed):
    assert deployed.mlform("plan", "-detailed-exitcode").code == 0


def test_no_secret_is_exported(image, deployed):
    home = next((deployed.path / ".mlform" / "resources").glob("deployment.*"))
    engines = json.loads((home / "serving.json").read_text())["token"]
    for path in (p for p in image.rglob("*") if p.is_file()):
        content = path.read_bytes()
        assert TOKEN.encode() not in content
        assert engines.encode() not in content
    assert json.loads((image / "app" / "serving.json").read_text())["tokens"] == []


def test_the_files_of_an_image(image):
    recipe = (image / "Dockerfile").read_text().splitlines()
    assert recipe[0].startswith("FROM python:3.")
    assert recipe[-1] == 'CMD ["mlform", "serve", "/app"]'
    assert "USER 10001:10001" in recipe
    assert "COPY requirements.txt *.whl /tmp/" in recipe
    assert any("--find-links /tmp" in line for line in recipe)
    wanted = (image / "requirements.txt").read_text().split()
    assert all(re.fullmatch(r"[a-z-]+==[\w.+]+", line) for line in wanted)
    names = {line.partition("==")[0] for line in wanted}
    assert {"mlform", "onnxruntime", "uvicorn"} <= names
    assert not {"scikit-learn", "pandas"} & names


def test_manifests(image):
    documents = list(yaml.safe_load_all((image / "kubernetes.yaml").read_text()))
    deployment, service, budget = documents
    kinds = ["Deployment", "Service", "PodDisruptionBudget"]
    assert [d["kind"] for d in documents] == kinds
    assert {d["metadata"]["name"] for d in documents} == {"my-api"}
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    labels = pod["metadata"]["labels"]
    for chosen in (
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        budget["spec"]["selector"]["matchLabels"],
    ):
        assert chosen.items() <= labels.items()
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert container["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "my-api-tokens"
    mounted = {m["name"] for m in container["volumeMounts"]}
    assert mounted == {v["name"] for v in pod["spec"]["volumes"]}


def test_what_cannot_be_served_is_said(deployed, image):
    said = deployed.mlform("serve", "deployment.My_API", expect=1).err
    assert re.search(r"Process \d+ serves from .* already at http://127.0.0.1:\d+", said)
    said = deployed.mlform("serve", "training_job.line", expect=1).err
    assert "Nothing to serve" in said
    assert 'training_job.line is a training_job "sklearn", which serves nothing' in said
    said = deployed.mlform("serve", "deployment.other", expect=1).err
    assert "Not in the state" in said
    said = deployed.mlform("serve", "deployment.My_API", "-export", os.fspath(image), expect=1).err
    assert "Folder is not empty" in said
    (deployed.path / "other").mkdir()
    (deployed.path / "other" / "served.json").write_text("[]")
    assert "Not exported" in deployed.mlform("serve", "other", expect=1).err
