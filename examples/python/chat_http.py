"""Sends, streams, resumes after a cut, and cancels over HTTP with server-sent events: python chat_http.py"""

import json
import os
from collections.abc import Iterator

import httpx

from parley import Run, new_id

client = httpx.Client(base_url=os.environ.get("PARLEY_URL", "http://127.0.0.1:8080"), timeout=60)
session = new_id("python")


def numbers(count: int) -> str:
    return " ".join(map(str, range(count)))


def send(content: str) -> str:
    """Returns the run at once. With the same key, a repeated request has one effect."""
    headers = {"Idempotency-Key": new_id("msg"), "Prefer": "respond-async"}
    sent = client.post(f"/v1/sessions/{session}/messages", headers=headers, json={"content": content})
    return sent.raise_for_status().json()["run"]


def events(run: str, last: str | None = None) -> Iterator[tuple[str, dict]]:
    """The events of a run, each with its id. @param last the id of the last event that was received"""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    with client.stream("GET", f"/v1/sessions/{session}/events", params={"run": run}, headers=headers) as stream:
        stream.raise_for_status()
        fields: dict[str, str] = {}
        for line in stream.iter_lines():
            if line == "":  # The end of an event. Only those of the log have an id.
                if "id" in fields:
                    yield fields["id"], json.loads(fields["data"])["event"]
                fields = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value


def main() -> None:
    run, answer, last = send("/demo count=60 rate=30 ttft=0"), Run(), None
    while answer.ended is None:
        # Leaves each stream after some events, as a bad network does.
        for count, (last, event) in enumerate(events(run, last)):
            if event.get("run") == run:
                answer.apply(event)
            if count == 20:
                break
    assert (answer.ended, answer.text) == ("completed", numbers(60)), answer.text
    print("sent, streamed, and resumed without a lost or a doubled token")

    run, answer = send("/demo count=5000 rate=50 ttft=0"), Run()
    for _, event in events(run):
        if event.get("run") == run:
            answer.apply(event)
        if len(answer.text) > 20 and answer.ended is None:
            client.post(f"/v1/sessions/{session}/cancel", json={"run": run}).raise_for_status()
    assert answer.ended == "cancelled" and numbers(5000).startswith(answer.text), answer.text
    print("cancelled after", len(answer.text), "characters")


main()
