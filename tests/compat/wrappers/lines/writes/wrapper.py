"""Results by callback, out of wrapperWrite, which does what it is told."""

import threading
from athena_serving.sdk import (
    AudioBodyField,
    Response,
    ResponseData,
    SessionCreateResponse,
    StringBodyField,
    StringParamField,
    WrapperBase,
)
from athena_serving.sdk.callback import callback
from athena_serving.sdk.logs import log


class UserRequest:
    text = StringBodyField(key="text", value=b"warm up")
    audio = AudioBodyField(key="audio")
    ctrl = StringParamField(key="ctrl", maxLength=200)


class UserResponse:
    result = StringBodyField(key="result")
    more = StringBodyField(key="more")


def answer(text, status=1, key="result", type=0):
    return Response([ResponseData(key=key, data=str(text), status=status, type=type)])


class Wrapper(WrapperBase):
    serviceId = "writes"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperError(self, code):
        return "user error defined here"

    def wrapperCreate(self, params, sid, usrTag):
        if params.get("ctrl") == "refuse":
            return SessionCreateResponse("", 40001)
        if params.get("ctrl") == "raise":
            raise RuntimeError("no model")
        self.count = 0
        return SessionCreateResponse(f"h-{sid}")

    def wrapperWrite(self, handle, req, sid, usrTag):
        """Does what the text says, and logs what `callback` returned."""
        self.count += 1
        node = req.list[0]
        word, _, rest = node.data.decode().partition(" ")
        codes = []
        if word == "echo":
            codes = [callback(answer(rest, node.status), sid)]
        elif word == "seq":
            codes = [callback(answer(node.desc["seq"], node.status), sid)]
        elif word == "count":
            codes = [callback(answer(self.count, node.status), sid)]
        elif word == "both":
            codes = [callback(answer(rest, key=key), sid) for key in ("result", "more", "result")]
        elif word == "forms":
            self.call_from_threads((usrTag,), (sid,), (handle,), (usrTag, sid), (handle, sid))
        elif word == "twice":
            codes = [callback(answer(rest, 2), sid), callback(answer(rest, 2), sid), callback(answer(rest), handle)]
        elif word == "code":
            return int(rest)
        elif word == "key":
            codes = [callback(answer("x", key=rest), sid)]
        elif word == "spoil":
            codes = [callback(answer(number, key=key), sid) for number, key in enumerate(["result"] * 3 + [rest])]
        elif word == "type":
            codes = [callback(answer("x", type=int(rest)), sid)]
        elif word == "hang":
            with open(rest) as pipe:
                pipe.read()
        log.info("callback said %s to %s", codes, sid)
        return 0

    def call_from_threads(self, *forms):
        said = {}

        def send(ids):
            said[ids] = callback(answer(len(ids)), *ids)

        threads = [threading.Thread(target=send, args=(ids,)) for ids in forms]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log.info("callback said %s", [said[ids] for ids in forms])

    def wrapperDestroy(self, handle):
        log.info("destroyed %s", handle)
        return 0

    def wrapperFini(self):
        log.info("fini")
        return 0
