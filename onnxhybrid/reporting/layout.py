"""Places the pieces of a map: the device in the left lane, the cloud in the right one, and what happens downwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from onnxhybrid.model import RemoteSpec
from onnxhybrid.reporting.measuring import bold, wrapped
from onnxhybrid.reporting.pieces import Piece
from onnxhybrid.reporting.texts import visible
from onnxhybrid.reporting.words import called, caption, counted, listed, token

_SIZE, _NAME, _LINE = 12.0, 12.5, 16.0
_PADDING, _GAP = 8.0, 10.0
_MOST_CALLS = 6  # of one piece


@dataclass(frozen=True)
class Lanes:
    """Where the lanes of a picture are.

    Attributes:
        width: of the picture.
        device: the right end of the device's lane.
        cloud: the left end of the cloud's.
        indent: of a part in another.
        deepest: how many levels of parts fit beside each other.
        lines: the most lines of one text.
    """

    width: float
    device: float
    cloud: float
    indent: float
    deepest: int
    lines: int


WIDE = Lanes(720, 430, 474, 20, 8, 2)
NARROW = Lanes(340, 200, 218, 13, 5, 3)
_LEFT = 8.0


@dataclass(frozen=True)
class Text:
    """A line of text: where its baseline begins, and its class."""

    x: float
    y: float
    text: str
    kind: str


@dataclass(frozen=True)
class Box:
    """A rectangle with rounded corners, its class, and the whole of what its lines are cut from."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    tip: str = ""


@dataclass(frozen=True)
class Arrow:
    """A line of horizontal and vertical pieces, with a tip at its end."""

    points: tuple[tuple[float, float], ...]
    kind: str


@dataclass
class Drawing:
    """What is drawn: boxes from the outer to the inner, arrows, texts."""

    lanes: Lanes
    height: float = 0
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)


def drawn(whole: Piece, inputs: Sequence[str], outputs: Sequence[str], lanes: Lanes) -> Drawing:
    """The drawing of a map."""
    made = Drawing(lanes)
    right = lanes.device - _LEFT
    if not any(piece.calls for _, piece in whole.walk()):
        made.texts.append(Text(lanes.cloud, 40, "nothing", "note"))
    made.texts += [Text(_LEFT, 18, "on the device", "lane"), Text(lanes.cloud, 18, "in the cloud", "lane")]
    end = _ends(made, "takes", inputs, 30)
    below = _placed(made, whole, _LEFT, right, end + 18)
    middle = (_LEFT + right) / 2
    made.arrows.append(Arrow(((middle, end), (middle, end + 17)), "flow"))
    last = _ends(made, "gives", outputs, below + 18)
    made.arrows.append(Arrow(((middle, below), (middle, below + 17)), "flow"))
    made.height = last + 10
    return made


def _ends(made: Drawing, word: str, names: Sequence[str], top: float) -> float:
    """Where tensors come in, or go out."""
    return _box(made, [(f"{word} {listed(names, 8)}", "name")], _LEFT, made.lanes.device - _LEFT, top, "end")


def _placed(made: Drawing, piece: Piece, left: float, right: float, top: float, level: int = 0) -> float:
    """Place a piece; the lower end of it, and of what it calls."""
    if not piece.pieces:
        return _leaf(made, piece, left, right, top)
    place = len(made.boxes)
    start = end = _lines(made, [(called(piece), "name")], left, right, top)
    if piece.calls:
        end = max(end, _calls(made, piece.calls, right, top))
    spine, inner = left + made.lanes.indent / 2, left + made.lanes.indent
    stops = []
    for number, each in enumerate(piece.pieces):
        end += 2
        if said := caption(piece.kind, each, number):
            end = _lines(made, [(said, "said")], inner - _PADDING, right, end - 4, bare=True) + 1
        stops.append(end + 14)
        end = _placed(made, each, inner, right - made.lanes.indent / 4, end, level + 1) + _GAP
    kind = "group inner" if level % 2 else "group"
    made.boxes.insert(place, Box(left, top, right - left, end - top, kind, visible(called(piece))))
    for stop in stops:
        made.arrows.append(Arrow(((spine, start), (spine, stop), (inner - 1, stop)), "flow"))
    return end


def _leaf(made: Drawing, piece: Piece, left: float, right: float, top: float) -> float:
    kind = "more" if piece.kind == "…" else "judge" if piece.is_judge else "door" if piece.calls else "device"
    least = _calls(made, piece.calls, right, top) if piece.calls else top
    return _box(made, _told(piece), left, right, top, kind, least)


def _told(piece: Piece) -> list[tuple[str, str]]:
    """The lines of a leaf."""
    if piece.kind == "…":
        return [(piece.title, "note")]
    lines = [(called(piece) if piece.kind else piece.label or piece.title, "name")]
    if piece.is_judge:
        return [*lines, *((text, "note") for text in piece.judges[:4])]
    if piece.label and piece.title not in (piece.label, piece.kind) and not piece.calls:
        lines.append((piece.title, "note"))
    if len(piece.calls) == 1:
        lines.append((f"sends {listed(piece.calls[0].inputs, 4)}", "note"))
    if piece.nodes > len(piece.calls) and not (piece.calls and piece.label):
        lines.append((counted(piece), "note"))
    return lines


def _calls(made: Drawing, calls: Sequence[RemoteSpec], right: float, top: float) -> float:
    """Place remote calls in the other lane, with an arrow to each."""
    lanes, end = made.lanes, top
    for call in calls[:_MOST_CALLS]:
        lines = [(call.shown or "an endpoint that is named when it runs", "name")]
        lines += [(" · ".join(filter(None, (call.protocol, call.model))), "note"), (token(call), "note")]
        if call.audits:
            lines.append(("asked in the background, to compare", "note"))
        bottom = _box(made, lines, lanes.cloud, lanes.width - _LEFT, end, "cloud")
        made.arrows.append(Arrow(((right, end + 14), (lanes.cloud - 1, end + 14)), "leaves"))
        end = bottom + 6
    if len(calls) > _MOST_CALLS:
        rest = [(f"… and {len(calls) - _MOST_CALLS} more calls", "note")]
        end = _box(made, rest, lanes.cloud, lanes.width - _LEFT, end, "more") + 6
    return end - 6


def _box(made: Drawing, lines: Sequence[tuple[str, str]], left: float, right: float, top: float, kind: str,
         least: float = 0) -> float:  # fmt: skip
    """A box around lines, down to `least` where they need less."""
    place = len(made.boxes)
    end = max(least, _lines(made, lines, left, right, top) + 4)
    made.boxes.insert(place, Box(left, top, right - left, end - top, kind, visible(" · ".join(t for t, _ in lines))))
    return end


def _lines(made: Drawing, lines: Sequence[tuple[str, str]], left: float, right: float, top: float,
           *, bare: bool = False) -> float:  # fmt: skip
    """Write lines from the top of a box; where the last of them ends."""
    y = top + (0 if bare else 2)
    for text, kind in lines:
        size = bold(_NAME) if kind == "name" else _SIZE
        for line in wrapped(visible(text), size, right - left - 2 * _PADDING, made.lanes.lines):
            y += _LINE
            made.texts.append(Text(left + _PADDING, y, line, kind))
    return y + 4
