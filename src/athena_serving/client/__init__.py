"""For callers of a service, from any machine: `Client` waits, `AsyncClient` awaits.

    with Client("http://127.0.0.1:1888") as client:
        print(client.call("echo", {"data": "hello"}).outputs["result"].text)

`plans` decides what is sent, how long to pause and when to give up; the two clients only carry it out.
"""

from athena_serving.client.answer import Output, Result
from athena_serving.client.catalogue import ServiceSchema
from athena_serving.client.clients import AsyncClient, Client
from athena_serving.client.faults import (
    BadRequest,
    Busy,
    CallError,
    ConnectionLost,
    NotReachable,
    ServerFailed,
    ServiceNotFound,
    TimedOut,
    WrapperFailed,
)
from athena_serving.client.request import Input

__all__ = [
    "AsyncClient",
    "BadRequest",
    "Busy",
    "CallError",
    "Client",
    "ConnectionLost",
    "Input",
    "NotReachable",
    "Output",
    "Result",
    "ServerFailed",
    "ServiceNotFound",
    "ServiceSchema",
    "TimedOut",
    "WrapperFailed",
]
