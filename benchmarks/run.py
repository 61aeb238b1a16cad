"""Every benchmark that takes no argument, one after another; the others are named at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WANT_A_SEED = {"crashes.py", "disks.py", "histories.py", "storm.py"}
"""Long runs that look for what breaks: they say themselves how they are started."""

for script in sorted(Path(__file__).parent.glob("[!_]*.py")):
    if script.name not in WANT_A_SEED | {Path(__file__).name}:
        print(f"# {script.name}", flush=True)
        subprocess.run([sys.executable, str(script)], check=True)
print(f"Not run, for they take long: {', '.join(sorted(WANT_A_SEED))}")
