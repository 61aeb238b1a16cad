"""A Slurm cluster of one node on loopback, as root, without systemd."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from tests.execute.processes import until

INSTALL = "apt-get install slurm-wlm slurmctld slurmd munge"
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "munged")

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdTimeout=5
KillWait=2
EnforcePartLimits=ALL
MessageTimeout=2
MinJobAge=300
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing():
    """Why there can be no cluster here; empty if there can."""
    lacking = [p for p in PROGRAMS if shutil.which(p, path=_path()) is None]
    if lacking:
        return f"no {', '.join(lacking)}: {INSTALL}"
    return "" if os.geteuid() == 0 else "a cluster of one node is started as root"


def _path():
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class Cluster:
    """The daemons of one cluster. ``environment`` is what its commands need."""

    def __init__(self, place: Path) -> None:
        self.place = place
        # munge insists that nobody else could write where its socket is.
        for folder in (place, place / "state", place / "spool"):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
        self.conf = place / "slurm.conf"
        text = CONF.format(
            host=socket.gethostname().split(".")[0],
            place=place,
            ports=[_free(), _free()],
            cores=len(os.sched_getaffinity(0)),
        )
        self.conf.write_text(text)
        self.environment = {"SLURM_CONF": str(self.conf), "PATH": _path()}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self):
        key = self.place / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self.launch(
            "munged",
            "--foreground",
            "--force",
            f"--key-file={key}",
            f"--socket={self.place}/munge.socket",
            f"--pid-file={self.place}/munged.pid",
            f"--log-file={self.place}/munged.log",
            f"--seed-file={self.place}/munged.seed",
        )
        until((self.place / "munge.socket").exists)
        self.control()
        self.node()
        self.idle()

    def idle(self):
        """Wait until the node takes jobs."""
        ready = ("idle", "mixed", "allocated")
        until(lambda: self.say("sinfo", "-h", "-o", "%T").strip() in ready, within=60)

    def control(self):
        self.launch("slurmctld", "-D", "-f", str(self.conf))
        until(lambda: "UP" in self.say("scontrol", "ping"), within=60)

    def node(self):
        self.launch("slurmd", "-D", "-f", str(self.conf))

    def launch(self, name, *arguments):
        environment = {**os.environ, **self.environment}
        with (self.place / f"{name}.out").open("ab") as said:
            self.daemons[name] = subprocess.Popen(
                [shutil.which(name, path=_path()), *arguments],
                env=environment,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def end(self, name, number=signal.SIGKILL):
        """End one daemon."""
        daemon = self.daemons.pop(name)
        daemon.send_signal(number)
        daemon.wait(30)

    def say(self, *command):
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout

    def stop(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.say("scancel", "--user=root")
            until(lambda: not self.say("squeue", "-h").strip(), within=20)
        for daemon in reversed(list(self.daemons.values())):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.place, ignore_errors=True)


def _free():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
