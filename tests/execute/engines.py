"""Each engine as a test sees it: how it is declared, and how parts of it are made to fail."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.execute import kubernetes, slurm
from tests.execute.processes import until

from mlform.demand import Declared
from mlform.execute import process
from mlform.execute.alive import Process as Alive


class Process:
    name = "process"
    environment: dict[str, str] = {}
    declared = Declared("process", {"every": 0.1})
    refuses = None
    # This machine knows its processes, is asked while planning, always within reach, its own node.
    leaves_out = {
        "test_a_job_that_outlives_the_word_of_its_engine_is_not_lost",
        "test_more_than_there_is",
        "test_out_of_reach_is_not_failed",
        "test_an_engine_out_of_reach_for_too_long_is_left_open",
        "test_a_lost_node_loses_its_job",
    }

    def start(self): ...

    def stop(self): ...

    def submit_again(self, engine, job):
        started = process._start(job)
        return {"folder": str(job.folder), "process": vars(Alive.of(started))}


class Slurm:
    name = "slurm"
    missing = staticmethod(slurm.missing)
    declared = Declared("slurm", {"every": 0.2})
    leaves_out: set[str] = set()
    refuses = {"cpu": 999}

    def start(self):
        place = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.cluster = slurm.Cluster(place)
        self.cluster.start()
        self.environment = self.cluster.environment

    @contextlib.contextmanager
    def out_of_reach(self):
        # Asked to end, it saves what it knows; killed, it may forget that the job was started.
        self.cluster.end("slurmctld", signal.SIGTERM)
        yield
        self.cluster.control()
        self.cluster.idle()

    def submit_again(self, engine, job):
        """Submit a job as if nobody could see that it is there."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine, "_named", lambda _name: None)
            return engine.submit(job)

    def lose_node(self, pid):
        """Take the node away, with what runs on it."""
        self.lose_daemons(pid)
        os.kill(pid, signal.SIGKILL)

    def lose_daemons(self, pid):
        """Take the daemons of the node away; what they started goes on."""
        stepd = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        self.cluster.end("slurmd")
        os.kill(stepd, signal.SIGKILL)

    def bring_node(self):
        self.cluster.node()
        self.cluster.idle()

    def stop(self):
        self.cluster.stop()


class Kubernetes:
    """An API server of ours in the shapes of the real one; its node runs commands as processes."""

    name = "kubernetes"
    missing = staticmethod(kubernetes.missing)
    environment: dict[str, str] = {}
    refuses = None
    # What the runner does is asked of the other engines.
    leaves_out = {
        "test_output_progress_and_errors_come_as_from_a_local_worker",
        "test_what_is_lost_stays_lost",
        "test_what_exists_is_told",
    }

    def start(self):
        self.cluster = kubernetes.Cluster()
        self.proxy = Proxy(self.cluster.port)
        token = self.cluster.folder / "token"
        token.write_text(kubernetes.TOKEN)
        settings = {
            "address": f"http://127.0.0.1:{self.proxy.port}",
            "token_file": str(token),
            "image": "registry.example/stage:1",
            "python": sys.executable,
            "claim": "shared",
            "mount": tempfile.gettempdir(),
            "secrets": ["stage-secrets"],
            "node_selector": ["pool=cpu"],
            "every": 0.1,
        }
        self.declared = Declared("kubernetes", settings)

    @contextlib.contextmanager
    def out_of_reach(self):
        self.proxy.up.clear()
        yield
        self.proxy.up.set()

    def submit_again(self, engine, job):
        """Submit a job under another name: there is one Job of a name."""
        return engine.submit(replace(job, id=f"{job.id}-again"))

    def lose_node(self, pid):
        """Take the node away, with what runs on it."""
        self.cluster.lose(pid)
        os.killpg(pid, signal.SIGKILL)

    def lose_daemons(self, pid):
        """Have the node counted as lost; what it started goes on."""
        self.cluster.lose(pid)

    def bring_node(self): ...

    def stop(self):
        self.proxy.stop()
        self.cluster.stop()


class Ray:
    name = "ray"
    asks = {"cpu": 1.5, "gpu": 0.5}
    refuses = None
    # A job takes seconds to begin here: what the runner does is asked of the other engines.
    leaves_out = {
        "test_output_progress_and_errors_come_as_from_a_local_worker",
        "test_a_job_has_the_threads_it_declares",
        "test_what_is_lost_stays_lost",
        "test_a_job_whose_time_is_up_says_so",
        "test_what_exists_is_told",
        "test_what_was_ended_before_it_began_never_begins",
        "test_a_job_that_outlives_the_word_of_its_engine_is_not_lost",
    }

    @staticmethod
    def missing():
        known = find_spec("ray") and find_spec("aiohttp_cors")
        return "" if known else "no ray: pip install --group ray"

    def start(self):
        self.place = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        token = self.place / "token"
        token.write_text("a-token-of-this-test-alone")
        token.chmod(0o600)
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_JOB_STOP_WAIT_TIME_S": "1",
        }
        self.gcs, self.dashboard, *agents = (_free() for _ in range(8))
        self.processes = {}
        memory = ["--object-store-memory=80000000", f"--temp-dir={self.place}", "--block"]
        self._launch(
            "head",
            "--head",
            f"--port={self.gcs}",
            "--node-ip-address=127.0.0.1",
            "--num-cpus=0",
            f"--dashboard-port={self.dashboard}",
            f"--dashboard-agent-listen-port={agents[0]}",
            f"--dashboard-agent-grpc-port={agents[1]}",
            f"--metrics-export-port={agents[2]}",
            *memory,
        )
        self.node = [
            f"--address=127.0.0.1:{self.gcs}",
            "--node-ip-address=127.0.0.1",
            "--num-cpus=2",
            "--num-gpus=1",
            f"--dashboard-agent-listen-port={agents[3]}",
            f"--dashboard-agent-grpc-port={agents[4]}",
            f"--metrics-export-port={agents[5]}",
            *memory[:1],
            "--block",
        ]
        until(lambda: _answers(self.dashboard), within=90)
        self.bring_node()
        self.proxy = Proxy(self.dashboard)
        settings = {"address": f"http://127.0.0.1:{self.proxy.port}", "every": 0.2}
        self.declared = Declared("ray", {**settings, "token_file": str(token)})

    def bring_node(self):
        self._launch("node", *self.node)

    @contextlib.contextmanager
    def out_of_reach(self):
        self.proxy.up.clear()
        yield
        self.proxy.up.set()

    def submit_again(self, engine, job):
        """Submit a job under another name: Ray refuses a second one of the same."""
        return engine.submit(replace(job, id=f"{job.id}-again"))

    def lose_node(self, pid):
        """Take the node away, with what runs on it."""
        self._kill("node")

    def stop(self):
        self.proxy.stop()
        for name in list(self.processes):
            self._kill(name)

    def _launch(self, name, *arguments):
        with (self.place / f"{name}.out").open("ab") as said:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", *arguments],
                env={**os.environ, **self.environment},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def _kill(self, name):
        """End one node: all that its command started, and nothing else on this machine."""
        process = self.processes.pop(name)
        below = _descendants(process.pid)
        for pid in [process.pid, *below]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


class Proxy:
    """Passes connections on while it is up; while it is not, nobody answers."""

    def __init__(self, port):
        self.target = port
        self.up = threading.Event()
        self.up.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self):
        self.listener.close()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if not self.up.is_set():
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=_pump, args=(a, b), daemon=True).start()


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for sock in (source, sink):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()


def _answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _descendants(pid):
    found, parents = [], {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _free():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
