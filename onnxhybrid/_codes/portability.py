"""OH4xx: portability and the operators of before."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row, warning

ROWS = (
    warning(
        "OH401",
        "The model holds operators that no longer exist",
        "Nodes of the domain com.microsoft.extensions (OpenAIAudioToText, AzureAudioToText, AzureTextToText, "
        "AzureTritonInvoker) were removed from onnxruntime-extensions 0.15. Where they still run they take an error "
        "page for an answer, let a token add headers, and crash on some types.",
        "a model that was made for onnxruntime-extensions 0.9 to 0.14",
        "oh.legacy.upgrade(model) replaces them with nodes that send the same requests; oh.Session does so by itself.",
    ),
    row(
        "OH402",
        "ModelError",
        "An old operator cannot be upgraded",
        "The node lacks what the old library asks for, such as model_uri or the input auth_token, or says something "
        "that has no counterpart.",
        "an OpenAIAudioToText node without an input called file",
        "Correct the node as the message says, or build a remote model with oh.remote in its place.",
    ),
    row(
        "OH403",
        "ModelError",
        "The old operators cannot do this",
        "oh.legacy.export writes models for devices that still carry onnxruntime-extensions 0.9 to 0.14. Those know "
        "no credentials, flags, gRPC, 16-bit floats or tickets, and one token a model.",
        'a remote node with on_error="flag"',
        "Build the remote node as the message says, or put the current library on the device.",
    ),
    row(
        "OH410",
        "ModelError",
        "A deployment cannot be written",
        "The folder is there and not empty, or the system refused. Nothing was changed.",
        'oh.deploy.azureml(model, "bundle", name="digits") a second time',
        "Give another folder, or overwrite=True.",
    ),
    row(
        "OH411",
        "ModelError",
        "A model cannot be deployed like this",
        "A name is none that the service takes, or the model has what the service cannot serve.",
        "oh.deploy.triton of a model with remote nodes",
        "Use a name and a model as the message says.",
    ),
    row(
        "OH412",
        "ModelError",
        "A scoring script cannot be used",
        "AzureML calls init() once and run(raw_data) for each request. The script cannot be read, is no Python, or "
        "does not define both so that they can be called like this. It is parsed and never run.",
        'oh.deploy.azureml(model, "bundle", name="digits", script="score.py") where score.py has no run',
        "Define both at the top of the script, or leave script out: one that fits the model is written.",
    ),
    row(
        "OH413",
        "ModelError",
        "A file cannot go beside the scoring script",
        "It is not there, or the bundle has a file of its name already.",
        'files=["env.yml"]',
        "Name files that are there, under names of their own; packages go into env.yml by packages=[…].",
    ),
)
