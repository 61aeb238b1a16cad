"""docs/providers.md does what it says: its files make a provider, and its test passes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```(python|hcl)\n(.*?)```", re.DOTALL)


def test_the_guide_makes_a_working_provider(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "providers.md").read_text()
    package = tmp_path / "lib"
    for language, text in BLOCK.findall(guide):
        if language == "hcl":
            (tmp_path / "main.mlf.hcl").write_text(text)
            continue
        name = text.splitlines()[0].removeprefix("# ")
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "letter.txt").write_text("one two three\n")
    info = package / "mlform_wordcount-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlform-wordcount\nVersion: 1.0\n")
    entry = "[mlform.providers]\nwordcount = mlform_wordcount:WordCount\n"
    (info / "entry_points.txt").write_text(entry)
    environment = {"PYTHONPATH": str(package), "PATH": str(Path(sys.executable).parent)}

    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(package)]
    done = subprocess.run(test, env=environment, cwd=package, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    mlform = [sys.executable, "-m", "mlform"]
    apply = [*mlform, "apply", "-auto-approve"]
    done = subprocess.run(apply, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    output = [*mlform, "output", "-json"]
    done = subprocess.run(output, env=environment, cwd=tmp_path, capture_output=True, text=True)
    found = {name: it["value"] for name, it in json.loads(done.stdout).items()}
    assert found == {"said": "3 words", "words": 3}
