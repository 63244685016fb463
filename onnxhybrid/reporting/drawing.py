"""A drawing as SVG: inside a page, where the page's style counts, or as a file with a style of its own."""

from __future__ import annotations

from onnxhybrid.reporting.layout import Arrow, Box, Drawing, Text
from onnxhybrid.reporting.texts import plain

_CORNERS = {"cloud": 14, "end": 12, "judge": 4}
_TIP = 6


def inner(drawing: Drawing) -> str:
    """The elements of a drawing, without the svg around them."""
    lanes = drawing.lanes
    border = (lanes.device + lanes.cloud) / 2
    parts = [
        f'<path class="border" d="M{_n(border)} 6V{_n(drawing.height - 6)}"/>',
        *(_box(box) for box in drawing.boxes if box.kind.startswith("group")),
        *map(_arrow, drawing.arrows),
        *(_box(box) for box in drawing.boxes if not box.kind.startswith("group")),
        *map(_text, drawing.texts),
    ]
    return "\n".join(parts)


def embedded(drawing: Drawing, label: str, kind: str) -> str:
    """A drawing inside a page."""
    return (
        f'<svg class="map {kind}" role="img" aria-label="{plain(label)}" viewBox="{_view(drawing)}">'
        f"<g>\n{inner(drawing)}\n</g></svg>"
    )


def alone(drawing: Drawing, label: str, description: str, style: str) -> str:
    """A drawing as a file."""
    width, height = _n(drawing.lanes.width), _n(drawing.height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="map" role="img" width="{width}" height="{height}" '
        f'viewBox="{_view(drawing)}">\n<title>{plain(label)}</title>\n<desc>{plain(description, 4000)}</desc>\n'
        f"<style>\n{style}</style>\n"
        f'<rect class="page" x="0.5" y="0.5" width="{_n(drawing.lanes.width - 1)}" '
        f'height="{_n(drawing.height - 1)}" rx="8"/>\n{inner(drawing)}\n</svg>\n'
    )


def _view(drawing: Drawing) -> str:
    return f"0 0 {_n(drawing.lanes.width)} {_n(drawing.height)}"


def _box(box: Box) -> str:
    place = f'x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" height="{_n(box.height)}"'
    title = f"<title>{plain(box.tip)}</title>" if box.tip else ""
    return f'<rect class="{box.kind}" {place} rx="{_CORNERS.get(box.kind, 6)}">{title}</rect>'


def _arrow(arrow: Arrow) -> str:
    (x, y), *rest = arrow.points
    way = f"M{_n(x)} {_n(y)}" + "".join(f"L{_n(a)} {_n(b)}" for a, b in rest)
    (before, _), (tx, ty) = arrow.points[-2:]
    if before == tx:
        tip = f"M{_n(tx)} {_n(ty)}l{-_TIP / 2:g} {-_TIP:g}h{_TIP:g}z"
    else:
        tip = f"M{_n(tx)} {_n(ty)}l{-_TIP:g} {-_TIP / 2:g}v{_TIP:g}z"
    return f'<path class="{arrow.kind}" d="{way}"/><path class="tip {arrow.kind}" d="{tip}"/>'


def _text(text: Text) -> str:
    return f'<text class="{text.kind}" x="{_n(text.x)}" y="{_n(text.y)}">{plain(text.text)}</text>'


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
