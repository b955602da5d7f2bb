"""Self-contained HTML pages: text, tables, pictures and charts in one file that needs no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from hoi_core.types import U8


def page(title: str, lead: str, sections: Iterable[str]) -> str:
    """A whole page. `title` and `lead` are plain text; `sections` come from the functions below."""
    style = (files("hoi_core") / "page.css").read_text(encoding="utf8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>"
        f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{"".join(sections)}</main></body></html>\n'
    )


def section(title: str, *parts: str) -> str:
    """A titled section made of other parts."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def text(paragraph: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(paragraph)}</p>"


def note(paragraph: str) -> str:
    """A paragraph that stands out: a limit, a warning, what is simulated."""
    return f'<p class="note">{escape(paragraph)}</p>'


def tiles(figures: Sequence[tuple[str, str, str]]) -> str:
    """Headline figures as tiles: (value, what it is, remark)."""
    cells = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span><small>{escape(remark)}</small></div>'
        for value, name, remark in figures
    )
    return f'<div class="tiles">{cells}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table; the first column is left-aligned, the others right-aligned."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    below = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{below}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def picture(image: U8, caption: str, *, quality: int = 88) -> str:
    """An RGB image `(H, W, 3)` as an embedded JPEG with a caption."""
    import cv2

    ok, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    source = f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
    size = f'width="{image.shape[1]}" height="{image.shape[0]}"'
    alt = escape(caption)
    return f'<figure><img src="{source}" {size} alt="{alt}"><figcaption>{alt}</figcaption></figure>'


def chart(svg: str, caption: str) -> str:
    """A chart given as SVG text, such as matplotlib writes, with a caption."""
    return f'<figure class="chart">{svg[svg.index("<svg") :]}<figcaption>{escape(caption)}</figcaption></figure>'


def row(*parts: str) -> str:
    """Parts side by side where the screen is wide enough."""
    return f'<div class="row">{"".join(parts)}</div>'


def write(path: Path, content: str) -> None:
    """Write a page, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf8")
