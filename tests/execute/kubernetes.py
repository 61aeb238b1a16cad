"""A cluster for tests: an API server in the shapes of the real one, over one node that really runs.

What is sent is held against the schemas of Kubernetes itself (strict: no field that there is none
of), and what is answered has the fields that a cluster of version 1.34 fills. Images are not
pulled: the command of a pod is a process of this machine.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-of-this-test-alone"
CORES = 2.0
_JOBS = re.compile(r"/apis/batch/v1/namespaces/([^/]+)/jobs(?:/([^/]+))?")
_PODS = re.compile(r"/api/v1/namespaces/([^/]+)/pods(?:/([^/]+)/log)?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def missing():
    known = find_spec("kubernetes_validate")
    return "" if known else "no schemas of it: pip install --group kubernetes"


class Cluster:
    """Jobs by name, each with at most one pod, whose command runs while there are cores."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="kubernetes-"))
        self.jobs, self.pods, self.free = {}, {}, CORES
        self.guard = threading.RLock()
        cluster = self

        class Handler(_Handler):
            of = cluster

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        for pod in list(self.pods.values()):
            pod.kill(signal.SIGKILL)
        shutil.rmtree(self.folder)

    def create(self, given):
        """Take a Job, as the API server and its controller do; return what to answer."""
        import kubernetes_validate

        try:
            kubernetes_validate.validate(given, "1.34", strict=True)
        except kubernetes_validate.ValidationError as error:
            return 422, _refusal(422, "Invalid", error.message)
        name = given["metadata"]["name"]
        if not _NAME.fullmatch(name):
            return 422, _refusal(422, "Invalid", f"{name} is no DNS label")
        with self.guard:
            if name in self.jobs:
                return 409, _refusal(409, "AlreadyExists", f'jobs.batch "{name}" already exists')
            meta = {"uid": secrets.token_hex(8), "creationTimestamp": _now()}
            job = {**given, "metadata": {**given["metadata"], **meta}, "status": {}}
            self.jobs[name] = job
            self.pods[name] = Pod(self, job)
            self.schedule()
        return 201, job

    def schedule(self):
        """Begin what there is room for."""
        with self.guard:
            for pod in self.pods.values():
                if pod.process is None and pod.phase == "Pending" and pod.cores <= self.free:
                    self.free -= pod.cores
                    pod.start()

    def delete(self, name):
        """Delete a Job in the foreground: its pod first, asked and then forced."""
        with self.guard:
            job, pod = self.jobs.get(name), self.pods.get(name)
            if job is None:
                return 404, _refusal(404, "NotFound", f'jobs.batch "{name}" not found')
            job["metadata"]["deletionTimestamp"] = _now()
        threading.Thread(target=self._delete, args=(name, pod), daemon=True).start()
        return 200, job

    def _delete(self, name, pod):
        if pod is not None:
            pod.end()
        with self.guard:
            self.pods.pop(name, None)
            self.jobs.pop(name, None)

    def over(self, pod):
        """Let the Job of a pod that is over be over."""
        with self.guard:
            self.free += pod.cores
            done = pod.phase == "Succeeded"
            told = {"type": "Complete", "reason": "CompletionsReached", "message": "Reached"}
            if not done:
                told = {"type": "Failed", "reason": "BackoffLimitExceeded"}
                told["message"] = "Job has reached the specified backoff limit"
            pod.job["status"] = {
                "conditions": [{**told, "status": "True", "lastTransitionTime": _now()}],
                "succeeded" if done else "failed": 1,
            }
        self.schedule()

    def lose(self, pid):
        """Count the node of a process as lost."""
        with self.guard:
            pod = next(p for p in self.pods.values() if p.process and p.process.pid == pid)
            pod.lost()


class Pod:
    def __init__(self, cluster, job):
        self.cluster, self.job = cluster, job
        self.spec = job["spec"]["template"]["spec"]
        (self.container,) = self.spec["containers"]
        self.name = f"{job['metadata']['name']}-{secrets.token_hex(3)[:5]}"
        self.made, self.phase, self.process = _now(), "Pending", None
        self.ended, self.gone = None, None
        self.log = cluster.folder / f"{self.name}.log"
        asked = self.container["resources"]["requests"].get("cpu", "0m")
        self.cores = int(asked.removesuffix("m")) / 1000

    def start(self):
        given = {e["name"]: e["value"] for e in self.container["env"]}
        image = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
        environment = {**image, "HOME": str(self.cluster.folder), **given}
        self.phase = "Running"
        with self.log.open("wb") as said:
            self.process = subprocess.Popen(
                self.container["command"],
                cwd=self.container["workingDir"],
                env=environment,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self):
        code = self.process.wait()
        with self.cluster.guard:
            if self.gone is None:
                self.ended = code
                self.phase = "Succeeded" if code == 0 else "Failed"
                self.cluster.over(self)

    def lost(self):
        self.gone = "DeletionByTaintManager"
        self.phase = "Failed"
        self.cluster.over(self)

    def end(self):
        """Ask, wait as long as the pod says, and force."""
        self.kill(signal.SIGTERM)
        if self.process is not None:
            try:
                self.process.wait(self.spec["terminationGracePeriodSeconds"])
            except subprocess.TimeoutExpired:
                self.kill(signal.SIGKILL)
                self.process.wait()
            self.kill(signal.SIGKILL)  # all of a container ends with its first process

    def kill(self, number):
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def data(self):
        """The pod as the API server shows it."""
        state, conditions = {"running": {"startedAt": self.made}}, []
        if self.phase == "Pending":
            state = None
            told = "0/1 nodes are available: 1 Insufficient cpu."
            unfit = {"reason": "Unschedulable", "message": told, "status": "False"}
            conditions = [{"type": "PodScheduled", **unfit}]
        elif self.ended is not None:
            code = self.ended if self.ended >= 0 else 128 - self.ended
            reason = "Completed" if code == 0 else "Error"
            state = {"terminated": {"exitCode": code, "reason": reason}}
        if self.gone is not None:
            told = "Taint manager: deleting due to NoExecute taint"
            lost = {"reason": self.gone, "message": told, "status": "True"}
            conditions = [{"type": "DisruptionTarget", **lost}]
            state = None
        name = self.container["name"]
        containers = [{"name": name, "restartCount": 0, "state": state}] if state else []
        labels = {"batch.kubernetes.io/job-name": self.job["metadata"]["name"]}
        return {
            "metadata": {"name": self.name, "labels": labels, "creationTimestamp": self.made},
            "spec": self.spec,
            "status": {
                "phase": self.phase,
                "conditions": conditions,
                "containerStatuses": containers,
            },
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, query = self._asked()
        if match := _JOBS.fullmatch(path):
            job = self.of.jobs.get(match[2])
            return self._say(*((200, job) if job else (404, _refusal(404, "NotFound", match[2]))))
        if match := _PODS.fullmatch(path):
            with self.of.guard:
                pods = list(self.of.pods.values())
            if match[2]:
                pod = next(p for p in pods if p.name == match[2])
                lines = pod.log.read_bytes().splitlines(keepends=True) if pod.log.exists() else []
                return self._write(200, b"".join(lines[-int(query["tailLines"][0]) :]))
            label, _, value = query["labelSelector"][0].partition("=")
            found = [p.data() for p in pods]
            items = [p for p in found if p["metadata"]["labels"].get(label) == value]
            return self._say(200, {"kind": "PodList", "apiVersion": "v1", "items": items})
        return self._say(404, _refusal(404, "NotFound", path))

    def do_POST(self):
        path, _ = self._asked()
        given = self._given()
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self._say(401, _refusal(401, "Unauthorized", "Unauthorized"))
        match = _JOBS.fullmatch(path)
        assert match and match[1] == given["metadata"]["namespace"]
        return self._say(*self.of.create(given))

    def do_DELETE(self):
        path, _ = self._asked()
        assert self._given()["propagationPolicy"] == "Foreground"
        return self._say(*self.of.delete(_JOBS.fullmatch(path)[2]))

    def _asked(self):
        parts = urlsplit(self.path)
        return parts.path, parse_qs(parts.query)

    def _given(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _say(self, code, data):
        self._write(code, json.dumps(data).encode())

    def _write(self, code, text):
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_): ...


def _refusal(code, reason, message):
    told = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    return {**told, "reason": reason, "message": message, "code": code}


def _now():
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
