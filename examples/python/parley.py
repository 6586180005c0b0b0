"""A session over a WebSocket, in JSON or MessagePack. It resumes after a cut, and runs the tools that it offers."""

import asyncio
import inspect
import json
import uuid
from collections.abc import Callable

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CODECS = {
    "json": ("parley.v1.json", json.dumps, json.loads),
    "msgpack": ("parley.v1.msgpack", msgpack.packb, msgpack.unpackb),
}


class Refused(Exception):
    """The server refused a command or the connection, for good."""


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"


class Run:
    """One answer. `text` grows until `ended` has its reason."""

    def __init__(self) -> None:
        self.text = ""
        self.ended: str | None = None

    def apply(self, event: dict) -> None:
        kind = event["type"]
        if kind == "run.output" and event["kind"] == "text":
            self.text += event["text"]
        elif kind == "run.started" and event["mode"] == "restart":
            self.text = ""
        elif "output" in event and kind in ("run.snapshot", "run.ended"):
            # The whole output, for a reader that has not seen its parts.
            self.text = "".join(part["text"] for part in event["output"] if part["type"] == "text")
        if kind == "run.ended":
            self.ended = event["reason"]


class Session:
    """Use it with `async with`. @param tools by name: functions that the model may call, with their description as docstring"""

    def __init__(self, url: str, session: str, codec: str = "json", tools: dict[str, Callable] | None = None) -> None:
        self.session = session
        self.tools = tools or {}
        self.runs: dict[str, Run] = {}
        self._url = url.replace("http", "ws", 1) + "/v1/ws"
        self._protocol, self._encode, self._decode = CODECS[codec]
        self._cursor: str | None = None
        self._socket: ClientConnection | None = None
        # Commands without an answer, by id: sent again after a reconnect, they have one effect.
        self._commands: dict[str, tuple[dict, asyncio.Future]] = {}
        self._changed = asyncio.Condition()
        self._problem: Exception | None = None

    async def __aenter__(self) -> "Session":
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def send(self, content: str, **more: object) -> str:
        """Resolves with the id of the run that answers, once the message is stored."""
        return (await self._command("send", content=content, **more))["run"]

    async def cancel(self, run: str) -> None:
        await self._command("cancel", run=run)

    async def when(self, condition: Callable[[], bool]) -> None:
        """Resolves when the condition holds after an event."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._problem is not None or condition())
        if self._problem is not None:
            raise self._problem

    async def ended(self, run: str) -> Run:
        await self.when(lambda: run in self.runs and self.runs[run].ended is not None)
        return self.runs[run]

    def cut(self) -> None:
        """Breaks the connection, as a network does."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _command(self, kind: str, **fields: object) -> dict:
        frame = {"type": kind, "id": new_id("cmd"), "session": self.session, **fields}
        answer = asyncio.get_running_loop().create_future()
        self._commands[frame["id"]] = (frame, answer)
        if self._socket is not None:
            await self._write(frame)
        return await answer

    async def _write(self, *frames: dict) -> None:
        try:
            await self._socket.send(self._encode(list(frames)))
        except ConnectionClosed:
            pass  # The commands are sent again over the next connection.

    async def _follow(self) -> None:
        try:
            async for socket in connect(self._url, subprotocols=[self._protocol], process_exception=lambda _: None):
                self._socket = socket
                attach = {"type": "attach", "id": new_id("att"), "session": self.session}
                if self._cursor is not None:
                    attach["after"] = self._cursor
                attach["tools"] = [
                    {"name": name, "description": inspect.getdoc(tool) or "", "inputSchema": {"type": "object"}}
                    for name, tool in self.tools.items()
                ]
                commands = [frame for frame, _ in self._commands.values()]
                await self._write({"type": "hello"}, attach, *commands)
                try:
                    async for received in socket:
                        frames = self._decode(received)
                        for frame in frames if isinstance(frames, list) else [frames]:
                            await self._receive(frame)
                except ConnectionClosed as closed:
                    if closed.rcvd and 4400 <= closed.rcvd.code < 4500:
                        raise Refused(closed.rcvd.reason) from closed
                self._socket = None
        except Exception as problem:
            self._problem = problem
            for _, answer in self._commands.values():
                answer.set_exception(problem)
            async with self._changed:
                self._changed.notify_all()

    async def _receive(self, frame: dict) -> None:
        kind = frame["type"]
        if kind in ("ok", "error") and frame.get("id") in self._commands:
            command, answer = self._commands[frame["id"]]
            if kind == "error" and frame["retryable"]:
                asyncio.get_running_loop().call_later(
                    frame.get("retryAfterMs", 1000) / 1000, lambda: asyncio.ensure_future(self._write(command))
                )
                return
            del self._commands[frame["id"]]
            if kind == "ok":
                answer.set_result(frame)
            else:
                answer.set_exception(Refused(f"{frame['code']}: {frame['message']}"))
        elif kind == "error" and not frame["retryable"]:
            raise Refused(f"{frame['code']}: {frame['message']}")
        elif kind == "goaway":  # The node is about to stop: connect to another one.
            await asyncio.sleep(frame["reconnectAfterMs"] / 1000)
            await self._socket.close()
        elif kind == "attached" and frame.get("reset"):
            self.runs.clear()  # The session is sent again from its beginning.
        elif kind == "entry":
            self._cursor = frame["cursor"]
            await self._apply(frame["event"])

    async def _apply(self, event: dict) -> None:
        if event["type"] == "message":
            self.runs.setdefault(event["run"], Run())
        elif event["type"].startswith("run."):
            self.runs.setdefault(event["run"], Run()).apply(event)
        elif event["type"] == "tool.called" and event["where"] == "client" and event["name"] in self.tools:
            task = asyncio.create_task(self._run_tool(event["call"], event["name"], event["input"]))
            task.add_done_callback(lambda done: done.exception())
        async with self._changed:
            self._changed.notify_all()

    async def _run_tool(self, call: str, name: str, given: dict) -> None:
        """Runs the call if this device is the first to claim it."""
        await self._command("tool.claim", call=call)
        try:
            result = {"output": self.tools[name](**given)}
        except Exception as error:
            result = {"error": str(error)}
        await self._command("tool.result", call=call, **result)
