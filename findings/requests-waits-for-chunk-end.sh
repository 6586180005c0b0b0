#!/bin/sh
# Finding: Python's requests passes a chunk of a stream on only when the line break that ends the chunk arrives.
# httpx passes the same bytes on at once. Valid input: TCP may divide a chunked body anywhere (RFC 9112, section 7.1).
# Installs pinned packages into a temporary folder, uses loopback only, and exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Python would import modules from the working directory.
cd "$folder"
python3 -m pip install --quiet --disable-pip-version-check --target "$folder" requests==2.34.2 urllib3==2.8.0 httpx==0.28.1
PYTHONPATH=$folder timeout 120 python3 - <<'PYTHON'
import socket
import sys
import threading
import time

import httpx
import requests
import urllib3

PAUSE = 2.0


def serve(listener):
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n")
    time.sleep(PAUSE)
    connection.sendall(b"\r\n5\r\nlast\n\r\n0\r\n\r\n")
    connection.close()


def seconds_to_first_line(read):
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    started = time.monotonic()
    line = read(f"http://127.0.0.1:{listener.getsockname()[1]}/")
    assert line == "first", line
    return time.monotonic() - started


def with_httpx(url):
    with httpx.stream("GET", url, timeout=10) as response:
        return next(response.iter_lines())


def with_requests(url):
    with requests.get(url, stream=True, timeout=10) as response:
        return next(response.iter_lines(chunk_size=None)).decode()


late, prompt = seconds_to_first_line(with_requests), seconds_to_first_line(with_httpx)
print(f"requests {requests.__version__} on urllib3 {urllib3.__version__}: first line after {late:.1f} s")
print(f"httpx {httpx.__version__}: first line after {prompt:.1f} s")
if late < PAUSE - 0.1 or prompt > PAUSE - 0.5:
    sys.exit("changed: requests was expected to wait for the end of the chunk, and httpx was not")
print("as described: requests holds a complete line back until the end of its chunk arrives")
PYTHON
