#!/usr/bin/python3
"""A stand-in for Grafana Alloy where its package cannot be had: `alloy run [--flags] FILE`. Not Alloy.

Of the configuration it reads the journals, the address and the labels' names; it follows the journals with
journalctl, and hands them over in JSON, again until they are taken. What it does with the rest of the file is
nothing: that the real one understands it is for tests/configuration/test_loki.py to make likely.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import requests

# What Alloy calls the fields of a journal.
FIELDS = {
    "__journal__hostname": "_HOSTNAME",
    "__journal__systemd_unit": "_SYSTEMD_UNIT",
    "__journal_priority_keyword": "PRIORITY",
}


def follow(folder: str, url: str, labels: dict[str, str]) -> None:
    """Hand over a journal, from its beginning on."""
    command = ["journalctl", "--follow", "--lines=all", "--output=json"]
    command += [f"--directory={folder}"] if folder else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            entry = json.loads(line)
            stream = {label: str(entry[field]) for label, field in labels.items() if field in entry}
            value = [f"{entry['__REALTIME_TIMESTAMP']}000", str(entry.get("MESSAGE", ""))]
            while not handed_over(url, {"streams": [{"stream": stream, "values": [value]}]}):
                time.sleep(1)


def handed_over(url: str, body: dict[str, object]) -> bool:
    """Return whether lines were taken."""
    try:
        return requests.post(url, json=body, timeout=10).status_code == 204
    except requests.RequestException:
        return False


def main() -> None:
    """Follow every journal until stopped."""
    if "--disable-reporting" not in sys.argv:
        sys.exit("stand-in: it would report home")
    storage = next(word.partition("=")[2] for word in sys.argv if word.startswith("--storage.path="))
    Path(storage).mkdir(exist_ok=True)
    text = Path(sys.argv[-1]).read_text(encoding="utf-8")
    rules = re.findall(r'source_labels = \["(\w+)"\]\s+target_label\s*= "(\w+)"', text)
    labels = {target: FIELDS[source] for source, target in rules if source in FIELDS}
    (url,) = re.findall(r'url\s*= "(.+)"', text)
    for block in re.findall(r"loki\.source\.journal [^{]+\{(.*?)\n\}", text, re.DOTALL):
        path = re.search(r'path\s*= "(.+)"', block)
        threading.Thread(target=follow, args=(path[1] if path else "", url, labels), daemon=True).start()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
