"""Kubernetes, through the REST interface of its API server: Jobs of ``batch/v1``, one for each try.

``manifest`` says all that is asked of a cluster. Nothing there tries again by itself, and what is
secret comes into the pod from Secrets that the user made: their names are all that we know.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from mlform.execute.engine import (
    Handle,
    Job,
    RefusedError,
    State,
    Status,
    UnreachableError,
)
from mlform.execute.limits import threads
from mlform.execute.local import GRACE
from mlform.execute.rest import PATIENCE, AnswerError, Rest

_LOOK: Final = 0.2
_KEPT: Final = 24 * 3600
"""Seconds that a job that is over is kept, to be looked at."""
_PROXY: Final = "http://127.0.0.1:8001"
"""Where ``kubectl proxy`` listens."""
_MOUNTED: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LOST: Final = frozenset({"Evicted", "NodeLost", "NodeShutdown", "Shutdown", "Terminated"})
"""Reasons of a pod that its machine or the cluster ended, not the stage."""
_CONTAINER: Final = "stage"
_AWAY: Final = frozenset({408, 429, *range(500, 600)})
_PULLING: Final = 3600
"""Seconds that a machine may take to fetch the image: they count in the deadline of a pod."""


@dataclass(frozen=True)
class KubernetesSettings:
    """Which cluster, how to be let in, and what the pods of jobs are like."""

    image: str = ""
    """With mlform and the providers in it."""
    address: str = ""
    """The API server; empty: that of the cluster this runs in, else ``kubectl proxy``."""
    namespace: str = "default"
    token_file: str = ""
    ca_file: str = ""
    claim: str = ""
    """The PersistentVolumeClaim with the folder of the spec, which pods see at ``mount``."""
    mount: str = ""
    secrets: Sequence[str] = ()
    """Secrets whose entries are variables of the environment of a stage."""
    service_account: str = ""
    node_selector: Sequence[str] = ()
    """Labels that a machine must have, as ``NAME=VALUE``."""
    priority_class: str = ""
    gpu_resource: str = "nvidia.com/gpu"


class KubernetesEngine:
    """Jobs of a cluster. Pods must see the folder of the spec where it is here."""

    def __init__(self, settings: KubernetesSettings) -> None:
        self._settings = settings
        inside = os.environ.get("KUBERNETES_SERVICE_HOST")
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        found = settings.address or (f"https://{inside}:{port}" if inside else _PROXY)
        self._inside = bool(inside) and not settings.address
        self._rest = Rest(
            found.rstrip("/"),
            self._token,
            "Give a token in token_file, or run `kubectl proxy` and name its address.",
            _AWAY,
            _message,
            self._trust,
        )

    def submit(self, job: Job) -> Handle:
        """Make a Job, unless there is one of that name."""
        handle = {"job": job.id}
        if self._job(handle) is not None:
            return handle
        try:
            self._rest.call("POST", self._jobs(), manifest(job, self._settings))
        except AnswerError as error:
            if error.code != http.client.CONFLICT:
                raise RefusedError(str(error)) from None
        return handle

    def poll(self, handle: Handle) -> Status:
        """Ask how a Job is, and its pod for why."""
        try:
            job = self._job(handle)
            if job is None:
                return Status(State.LOST, "Kubernetes does not know the job any more.")
            return status(job, self._pods(handle))
        except (UnreachableError, RefusedError, AnswerError) as error:
            return Status(State.UNKNOWN, str(error))

    def logs(self, handle: Handle) -> str:
        """Return the end of what the pod said: what came before there was a log."""
        with contextlib.suppress(UnreachableError, RefusedError, AnswerError):
            for pod in self._pods(handle):
                name = quote(str(pod["metadata"]["name"]))
                path = f"{self._core()}/pods/{name}/log?container={_CONTAINER}&tailLines=50"
                return self._rest.text("GET", path)[-2000:].strip()
        return ""

    def cancel(self, handle: Handle, grace: float) -> None:
        """Delete the Job, and wait until no pod of it is left.

        The cluster asks with SIGTERM and forces after the time that the pod was made with.
        """
        try:
            if self._job(handle) is not None:
                gone = {"kind": "DeleteOptions", "apiVersion": "v1"}
                path = f"{self._jobs()}/{quote(str(handle['job']))}"
                try:
                    self._rest.call("DELETE", path, {**gone, "propagationPolicy": "Foreground"})
                except AnswerError as error:
                    if not error.missing:
                        raise
            deadline = time.monotonic() + max(grace, GRACE) + PATIENCE
            while time.monotonic() < deadline:
                if self._job(handle) is None and not any(map(_goes_on, self._pods(handle))):
                    return
                time.sleep(_LOOK)
        except (AnswerError, RefusedError) as error:
            raise UnreachableError(str(error)) from None
        raise UnreachableError(f"job {handle['job']} is deleted and its pod not over yet.")

    def _core(self) -> str:
        return f"/api/v1/namespaces/{quote(self._settings.namespace)}"

    def _jobs(self) -> str:
        return f"/apis/batch/v1/namespaces/{quote(self._settings.namespace)}/jobs"

    def _job(self, handle: Handle) -> dict[str, Any] | None:
        """Return what there is of a Job, ``None`` if it is not there."""
        try:
            return self._rest.call("GET", f"{self._jobs()}/{quote(str(handle['job']))}")
        except AnswerError as error:
            if error.missing:
                return None
            raise

    def _pods(self, handle: Handle) -> list[dict[str, Any]]:
        chosen = urlencode({"labelSelector": f"batch.kubernetes.io/job-name={handle['job']}"})
        found: list[dict[str, Any]] = self._rest.call("GET", f"{self._core()}/pods?{chosen}")[
            "items"
        ]
        return found

    def _token(self) -> str:
        """Read the token each time: those of service accounts are exchanged while they run."""
        given = self._settings.token_file or (str(_MOUNTED / "token") if self._inside else "")
        with contextlib.suppress(OSError):
            return Path(given).expanduser().read_text(encoding="ascii").strip() if given else ""
        return ""

    def _trust(self) -> ssl.SSLContext | None:
        if not self._rest.address.startswith("https:"):
            return None
        given = self._settings.ca_file or (str(_MOUNTED / "ca.crt") if self._inside else "")
        try:
            return ssl.create_default_context(
                cafile=str(Path(given).expanduser()) if given else None
            )
        except OSError as error:
            raise RefusedError(f"ca_file {given} cannot be read: {error}.") from None


def _message(text: str) -> str:
    """Return what an error says: those of Kubernetes are JSON, those of proxies are not."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(text)["message"])
    return text


def manifest(job: Job, settings: KubernetesSettings) -> dict[str, Any]:
    """Return the Job of an attempt, as it is sent to the cluster."""
    demand, it = job.demand, settings
    resources: dict[str, str] = {}
    if demand.cpu:
        resources["cpu"] = f"{ceil(demand.cpu * 1000)}m"
    if demand.memory:
        resources["memory"] = str(demand.memory)
    if demand.gpu:
        resources[it.gpu_resource] = str(demand.gpu)
    variables = {**threads(demand, {}), "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
    container: dict[str, Any] = {
        "name": _CONTAINER,
        "image": it.image,
        "command": [*job.command, job.id],
        "workingDir": str(job.root),
        "env": [{"name": n, "value": v} for n, v in sorted(variables.items())],
        "envFrom": [{"secretRef": {"name": n}} for n in it.secrets],
        "resources": {"requests": resources, "limits": resources},
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": ceil(GRACE),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [container],
    }
    if it.claim:
        container["volumeMounts"] = [{"name": "shared", "mountPath": it.mount or str(job.root)}]
        pod["volumes"] = [{"name": "shared", "persistentVolumeClaim": {"claimName": it.claim}}]
    if demand.timeout is not None:
        # The stage ends itself; this is for one that cannot. That of a Job would count the queue.
        pod["activeDeadlineSeconds"] = ceil(demand.timeout + 3 * GRACE + _PULLING)
    if it.service_account:
        pod["serviceAccountName"] = it.service_account
    if it.node_selector:
        pod["nodeSelector"] = dict(label.partition("=")[::2] for label in it.node_selector)
    if it.priority_class:
        pod["priorityClassName"] = it.priority_class
    labels = {"app.kubernetes.io/managed-by": "mlform"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.id, "namespace": it.namespace, "labels": labels},
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "ttlSecondsAfterFinished": _KEPT,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def status(job: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> Status:
    """Read how an attempt is from its Job and the pods of it there are."""
    conditions = _conditions(job)
    if "Complete" in conditions:
        return Status(State.SUCCEEDED, "Kubernetes says Complete.")
    pod = max(pods, key=_created, default=None)
    if (failed := conditions.get("Failed")) is not None:
        return _failed(failed, pod)
    if "Suspended" in conditions or pod is None:
        why = "the job is suspended" if "Suspended" in conditions else "it has no pod yet"
        return Status(State.PENDING, f"Kubernetes says that {why}.")
    match pod.get("status", {}).get("phase"):
        case "Pending":
            return Status(State.PENDING, f"Kubernetes says: {_waiting(pod)}")
        case "Unknown":
            return Status(State.UNKNOWN, "the machine of its pod does not answer.")
        case _:  # one that is over is judged when its Job is: the cluster has the last word
            return Status(State.RUNNING)


def _failed(failed: Mapping[str, Any], pod: Mapping[str, Any] | None) -> Status:
    """Tell a stage that ended badly from one that the cluster ended."""
    said = f"{failed.get('reason', 'Failed')}: {failed.get('message', '')}".rstrip(": ")
    if pod is None:
        return Status(State.LOST, f"Kubernetes says {said}, and its pod is gone.")
    it = pod.get("status", {})
    disrupted = _conditions(pod).get("DisruptionTarget")
    if disrupted is not None or it.get("reason") in _LOST:
        told = disrupted or it
        why = f"{told.get('reason', '')}: {told.get('message', '')}".rstrip(": ")
        return Status(State.LOST, f"Kubernetes took its pod away ({why}).")
    ended = _ended(it)
    if ended is None:
        if it.get("reason") == "DeadlineExceeded":
            return Status(State.FAILED, "Kubernetes says DeadlineExceeded.")
        return Status(State.LOST, f"Kubernetes says {said}, and not how its pod ended.")
    if ended.get("reason") == "OOMKilled":
        return Status(State.FAILED, "Kubernetes ended it for want of memory (OOMKilled).")
    code, number = ended.get("exitCode"), ended.get("signal")
    how = f"signal {number}" if number else f"exit code {code}"
    return Status(State.FAILED, f"Kubernetes says {ended.get('reason', 'Error')}, {how}.")


def _conditions(thing: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = thing.get("status", {}).get("conditions") or []
    return {str(c["type"]): c for c in found if c.get("status") == "True"}


def _created(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _goes_on(pod: Mapping[str, Any]) -> bool:
    return pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


def _ended(it: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for container in it.get("containerStatuses") or []:
        found: Mapping[str, Any] | None = container.get("state", {}).get("terminated")
        if found is not None:
            return found
    return None


def _waiting(pod: Mapping[str, Any]) -> str:
    """Say what a pod that has not begun waits for: an image, a Secret, a machine."""
    it = pod.get("status", {})
    for container in it.get("containerStatuses") or []:
        if waits := container.get("state", {}).get("waiting"):
            return f"{waits.get('reason', '')}: {waits.get('message', '')}".rstrip(": ") + "."
    for condition in it.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            reason, message = condition.get("reason", ""), condition.get("message", "")
            return f"{reason}: {message}".rstrip(": .") + "."
    return "its pod has not begun."
