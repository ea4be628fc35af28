"""Seats: calls that user code runs at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.serving import Server

MEET = """
import threading
from athena_serving.sdk import Response, ResponseData, StringBodyField, WrapperBase

together = threading.Barrier(4)


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "meet"
    responseCls = UserResponse()

    def wrapperOnceExec(self, params):
        together.wait(timeout=10)
        return Response([ResponseData(key="result", data="met")])
"""


def test_more_seats_than_window_are_all_filled(tmp_path: Path) -> None:
    """The window is at least as wide: four calls that wait for each other all end."""
    with Server(tmp_path, MEET, settings={"workers.seats": 4, "workers.window": 2}) as server:
        with ThreadPoolExecutor(4) as callers:
            answers = list(callers.map(lambda _: server.call("meet", None), range(4)))
        assert [status for status, _ in answers] == [200] * 4
