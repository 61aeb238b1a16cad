"""Parse N resource blocks of native syntax, with positions, in CPU seconds.

    python benchmarks/parse.py [N] [RUNS]

The text is what a large real configuration looks like: per resource a block of some 500 characters
with strings, numbers, references, templates, lists, objects, calls, nested blocks and comments.
Reported are the least and the median CPU time of RUNS runs in one process, after import, for N and
for N/2 and N/4, so that one sees whether cost is linear.
"""

from __future__ import annotations

import statistics
import sys
import time

from mlform.diagnostics import Diagnostics
from mlform.syntax import parse

BLOCK = """
# The {n}th model of the family.
resource "model" "m{n}" {{
  data          = dataset.split["train"].{name}
  hidden_layers = [128, 64, 32]
  learning_rate = 0.00{n}
  epochs        = {n}
  enabled       = var.enabled && {n} > 3
  name          = "model-${{var.prefix}}-{n}" # shown in the registry

  tags = {{
    team  = "research"
    owner = local.owners["{name}"]
    stage = var.production ? "live" : "test"
  }}

  features = [for f in var.features : lower(f.name) if f.used]

  environment {{
    packages = toset(["numpy", "torch"])
  }}
}}
"""


def text(count: int) -> str:
    """Return a file of ``count`` blocks."""
    return "".join(BLOCK.format(n=n, name=f"part_{n % 97}") for n in range(1, count + 1))


def measure(count: int, runs: int) -> tuple[float, float, int]:
    """Return the least and the median CPU seconds of a parse, and the size of the text."""
    content = text(count)
    times = []
    for _ in range(runs):
        diagnostics = Diagnostics()
        start = time.process_time()
        body = parse(content, "main.mlf.hcl", diagnostics)
        times.append(time.process_time() - start)
        assert not diagnostics.errors
        assert len(body.blocks) == count
        del body
    return min(times), statistics.median(times), len(content)


def main() -> None:
    """Measure and print a table."""
    count, runs = (*map(int, sys.argv[1:]), *(10_000, 5)[len(sys.argv) - 1 :])
    print(f"{'blocks':>8} {'MB':>6} {'least s':>8} {'median s':>8}")
    for part in (count // 4, count // 2, count):
        least, median, size = measure(part, runs)
        print(f"{part:>8} {size / 1e6:>6.2f} {least:>8.3f} {median:>8.3f}")


if __name__ == "__main__":
    main()
