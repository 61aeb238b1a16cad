"""Kill five processes that write one state, at random: ``storm.py sqlite|postgres KILLS [SEED]``.

``server`` kills the database server too, ``no_fence`` lets who lost the lock go on writing,
``no_clash`` gives the lock to whoever asks (controls: they must show violations). What befalls and
what must hold is in ``tests/crash/storm.py``.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests import postgres
from tests.crash import mutants
from tests.crash.storm import Figures, Storm

_LONGEST = 3600.0


def killer(server: postgres.Server) -> Callable[[], None]:
    """Return what kills a server and starts it again, as soon as its last process has gone."""

    def strike() -> None:
        server.stop(signal.SIGKILL)
        for _ in range(100):
            try:
                server.start()
            except AssertionError:  # its other processes still use its memory
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("the server does not start again")

    return strike


def blown(kind: str, kills: int, seed: int, *, server: bool, mutant: Callable[[], None]) -> Figures:
    """Return what came of one storm."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "storm"
        if kind == "sqlite":
            url = f"sqlite:///{name}/state.db"
            return Storm(url, folder, seed, mutant).blow(kills=kills, seconds=_LONGEST)
        with postgres.running() as running:
            storm = Storm(running.url, folder, seed, mutant)
            strike = killer(running) if server else None
            return storm.blow(kills=kills, seconds=_LONGEST, server=strike)


def main() -> None:
    """Carry out one storm."""
    kind, kills, *more = sys.argv[1:] or ("sqlite", "100")
    seeds = [int(word) for word in more if word.isdecimal()] or [1]
    known = {"no_fence": mutants.no_fence, "no_clash": mutants.no_clash}
    mutant = next((known[word] for word in more if word in known), lambda: None)
    found = blown(kind, int(kills), seeds[0], server="server" in more, mutant=mutant)
    print(*sys.argv[1:], "|", found, flush=True)
    for line in found.violations[:20]:
        print(" ", line)


if __name__ == "__main__":
    main()
