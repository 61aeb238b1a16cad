"""A deployment as a folder to build an image from, and manifests for Kubernetes."""

from __future__ import annotations

import re
import secrets
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from mlform.sdk import ResourceError
from mlform_core.models import told
from mlform_core.serving import features, prepared, settings
from mlform_core.serving.server import DRAIN_SECONDS
from mlform_core.serving.settings import Serving

APP: Final = "app"
PORT: Final = 8080
TOKENS: Final = "MLFORM_TOKENS"
_SERVER: Final = (
    *("mlform", "httptools", "numpy", "orjson", "prometheus-client", "pyarrow", "uvicorn"),
    "uvloop",
)
_NATIVE: Final = ("pandas", "scikit-learn", "scipy", "skops")
_LIBRARIES: Final = {"xgboost": "xgboost-cpu", "lightgbm": "lightgbm"}
_USER: Final = 10001
_PRE_STOP_SECONDS: Final = 5


def export(home: Path, target: Path) -> None:
    """Write all that serves a deployment into an empty folder. Raises ``ResourceError``.

    ``app`` has the models, feature views and settings, without any token: those come by the
    environment.
    """
    serving = settings.read(home)
    if serving is None:
        detail = f"{home} holds no deployment: apply first."
        raise ResourceError("Nothing to serve", detail)
    app = target / APP
    for digest in sorted(serving.digests):
        shutil.copytree(settings.bundle(home, digest), settings.bundle(app, digest))
    views = sorted(serving.makers)
    for view in views:
        shutil.copytree(settings.view(home, view), settings.view(app, view))
    inside = replace(
        serving,
        host="0.0.0.0",  # noqa: S104 - a container is reached from outside of it
        port=PORT,
        port_env="PORT",
        token=secrets.token_urlsafe(24),
        tokens=[],
        tokens_env=TOKENS if serving.tokens else "",
        views={d: view for d, view in serving.views.items() if d in serving.digests},
    )
    settings.write(app, inside)
    bundles = [settings.bundle(app, digest) for digest in sorted(serving.digests)]
    beside = [settings.view(app, view) for view in views]
    (target / "requirements.txt").write_text("\n".join(_requirements(bundles, beside)) + "\n")
    (target / "Dockerfile").write_text(_dockerfile(bundles))
    (target / "kubernetes.yaml").write_text(_manifests(inside))


def _formats(bundles: Sequence[Path]) -> set[str]:
    """Return the formats of the models that run by their own libraries."""
    found = set()
    for bundle in bundles:
        how = prepared.read(bundle)
        if how is None or how.runtime == "native":
            found.add(str(told(settings.model(bundle))[0]["format"]))
    return found


def _requirements(bundles: Sequence[Path], views: Sequence[Path]) -> list[str]:
    formats = _formats(bundles)
    names = [*_SERVER, *(_NATIVE if formats else ())]
    names += [name for kind, name in _LIBRARIES.items() if kind in formats]
    if any(settings.graph(bundle).is_file() for bundle in bundles):
        names.append("onnxruntime")
    for view in (place for whole in views for place in features.places(whole)):
        names += ["duckdb" if features.read(view)["kind"] == "sql" else "pandas"]
        names += [name for name in features.environment(view) if name != "python"]
    lines = [f"{name}=={version(name)}" for name in sorted({*names})]
    if "pickle" in formats:
        lines.append("# A model is a pickle: add what it was made with.")
    return lines


def _dockerfile(bundles: Sequence[Path]) -> str:
    # LightGBM's wheel takes the OpenMP of the system.
    system = (
        "RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 \\\n"
        "    && rm -rf /var/lib/apt/lists/*\n"
        if "lightgbm" in _formats(bundles)
        else ""
    )
    major, minor = sys.version_info[:2]
    return f"""\
FROM python:{major}.{minor}-slim
{system}# Wheels beside this file are for what no index has.
COPY requirements.txt *.whl /tmp/
RUN pip install --no-cache-dir --find-links /tmp -r /tmp/requirements.txt
COPY --chown={_USER}:{_USER} {APP} /{APP}
USER {_USER}:{_USER}
EXPOSE {PORT}
ENV PORT={PORT}
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import os, urllib.request as u; \\
    u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/v2/health/ready')"]
CMD ["mlform", "serve", "/{APP}"]
"""


def _manifests(serving: Serving) -> str:
    import yaml

    name = re.sub(r"[^a-z0-9-]+", "-", serving.name.lower()).strip("-")[:60] or "model"
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "mlform"}
    container: dict[str, Any] = {
        "name": "server",
        "image": f"{name}:{serving.digest.removeprefix('sha256:')[:12]}",
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": "http"}},
        "startupProbe": {
            "httpGet": {"path": "/v2/health/ready", "port": "http"},
            "failureThreshold": 60,
            "periodSeconds": 2,
        },
        "livenessProbe": {
            "httpGet": {"path": "/v2/health/live", "port": "http"},
            "timeoutSeconds": 5,
        },
        # Until every node knows that the pod ends, requests still come.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(_PRE_STOP_SECONDS)]}}},
        "resources": {
            "requests": {"cpu": str(serving.workers), "memory": f"{256 * (serving.workers + 1)}Mi"}
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "log", "mountPath": f"/{APP}/{settings.LOG}"}],
    }
    if serving.tokens_env:
        secret = {"name": f"{name}-tokens", "key": "tokens"}
        container["env"] = [{"name": TOKENS, "valueFrom": {"secretKeyRef": secret}}]
    log = {"name": "log", "emptyDir": {"sizeLimit": f"{2 * serving.log_bytes // 1_000_000}M"}}
    pod = {
        "terminationGracePeriodSeconds": DRAIN_SECONDS + _PRE_STOP_SECONDS + 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [log],
    }
    scrape = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(PORT),
        "prometheus.io/path": "/metrics",
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels, "annotations": scrape}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "selector": {"app.kubernetes.io/name": name},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "minAvailable": 1,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
        },
    }
    text: str = yaml.safe_dump_all([deployment, service, budget], sort_keys=False)
    return text
