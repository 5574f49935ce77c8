"""Asks a gateway with OpenAI's own Python client, unmodified.

    check.py URL KEY MODEL

The worker answers with a tiny random model, so what is checked is the form, not the sense.
"""

import asyncio
import json
import sys
import time

import openai
from openai import AsyncOpenAI, OpenAI

url, key, model = sys.argv[1:]
client = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
messages = [{"role": "user", "content": "Hello"}]


def models():
    listed = client.models.list().data
    assert any(listed_model.id == model for listed_model in listed), listed
    one = client.models.retrieve(model)
    assert one.object == "model" and one.model_extra["max_model_len"] > 0


def chat():
    answer = client.chat.completions.create(
        model=model, messages=messages, temperature=0, max_tokens=12, logprobs=True, top_logprobs=2
    )
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and choice.message.role == "assistant"
    assert choice.finish_reason in ("stop", "length")
    assert len(choice.logprobs.content) == answer.usage.completion_tokens
    assert all(len(token.top_logprobs) == 2 for token in choice.logprobs.content)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    # What is ours is there for those who look.
    assert choice.model_extra["openledger"]["receipt"]["output_tokens"] == answer.usage.completion_tokens


def stream():
    whole = client.chat.completions.create(model=model, messages=messages, temperature=0, max_tokens=24)
    text, reason, usage = "", None, None
    for chunk in client.chat.completions.create(
        model=model,
        messages=messages,
        temperature=0,
        max_tokens=24,
        stream=True,
        stream_options={"include_usage": True},
    ):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
        usage = chunk.usage or usage
    assert text == whole.choices[0].message.content
    assert reason == whole.choices[0].finish_reason
    assert usage == whole.usage


def several():
    answer = client.chat.completions.create(
        model=model, messages=messages, temperature=1, n=3, seed=7, max_tokens=8, stop=["\n\n", "###"]
    )
    again = client.chat.completions.create(
        model=model, messages=messages, temperature=1, n=3, seed=7, max_tokens=8, stop=["\n\n", "###"]
    )
    assert [c.index for c in answer.choices] == [0, 1, 2]
    assert [c.message.content for c in answer.choices] == [c.message.content for c in again.choices]


def json_mode():
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green"]}, "legs": {"type": "integer", "minimum": 0, "maximum": 8}},
        "required": ["colour", "legs"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model=model,
        messages=messages,
        temperature=1,
        max_tokens=300,
        response_format={"type": "json_schema", "json_schema": {"name": "animal", "schema": schema, "strict": True}},
    )
    animal = json.loads(answer.choices[0].message.content)
    assert animal["colour"] in ("red", "green") and 0 <= animal["legs"] <= 8, animal


def log_likelihood():
    """As lm-eval's local-completions asks for it."""
    context, continuation = list(range(40, 60)), [70, 71, 72]
    answer = client.completions.create(
        model=model, prompt=[context + continuation], temperature=0, max_tokens=0, logprobs=1, echo=True, seed=1234
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs.token_logprobs[0] is None
    of_continuation = logprobs.token_logprobs[len(context) :]
    assert len(of_continuation) == 3 and all(value <= 0 for value in of_continuation)
    assert all(max(top.values()) <= 0 for top in logprobs.top_logprobs[1:])


def completions():
    answer = client.completions.create(model=model, prompt=["Once upon", "A time"], max_tokens=4, temperature=0)
    assert [choice.index for choice in answer.choices] == [0, 1]


def errors():
    def fails(kind, code, **fields):
        try:
            client.chat.completions.create(**{"model": model, "messages": messages, "max_tokens": 4, **fields})
        except kind as error:
            assert error.code == code, (error.code, code)
            return error
        raise AssertionError(f"{fields} was answered")

    fails(openai.NotFoundError, "model_not_found", model="nobody/knows-this")
    assert fails(openai.BadRequestError, None, max_tokens=-1).param == "max_tokens"
    assert fails(openai.BadRequestError, None, temperature=3).param == "temperature"
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    assert fails(openai.BadRequestError, "unsupported_parameter", tools=[tool]).param == "tools"
    long = [{"role": "user", "content": "word " * 20_000}]
    fails(openai.BadRequestError, "context_length_exceeded", messages=long)
    stranger = OpenAI(base_url=f"{url}/v1", api_key="sk-openledger-nobody", max_retries=0)
    try:
        stranger.models.list()
        raise AssertionError("a stranger was answered")
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key"
    try:
        client.embeddings.create(model=model, input="text")
        raise AssertionError("there are embeddings")
    except openai.BadRequestError as error:
        assert error.code == "model_has_no_embeddings"


def cancellation():
    """A stream that is closed, and a request that is given up, leave room for others."""
    endless = dict(model=model, messages=messages, max_tokens=1_500, extra_body={"ignore_eos": True})
    stream = client.chat.completions.create(stream=True, **endless)
    next(iter(stream))
    stream.close()

    async def give_up():
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as other:
            asking = asyncio.create_task(other.chat.completions.create(n=8, **endless))
            await asyncio.sleep(0.1)
            asking.cancel()
            try:
                await asking
            except asyncio.CancelledError:
                return
            raise AssertionError("it was answered all the same")

    asyncio.run(give_up())
    begun = time.monotonic()
    client.chat.completions.create(model=model, messages=messages, max_tokens=4)
    assert time.monotonic() - begun < 30


for check in (models, chat, stream, several, json_mode, completions, log_likelihood, errors, cancellation):
    check()
    print(f"  python  {check.__name__}")
