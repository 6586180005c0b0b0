# Agents of LangGraph and Pydantic AI behind AG-UI, with the adapters of these frameworks. Their models are scripted: what they say
# and which tools they call follows from the last message of the person. Prints its port.
import asyncio
import json
import socket
from typing import Annotated, Any

import uvicorn
from ag_ui.core import EventType, StateDeltaEvent, StateSnapshotEvent
from ag_ui_langgraph import LangGraphAgent, add_langgraph_fastapi_endpoint
from fastapi import FastAPI, Request
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import interrupt
from pydantic import BaseModel
from pydantic_ai import Agent, DeferredToolRequests, ToolReturn
from pydantic_ai.messages import ModelRequest, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from pydantic_ai.ui import StateDeps
from pydantic_ai.ui.ag_ui import AGUIAdapter
from typing_extensions import TypedDict

SLOW_PIECES = 600
SLOW_SECONDS = 0.05

# What tests ask about: requests as they came, the paths of those that were closed early, and what the tool has done.
requests: list[Any] = []
closed: list[str] = []
booked: list[str] = []


# LangGraph -----------------------------------------------------------------------------------------------------------------------


@tool
def search(query: str) -> str:
    """Searches."""
    return f"3 results for {query}"


@tool
def book(city: str) -> str:
    """Books a hotel."""
    booked.append(city)
    return f"booked in {city}"


class Scripted(BaseChatModel):
    """Answers the result of a tool, calls a tool, thinks, or counts slowly."""

    offered: list[str] = []

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools, **_):
        names = [each["name"] if isinstance(each, dict) else each.name for each in tools]
        return Scripted(offered=names)

    def _generate(self, messages, stop=None, run_manager=None, **_):
        raise NotImplementedError

    async def _agenerate(self, messages, stop=None, run_manager=None, **_):
        message = None
        async for chunk in self._astream(messages, stop, run_manager):
            message = chunk.message if message is None else message + chunk.message
        return ChatResult(generations=[ChatGeneration(message=AIMessage(**message.model_dump(exclude={"type"})))])

    async def _astream(self, messages, stop=None, run_manager=None, **_):
        self_id = f"lc-{len(requests)}-{len(messages)}"

        def chunk(content: Any = "", **more):
            return ChatGenerationChunk(message=AIMessageChunk(content=content, id=self_id, **more))

        # All in one piece, as some providers send it: the adapter then tells the arguments only in its list of messages.
        def call(name: str, arguments: dict, at=0):
            piece = {"name": name, "args": json.dumps(arguments), "id": f"{self_id}-{name}-{at}", "index": at}
            return chunk(tool_call_chunks=[piece])

        last = messages[-1]
        prompt = [message.content for message in messages if isinstance(message, HumanMessage)][-1]
        if isinstance(last, ToolMessage):
            results = []
            for message in reversed(messages):
                if not isinstance(message, ToolMessage):
                    break
                results.insert(0, message.content)
            yield chunk(f"It says: {'; '.join(results)}. ")
            yield chunk(f"{sum(isinstance(message, ToolMessage) for message in messages)} results so far.")
        elif prompt == "search":
            yield chunk("Let me look. ")
            for at, query in enumerate(["hotels", "trains"]):
                name = {"name": "search", "args": "", "id": f"{self_id}-search-{at}", "index": at}
                yield chunk(tool_call_chunks=[name])
                for piece in ['{"query":', f'"{query}"}}']:
                    yield chunk(tool_call_chunks=[{"name": None, "args": piece, "id": None, "index": at}])
        elif prompt == "book":
            yield call("book", {"city": "Oslo"})
        elif prompt.startswith("offered"):
            _, name, arguments = prompt.split(" ", 2)
            yield call(name, json.loads(arguments))
        elif prompt == "think":
            yield chunk([{"type": "thinking", "thinking": "Hm, ", "index": 0}])
            yield chunk([{"type": "thinking", "thinking": "well.", "index": 0}])
            yield chunk("Done.")
        elif prompt == "slow":
            for at in range(SLOW_PIECES):
                yield chunk(f"{at} ")
                await asyncio.sleep(SLOW_SECONDS)
        else:
            turns = sum(isinstance(message, HumanMessage) for message in messages)
            yield chunk(f"Turn {turns}")
            yield chunk(f": {prompt}")


class State(TypedDict, total=False):
    messages: Annotated[list, add_messages]
    tools: list
    plan: list[str]


def answer_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


async def chat(state: State):
    prompt = state["messages"][-1].content
    if prompt == "ask":
        city = interrupt({"message": "Which city?", "reason": "input_required"})
        return {"messages": [AIMessage(content=f"You said {answer_of(city)}.")]}
    if prompt == "confirm":
        given = interrupt({"message": "Go on?", "reason": "confirmation"})
        return {"messages": [AIMessage(content=f"You said {answer_of(given)}.")]}
    if prompt == "plan":
        return {"plan": [*state.get("plan", []), f"step {len(state.get('plan', [])) + 1}"], "messages": [AIMessage("Planned.")]}
    model = Scripted().bind_tools([search, *state.get("tools", [])])
    return {"messages": [await model.ainvoke(state["messages"])]}


def after_chat(state: State):
    last = state["messages"][-1]
    calls = getattr(last, "tool_calls", [])
    return "tools" if any(call["name"] == "search" for call in calls) else END


builder = StateGraph(State)
builder.add_node("chat", chat)
builder.add_node("tools", ToolNode([search]))
builder.add_edge(START, "chat")
builder.add_conditional_edges("chat", after_chat)
builder.add_edge("tools", "chat")
graph = builder.compile(checkpointer=InMemorySaver())

careful = create_agent(
    Scripted(),
    tools=[search, book],
    middleware=[HumanInTheLoopMiddleware(interrupt_on={"book": True})],
    checkpointer=InMemorySaver(),
)

# Pydantic AI ---------------------------------------------------------------------------------------------------------------------


class Plan(BaseModel):
    plan: list[str] = []


async def say(messages, info: AgentInfo):
    parts = [part for message in messages if isinstance(message, ModelRequest) for part in message.parts]
    prompts = [part.content for part in parts if isinstance(part, UserPromptPart)]
    prompt = prompts[-1] if isinstance(prompts[-1], str) else "".join(each for each in prompts[-1] if isinstance(each, str))
    last = messages[-1].parts if messages and isinstance(messages[-1], ModelRequest) else []
    results = [part.model_response_str() for part in last if isinstance(part, ToolReturnPart)]
    if results:
        yield f"It says: {'; '.join(results)}. "
        yield f"{sum(isinstance(part, ToolReturnPart) for part in parts)} results so far."
    elif prompt == "search":
        yield "Let me look. "
        for at, query in enumerate(["hotels", "trains"]):
            name = f"search-{len(prompts)}-{at}"
            yield {at: DeltaToolCall(name="search", json_args=json.dumps({"query": query}), tool_call_id=name)}
    elif prompt == "book":
        yield {0: DeltaToolCall(name="book", json_args='{"city":"Oslo"}', tool_call_id=f"book-{len(prompts)}")}
    elif prompt == "plan":
        yield {0: DeltaToolCall(name="plan_on", json_args="{}", tool_call_id=f"plan-{len(prompts)}")}
    elif prompt.startswith("offered"):
        _, name, arguments = prompt.split(" ", 2)
        yield {0: DeltaToolCall(name=name, json_args=arguments, tool_call_id=f"{name}-{len(prompts)}")}
    elif prompt == "think":
        yield {0: DeltaThinkingPart(content="Hm, ")}
        yield {0: DeltaThinkingPart(content="well.")}
        yield "Done."
    elif prompt == "slow":
        for at in range(SLOW_PIECES):
            yield f"{at} "
            await asyncio.sleep(SLOW_SECONDS)
    else:
        yield f"Turn {len(prompts)}"
        yield f": {prompt}"


pydantic_agent = Agent(
    FunctionModel(stream_function=say), deps_type=StateDeps[Plan], output_type=[str, DeferredToolRequests]
)


@pydantic_agent.tool_plain(name="search")
def pydantic_search(query: str) -> str:
    return f"3 results for {query}"


@pydantic_agent.tool_plain(name="book", requires_approval=True)
def pydantic_book(city: str) -> str:
    booked.append(city)
    return f"booked in {city}"


@pydantic_agent.tool
def plan_on(context) -> ToolReturn:
    plan = context.deps.state.plan
    step = f"step {len(plan) + 1}"
    first = StateSnapshotEvent(type=EventType.STATE_SNAPSHOT, snapshot={"plan": [*plan]})
    then = StateDeltaEvent(type=EventType.STATE_DELTA, delta=[{"op": "add", "path": "/plan/-", "value": step}])
    return ToolReturn(return_value="planned", metadata=[first, then])


# The server ----------------------------------------------------------------------------------------------------------------------

app = FastAPI()


class Keep:
    """Keeps what tests ask about."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        body = b""
        path = scope["path"]

        async def received():
            nonlocal body
            message = await receive()
            if message["type"] == "http.request":
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    requests.append(json.loads(body))
            elif not finished:
                closed.append(path)
            return message

        finished = False

        async def sent(message):
            nonlocal finished
            finished = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        await self.app(scope, received, sent)


app.add_middleware(Keep)
add_langgraph_fastapi_endpoint(app, LangGraphAgent(name="graph", graph=graph), "/langgraph")
add_langgraph_fastapi_endpoint(app, LangGraphAgent(name="careful", graph=careful), "/langchain")


@app.post("/pydantic-ai")
async def pydantic(request: Request):
    return await AGUIAdapter.dispatch_request(request, agent=pydantic_agent, deps=StateDeps(Plan()))


@app.get("/seen")
def seen(thread: str):
    config = {"configurable": {"thread_id": thread}}
    memory = graph.get_state(config).values.get("messages", []) or careful.get_state(config).values.get("messages", [])
    return {
        "requests": [each for each in requests if each["threadId"] == thread],
        "memory": [[message.type, message.id] for message in memory],
        "closed": closed,
        "booked": booked,
    }


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([listener])
