"""The phone of a coordinator: takes what Alertmanager sends, and writes a line per alert, newest last."""

import datetime
import http.server
import json
import pathlib
import sys


class Phone(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        now = datetime.datetime.now().strftime("%H:%M")
        with pathlib.Path(sys.argv[2]).open("a", encoding="utf-8") as file:
            for alert in told["alerts"]:
                name, sentence = alert["labels"]["alertname"], alert["annotations"].get("sentence", "")
                file.write(f"{now} {alert['status']} {name}: {sentence}\n")
        self.send_response(204)
        self.end_headers()


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Phone).serve_forever()
