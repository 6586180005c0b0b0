"""SSE readers in Python: sse_clients.py CLIENT. Prints each event as `TYPE DATA`, then `end`, or `failed: TYPE`."""
import os
import sys

URL = os.environ["URL"]
HEADERS = {"Accept": "text/event-stream"}


def httpx_sse() -> None:
    import httpx
    from httpx_sse import connect_sse

    with httpx.Client(timeout=30) as client, connect_sse(client, "GET", URL, headers=HEADERS) as source:
        source.response.raise_for_status()
        for event in source.iter_sse():
            print(event.event, event.data, flush=True)


def requests() -> None:
    import requests

    with requests.get(URL, headers=HEADERS, stream=True, timeout=30) as response:
        response.raise_for_status()
        kind = ""
        for line in response.iter_lines(chunk_size=None):
            name, _, value = line.decode().partition(": ")
            if name == "event":
                kind = value
            if name == "data":
                print(kind, value, flush=True)


try:
    {"httpx-sse": httpx_sse, "requests": requests}[sys.argv[1]]()
    print("end", flush=True)
except Exception as error:
    print(f"failed: {type(error).__name__}", flush=True)
