"""The class that a wrapper extends (wrapper.md 1.6 and 2)."""

from collections.abc import Mapping

from athena_serving.sdk.data import DataListCls, Response


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

    def __init__(self, legacy: bool = True, is_aipaas: bool = True, keep_schema_default_value: bool = True) -> None:
        # ASF's plug-in server passes these three by keyword, its bridge none; they chose among its schema generators.
        self.legacy = legacy
        self.is_aipaas = is_aipaas
        self.keep_schema_default_value = keep_schema_default_value

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

    def wrapperError(self, code: int) -> str:
        """What an error code of this wrapper means; the caller reads it before `;code=<code>`."""
        return "user error defined here" if code == 100 else ""
