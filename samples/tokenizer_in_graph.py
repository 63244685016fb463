"""Text in, text out, in one file: the tokenizer is in the graph, the classifier in the cloud, the answer's words here.

    python samples/tokenizer_in_graph.py

`BertTokenizer` is an operator of onnxruntime-extensions; `oh.Session` registers its library by itself. Only numbers
leave the device: the ids of tokens go to a classifier that is served by Triton's protocol, and scores come back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper
from sklearn.linear_model import LogisticRegression
from written import graph

import onnxhybrid as oh

PHRASES = {
    "lights": ["turn on the lights", "switch the lamp off", "make it brighter in here", "lights out please"],
    "music": ["play some music", "put on a song", "next song please", "turn the music up"],
    "weather": ["what is the weather like", "will it rain today", "is it cold outside", "how warm is it today"],
    "timer": ["set a timer for ten minutes", "wake me at seven", "remind me in an hour", "start the clock"],
}
UNSEEN = ("please turn the lamp on", "play the next song", "will it be cold today", "set the clock for an hour")

_CLASSIFIER = """
<ir_version: 8, opset_import: ["": 18]>
classifier (int64[tokens] input_ids) => (float[1, topics] probs)
<int64[1] first = {0}>
{
    vectors = Gather (embedding, input_ids)
    total = ReduceSum <keepdims = 1> (vectors, first)
    logits = Add (total, bias)
    probs = Softmax (logits)
}
"""

_ANSWER = """
<ir_version: 8, opset_import: ["": 18]>
answer (float[1, topics] probs) => (string[1] topic, float[1] certainty)
<int64[1] last = {-1}>
{
    index = ArgMax <axis = 1, keepdims = 0> (probs)
    topic = Gather (topics, index)
    certainty = ReduceMax <keepdims = 0> (probs, last)
}
"""


def vocabulary() -> list[str]:
    """The tokens: the words of the phrases, and letters to spell the others with."""
    words = sorted({word for phrases in PHRASES.values() for phrase in phrases for word in phrase.split()})
    letters = "abcdefghijklmnopqrstuvwxyz"
    spelled = [*letters, *(f"##{letter}" for letter in letters)]
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *(token for token in spelled if token not in words)]


def tokenizer(tokens: list[str]) -> oh.Model:
    """BERT's tokenizer with its vocabulary inside the file: text str[1] -> input_ids int64[tokens]."""
    node = helper.make_node(
        "BertTokenizer",
        ["text"],
        ["input_ids", "token_type_ids", "attention_mask"],
        domain="ai.onnx.contrib",
        vocab_file="\n".join(tokens),
        do_lower_case=1,
    )
    values = [oh.TensorSpec("text", "str", (1,)), *(oh.TensorSpec(name, "int64", ("tokens",)) for name in node.output)]
    declared = [spec.to_value_info() for spec in values]
    alone = helper.make_graph([node], "tokenizer", declared[:1], declared[1:])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.contrib", 1)]
    return oh.Model.from_proto(helper.make_model(alone, ir_version=8, opset_imports=opsets)).select(["input_ids"])


def classifier(ids: oh.Session, size: int) -> oh.Model:
    """input_ids int64[tokens] -> probs float32[1, 4], learned from the phrases."""
    texts = [(phrase, topic) for topic, phrases in enumerate(PHRASES.values()) for phrase in phrases]
    counts = [np.bincount(ids.run(None, {"text": np.array([phrase])})[0], minlength=size) for phrase, _ in texts]
    learned = LogisticRegression(C=3.0).fit(np.stack(counts), [topic for _, topic in texts])
    weights: dict[str, Any] = {"embedding": learned.coef_.T, "bias": learned.intercept_}
    return graph(_CLASSIFIER, **{name: value.astype(np.float32) for name, value in weights.items()})


def main() -> None:
    """Train, serve, compose, ask."""
    tokens = vocabulary()
    front = tokenizer(tokens)
    back = graph(_ANSWER, topics=np.array(list(PHRASES), object))
    path = Path("build") / "topics.onnx"
    path.parent.mkdir(exist_ok=True)
    with oh.endpoint.serve({"topics": classifier(oh.Session(front), len(tokens))}) as endpoint:
        remote = oh.remote.triton(endpoint.url, "topics")
        oh.chain(front, remote, back).select(["topic", "certainty"]).save(path)
        session = oh.Session(path)
        print(f"{path} holds {', '.join(sorted(operators(path)))}\n")
        for text in UNSEEN:
            topic, certainty = session.run(None, {"text": np.array([text])})
            print(f"{text:<28} -> {topic[0]:<8} ({certainty[0]:.2f})")
        (node,) = session.stats().values()
    print(f"\n{node.calls} requests, {node.bytes_out // node.calls} bytes each: ids of tokens, and no text")


def operators(path: Path) -> set[str]:
    """The operators of a file, with their domains."""
    graph = oh.load(path).to_proto().graph
    return {f"{node.domain or 'ai.onnx'}.{node.op_type}" for node in graph.node}


if __name__ == "__main__":
    main()
