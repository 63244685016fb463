"""OH62x: judges that are fitted on data."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

ROWS = (
    row(
        "OH620",
        "Error",
        "It is not clear what holds the probabilities",
        "A judge is fitted on the probabilities or logits of the local model's classes: its one output of floats, or "
        "the one whose name holds prob, logit or score.",
        "oh.fit_judge(local, data, good), where local gives two outputs of floats called a and b",
        'Rename the one that holds them: local.rename({"a": "probabilities"}), or drop the other with select.',
    ),
    row(
        "OH621",
        "Error",
        "The data of a fit do not fit the local model",
        "A fit takes what the local model is fed, a row an entry along the first axis of each array, or the tensors "
        "that the judge reads.",
        'oh.fit_judge(local, {"image": images}, good), where local takes "pixels"; or no rows at all',
        "Name the inputs as the message does, with arrays of the same length.",
    ),
    row(
        "OH622",
        "Error",
        "A feature cannot be read",
        "features are tensors of the local model by name, inner ones included, that hold numbers or bools, and an "
        "entry for each row.",
        'oh.fit_judge(local, data, good, features=["hiden"])',
        "Name one that local.tensors() lists; let a model of texts give a number beside its answer.",
    ),
    row(
        "OH623",
        "Error",
        "It is not clear what labels are compared with",
        "Where good holds labels, an answer is good if the output of local that holds whole numbers, or texts, is the "
        "label; without one whole numbers are compared with the place of the largest probability.",
        "labels of texts for a model that gives probabilities alone",
        "Give good as a bool for each row: answers == labels.",
    ),
    row(
        "OH624",
        "Error",
        "What is said of the rows does not fit them",
        "good is a bool for each row, or a label for each: a whole number or a text.",
        "90 labels for 100 rows",
        "Give an entry for each row of the data.",
    ),
    row(
        "OH627",
        "Error",
        "A scorer cannot read what it is given",
        "Scorer.score takes the tensors that the judge reads, by name, as the local model gives them.",
        'scorer.score({"probs": values}), where Scorer.reads is ("probabilities",)',
        "Give each tensor that Scorer.reads names, with as many numbers a row as in the fit.",
    ),
)
