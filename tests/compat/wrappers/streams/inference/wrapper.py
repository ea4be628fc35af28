"""A Worker of the SDK a session, with an InferClass that says when it has heard the last; kept in a FixedPool."""

from aiges.concurrent.fixpool import FixedPool
from aiges.dto import Response, ResponseData, SessionCreateResponse, callback
from aiges.sdk import StringBodyField, WrapperBase
from aiges.utils.log import getFileLogger, log
from aiges.worker import InferClass, Worker


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Infer(InferClass):
    def predict(self, *args, **kwargs):
        node = kwargs["req"].list[0]
        resp = Response()
        resp.list = [ResponseData(key="result", data=node.data.upper(), status=node.status)]
        callback(resp, self.handle)
        return resp, node.status == 2


class Wrapper(WrapperBase):
    serviceId = "inference"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        self.pool = FixedPool()
        self.pool.set_capacity(2)
        return 0

    def wrapperCreate(self, params, sid, persId=0, usrTag=""):
        res = SessionCreateResponse()
        worker = Worker(name=sid, _type="thread", nums=1, context={"sid": sid})
        ok, handle = self.pool.add(worker)
        if not ok:
            res.error_code = 30001
            return res
        worker.register_infer_class(Infer())
        worker.setHandle(handle)
        worker.create(params)
        worker.start()
        res.handle = handle
        return res

    def wrapperWrite(self, handle, req, sid):
        self.pool.get(handle).in_q.put(req)
        return 0

    def wrapperDestroy(self, handle):
        worker = self.pool.get(handle)
        self.pool.remove(handle)
        worker.stop()
        log.info("destroyed %s" % worker.name)
        return 0
