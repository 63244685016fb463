"""The sections of a page, from what the model is to what a run of it did."""

from __future__ import annotations

from collections.abc import Iterator

from onnxhybrid.diagnostics import REGISTER
from onnxhybrid.inspection.description import size
from onnxhybrid.model import RemoteSpec, TensorSpec
from onnxhybrid.reporting.drawing import embedded
from onnxhybrid.reporting.layout import NARROW, WIDE, Lanes, drawn
from onnxhybrid.reporting.markup import MOST_ROWS, facts, folded, paragraph, section, table
from onnxhybrid.reporting.pieces import Piece, shortened
from onnxhybrid.reporting.subject import Subject
from onnxhybrid.reporting.texts import breakable
from onnxhybrid.reporting.words import called, counted, listed, plural, token

MOST_PIECES = 90
"""The most parts of a map."""


def summary(subject: Subject) -> str:
    """What is to be known first, in a few sentences."""
    model, calls = subject.model, subject.model.remotes
    places = sorted({call.shown for call in calls})
    lines = [
        f"{plural(len(calls), 'remote call')} to {listed(places, 3)}"
        if calls
        else "Nothing leaves the device: the model makes no remote call",
    ]
    names = sorted({name for call in calls for name in call.credentials})
    if calls:
        lines.append(f"needs {'the credential' if len(names) == 1 else 'the credentials'} {listed(names, 5)}" if names
                     else "needs no credential")  # fmt: skip
    errors, warnings = len(subject.findings.errors), len(subject.findings.warnings)
    lines.append(
        f"{plural(errors, 'error')} and {plural(warnings, 'warning')}" if errors or warnings else "no findings"
    )
    told = "".join(f"<li>{breakable(line)}</li>" for line in lines)
    opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in model.opsets.items())
    own = subject.description
    small = (
        ("nodes", f"{own.nodes:,}"),
        ("weights", size(own.weight_bytes) if own.weight_bytes else "in the graph"),
        ("opsets", opsets),
        ("IR", model.ir_version),
        ("written by", f"{model.skeleton.producer_name} {model.skeleton.producer_version}".strip() or "not said"),
    )
    return f'<ul class="{"told" if calls else "told kept"}">{told}</ul>\n{facts(small)}'


def overview(subject: Subject) -> str:
    """The map, as a picture and as a list."""
    pictures = [_picture(subject, WIDE, "wide"), _picture(subject, NARROW, "narrow")]
    key = (
        '<ul class="key"><li><span class="swatch device"></span>runs on the device</li>'
        '<li><span class="swatch judge"></span>decides</li>'
        '<li><span class="swatch cloud"></span>runs in the cloud</li></ul>'
    )
    figure = f'<figure class="paper" data-zoom>{"".join(pictures)}</figure>'
    return section("map", "Map of its parts", key, figure, folded("The map as a list", _outline(subject.map)))


def _picture(subject: Subject, lanes: Lanes, kind: str) -> str:
    piece, left_out = shortened(subject.map, MOST_PIECES, lanes.deepest)
    inputs, outputs = ([spec.name for spec in specs] for specs in (subject.model.inputs, subject.model.outputs))
    label = "Map of the model's parts, on the device at the left and in the cloud at the right; as a list below."
    note = paragraph(f"{plural(left_out, 'part')} more: see the list.", f"note {kind}") if left_out > 0 else ""
    return embedded(drawn(piece, inputs, outputs, lanes), label, kind) + note


def _outline(whole: Piece) -> str:
    count = sum(1 for _ in whole.walk())
    rows, level = [], -1
    for deep, piece in _some(whole):
        rows.append(
            "</li>" if deep == level else "<ul><li>" if deep > level else "</li></ul>" * (level - deep) + "</li>"
        )
        rows.append("" if deep > level else "<li>")
        rows.append(breakable(_said(piece)))
        level = deep
    rows.append("</li></ul>" * (level + 1))
    more = paragraph(f"{count - 2 * MOST_ROWS} more parts are not shown.", "note") if count > 2 * MOST_ROWS else ""
    return f'<div class="outline">{"".join(rows)}</div>{more}'


def _some(whole: Piece) -> Iterator[tuple[int, Piece]]:
    for number, (level, piece) in enumerate(whole.walk()):
        if number >= 2 * MOST_ROWS:
            return
        yield min(level, 24), piece


def _said(piece: Piece) -> str:
    told = [called(piece) if piece.pieces else piece.label or piece.title]
    if piece.label and piece.title not in (piece.label, piece.kind):
        told.append(piece.title)
    if piece.judges and not piece.pieces:
        told.append(listed(piece.judges, 4))
    if piece.nodes:
        told.append(counted(piece))
    told += [f"asks {call.shown or 'an endpoint that is named when it runs'}" for call in piece.calls[:6]]
    return " – ".join(told)


def tensors(subject: Subject) -> str:
    """Inputs and outputs."""
    heads = ("name", "element type", "shape", "note")
    model = subject.model
    return section(
        "tensors",
        "Inputs and outputs",
        table("Inputs", heads, map(_tensor, model.inputs), "onnxhybrid inspect tells all"),
        table("Outputs", heads, map(_tensor, model.outputs), "onnxhybrid inspect tells all"),
    )


def _tensor(spec: TensorSpec) -> tuple[object, ...]:
    shape = "any" if spec.shape is None else f"[{', '.join('?' if d is None else str(d) for d in spec.shape)}]"
    return spec.name, spec.dtype, shape, "may be left out" if spec.optional else None


def calls(subject: Subject) -> str:
    """Every remote call."""
    if not subject.model.remotes:
        return section("remotes", "Remote calls", paragraph("There are none."))
    heads = ("node", "endpoint", "asked for", "credential", "sends", "receives", "limits")
    rows = (_call(call) for call in subject.model.remotes)
    return section("remotes", "Remote calls", table("Where requests go, and how", heads, rows, "Model.remotes has all"))


def _call(call: RemoteSpec) -> tuple[object, ...]:
    failure = "is data" if call.on_error == "flag" else "ends the run"
    limits = f"{call.timeout:g} s, {plural(call.retries, 'repeat')}; a failure {failure}"
    return (
        call.node or "(no name)",
        call.shown or "named when it runs",
        " ".join(filter(None, (call.protocol, call.model, call.version))),
        token(call),
        listed(call.inputs, 12),
        listed(call.outputs, 12),
        limits,
    )


def leaving(subject: Subject) -> str:
    """What leaves the device."""
    if not len(subject.egress):
        return section("egress", "What leaves the device", paragraph("Nothing: no input can reach a request."))
    heads = (
        "node",
        "endpoint",
        "what is sent depends on",
        "whether it is sent depends on",
        "credentials",
        "most bytes",
    )
    rows = (
        (
            flow.node or "(no name)",
            flow.shown or "named when it runs",
            listed(flow.content, 12),
            listed(flow.decides, 12),
            ", ".join(flow.credentials) or "none",
            "unknown" if flow.max_bytes is None else f"{flow.max_bytes:,}",
        )
        for flow in subject.egress
    )
    told = "An input that is not named here can be changed without changing a byte of what is sent."
    return section(
        "egress", "What leaves the device", paragraph(told), table("By call", heads, rows, "oh.egress(model) has all")
    )


def findings(subject: Subject) -> str:
    """What `validate` found."""
    found = subject.findings.findings
    if not found:
        return section("validation", "Validation", paragraph("No findings."))
    rows = ((f"{f.code} {f.severity}", f.message, f.where, REGISTER[f.code].fix) for f in found)
    heads = ("code", "what was found", "where", "what to do")
    return section("validation", "Validation", table("Findings", heads, rows, "oh.validate(model) has all"))
