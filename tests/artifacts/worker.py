"""Put random content in a store without end; say each digest. For a test that kills it."""

import os
import sys
from pathlib import Path

from mlform.artifacts import LocalStore

store = LocalStore(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    artifact = store.put_bytes(os.urandom(300_000))
    store.memo_put(f"k{number}", artifact)
    sys.stdout.write(f"k{number} {artifact.digest}\n")
    sys.stdout.flush()
