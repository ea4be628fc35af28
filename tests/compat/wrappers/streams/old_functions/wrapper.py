"""ASF's first style: functions in a module, dicts for inputs and outputs, and a misspelt wrapperDestroy."""

import logging

heard = {}


def wrapperInit(config):
    return 0


def wrapperFini():
    return 0


def wrapperCreate(usrTag, params, psrIds, psrCnt):
    if psrIds != () or psrCnt != 0 or usrTag != params["sid"]:
        return ""
    heard[usrTag] = []
    return usrTag


def wrapperWrite(handle, datas):
    for node in datas:
        if (
            not isinstance(node["data"], bytes)
            or node["len"] != len(node["data"])
            or node["desc"]["encoding"] != "utf8"
        ):
            return -1
        heard[handle].append(node)
    return 0


def wrapperRead(handle, respData):
    while heard[handle]:
        node = heard[handle].pop(0)
        text = node["data"].decode().upper()
        respData.append({"key": "result", "data": text, "len": len(text), "status": node["status"], "type": 0})
    return 0


def wrapperDestory(handle):
    del heard[handle]
    logging.info("destroyed %s", handle)
    return 0


def wrapperError(errCode):
    return "inner error"
