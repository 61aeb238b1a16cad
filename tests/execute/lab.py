"""A provider whose one monitor does what its ``act`` says, to see what workers make of it."""

import ctypes
import importlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from mlform.sdk import (
    Alarm,
    AnyResource,
    Arguments,
    Attributes,
    MonitorResource,
    Provider,
    ResourceError,
    code,
)
from mlform.sdk.testing import FakeContext


class Lent(FakeContext):
    """The fake context, with the channel of a real worker behind it."""

    def progress(self, done, total=None, note=""):
        self.channel.progress(done, total, note)
        self.checkpoint()

    def log(self, text):
        self.channel.log(text)

    def partial(self, attributes):
        self.channel.partial(attributes.model_dump(mode="json"))

    def checkpoint(self):
        if self.channel.stopping():
            from mlform.sdk import CancelledError

            raise CancelledError

    @property
    def workdir(self):
        folder = Path(self.given["workdir"])
        folder.mkdir(exist_ok=True)
        return folder


def context(data, channel):
    lent = Lent(Path(data["root"]), address="monitor.lab")
    lent.channel, lent.given = channel, data
    return lent


class Settings(Provider.settings):
    unit: str = "m"


class Ask(Arguments):
    act: str
    text: str = ""


class Answer(Attributes):
    said: str = ""
    number: float = 0.0
    files: list[str] = []


class Probe(MonitorResource[Ask, Answer], kind="monitor", type="probe"):
    def __init__(self, unit):
        self.unit = unit

    def apply(self, ctx, new, old):
        return getattr(self, new.act)(ctx, new, old)

    def destroy(self, ctx, old):
        return f"kept {old.attributes.said}"

    def run(self, ctx, old):
        alarm = Alarm("moved", {"rows": 5}, [{"check": "psi", "value": 0.5}], "It moved")
        return Answer(said=old.arguments.text), [alarm]

    def say(self, ctx, new, old):
        before = f" after {old.attributes.said}" if old else ""
        return Answer(said=f"{new.text} {self.unit}{before}")

    def says(self, ctx, new, old):
        sys.stdout.write(f"{new.text}\n")
        return Answer()

    def leaves(self, ctx, new, old):
        """Leave something behind, and say which process this is."""
        match new.text:
            case "a variable":
                os.environ["LEFT"] = "1"
            case "a thread":
                threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
            case "a child":
                subprocess.Popen(["/bin/sleep", "600"])
            case "an open file":
                self.file = os.open(os.devnull, os.O_RDONLY)
            case "a handler":
                signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            case "a number drawn":
                random.random()  # noqa: S311 - any
            case "memory":
                self.kept = bytearray(64 << 20)
            case "time":
                time.sleep(0.11)
            case "an import":
                sys.modules.pop("colorsys", None)
                importlib.import_module("colorsys")
        return Answer(number=os.getpid())

    def surroundings(self, ctx, new, old):
        (ctx.workdir / "scratch").write_text("x")
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONHASHSEED")
        told = [f"{n}={os.environ.get(n)}" for n in (*names, "PYTHONDONTWRITEBYTECODE")]
        return Answer(
            said=str(Path.cwd()),
            files=[*told, *(n for n in new.text.split() if n in sys.modules), str(ctx.workdir)],
            number=os.getpgid(0) == os.getpid(),
        )

    def talk(self, ctx, new, old):
        sys.stdout.write("printed\n")
        ctx.log("logged")
        sys.stderr.write("to stderr\n")
        ctx.progress(1, 2, "half")
        subprocess.run(["/bin/sh", "-c", "echo from a child"], check=True)
        sys.stdout.write("10%\r20%\r100%\n")
        sys.stdout.write("no line end")
        return Answer()

    def refuse(self, ctx, new, old):
        raise ResourceError(
            "Data missing", "There is no month 13.\nMonths are 1 to 12.", argument="act"
        )

    def user_code(self, ctx, new, old):
        return Answer(number=code.load(Path(ctx.root), new.text)())

    def spin(self, ctx, new, old):
        """Work until asked to stop; tell each beat, and leave a child process in the same group."""
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        try:
            Path(new.text).write_text(f"{os.getpid()} {child.pid}")
            while True:
                ctx.progress(1)
                time.sleep(0.01)
        finally:
            Path(f"{new.text}.finally").touch()

    def waits(self, ctx, new, old):
        """Say who runs, and go on until somebody says so."""
        place = Path(new.text)
        with (place / "runs").open("a") as file:
            file.write(f"{os.getpid()}\n")
        while not (place / "go").exists():
            ctx.progress(1, 2, "waiting")
            time.sleep(0.01)
        return Answer(said="waited")

    def grows(self, ctx, new, old):
        """Take more and more memory."""
        held = [bytearray(16 << 20) for _ in range(60)]
        return Answer(number=len(held))

    def spin_deaf(self, ctx, new, old):
        """Work, with a child, and listen to nobody."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(new.text).write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
        return Answer()

    def halfway(self, ctx, new, old):
        ctx.partial(Answer(said="half"))
        raise ResourceError("Stopped", "halfway")

    def deaf(self, ctx, new, old):
        Path(new.text).write_text(str(os.getpid()))
        ctx.progress(1)
        time.sleep(600)
        return Answer()

    def serve(self, ctx, new, old):
        server = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import time\nwhile True: print('up', flush=True); time.sleep(.01)",
            ],
            start_new_session=True,
        )
        return Answer(number=server.pid)

    def die(self, ctx, new, old):
        sys.stdout.write("last words\n")
        os.kill(os.getpid(), signal.SIGKILL)

    def crash(self, ctx, new, old):
        ctypes.string_at(0)

    def exit(self, ctx, new, old):
        os._exit(3)

    def sys_exit(self, ctx, new, old):
        sys.exit("enough")

    def nan(self, ctx, new, old):
        return Answer(number=float("nan"))

    def wrong(self, ctx, new, old):
        return {"said": "a dictionary"}

    def bug(self, ctx, new, old):
        return {}["missing"]


class Lab(Provider):
    settings = Settings

    def resources(self) -> Sequence[AnyResource]:
        return [Probe(self.given.unit)]
