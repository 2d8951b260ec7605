"""Stands for notify_push: takes websockets, says what reached it, and sends back all that it is sent."""

from __future__ import annotations

import base64
import hashlib
import json
import socketserver

# RFC 6455, section 1.3.
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Pushed(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Answer a websocket with one, and anything else with what it said."""
        path = self.rfile.readline().decode().split(" ")[1]
        headers = {}
        while line := self.rfile.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        told = json.dumps({"path": path, "headers": headers}).encode()
        if headers.get("upgrade", "").lower() != "websocket":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))
            return
        key = hashlib.sha1(f"{headers['sec-websocket-key']}{MAGIC}".encode(), usedforsecurity=False).digest()
        accept = base64.b64encode(key)
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept
        )
        # One frame of text, not masked, of more than 125 bytes.
        self.wfile.write(b"\x81\x7e" + len(told).to_bytes(2, "big") + told)
        while part := self.connection.recv(4096):
            self.wfile.write(part)


class Server(socketserver.ThreadingTCPServer):
    """All of them."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    Server(("127.0.0.1", 7867), Pushed).serve_forever()
