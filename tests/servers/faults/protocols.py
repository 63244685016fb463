"""Faults of what a protocol's answer says: outputs that are missing, doubled, of other types, sizes and values."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.servers.faults.answers import LIMIT, SHAPE, TYPE
from tests.servers.faults.fault import SECRET, VALUE, Fault, Good, answered, ends
from tests.servers.faults.wire import CUT, NO_ANSWER, TOO_LARGE


def _json(value: object) -> Callable[[Good], bytes]:
    return lambda good: answered(good, json.dumps(value).encode())


def _text(text: str) -> Callable[[Good], bytes]:
    return lambda good: answered(good, text.encode())


OUTPUT = {"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [1.0, 2.0, 3.0, 4.0]}


def _outputs(*changes: dict[str, Any]) -> Callable[[Good], bytes]:
    return _json({"model_name": "adder", "outputs": [{**OUTPUT, **change} for change in changes]})


def _output_text(data: str) -> Callable[[Good], bytes]:
    return _text(json.dumps({"outputs": [{**OUTPUT, "data": 0}]}).replace('"data": 0', f'"data": {data}'))


def _binary(size: object, tail: bytes, *, header: str | None = None, **change: Any) -> Callable[[Good], bytes]:
    """Outputs as bytes behind the JSON."""
    output = {key: value for key, value in OUTPUT.items() if key != "data"}
    head = json.dumps({"outputs": [{**output, "parameters": {"binary_data_size": size}, **change}]}).encode()
    length = str(len(head)) if header is None else header
    return lambda good: answered(good, head + tail, kind="application/octet-stream",
                                 more=f"Inference-Header-Content-Length: {length}\r\n")  # fmt: skip


_FOUR = bytes.fromhex("0000803f000000400000404000008040")

TRITON_HTTP = [
    Fault("no outputs", _outputs(), ends(NO_ANSWER)),
    Fault("outputs that are no list", _json({"outputs": OUTPUT}), ends(NO_ANSWER)),
    Fault("outputs of null", _json({"outputs": None}), ends(NO_ANSWER)),
    Fault("another output", _outputs({"name": "z"}), ends(NO_ANSWER)),
    Fault("a name of the token", _outputs({"name": SECRET}), ends(NO_ANSWER)),
    Fault("a name of null", _outputs({"name": None}), ends(NO_ANSWER)),
    Fault("an output twice", _outputs({}, {}), ends(NO_ANSWER)),
    Fault("an output more", _outputs({}, {"name": "z", "datatype": "INT8"}), ends(VALUE)),
    Fault("outputs twice", _text('{"outputs": [], ' + json.dumps({"outputs": [OUTPUT]})[1:]), ends(NO_ANSWER)),
    Fault("a hundred thousand outputs", _text('{"outputs": [' + ",".join(["{}"] * 100_000) + "]}"), ends(NO_ANSWER)),
    Fault("another type", _outputs({"datatype": "INT64"}), ends(TYPE)),
    Fault("an unknown type", _outputs({"datatype": "FP31"}), ends(TYPE)),
    Fault("a type of the token", _outputs({"datatype": f"{'x' * 480}{SECRET}"}), ends(TYPE)),
    Fault("a type in small letters", _outputs({"datatype": "fp32"}), ends(TYPE)),
    Fault("no type", _outputs({"datatype": None}), ends(NO_ANSWER)),
    Fault("a shape of text", _outputs({"shape": "2,2"}), ends(NO_ANSWER)),
    Fault("a shape of fractions", _outputs({"shape": [2.0, 2.5]}), ends(NO_ANSWER)),
    Fault("no shape", _outputs({"shape": None}), ends(NO_ANSWER)),
    Fault("another rank", _outputs({"shape": [4]}), ends(SHAPE)),
    Fault("another size", _outputs({"shape": [4, 1]}), ends(SHAPE)),
    Fault("other rows than were asked", _outputs({"shape": [3, 2], "data": [0] * 6}), ends(SHAPE)),
    Fault("no rows", _outputs({"shape": [0, 2], "data": []}), ends(SHAPE)),
    Fault("a negative size", _outputs({"shape": [-2, -2]}), ends(SHAPE)),
    Fault("a size of 2^62", _outputs({"shape": [2**62, 2]}), ends(SHAPE)),
    Fault("a size of 2^64 + 2", _outputs({"shape": [2**64 + 2, 2]}), ends(SHAPE)),
    Fault("a size beyond 128 bits", _outputs({"shape": [2**130, 2]}), ends(NO_ANSWER, SHAPE)),
    Fault("sizes whose product is 4 in 64 bits", _outputs({"shape": [2**33, 2**31 + 1]}), ends(SHAPE)),
    Fault("ten thousand dimensions", _outputs({"shape": [1] * 10_000}), ends(SHAPE)),
    Fault("too few values", _outputs({"data": [1.0]}), ends(SHAPE)),
    Fault("too many values", _outputs({"data": [1.0] * 5}), ends(SHAPE)),
    Fault("no data", _outputs({"data": None}), ends(NO_ANSWER)),
    Fault("data of text", _outputs({"data": ["1", "2", "3", "4"]}), ends(NO_ANSWER)),
    Fault("data of truths", _outputs({"data": [True] * 4}), ends(NO_ANSWER)),
    Fault("data of null", _outputs({"data": [None] * 4}), ends(NO_ANSWER)),
    Fault("data of objects", _outputs({"data": [{}] * 4}), ends(NO_ANSWER)),
    Fault("NaN", _output_text("[NaN, 1, 2, 3]"), ends(NO_ANSWER)),
    Fault("Infinity", _output_text("[1, 2, 3, -Infinity]"), ends(NO_ANSWER)),
    Fault("a number beyond its type", _output_text("[1e39, 1, 2, 3]"), ends(NO_ANSWER)),
    Fault("a number beyond any", _output_text("[1e999, 1, 2, 3]"), ends(NO_ANSWER)),
    Fault("hexadecimal numbers", _output_text("[0x1, 1, 2, 3]"), ends(NO_ANSWER)),
    Fault("numbers with leading zeros", _output_text("[01, 2, 3, 4]"), ends(NO_ANSWER)),
    Fault("data nested as the shape says", _outputs({"data": [[1.0, 2.0], [3.0, 4.0]]}), ends(VALUE)),
    Fault("data nested in another way", _outputs({"data": [[1.0, 2.0, 3.0], [4.0]]}), ends(NO_ANSWER, SHAPE)),
    Fault("data nested in the other order", _outputs({"shape": [2, 2], "data": [[1.0], [2.0], [3.0], [4.0]]}),
          ends(NO_ANSWER, SHAPE)),
    Fault("data of one value in no list", _outputs({"data": 5.0}), ends(NO_ANSWER, SHAPE)),
    Fault("bytes", _binary(16, _FOUR), ends(VALUE)),
    Fault("bytes and JSON", _binary(16, _FOUR[::-1], data=[1.0, 2.0, 3.0, 4.0]), ends(NO_ANSWER)),
    Fault("fewer bytes than said", _binary(16, _FOUR[:9]), ends(CUT)),
    Fault("more bytes than said", _binary(16, _FOUR + b"\0"), ends(NO_ANSWER)),
    Fault("a byte count that fits the bytes but not the shape", _binary(12, _FOUR[:12]), ends(SHAPE)),
    Fault("a byte count of 2^64 - 1", _binary(2**64 - 1, _FOUR), ends(CUT)),
    Fault("a byte count of 2^70", _binary(2**70, _FOUR), ends(NO_ANSWER)),
    Fault("a negative byte count", _binary(-16, _FOUR), ends(NO_ANSWER)),
    Fault("a byte count of text", _binary("16", _FOUR), ends(NO_ANSWER)),
    Fault("bytes for a shape of 2^62", _binary(16, _FOUR, shape=[2**62, 2]), ends(SHAPE)),
    Fault("a header longer than the body", _binary(16, _FOUR, header="99999"), ends(CUT)),
    Fault("a header that ends within its JSON", _binary(16, _FOUR, header="30"), ends(NO_ANSWER)),
    Fault("a header of no length", _binary(16, _FOUR, header="0"), ends(NO_ANSWER)),
    Fault("a negative header length", _binary(16, _FOUR, header="-1"), ends(NO_ANSWER)),
    Fault("a header length of 2^70", _binary(16, _FOUR, header=str(2**70)), ends(NO_ANSWER, CUT)),
    Fault("a header length of letters", _binary(16, _FOUR, header="many"), ends(NO_ANSWER)),
    Fault("two header lengths",
          _binary(16, _FOUR, header="9\r\nInference-Header-Content-Length: 200"), ends(NO_ANSWER)),
]  # fmt: skip

TEXT = [
    Fault("no text", _json({"task": "transcribe"}), ends(NO_ANSWER)),
    Fault("a text of null", _json({"text": None}), ends(NO_ANSWER)),
    Fault("a text that is a number", _json({"text": 5}), ends(NO_ANSWER)),
    Fault("a list of texts", _json({"text": ["right"]}), ends(NO_ANSWER)),
    Fault("two texts", _text('{"text": "right", "text": "wrong"}'), ends(NO_ANSWER)),
    Fault("half a surrogate in the text", _text('{"text": "\\ud800"}'), ends(NO_ANSWER)),
    Fault("the token for a text's key", _json({SECRET: "x"}), ends(NO_ANSWER)),
    Fault("a bare text", lambda good: answered(good, b"right", kind="text/plain"), ends(VALUE)),
    Fault("a bare text that is called JSON", _text("right"), ends(NO_ANSWER)),
    Fault("a list as plain text", lambda good: answered(good, b'["right"]', kind="text/plain"), ends(NO_ANSWER)),
    Fault("a text and an error", _json({"text": "right", "error": {"message": f"no {SECRET}"}}), ends(NO_ANSWER)),
]


def _as(kind: str, body: bytes) -> Callable[[Good], bytes]:
    return lambda good: answered(good, body, kind=kind)


PLAIN = [
    Fault("a text in latin-1", lambda good: answered(good, b"\xe9"), ends(NO_ANSWER)),
    Fault(
        "a text beyond ASCII that says latin-1", _as("text/plain; charset=latin-1", "\xe9".encode()), ends(NO_ANSWER)
    ),
    Fault("a text that says latin-1", lambda good: answered(good, kind="text/plain; charset=latin-1"), ends(NO_ANSWER)),
    Fault("JSON with the text", _as("application/json", b'{"text": "right", "usage": {"seconds": 9}}'), ends(VALUE)),
    Fault("JSON with the text as plain text", lambda good: answered(good, b'{"text": "right"}'), ends(VALUE)),
    Fault("the text as a JSON string", _as("application/json", b'"right"'), ends(VALUE)),
    Fault("the bare text, called JSON", _as("application/json", b"right"), ends(VALUE)),
    Fault("JSON for a text", _as("application/json", b"{}"), ends(NO_ANSWER)),
    Fault("a list for a text", _as("application/json", b'["right"]'), ends(NO_ANSWER)),
    Fault("a list as plain text", lambda good: answered(good, b'["right"]'), ends(NO_ANSWER)),
    Fault("a number for a text", _as("application/json", b"5"), ends(NO_ANSWER)),
    Fault("an error as plain text", lambda good: answered(good, b'{"error": "no"}'), ends(NO_ANSWER)),
    Fault("an error as JSON", _as("application/json", b'{"detail": "no"}'), ends(NO_ANSWER)),
    Fault("a page as plain text", lambda good: answered(good, b"<!DOCTYPE html><p>log in"), ends(NO_ANSWER)),
    Fault("half a character", lambda good: answered(good, b"r\xc3"), ends(NO_ANSWER)),
    Fault("an overlong character", lambda good: answered(good, b"\xc0\xaf"), ends(NO_ANSWER)),
    Fault("a surrogate in UTF-8", lambda good: answered(good, b"\xed\xa0\x80"), ends(NO_ANSWER)),
]


def _choice(message: object) -> Callable[[Good], bytes]:
    return _json({"choices": [{"index": 0, "message": message}]})


CHAT = [
    Fault("no choices", _json({"choices": []}), ends(NO_ANSWER)),
    Fault("choices of null", _json({"choices": None}), ends(NO_ANSWER)),
    Fault("choices that are no list", _json({"choices": {"0": {"message": {"content": "right"}}}}), ends(NO_ANSWER)),
    Fault("a choice without a message", _json({"choices": [{}]}), ends(NO_ANSWER)),
    Fault("a message of null", _choice(None), ends(NO_ANSWER)),
    Fault("a message without content", _choice({"role": "assistant"}), ends(NO_ANSWER)),
    Fault("a content of null", _choice({"content": None}), ends(NO_ANSWER)),
    Fault("a content in parts", _choice({"content": [{"type": "text", "text": "ri"}, {"type": "text", "text": "ght"}]}),
          ends(VALUE)),
    Fault("a content in parts behind its reasoning",
          _choice({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                               {"type": "text", "text": "right"}]}), ends(VALUE)),
    Fault("a content of reasoning alone", _choice({"content": [{"type": "thinking", "thinking": []}]}),
          ends(NO_ANSWER)),
    Fault("a content in texts", _choice({"content": ["right"]}), ends(NO_ANSWER)),
    Fault("a content in lists", _choice({"content": [["text", "right"]]}), ends(NO_ANSWER)),
    Fault("a part that is a number", _choice({"content": [{"type": "text", "text": 5}]}), ends(NO_ANSWER)),
    Fault("a part that refuses", _choice({"content": [{"type": "refusal", "refusal": SECRET}]}), ends(NO_ANSWER)),
    Fault("a text as older servers give it", _json({"choices": [{"index": 0, "text": "right"}]}), ends(VALUE)),
    Fault("a content that is empty at the limit", _json({"choices": [{"message": {"content": ""},
          "finish_reason": "length"}]}), ends(NO_ANSWER)),
    Fault("a content that was filtered", _json({"choices": [{"finish_reason": "content_filter",
          "content_filter_results": {"hate": {"filtered": True, "severity": "high"}}}]}), ends(NO_ANSWER)),
    Fault("an error beside the choices", _json({"choices": [{"message": {"content": "right"}}],
          "error": {"message": f"no {SECRET}", "code": 502}}), ends(NO_ANSWER)),
    Fault("an error of the choice", _json({"choices": [{"message": {"content": "half"},
          "error": {"message": f"no {SECRET}"}}]}), ends(NO_ANSWER)),
    Fault("an empty refusal", _choice({"content": "right", "refusal": ""}), ends(VALUE)),
    Fault("a content that is a number", _choice({"content": 5}), ends(NO_ANSWER)),
    Fault("a refusal with the token", _choice({"content": None, "refusal": f"not {SECRET}"}), ends(NO_ANSWER)),
    Fault("calls of tools", _choice({"content": None, "tool_calls": [{"id": "x"}]}), ends(NO_ANSWER)),
    Fault("a piece of a stream", _json({"choices": [{"index": 0, "delta": {"content": "right"}}]}), ends(NO_ANSWER)),
    Fault("two contents", _text('{"choices":[{"message":{"content":"right","content":"wrong"}}]}'), ends(NO_ANSWER)),
    Fault("half a surrogate in the content", _text('{"choices":[{"message":{"content":"\\udfff"}}]}'), ends(NO_ANSWER)),
]  # fmt: skip


def _responded(*content: object, **more: object) -> Callable[[Good], bytes]:
    message = {"type": "message", "role": "assistant", "content": list(content)}
    return _json({"object": "response", "status": "completed", "error": None, "output": [message], **more})


def _said(text: object, kind: str = "output_text") -> dict[str, object]:
    return {"type": kind, "text": text, "annotations": []}


RESPONSES = [
    Fault("no output", _json({"status": "completed"}), ends(NO_ANSWER)),
    Fault("an output of null", _json({"status": "completed", "output": None}), ends(NO_ANSWER)),
    Fault("an output of nothing", _json({"status": "completed", "output": []}), ends(NO_ANSWER)),
    Fault("an output that is a text", _json({"output": "right"}), ends(NO_ANSWER)),
    Fault("reasoning alone", _json({"output": [{"type": "reasoning", "content": [_said("right")]}]}), ends(NO_ANSWER)),
    Fault("a text in pieces", _responded(_said("ri"), _said("no", "text"), _said("ght")), ends(VALUE)),
    Fault("a text that is a number", _responded(_said(5)), ends(NO_ANSWER)),
    Fault("a text in a list", _responded(["output_text", "right"]), ends(NO_ANSWER)),
    Fault("a refusal", _responded({"type": "refusal", "refusal": f"not {SECRET}"}), ends(NO_ANSWER)),
    Fault("half a response", _responded(_said("ri"), status="incomplete",
          incomplete_details={"reason": "max_output_tokens"}), ends(NO_ANSWER)),
    Fault("a response that failed", _responded(_said("right"), status="failed",
          error={"code": "server_error", "message": f"no {SECRET}"}), ends(NO_ANSWER)),
    Fault("a response that is under way", _responded(_said("right"), status="in_progress"), ends(NO_ANSWER)),
    Fault("no status", _responded(_said("right"), status=None), ends(VALUE)),
]  # fmt: skip


def _vectors(*items: object) -> Callable[[Good], bytes]:
    return _json({"data": list(items)})


def _vector(index: object, data: object) -> dict[str, object]:
    return {"index": index, "embedding": data}


_ONE, _TWO = (base64.b64encode(data).decode() for data in (_FOUR[:8], _FOUR[8:]))

EMBEDDINGS = [
    Fault("vectors in the other order", _vectors(_vector(1, _TWO), _vector(0, _ONE)), ends(VALUE)),
    Fault("vectors as lists", _vectors(_vector(0, [1.0, 2.0]), _vector(1, [3.0, 4.0])), ends(VALUE)),
    Fault("no vectors", _vectors(), ends(SHAPE)),
    Fault("a vector too few", _vectors(_vector(0, _ONE)), ends(SHAPE)),
    Fault("a vector too many", _vectors(_vector(0, _ONE), _vector(1, _TWO), _vector(2, _TWO)), ends(SHAPE)),
    Fault("the same index twice", _vectors(_vector(0, _ONE), _vector(0, _TWO)), ends(NO_ANSWER)),
    Fault("an index out of range", _vectors(_vector(0, _ONE), _vector(7, _TWO)), ends(NO_ANSWER)),
    Fault("a negative index", _vectors(_vector(0, _ONE), _vector(-1, _TWO)), ends(NO_ANSWER)),
    Fault("an index of text", _vectors(_vector("0", _ONE), _vector("1", _TWO)), ends(NO_ANSWER)),
    Fault("no index", _vectors({"embedding": _ONE}, {"embedding": _TWO}), ends(VALUE)),
    Fault("no index where it is 0", _vectors({"embedding": _ONE}, _vector(1, _TWO)), ends(VALUE)),
    Fault("no index where it is 1", _vectors(_vector(0, _ONE), {"embedding": _TWO}), ends(NO_ANSWER)),
    Fault("an index of null", _vectors(_vector(None, _ONE), _vector(None, _TWO)), ends(VALUE)),
    Fault("an index with a fraction of zero", _vectors(_vector(1.0, _TWO), _vector(0.0, _ONE)), ends(VALUE)),
    Fault("an index with a fraction", _vectors(_vector(0.5, _ONE), _vector(1, _TWO)), ends(NO_ANSWER)),
    Fault("vectors of both forms", _vectors(_vector(0, _ONE), _vector(1, [3, 4e0])), ends(VALUE)),
    Fault("vectors in lists", _vectors([0, _ONE], [1, _TWO]), ends(NO_ANSWER)),
    Fault("vectors and an error", _json({"data": [_vector(0, _ONE), _vector(1, _TWO)], "error": SECRET}),
          ends(NO_ANSWER)),
    Fault("vectors of two lengths", _vectors(_vector(0, _ONE), _vector(1, _TWO[:8])), ends(NO_ANSWER, SHAPE)),
    Fault("vectors of no length", _vectors(_vector(0, ""), _vector(1, "")), ends(SHAPE)),
    Fault("base64 of three bytes", _vectors(_vector(0, "AAAA"), _vector(1, "AAAA")), ends(SHAPE)),
    Fault("base64 that is none", _vectors(_vector(0, "?" * 12), _vector(1, _TWO)), ends(NO_ANSWER)),
    Fault("base64 without its end", _vectors(_vector(0, _ONE.rstrip("=")), _vector(1, _TWO)), ends(NO_ANSWER)),
    Fault("base64 with spaces", _vectors(_vector(0, f" {_ONE}\n"), _vector(1, _TWO)), ends(NO_ANSWER)),
    Fault("base64 for the web", _vectors(_vector(0, "_-_-" * 2 + _ONE[8:]), _vector(1, _TWO)), ends(NO_ANSWER)),
    Fault("base64 whose last bits are set", _vectors(_vector(0, _ONE[:-2] + "B="), _vector(1, _TWO)), ends(NO_ANSWER)),
    Fault("a vector of NaN", _text('{"data": [{"index": 0, "embedding": [NaN, 1]}]}'), ends(NO_ANSWER)),
    Fault("a vector of text", _vectors(_vector(0, ["1", "2"]), _vector(1, _TWO)), ends(NO_ANSWER)),
    Fault("a vector of vectors", _vectors(_vector(0, [[1.0, 2.0]]), _vector(1, [3.0, 4.0])), ends(NO_ANSWER, SHAPE)),
    Fault("a vector that is a number", _vectors(_vector(0, 1.0), _vector(1, 2.0)), ends(NO_ANSWER, SHAPE)),
    Fault("a vector of null", _vectors(_vector(0, None), _vector(1, _TWO)), ends(NO_ANSWER)),
    Fault("a vector of a hundred thousand", _vectors(_vector(0, "AAAA" * 200_000), _vector(1, _TWO)),
          ends(NO_ANSWER, SHAPE)),
    Fault("a vector beyond what may be", _vectors(_vector(0, "A" * LIMIT), _vector(1, _TWO)), ends(TOO_LARGE)),
    Fault("data of null", _json({"data": None}), ends(NO_ANSWER)),
]  # fmt: skip


def scored(key: str) -> list[Fault]:
    """Of a scoring script whose answer has its values under `key`."""

    def raw(text: str) -> Callable[[Good], bytes]:
        return _text(f'{{"{key}": {text}}}')

    return [
        Fault("the result within a string", _json(json.dumps({key: [[1, 2], [3, 4]]})), ends(VALUE)),
        Fault("the result within a string in a string", _json(json.dumps(json.dumps({key: [[1, 2], [3, 4]]}))),
              ends(NO_ANSWER)),
        Fault("another key", _json({"z": [[1, 2], [3, 4]]}), ends(NO_ANSWER)),
        Fault("a key that differs in case", _json({key.upper(): [[1, 2], [3, 4]]}), ends(NO_ANSWER)),
        Fault("a key twice", _text(f'{{"{key}": [[1, 2], [3, 4]], "{key}": [[0, 0], [0, 0]]}}'), ends(NO_ANSWER)),
        Fault("an error and a result", _json({key: [[1, 2], [3, 4]], "error": f"no {SECRET}"}), ends(NO_ANSWER)),
        Fault("a result of null", raw("null"), ends(NO_ANSWER, TYPE)),
        Fault("a result of text", raw('"1, 2"'), ends(TYPE, SHAPE)),
        Fault("a result of texts", raw('[["1", "2"], ["3", "4"]]'), ends(TYPE)),
        Fault("a result of truths", raw("[[true, true], [true, true]]"), ends(TYPE)),
        Fault("a result of objects", raw("[[{}, {}], [{}, {}]]"), ends(TYPE)),
        Fault("a ragged result", raw("[[1, 2], [3]]"), ends(SHAPE)),
        Fault("a result of two depths", raw("[[1, 2], 3]"), ends(SHAPE)),
        Fault("a result one list deeper", raw("[[[1, 2]], [[3, 4]]]"), ends(SHAPE)),
        Fault("a flat result", raw("[1, 2, 3, 4]"), ends(SHAPE)),
        Fault("a result turned", raw("[[1, 3, 2], [2, 4, 1]]"), ends(SHAPE)),
        Fault("more rows", raw("[[1, 2], [3, 4], [5, 6]]"), ends(SHAPE)),
        Fault("no rows", raw("[]"), ends(SHAPE)),
        Fault("rows of nothing", raw("[[], []]"), ends(SHAPE)),
        Fault("NaN", raw("[[NaN, 2], [3, 4]]"), ends(NO_ANSWER)),
        Fault("a number beyond its type", raw("[[1e39, 2], [3, 4]]"), ends(TYPE, NO_ANSWER)),
        Fault("a number beyond any", raw("[[1e999, 2], [3, 4]]"), ends(TYPE, NO_ANSWER)),
        Fault("a result in fifty thousand lists", raw("[" * 50_000), ends(NO_ANSWER, SHAPE)),
        Fault("a result of a hundred lists", raw("[" * 100 + "]" * 100), ends(NO_ANSWER, SHAPE)),
    ]  # fmt: skip
