"""Sends, streams, resumes after a cut, cancels, and runs a tool over a WebSocket: python chat_ws.py [json | msgpack]"""

import asyncio
import os
import sys

from parley import Session, new_id

URL = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")


def numbers(count: int) -> str:
    return " ".join(map(str, range(count)))


def temperature(city: str) -> str:
    """The temperature in a city."""
    return f"12 degrees in {city}"


async def main(codec: str) -> None:
    async with Session(URL, new_id("python"), codec, {"temperature": temperature}) as session:
        answer = await session.ended(await session.send("/demo count=5 rate=0"))
        assert (answer.ended, answer.text) == ("completed", numbers(5)), answer.text
        print("sent, and answered:", answer.text)

        run = await session.send("/demo count=60 rate=30 ttft=0")
        await session.when(lambda: len(session.runs[run].text) > 20)
        session.cut()
        answer = await session.ended(run)
        assert answer.text == numbers(60), answer.text
        print("resumed after a cut, without a lost or a doubled token")

        run = await session.send("/demo count=5000 rate=50 ttft=0")
        await session.when(lambda: len(session.runs[run].text) > 20)
        await session.cancel(run)
        answer = await session.ended(run)
        assert answer.ended == "cancelled" and numbers(5000).startswith(answer.text), answer.text
        print("cancelled after", len(answer.text), "characters")

        answer = await session.ended(await session.send('/demo count=2 rate=0 tool=temperature input={"city":"Oslo"}'))
        assert "12 degrees in Oslo" in answer.text, answer.text
        print("ran the tool:", " ".join(answer.text.split()))


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "json"))
