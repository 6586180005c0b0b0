#!/bin/sh
# Finding: LiteLLM reports an answer that ended without a finish reason as finished: it adds `finish_reason: "stop"`. OpenAI's client
# reports none for the same bytes. llama-cpp-python 0.3 ends interrupted answers like that, with and without `[DONE]`. So a program
# behind LiteLLM cannot tell them from whole answers. As controls, a whole answer keeps its "length", and a broken body is an error.
# Installs pinned packages into a temporary folder, uses loopback only, and exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Python would import modules from the working directory.
cd "$folder"
python3 -m pip install --quiet --disable-pip-version-check --no-compile --target "$folder" litellm==1.108.7 openai==3.57.0
PYTHONPATH=$folder LITELLM_LOCAL_MODEL_COST_MAP=True timeout 120 python3 - 2>/dev/null <<'PYTHON'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

import litellm
import openai

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log_message = lambda *_: None

    def do_POST(self):
        model = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["model"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for finish in [None, "length"] if model == "whole" else [None]:
            choice = {"index": 0, "delta": {"content": "Hel"}, "finish_reason": finish}
            self.event(json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}))
        if model in ("whole", "done"):
            self.event("[DONE]")
        self.wfile.write(b"" if model == "broken" else b"0\r\n\r\n")
        self.close_connection = True

    def event(self, data):
        self.wfile.write(b"%x\r\ndata: %s\n\n\r\n" % (len(data) + 8, data.encode()))

server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
at, asked = f"http://127.0.0.1:{server.server_port}/v1", {"messages": [{"role": "user", "content": "hi"}], "stream": True}
client = openai.OpenAI(base_url=at, api_key="k", max_retries=0)

def ending(stream):
    try:
        return next((chunk.choices[0].finish_reason for chunk in stream() if chunk.choices[0].finish_reason), "none")
    except Exception:
        return "error"
kinds = ("ended", "done", "whole", "broken")
lite = [ending(lambda: litellm.completion(model=f"openai/{kind}", api_base=at, api_key="k", **asked)) for kind in kinds]
own = [ending(lambda: client.chat.completions.create(model=kind, **asked)) for kind in kinds]
print(f"answers: {kinds}\nlitellm {version('litellm')}: {lite}\nopenai {version('openai')}: {own}")
if (lite, own) != (["stop", "stop", "length", "error"], ["none", "none", "length", "error"]):
    sys.exit("changed: litellm was expected to report stop for the first two answers, and openai none")
print("as described: answers without a finish reason are reported as finished")
PYTHON
