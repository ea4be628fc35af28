"""The class that a wrapper extends (wrapper.md 1.6 and 2)."""

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property

from athena_serving.sdk.batch import BatchItem
from athena_serving.sdk.data import DataListCls, Response, ResponseData, SessionCreateResponse
from athena_serving.sdk.stream import SessionManager

TYPE_CHECKING = False  # not typing's: it costs 5 ms of every start
if TYPE_CHECKING:
    from typing import Any


class WrapperBase:
    """Extend it as `Wrapper` in wrapper.py, say what the service takes and gives, and write `wrapperOnceExec`.

    class UserRequest:
        image = ImageBodyField(key="image", path="test.jpg")

    class UserResponse:
        accept1 = JsonBodyField(key="boxes")

    class Wrapper(WrapperBase):
        serviceId = "ocr"
        version = "v1"
        requestCls = UserRequest()
        responseCls = UserResponse()

    A service of streams writes `wrapperStream` instead, or as well; or, in ASF's way, `wrapperCreate`, `wrapperWrite`
    and `wrapperDestroy`, and sends its results by `callback` or from `wrapperRead`. One that answers several calls at
    once writes `wrapperBatchExec`. Methods may name their parameters in any of ASF's ways (`sdk/binding.py`).
    """

    serviceId: str = ""
    """Name of the service in its path: /v1/private/<serviceId>. Empty: the name of the wrapper's folder."""
    version: str = "v1"
    requestCls: object = None
    """An object whose class attributes are fields: inputs and parameters."""
    responseCls: object = None
    """An object whose class attributes are fields: outputs."""
    config: Mapping[str, str] = {}
    """Strings for `wrapperInit` where no settings file has a [wrapper] section."""
    route: str | Sequence[str] = ""
    """Its paths, besides those that end in its id. Empty: /v1/private/<serviceId> and that of its version."""
    hosts: str | Sequence[str] = ""
    """Host names at which it has its paths before other services. Empty: none."""
    sub: str = "ase"
    """Business type: the first letters of every sid."""
    call: str = "atmos"
    """ASF's name of its RPC. It and `call_type` stand in the schema document, and mean nothing here."""
    call_type: int | str = 0

    # Here as well as in the constructor, which old wrappers do not always call.
    legacy: bool = True
    is_aipaas: bool = True
    keep_schema_default_value: bool = True

    def __init__(self, legacy: bool = True, is_aipaas: bool = True, keep_schema_default_value: bool = True) -> None:
        # ASF's plug-in server passes these three by keyword, its bridge none; they chose among its schema generators.
        self.legacy = legacy
        self.is_aipaas = is_aipaas
        self.keep_schema_default_value = keep_schema_default_value

    @cached_property
    def session(self) -> SessionManager:
        """A pool of threads for sessions, made when it is first asked for."""
        return SessionManager()

    @cached_property
    def inputs_test_values(self) -> dict[str, bytes]:
        """What the self-test sends, by key."""
        return {}

    @cached_property
    def params_test_values(self) -> dict[str, str]:
        """The parameters that the self-test sends."""
        return {}

    @cached_property
    def respData(self) -> list[ResponseData]:
        """What the self-test got."""
        return []

    # ── what a wrapper may write ──────────────────────────────────────────────────────────────────

    def wrapperInit(self, config: dict[str, str]) -> int:
        """Load the model, once, before the service is ready. 0 is success; anything else stops the start."""
        return 0

    def wrapperFini(self) -> int:
        """Let go of everything, once, after the last call."""
        return 0

    def wrapperOnceExec(self, params: dict[str, str], reqData: DataListCls) -> Response:
        """Answer one call. An exception, or an answer with an error code, reaches the caller as code 10909."""
        raise NotImplementedError(
            f"{type(self).__name__} has no wrapperOnceExec: def wrapperOnceExec(self, params, reqData)"
        )

    def wrapperOnceExecAsync(self, params: dict[str, str], reqData: DataListCls, sid: str, persId: int = 0) -> int:
        """Take one call, return 0, and answer it later by `callback(response, sid)`, from any thread.

        Counts where there is no `wrapperOnceExec`. New wrappers rather write `async def wrapperOnceExec`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no wrapperOnceExecAsync: write wrapperOnceExec")

    def wrapperBatchExec(self, batch: list[BatchItem]) -> Sequence[Response | BaseException]:
        """Answer several calls at once: one `Response` an item, in the same order; an exception fails its item alone.

        `[batch]` of athena.toml says which calls meet.
        """
        raise NotImplementedError(f"{type(self).__name__} has no wrapperBatchExec: def wrapperBatchExec(self, batch)")

    def wrapperStream(self, *_: "Any", **__: "Any") -> "Any":  # any signature may take its place
        """Answer one session: yield results as they are there.

        Written `def wrapperStream(self, params, pieces)`; `pieces` gives a `DataListNode` for each input as it comes.

        A generator, or an async generator over `async for piece in pieces`. It yields text or bytes of the first
        output, a dict or a list for JSON, or `ResponseData`. When it returns, the caller gets the last step. When
        nobody waits any more it is closed where it stands: its `finally` runs.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no wrapperStream: def wrapperStream(self, params, pieces)"
        )

    def wrapperCreate(self, params: dict[str, str], sid: str) -> SessionCreateResponse | str | None:
        """Begin a session, and say by which handle the other methods are told of it."""
        return None

    def wrapperWrite(self, handle: str, datas: DataListCls) -> int | None:
        """Take a step's inputs. 0 or None is success; anything else ends the session with code 10907."""
        return 0

    def wrapperRead(self, handle: str) -> Response | list[ResponseData]:
        """Outputs that are ready; an empty list if there are none yet."""
        return []

    def wrapperDestroy(self, handle: str) -> int | None:
        """End a session: called once for each that `wrapperCreate` began, whatever ended it."""
        return 0

    def wrapperLoadRes(self, reqData: DataListCls, resId: str) -> int:
        """Load a resource that callers ask for by its id, `resId`: a user's hot words, a speaker's voice.

        Called before the first call that asks for it, where `service.resources` is set. `reqData` has one input with
        the file's bytes; its `desc["persId"]` is the number by which calls are told of it. 0 or None is success;
        anything else, or an exception, fails the call.
        """
        return 0

    def wrapperUnloadRes(self, resId: str) -> int:
        """Let go of a resource: it is edited, deleted, too many are loaded, or the worker ends. No call uses it."""
        return 0

    def wrapperError(self, code: int) -> str:
        """What an error code of this wrapper means; the caller reads it before `;code=<code>`."""
        return "user error defined here" if code == 100 else ""

    # ── what a wrapper's author may call ──────────────────────────────────────────────────────────

    def schema(self) -> str:
        """The schema document as JSON text: what requests are checked against (http-api.md, chapter 5).

        Raises UsageError for fields that make no schema. `athena schema` knows the settings as well.
        """
        from athena_serving.sdk import document  # noqa: PLC0415  # typing, 5 ms of every start; few ask

        return document.text(type(self))

    def schema_v2(self) -> str:
        """The same: the second of ASF's generators is what ours mends."""
        return self.schema()

    def schema_legacy(self) -> str:
        """The document as the first of ASF's generators had it, to the letter (wrapper.md 9.2).

        For ASF's own gateway and tools; ours read `schema`.
        """
        from athena_serving.sdk import legacy  # noqa: PLC0415  # as above

        return legacy.text(type(self))

    def run(self, stream: bool = False) -> bool:
        """Try the wrapper without a server, on its fields' test values, and print what was found; is it in order?

        `if __name__ == "__main__": Wrapper().run()`. With `stream`, or where there is no `wrapperOnceExec`, as a
        session. User code's exceptions are printed, not raised.
        """
        from athena_serving.sdk import selftest  # noqa: PLC0415  # only for who calls it

        return selftest.run(self, stream=stream)

    def run_once(self) -> bool:
        """`run`, one call."""
        from athena_serving.sdk import selftest  # noqa: PLC0415

        return selftest.once(self)

    def run_stream(self) -> bool:
        """`run`, one session."""
        from athena_serving.sdk import selftest  # noqa: PLC0415

        return selftest.stream(self)

    def check_resp(self, resp: object) -> bool:
        """Print what is wrong with an answer to a once-call; is it in order?"""
        from athena_serving.sdk import selftest  # noqa: PLC0415

        return selftest.check(self, resp)

    def gradio(self) -> None:
        """Say where the page is that ASF made with gradio."""
        sys.stdout.write("`athena serve` has a page to try the service on: http://127.0.0.1:1888/docs\n")

    def printPythonInfo(self) -> None:
        """Print which interpreter this is."""
        sys.stdout.write(f"{sys.executable}\n{sys.version}\n")
