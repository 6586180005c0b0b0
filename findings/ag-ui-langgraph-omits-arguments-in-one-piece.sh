#!/bin/sh
# Finding: ag-ui-langgraph sends no TOOL_CALL_ARGS for a call whose name and arguments the model streams in one chunk. TOOL_CALL_START and
# TOOL_CALL_END follow each other, so a client sees a call without arguments; only MESSAGES_SNAPSHOT has them.
# Installs pinned packages into a temporary folder, uses no network afterwards, and exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Python would import modules from the working directory.
cd "$folder"
python3 -m pip install --quiet --disable-pip-version-check --target "$folder" \
  ag-ui-langgraph==0.0.47 ag-ui-protocol==1.0.0 fastapi==0.165.0 langchain==1.5.2 langgraph==1.2.24
PYTHONPATH=$folder timeout 120 python3 - <<'PYTHON'
import asyncio
import sys

from ag_ui.core import RunAgentInput
from ag_ui_langgraph import LangGraphAgent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph


class OnePiece(BaseChatModel):
    _llm_type = "one-piece"

    def _generate(self, messages, stop=None, run_manager=None, **_):
        raise NotImplementedError

    async def _astream(self, messages, stop=None, run_manager=None, **_):
        call = {"name": "book", "args": '{"city": "Oslo"}', "id": "c1", "index": 0}
        yield ChatGenerationChunk(message=AIMessageChunk(content="", id="m1", tool_call_chunks=[call]))


async def chat(state):
    return {"messages": [await OnePiece().ainvoke(state["messages"])]}


async def main():
    graph = StateGraph(MessagesState).add_node("chat", chat).add_edge(START, "chat").compile(checkpointer=InMemorySaver())
    request = {"threadId": "t", "runId": "r", "messages": [{"id": "u", "role": "user", "content": "Hi"}]}
    rest = {"state": {}, "tools": [], "context": [], "forwardedProps": {}}
    events = [event async for event in LangGraphAgent(name="a", graph=graph).run(RunAgentInput(**request, **rest))]
    calls = [event.type.value for event in events if event.type.value.startswith("TOOL_CALL")]
    [snapshot] = [event for event in events if event.type.value == "MESSAGES_SNAPSHOT"]
    arguments = snapshot.messages[-1].tool_calls[0].function.arguments
    print(f"events: {calls}; arguments in the snapshot: {arguments}")
    if calls != ["TOOL_CALL_START", "TOOL_CALL_END"] or "Oslo" not in arguments:
        sys.exit("changed: a call without TOOL_CALL_ARGS was expected, and its arguments in MESSAGES_SNAPSHOT")
    print("as described: the arguments are only in MESSAGES_SNAPSHOT")


asyncio.run(main())
PYTHON
