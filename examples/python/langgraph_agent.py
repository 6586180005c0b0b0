# An agent of LangGraph behind AG-UI: it looks hotels up with a tool of its own, asks the person which one to take, and books with a tool
# that Parley offers. The model is scripted, so the program needs no key and no network. Prints its port.
import json
import socket
from typing import Annotated

import uvicorn
from ag_ui_langgraph import LangGraphAgent, add_langgraph_fastapi_endpoint
from fastapi import FastAPI
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    messages: Annotated[list, add_messages]
    # The tools that Parley offers.
    tools: list
    hotel: str


@tool
def find_hotels(city: str) -> str:
    """Finds hotels in a city."""
    return json.dumps(["Fjord", "Harbour"])


def call(name: str, arguments: dict, state: State) -> AIMessage:
    id = f"{name}-{len(state['messages'])}"
    return AIMessage("", tool_calls=[{"id": id, "name": name, "args": arguments, "type": "tool_call"}])


def plan(state: State) -> State:
    """Stands for a model."""
    last = state["messages"][-1]
    if isinstance(last, ToolMessage) and last.name == "find_hotels":
        return {}
    if isinstance(last, ToolMessage):
        return {"messages": [AIMessage(f"Booked: {last.content}")]}
    return {"messages": [call("find_hotels", {"city": "Oslo"}, state)]}


def choose(state: State) -> State:
    names = json.loads(state["messages"][-1].content)
    form = {"type": "object", "properties": {"hotel": {"type": "string", "enum": names}}, "required": ["hotel"]}
    answer = interrupt({"message": "Which hotel?", "reason": "input_required", "responseSchema": form})
    return {"hotel": answer["hotel"], "messages": [call("book", {"hotel": answer["hotel"]}, state)]}


def next_node(state: State) -> str:
    last = state["messages"][-1]
    if isinstance(last, ToolMessage):
        return "choose"
    return "tools" if getattr(last, "tool_calls", []) else END


builder = StateGraph(State)
builder.add_node("plan", plan)
builder.add_node("tools", ToolNode([find_hotels]))
builder.add_node("choose", choose)
builder.add_edge(START, "plan")
builder.add_conditional_edges("plan", next_node)
builder.add_edge("tools", "plan")
# Parley makes the call of `book`: its result comes with the next request.
builder.add_edge("choose", END)

app = FastAPI()
agent = LangGraphAgent(name="travel", graph=builder.compile(checkpointer=InMemorySaver()))
add_langgraph_fastapi_endpoint(app, agent, "/agent")

if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([listener])
