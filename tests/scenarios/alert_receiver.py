"""Runs on a test host: takes what Alertmanager posts or mails, and keeps it as a line of JSON each."""

import http.server
import json
import socketserver
import sys
import threading
from pathlib import Path

KEPT = Path(sys.argv[1])
ONE_AT_A_TIME = threading.Lock()


def keep(way: str, content: object) -> None:
    with ONE_AT_A_TIME, KEPT.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"way": way, "content": content}) + "\n")


class Web(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        keep(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()


class Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.say("220 here")
        for line in iter(self.rfile.readline, b""):
            match line[:4].upper():
                case b"DATA":
                    self.say("354 go on")
                    keep("mail", b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                    self.say("250 kept")
                case b"QUIT":
                    return self.say("221 bye")
                case _:
                    self.say("250 fine")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


socketserver.ThreadingTCPServer.allow_reuse_address = True
mail = socketserver.ThreadingTCPServer(("127.0.0.1", 2525), Mail)
threading.Thread(target=mail.serve_forever, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", 2580), Web).serve_forever()
