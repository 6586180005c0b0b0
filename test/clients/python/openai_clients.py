"""OpenAI clients in Python: openai_clients.py CLIENT FEATURE. Prints the answer, or `failed: TYPE` after an exception.

Each piece of a streamed answer prints `piece` on standard error. The feature `drain` streams an answer, waits for a line
on standard input, and asks again.
"""
import asyncio
import json
import os
import sys
import uuid

from pydantic import BaseModel

URL = os.environ["BASE_URL"]
MODEL = os.environ["MODEL"]
PROMPT = os.environ["PROMPT"]
SECOND = "And again?"
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
KEY = str(uuid.uuid4())


class Place(BaseModel):
    city: str
    degrees: int


def show(place: Place) -> str:
    return f"{place.city} {place.degrees}"


def temperature(city: str) -> str:
    assert city == "Oslo", city
    return "12 degrees"


def piece() -> None:
    print("piece", file=sys.stderr, flush=True)


def chat(feature: str) -> str:
    from openai import OpenAI

    # With a key, the second request continues the run of the first.
    client = OpenAI(base_url=URL, api_key="k", default_headers={"Idempotency-Key": KEY} if feature in ("stream", "again") else None)
    history = [{"role": "user", "content": PROMPT}]

    def ask(**more):
        return client.chat.completions.create(model=MODEL, messages=history, **more).choices[0].message

    if feature in ("stream", "again"):
        parts = []
        for chunk in client.chat.completions.create(model=MODEL, messages=history, stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                piece()
                parts.append(chunk.choices[0].delta.content)
        return "".join(parts)
    if feature == "structured":
        answer = client.chat.completions.parse(model=MODEL, messages=history, response_format=Place)
        return show(answer.choices[0].message.parsed)
    if feature == "tools":
        tools = [{"type": "function", "function": {"name": "weather", "parameters": TOOL, "strict": True}}]
        message = ask(tools=tools)
        [call] = message.tool_calls
        output = temperature(**json.loads(call.function.arguments))
        history.extend([message, {"role": "tool", "tool_call_id": call.id, "content": output}])
        return ask(tools=tools).content
    message = ask()
    if feature == "second":
        history.extend([message, {"role": "user", "content": SECOND}])
        message = ask()
    return message.content


seen = {}


def responses(feature: str) -> str:
    from openai import OpenAI

    client = OpenAI(base_url=URL, api_key="k")
    history = [{"role": "user", "content": PROMPT}]

    def ask(**more):
        return client.responses.create(model=MODEL, input=history, **more)

    if feature in ("stream", "again"):
        # The second time, it continues the same response behind the last event that it received.
        again = feature == "again"
        events = client.responses.retrieve(seen["id"], stream=True, starting_after=seen["number"]) if again else ask(stream=True)
        for event in events:
            seen["number"] = event.sequence_number
            if event.type == "response.created":
                seen["id"] = event.response.id
            if event.type == "response.output_text.delta":
                piece()
            if event.type == "response.completed":
                return event.response.output_text
        raise RuntimeError("the stream ended without response.completed")
    if feature == "structured":
        return show(client.responses.parse(model=MODEL, input=history, text_format=Place).output_parsed)
    if feature == "tools":
        tools = [{"type": "function", "name": "weather", "parameters": TOOL, "strict": True}]
        first = ask(tools=tools)
        [call] = [item for item in first.output if item.type == "function_call"]
        output = temperature(**json.loads(call.arguments))
        history.extend([*first.output, {"type": "function_call_output", "call_id": call.call_id, "output": output}])
        return ask(tools=tools).output_text
    first = ask()
    if feature == "second":
        history[:] = [{"role": "user", "content": SECOND}]
        return ask(previous_response_id=first.id).output_text
    return first.output_text


async def agents(feature: str) -> str:
    from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)

    @function_tool
    def weather(city: str) -> str:
        return temperature(city)

    agent = Agent(
        name="a",
        model=OpenAIResponsesModel(model=MODEL, openai_client=AsyncOpenAI(base_url=URL, api_key="k")),
        tools=[weather] if feature == "tools" else [],
        output_type=Place if feature == "structured" else None,
    )
    if feature in ("stream", "again"):
        run = Runner.run_streamed(agent, PROMPT)
        async for event in run.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                piece()
        return run.final_output
    run = await Runner.run(agent, PROMPT)
    if feature == "second":
        run = await Runner.run(agent, [*run.to_input_list(), {"role": "user", "content": SECOND}])
    return show(run.final_output) if feature == "structured" else run.final_output


def langchain(feature: str) -> str:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model=MODEL, base_url=URL, api_key="k")
    history = [HumanMessage(PROMPT)]
    if feature in ("stream", "again"):
        parts = []
        for chunk in model.stream(history):
            if chunk.content:
                piece()
            parts.append(chunk.content)
        return "".join(parts)
    if feature == "structured":
        return show(model.with_structured_output(Place, method="json_schema").invoke(history))
    if feature == "tools":
        bound = model.bind_tools([{"type": "function", "function": {"name": "weather", "parameters": TOOL}}])
        message = bound.invoke(history)
        [call] = message.tool_calls
        output = ToolMessage(temperature(**call["args"]), tool_call_id=call["id"])
        return bound.invoke([*history, message, output]).content
    message = model.invoke(history)
    if feature == "second":
        message = model.invoke([*history, message, HumanMessage(SECOND)])
    return message.content


async def pydantic_ai(feature: str) -> str:
    from pydantic_ai import Agent, NativeOutput
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIResponsesModel(MODEL, provider=OpenAIProvider(base_url=URL, api_key="k"))
    agent = Agent(model, output_type=NativeOutput(Place) if feature == "structured" else str)
    if feature == "tools":

        @agent.tool_plain
        def weather(city: str) -> str:
            return temperature(city)

    if feature in ("stream", "again"):
        async with agent.run_stream(PROMPT) as run:
            text = ""
            async for part in run.stream_text(delta=True, debounce_by=None):
                piece()
                text += part
            return text
    run = await agent.run(PROMPT)
    if feature == "second":
        run = await agent.run(SECOND, message_history=run.all_messages())
    return show(run.output) if feature == "structured" else run.output


CLIENTS = {"chat": chat, "responses": responses, "agents": agents, "langchain": langchain, "pydantic-ai": pydantic_ai}


def attempt(feature: str) -> None:
    try:
        answer = CLIENTS[sys.argv[1]](feature)
        print(asyncio.run(answer) if asyncio.iscoroutine(answer) else answer, flush=True)
    except Exception as error:
        print(f"failed: {type(error).__name__}", flush=True)
        print(error, file=sys.stderr, flush=True)


if sys.argv[2] == "drain":
    attempt("stream")
    sys.stdin.readline()
    attempt("again")
else:
    attempt(sys.argv[2])
