#!/bin/sh
# Finding: ag-ui-langgraph reports the result of a LangGraph tool under another message id than the one under which LangGraph keeps it. A
# client that sends the messages back as the events told them makes the graph keep each result twice. Only MESSAGES_SNAPSHOT has the ids.
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
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

@tool
def search(query: str) -> str:
    """Searches."""
    return "found"

def chat(state):
    if state["messages"][-1].type != "human" or len(state["messages"]) > 1:
        return {"messages": [AIMessage("Done.", id=f"a{len(state['messages'])}")]}
    return {"messages": [AIMessage("", id="a0", tool_calls=[{"name": "search", "args": {"query": "x"}, "id": "c1"}])]}

async def main():
    builder = StateGraph(MessagesState).add_node("chat", chat).add_node("tools", ToolNode([search]))
    builder.add_edge(START, "chat").add_edge("tools", "chat")
    builder.add_conditional_edges("chat", lambda state: "tools" if state["messages"][-1].tool_calls else END)
    graph = builder.compile(checkpointer=InMemorySaver())

    async def ask(*messages):
        rest = {"state": {}, "tools": [], "context": [], "forwardedProps": {}}
        request = RunAgentInput(threadId="t", runId=f"r{len(messages)}", messages=[*messages], **rest)
        return [event async for event in LangGraphAgent(name="a", graph=graph).run(request)]

    user = {"id": "u1", "role": "user", "content": "Hi"}
    [reported] = [event for event in await ask(user) if event.type.value == "TOOL_CALL_RESULT"]
    function = {"name": "search", "arguments": '{"query": "x"}'}
    call = {"id": "a0", "role": "assistant", "toolCalls": [{"id": "c1", "type": "function", "function": function}]}
    result = {"id": reported.message_id, "role": "tool", "toolCallId": "c1", "content": "found"}
    done = {"id": "a3", "role": "assistant", "content": "Done."}
    await ask(user, call, result, done, {"id": "u2", "role": "user", "content": "Again"})
    memory = graph.get_state({"configurable": {"thread_id": "t"}}).values["messages"]
    kept = [message.id for message in memory if isinstance(message, ToolMessage)]
    print(f"reported: {reported.message_id}; kept: {kept}")
    if len(kept) != 2 or reported.message_id not in kept:
        sys.exit("changed: the result was expected twice in the memory of the thread")
    print("as described: the graph keeps the result twice")

asyncio.run(main())
PYTHON
