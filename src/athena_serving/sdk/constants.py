"""Numbers that wrappers name: data types and stream positions (wrapper.md 1.2). Plain ints, as old wrappers expect."""

STRING, AUDIO, IMAGE, VIDEO = 0, 1, 2, 3
"""What a field holds."""

DataText, DataAudio, DataImage, DataVideo = 0, 1, 2, 3
"""What a datum holds: `ResponseData.type`."""

DataBegin, DataContinue, DataEnd, DataOnce = 0, 1, 2, 3
"""Where a datum stands in its stream: `ResponseData.status`."""

Once = DataOnce

Types = {DataText: "text", DataAudio: "audio", DataImage: "image", DataVideo: "video"}
Status = {DataBegin: "begin", DataContinue: "continue", DataEnd: "end", DataOnce: "once"}

THREAD_MODE, PROCESS_MODE = "thread", "process"

OK, INIT_ERROR, USER_INIT_ERROR, USER_EXEC_ERROR = 0, 30001, 30002, 30003
"""Codes of ASF's plug-in server, between it and its loader (wrapper.md 1.9). Callers never see them."""

EXIT_SIG = -1
"""What ASF's package had at its top (wrapper.md 1.9)."""
