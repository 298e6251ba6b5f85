"""A picture of a page in at most 256 colours: a third of the size, and nothing that an eye sees is lost."""

import asyncio
import base64
import json
import struct
import zlib
from pathlib import Path

from tests.browser import Page

#: Counts the colours of all pixels, keeps the 255 most frequent ones, and gives each pixel the nearest of them.
_COUNT = """new Promise((done) => {{
  const image = new Image();
  image.onload = () => {{
    const canvas = document.createElement('canvas'), wide = canvas.width = image.width, high = canvas.height = image.height;
    const pen = canvas.getContext('2d'), size = wide * high, found = new Map();
    pen.drawImage(image, 0, 0);
    const data = pen.getImageData(0, 0, wide, high).data, key = (i) => (data[i] << 16) | (data[i + 1] << 8) | data[i + 2];
    for (let i = 0; i < 4 * size; i += 4) found.set(key(i), (found.get(key(i)) ?? 0) + 1);
    const kept = [...found].sort((a, b) => b[1] - a[1]).slice(0, 255).map(([one]) => one);
    const of = new Map(kept.map((one, i) => [one, i]));
    const far = (a, b) => [16, 8, 0].reduce((sum, at) => sum + ((a >> at & 255) - (b >> at & 255)) ** 2, 0);
    for (const one of found.keys()) if (!of.has(one)) of.set(one, kept.reduce((best, to, i) => far(one, to) < far(one, kept[best]) ? i : best, 0));
    const out = new Uint8Array(size);
    for (let i = 0; i < size; i++) out[i] = of.get(key(4 * i));
    let text = '';
    for (let i = 0; i < size; i += 32768) text += String.fromCharCode(...out.subarray(i, i + 32768));
    done(JSON.stringify([wide, high, kept, btoa(text)]));
  }};
  image.src = 'data:image/png;base64,{0}';
}})"""  # noqa: E501


async def keep(page: Page, path: Path) -> int:
    """Write a picture that was taken anew in few colours; return its size in bytes. The page is left."""
    await page.open("about:blank")
    taken = base64.b64encode(await asyncio.to_thread(path.read_bytes)).decode()
    wide, high, colours, packed = json.loads(await page.run(_COUNT.format(taken)))
    pixels = base64.b64decode(packed)
    rows = b"".join(b"\0" + pixels[at : at + wide] for at in range(0, wide * high, wide))
    palette = b"".join(struct.pack(">I", colour)[1:] for colour in colours)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 3, 0, 0, 0)), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )  # fmt: skip
    found = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    await asyncio.to_thread(path.write_bytes, found)
    return len(found)
