"""OH6xx of clusters: Ray, the broker of limits, its workers."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

ROWS = (
    row(
        "OH670",
        "PolicyDenied",
        "The broker of limits cannot be asked",
        "The workers of a cluster share the budget of one policy, and a broker lends it to them bit by bit. It "
        "could not be asked for more before the call's deadline: it died with its node, the head node is "
        'overloaded, or its ledger cannot be used. Nothing was sent. on_error="flag" does not hide this.',
        "the head node of a Ray cluster that ends while workers score",
        "Start again when the cluster is well: with a ledger, what was spent is known. What workers held when the "
        "broker died counts as spent.",
    ),
    row(
        "OH671",
        "Error",
        "A secret would travel in a task",
        "Arguments of tasks and actors lie in Ray's object store, and its dashboard shows some. So a credential, or"
        " the passphrase of a client's certificate, is never given to workers as a value: they take it from their "
        "own environment.",
        'oh.score(model, source, target, engine="ray", credentials={"openai": "sk-…"})',
        "Set ONNXHYBRID_CREDENTIAL_<NAME> and ONNXHYBRID_CREDENTIAL_<NAME>_HOSTS in the environment of the workers "
        "(of Kubernetes a Secret that the pods name in env; on one machine before ray.init), and leave credentials "
        "out. For a client's certificate, give one whose key is not encrypted and that only the workers can read.",
    ),
    row(
        "OH672",
        "Error",
        "There is no Ray cluster",
        "Ray is asked for, and this process is connected to no cluster; the one that RAY_ADDRESS names does not "
        "answer, or none could be started on this machine.",
        "RAY_ADDRESS=10.0.0.7:6379 where nothing listens there",
        "Correct or unset RAY_ADDRESS, or call ray.init(…) yourself before; a new cluster of this machine needs some "
        "hundred MB of memory and a folder for temporary files.",
    ),
    row(
        "OH673",
        "Error",
        "A worker of the cluster cannot work",
        "An actor did not start, or died again and again: its node lacks onnxhybrid or the model's file, or has too "
        "little memory. The message ends with what Ray says of it.",
        'oh.score("/home/me/hybrid.onnx", source, target, engine="ray") with a worker on another machine',
        "Install the same onnxhybrid on all nodes, and put model, source and target where every node has them under"
        " the same path: a shared file system, or for source and target a store with an fsspec URL.",
    ),
    row(
        "OH674",
        "Error",
        "A deployment cannot be made like this",
        "An argument of oh.scoring.deployment has another kind, or asks for what the model has not: rows of several "
        "requests are run together only where every input and output that has rows has them along the first axis.",
        "oh.scoring.deployment(model, batch=64), where the model takes one image",
        "Leave batch out, so that each request runs by itself, or give what the message names.",
    ),
)
