"""FastAPI as its manual has it: typed by pydantic, user code inline in `async def`."""

import base64
import zlib
from collections.abc import AsyncIterator

from burn import BURN_SECONDS, burn
from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from pieces import PIECES
from pydantic import BaseModel


class Text(BaseModel):
    text: str


class Picture(BaseModel):
    image: str


class Checked(BaseModel):
    crc32: int
    length: int


class Burnt(BaseModel):
    burnt_us: int


app = FastAPI()


@app.post("/echo")
async def echo(request: Text) -> Text:
    return Text(text=request.text)


@app.post("/crc")
async def crc(request: Picture) -> Checked:
    picture = base64.b64decode(request.image)
    return Checked(crc32=zlib.crc32(picture), length=len(picture))


@app.post("/burn")
async def burn_cpu(_request: Text) -> Burnt:
    return Burnt(burnt_us=burn(BURN_SECONDS))


async def events() -> AsyncIterator[str]:
    for piece in PIECES:
        yield f"data: {piece}\n\n"


@app.post("/chunks")
async def chunks(_request: Text) -> StreamingResponse:
    return StreamingResponse(events(), media_type="text/event-stream")


@app.websocket("/chunks")
async def chunks_by_socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive_json()
    for piece in PIECES:
        await socket.send_text(piece)
    await socket.close()
