"""The WebSocket mode of OpenAI's client: responses_socket.py CLIENT FEATURE. Prints the answer, or `failed: TYPE`.

Each piece of a streamed answer prints `piece` on standard error.
"""
import os
import sys
import traceback

from openai import OpenAI
from websockets.exceptions import ConnectionClosed

MODEL = os.environ["MODEL"]
PROMPT = os.environ["PROMPT"]
client = OpenAI(base_url=os.environ["BASE_URL"], api_key="k")
ENDS = ("response.completed", "response.incomplete", "response.failed", "response.steer.failed")


class Answer:
    def __init__(self):
        self.text, self.last, self.id = "", None, ""


def create(connection, **more):
    connection.send({"type": "response.create", "model": MODEL, "input": PROMPT, **more})


def read(connection, pieces=0, act=None) -> Answer:
    """Reads up to the end of a response, or of the socket. Acts once, after some pieces."""
    answer = Answer()
    try:
        while True:
            event = connection.recv()
            if event.type == "error":
                raise RuntimeError(event)
            answer.last = event
            if event.type == "response.created":
                answer.id = event.response.id
            if event.type == "response.output_text.delta":
                print("piece", file=sys.stderr, flush=True)
                answer.text += event.delta
                pieces -= 1
                if pieces == 0 and act:
                    act(answer.id)
            if event.type in ENDS:
                return answer
    except ConnectionClosed:
        return answer


def several(connection) -> str:
    texts, previous = [], None
    for _ in range(3):
        create(connection, previous_response_id=previous)
        answer = read(connection)
        texts.append(answer.text)
        previous = answer.id
    create(connection, store=False, stream_id="other")
    texts.append(read(connection).text)
    return " | ".join(texts)


def cut(connection) -> str:
    create(connection)
    answer = read(connection)
    direct = OpenAI(base_url=os.environ["DIRECT_URL"], api_key="k")
    after = answer.last.sequence_number
    for event in direct.responses.retrieve(answer.id, stream=True, starting_after=after):
        if event.type == "response.output_text.delta":
            answer.text += event.delta
    return answer.text


def cancel(connection) -> str:
    create(connection)
    last = read(connection, 3, client.responses.cancel).last
    return f"{last.type} {last.response.status}"


def steer(connection) -> str:
    create(connection)
    text = "/demo count=3 rate=0"
    first = read(connection, 3, lambda id: connection.response.steer(previous_response_id=id, input=text))
    second = read(connection)
    is_next = str(second.last.response.previous_response_id == first.id).lower()
    return f"{first.last.response.incomplete_details.reason}, then {second.text} {is_next}"


try:
    with client.responses.connect() as connection:
        print(globals()[sys.argv[2]](connection), flush=True)
        os._exit(0)
except Exception as error:
    print(f"failed: {type(error).__name__}", flush=True)
    traceback.print_exc()
