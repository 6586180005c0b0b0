#!/bin/sh
# Finding: Python's httpx-sse yields an event for a block that has only `retry:`. The HTML standard (section 9.2.6,
# "dispatch the event") discards a block whose data is empty. A program that parses each event's data as JSON fails there.
# Installs pinned packages into a temporary folder, uses loopback only, and exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Python would import modules from the working directory.
cd "$folder"
python3 -m pip install --quiet --disable-pip-version-check --target "$folder" httpx==0.28.1 httpx-sse==0.4.3
PYTHONPATH=$folder timeout 120 python3 - <<'PYTHON'
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

import httpx
from httpx_sse import connect_sse


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b'retry: 1000\n\ndata: {"n":1}\n\n')

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with httpx.Client() as client, connect_sse(client, "GET", f"http://127.0.0.1:{server.server_port}/") as source:
    data = [event.data for event in source.iter_sse()]
print(f"httpx-sse {version('httpx-sse')}: data of the events: {data}")
if data != ["", '{"n":1}']:
    sys.exit("changed: an event with empty data was expected for the block with only retry")
print("as described: the block without data is an event")
PYTHON
