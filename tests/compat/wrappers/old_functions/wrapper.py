"""ASF's first style: functions in a module, dicts in a tuple, dicts into a list. Its schema is written by hand."""

import json

texts = {5006: "no such song"}


def wrapperInit(config):
    return 0


def wrapperFini():
    return 0


def wrapperOnceExec(usrTag, params, reqData, respData, psrIds, psrCnt):
    if not isinstance(reqData, tuple) or respData != [] or psrIds != () or psrCnt != 0 or usrTag != params["sid"]:
        return -1
    node = reqData[0]
    text = node["data"].decode("utf-8")
    if text == "missing":
        return 5006
    if text == "nothing":
        return 0
    seen = json.dumps([node["key"], node["len"], node["status"], node["type"], node["desc"]["encoding"]])
    # Of bytes all count, of a str as many bytes as it says.
    respData.append({"key": "seen", "data": seen.encode(), "len": 1, "status": 2, "type": 0})
    respData.append({"key": "result", "data": text + " and more", "len": node["len"], "status": 3, "type": 0})
    return 0


def wrapperError(errCode):
    return texts.get(errCode, "inner error")
