"""Fill in the form of the lesson with what Prometheus says; read by the solution, on the server itself."""

import datetime
import json
import pathlib
import urllib.parse
import urllib.request

FORM = pathlib.Path("/root/dials.txt")


def ask(path: str, **parameters: str):
    url = f"http://127.0.0.1:9090/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]


# What does not count: it always fires, speaks of the last hour, or is so on every practice machine.
ALWAYS, SO = {"Heartbeat", "ServiceRestarts"}, {"backup", "drill", "updates"}
alerts = [
    one
    for one in ask("alerts")["alerts"]
    if one["labels"]["alertname"] not in ALWAYS and one["labels"].get("check") not in SO
]
first = min(alerts, key=lambda one: one["activeAt"])
since = datetime.datetime.fromisoformat(first["activeAt"][:19] + "+00:00").astimezone()
in_use = "100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)"
percent = float(ask("query", query=in_use)["result"][0]["value"][1])
values = (first["labels"]["alertname"], since.strftime("%H.%M"), f"{percent:.0f}")
lines = [line.partition(":")[0] for line in FORM.read_text(encoding="utf-8").splitlines()]
FORM.write_text(
    "".join(f"{line}: {value}\n" for line, value in zip(lines, values, strict=True)), encoding="utf-8"
)
