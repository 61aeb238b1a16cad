"""Pages in a real browser: what they become, what they say, and what they ask the network for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


class Elements(HTMLParser):
    """Every element with its attributes, and all text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {n: v or "" for n, v in attrs}))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] not in {"script", "style"}:
            self.words += data

    def of(self, name: str) -> list[dict[str, str]]:
        return [a for _, a in self.found if name in a.get("class", "").split()]


@dataclass
class Seen:
    """What a page became, what it said to the console, and what it asked the network for."""

    elements: Elements
    console: list[str]
    requests: list[str]


def browse(text: str, folder: Path, fragment: str = "") -> Seen:
    """Open a page and wait until it is still."""
    assert BROWSER is not None
    file, net = folder / "page.html", folder / "net.json"
    file.write_text(text, encoding="utf-8")
    quiet = ["disable-background-networking", "disable-component-update", "no-first-run"]
    options = ["headless", "no-sandbox", "disable-gpu", *quiet, "dump-dom"]
    options += ["virtual-time-budget=3000", "enable-logging=stderr", f"log-net-log={net}"]
    options.append(f"user-data-dir={folder / 'profile'}")
    command = [BROWSER, *(f"--{o}" for o in options), f"{file.as_uri()}{fragment}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    events = json.loads(net.read_text(encoding="utf-8"))["events"]
    # The browser's own requests come from no page.
    asked = [e["params"] for e in events if "url" in e.get("params", {})]
    ours = [p["url"] for p in asked if p.get("initiator", "not an origin") != "not an origin"]
    console = re.findall(r"CONSOLE.*", done.stderr)
    return Seen(Elements(done.stdout), console, [u for u in ours if not u.startswith("file:")])


in_browser = pytest.mark.skipif(
    BROWSER is None,
    reason="NO BROWSER: web pages are not tried. apt-get install -y chromium",
)
