"""The scoring script of the question-answering endpoint: a question and a context go in, an answer comes out.

AzureML calls `init` once and `run` for each request; nothing of onnxhybrid is needed there. Beside it lie the model and
the tokenizer, as `oh.deploy.azureml(model, folder, script=…, files=["tokenizer.json"])` puts them.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

UNANSWERED = "I am unable to find the answer to this question. Can you please ask another question?"
LONGEST = 512
"""The longest sequence that the encoder has positions for."""

tokenizer: Tokenizer
session: onnxruntime.InferenceSession


def load_tokenizer(path: str) -> Tokenizer:
    """A tokenizer that cuts long contexts, never the question, and pads nothing."""
    loaded = Tokenizer.from_file(path)
    loaded.no_padding()
    loaded.enable_truncation(LONGEST, strategy="only_second")
    return loaded


def preprocess(question: str, context: str) -> tuple[list[int], list[int], list[int], list[str]]:
    """The inputs of the model, input_ids, input_mask and segment_ids, and the tokens that they stand for."""
    encoded = tokenizer.encode(question, context)
    return encoded.ids, encoded.attention_mask, encoded.type_ids, encoded.tokens


def postprocess(tokens: Sequence[str], start: Any, end: Any) -> dict[str, str]:
    """The words between the likeliest start and the likeliest end; both have to lie in the context."""
    answer_start, answer_end = int(np.argmax(start)), int(np.argmax(end))
    if not tokens.index("[SEP]") < answer_start <= answer_end < len(tokens) - 1:
        return {"error": UNANSWERED}
    answer = tokens[answer_start]
    for token in tokens[answer_start + 1 : answer_end + 1]:
        answer += token[2:] if token.startswith("##") else f" {token}"
    return {"answer": answer.capitalize()}


def init() -> None:
    """Open the tokenizer and the session. AZUREML_MODEL_DIR is where AzureML puts the registered model."""
    global tokenizer, session  # noqa: PLW0603  # the server keeps nothing between init and run
    here = Path(__file__).parent
    tokenizer = load_tokenizer(str(here / "tokenizer.json"))
    model = Path(os.getenv("AZUREML_MODEL_DIR") or here) / "model" / "model.onnx"
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def run(raw_data: str) -> dict[str, str]:
    """Answer one request: {"question": …, "context": …} -> {"answer": …}, or {"error": …}."""
    try:
        inputs = json.loads(raw_data)
        question, context = inputs["question"], inputs["context"]
        if not isinstance(question, str) or not isinstance(context, str):
            raise TypeError("they are no texts")
        input_ids, input_mask, segment_ids, tokens = preprocess(question, context)
    except Exception as problem:  # noqa: BLE001  # the caller gets every failure as JSON
        logging.getLogger(__name__).info("a request was refused: %r", problem)
        return {"error": f'send {{"question": "a text", "context": "a text"}}, not this: {problem!r}'}
    model_inputs = {"input_ids": [input_ids], "input_mask": [input_mask], "segment_ids": [segment_ids]}
    outputs = session.run(["start_logits", "end_logits"], model_inputs)
    return postprocess(tokens, outputs[0], outputs[1])
