"""Every benchmark that takes no argument, one after another; the others are named at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

OF_PEERS = {"serving_bento.py", "serving_pipeline.py"}
"""What `serving.py` has peers run, in their own Pythons."""
WANT_A_SEED = {"crashes.py", "disks.py", "histories.py", "storm.py"}
"""Long runs that look for what breaks: they say themselves how they are started."""

for script in sorted(Path(__file__).parent.glob("[!_]*.py")):
    if script.name not in WANT_A_SEED | OF_PEERS | {Path(__file__).name}:
        print(f"# {script.name}", flush=True)
        subprocess.run([sys.executable, str(script)], check=True)
print(f"Not run, for they take long: {', '.join(sorted(WANT_A_SEED))}")
