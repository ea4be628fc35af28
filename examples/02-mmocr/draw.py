"""Draw `picture.png`, the sign that this example reads: `python draw.py`.

The font is the one that ships with Pillow, so the picture belongs to nobody else.
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

LINES = (("The Owl and Lantern", 46), ("READING ROOM", 60), ("Open every night", 36), ("since 1888", 36))
"""What is written on the sign, top down, and the size of the letters in pixels."""

SIZE = (640, 420)
SCALE = 3  # drawn larger, then shrunk: smooth edges
WALL, ENAMEL, GOLD, CREAM = "#d9cfbf", "#12343b", "#c9a24b", "#f3ead6"


def frame(draw: ImageDraw.ImageDraw, *, inset: int, radius: int, fill: str, outline: str | None = None) -> None:
    """A plate with round corners, `inset` pixels inside the picture's edge."""
    left, top, right, bottom = (SCALE * edge for edge in (inset, inset, SIZE[0] - inset, SIZE[1] - inset))
    draw.rounded_rectangle((left, top, right, bottom), SCALE * radius, fill, outline, width=3 * SCALE)


def ornament(draw: ImageDraw.ImageDraw, *, y: int, reach: int) -> None:
    """A thin rule with a lozenge in its middle, `y` pixels from the top, `reach` pixels to either side."""
    x, y, reach, size = SCALE * SIZE[0] // 2, SCALE * y, SCALE * reach, SCALE * 7
    draw.line((x - reach, y, x + reach, y), GOLD, width=2 * SCALE)
    draw.polygon((x - size, y, x, y - size, x + size, y, x, y + size), GOLD, ENAMEL, width=SCALE)


def sign() -> Image.Image:
    """The whole picture, in 64 colours, which is all a sign needs."""
    image = Image.new("RGB", (SCALE * SIZE[0], SCALE * SIZE[1]), WALL)
    draw = ImageDraw.Draw(image)
    frame(draw, inset=22, radius=30, fill=ENAMEL)
    frame(draw, inset=34, radius=22, fill=ENAMEL, outline=GOLD)
    for (text, size), y in zip(LINES, (104, 192, 286, 334), strict=True):
        font = ImageFont.load_default(size=SCALE * size)
        draw.text((SCALE * SIZE[0] // 2, SCALE * y), text, CREAM, font, anchor="mm")
    ornament(draw, y=242, reach=150)
    small = image.resize(SIZE, Image.Resampling.LANCZOS)
    return small.quantize(64, dither=Image.Dither.NONE)


if __name__ == "__main__":
    sign().save(Path(__file__).with_name("picture.png"), optimize=True)
