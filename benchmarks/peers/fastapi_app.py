"""FastAPI as its manual has it: typed by pydantic, user code inline in `async def`."""

import base64
import zlib

from burn import BURN_SECONDS, burn
from fastapi import FastAPI
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
