"""The table behind `onnxhybrid.diagnostics`: one row a code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Diagnostic:
    """One row of the register.

    `raises` names the exception class of `onnxhybrid.errors` that carries the code.
    """

    code: str
    severity: Severity
    title: str
    explanation: str
    example: str
    fix: str
    raises: str


def _row(code: str, raises: str, title: str, explanation: str, example: str, fix: str) -> Diagnostic:
    return Diagnostic(code, "error", title, explanation, example, fix, raises)


def _warning(code: str, title: str, explanation: str, example: str, fix: str) -> Diagnostic:
    return Diagnostic(code, "warning", title, explanation, example, fix, "ValidationError")


_GRAPH = (
    _row(
        "OH100",
        "ModelError",
        "The file is no ONNX model",
        "The file cannot be read, or its bytes are no ONNX ModelProto with a graph.",
        'oh.load("weights.bin")',
        "Give the path of an .onnx file; open it in Netron to see whether it is whole.",
    ),
    _row(
        "OH101",
        "ValidationError",
        "An operator's domain is not imported",
        "Every domain that a node uses needs an opset import in the model, and a model-local function brings its own.",
        "a node of domain com.example in a model that imports ai.onnx only",
        "Add the domain to the model's opset_import, with the version that the operator was written for.",
    ),
    _row(
        "OH102",
        "ComposeError",
        "The opsets of the parts cannot be aligned",
        "Parts of different opsets are brought up to the newest one. That is done only where it provably keeps the "
        "meaning: every operator used is the same in both versions, or the version converter of onnx knows the step.",
        "a part of ai.onnx.ml 1 whose operator changed in version 3, beside a part of version 3",
        "Export the parts with one opset, or convert the older one with onnx.version_converter and test it.",
    ),
    _row(
        "OH103",
        "ValidationError",
        "The IR version is newer than the runtime accepts",
        "ONNX Runtime refuses a file whose IR version it does not know, whatever is in it.",
        "IR version 14 under onnxruntime 1.31, which accepts up to 13",
        "Save the model again through onnxhybrid (it writes the least IR version that holds the model), or update "
        "onnxruntime.",
    ),
    _row(
        "OH104",
        "ValidationError",
        "A name is defined twice",
        "In ONNX each tensor has one producer (static single assignment); a second node, input or initializer of the "
        "name makes the graph ambiguous.",
        'two nodes that both write the tensor "y"',
        "Rename one of them.",
    ),
    _row(
        "OH105",
        "ValidationError",
        "A tensor is used before it is defined, or never defined",
        "A node or a graph output reads a name that no input, initializer or earlier node provides.",
        'a node reads "features" and nothing writes it',
        "Sort the nodes topologically, or declare the missing input or initializer.",
    ),
    _row(
        "OH106",
        "ValidationError",
        "The opset is newer than the runtime knows",
        "ONNX Runtime refuses a model that imports an opset version which it was not built for.",
        "ai.onnx 28 under onnxruntime 1.31, which knows up to 26",
        "Export the model with an older opset, or update onnxruntime.",
    ),
    _row(
        "OH107",
        "ModelError",
        "Weights cannot be read",
        "A model refers to weights in a file (its own, or external data). That file is missing, too short, was changed "
        "since the model was loaded, or lies outside of the model's folder, which ONNX Runtime refuses too.",
        'external data at "../weights.bin", or a file that was overwritten after oh.load',
        "Keep external data beside the .onnx file, and load the model again after its files changed.",
    ),
    _row(
        "OH108",
        "ModelError",
        "The model is too large for one protobuf message",
        "A protobuf message holds less than 2 GiB; to_proto() and external_data=False need the whole model in one.",
        "to_proto() on a model with 3 GB of weights",
        "Use model.save(path), which writes external data where it must.",
    ),
    _row(
        "OH109",
        "ModelError",
        "No such tensor",
        "rename, select or bind was given a name that the model does not have.",
        'model.select(["probs"]) on a model whose output is "probabilities"',
        "Use one of the names that the message lists; Model.inputs and Model.outputs have them.",
    ),
    _row(
        "OH110",
        "ModelError",
        "A tensor description is malformed",
        "A TensorSpec needs a name, a dtype that ONNX knows, and a shape of sizes (0 or more), names and None.",
        'oh.TensorSpec("x", "float31", (1,))',
        "Use a numpy dtype or its name, such as float32, float16, bfloat16, int64, bool or str.",
    ),
    _row(
        "OH111",
        "ModelError",
        "A value does not fit the input it is bound to",
        "bind makes an input constant; the value must have, or safely convert to, the input's dtype and fit its shape.",
        "model.bind(threshold=[0.5, 0.6]) on an input of one element",
        "Give a value of the dtype and shape that Model.inputs shows.",
    ),
    _row(
        "OH112",
        "ModelError",
        "The model cannot be written",
        "The operating system refused to write the file. Nothing was changed: a file is replaced when it is whole.",
        'model.save("/no/such/folder/model.onnx")',
        "Check the folder, its permissions and the free space.",
    ),
    _row(
        "OH113",
        "ModelError",
        "Two tensors would get one name",
        "After rename, prefix or select each input and output still needs a name of its own.",
        'model.rename({"a": "b"}) on a model that has a public tensor "b" already',
        'Rename both: model.rename({"a": "b", "b": "c"}) is simultaneous.',
    ),
    _row(
        "OH114",
        "ValidationError",
        "A remote output has no declared type",
        "ONNX Runtime cannot infer what a remote node answers, so each output of an Invoke node needs its element type "
        "in the graph's outputs or value_info.",
        "an Invoke node that was cut out of its graph without its value_info",
        "Build remote models with oh.remote, which declares the types.",
    ),
)

_COMPOSE = (
    _row(
        "OH201",
        "ComposeError",
        "Types differ",
        "A tensor was to be connected to an input of another dtype, or two parts share an input by name and want "
        "different dtypes.",
        'chain(a, b), where a gives "features" as float32 and b takes it as float16',
        "Put a Cast between them, or rename one of the tensors if they are not meant to be the same.",
    ),
    _row(
        "OH202",
        "ComposeError",
        "Shapes differ",
        "A tensor was to be connected to an input whose rank or fixed sizes it cannot have, or two parts share an "
        "input by name and want different sizes.",
        'chain(a, b), where a gives "features" as (n, 64) and b takes (n, 32)',
        "Put a Reshape between them, or rename one of the tensors if they are not meant to be the same.",
    ),
    _row(
        "OH203",
        "ComposeError",
        "Nothing, or more than one thing, can be connected",
        "chain connects by name. Where no name fits it connects one to one, if there is only one possible way.",
        "chain(a, b), where a gives y and z, and b takes u, and both y and z fit",
        'Say it: oh.chain(a, b, connect={"u": "y"}).',
    ),
    _row(
        "OH204",
        "ComposeError",
        "A connection names what is not there",
        "connect maps an input of a later part to an output of an earlier one; one of the names is unknown.",
        'oh.chain(a, b, connect={"imag": "y"}) where the input is called "image"',
        "Use the names that the message lists.",
    ),
    _row(
        "OH205",
        "ComposeError",
        "An argument is no Model, or a part's label cannot be used",
        "Combinators take Models: oh.load gives one for a file, oh.remote one for an endpoint. Labels of parts become "
        "prefixes of names and must be non-empty, different and without control characters.",
        'oh.chain("a.onnx", b)',
        'oh.chain(oh.load("a.onnx"), b)',
    ),
    _row(
        "OH206",
        "ComposeError",
        "The branches offer different outputs",
        "Whichever branch runs, the same outputs must come out, with the same types.",
        "switch(c, then=a, else_=b), where a gives label and score, and b gives label only",
        'Drop what is not common with a.select(["label"]), or rename outputs so that they meet.',
    ),
    _row(
        "OH207",
        "ComposeError",
        "The condition is no bool",
        "A switch needs the name of a graph input (bool, one element), or a Model with exactly one output, a bool.",
        "switch(classifier, then=a, else_=b), where the classifier gives an int64 label",
        "Use a judge, or a Model whose one output is a comparison.",
    ),
    _row(
        "OH208",
        "ComposeError",
        "The judge does not fit the local model",
        "A judge is a Model with exactly one bool output, and it reads outputs of the local model by name.",
        'cascade(local, remote, accept=oh.judge.max_probability("probs") >= 0.8), where local gives "probabilities"',
        "Name one of the local outputs that the message lists.",
    ),
    _row(
        "OH209",
        "ComposeError",
        "One function name has two meanings",
        "Two parts hold model-local functions of one domain, name and overload with different bodies; a model can hold "
        "only one of them.",
        "two exports of a network whose helper function Attention changed between them",
        "Inline the functions of one part first (onnx.inliner.inline_local_functions).",
    ),
    _row(
        "OH210",
        "ComposeError",
        "One name would be an input and an output",
        "Public names are kept as they are, and a graph cannot have an input and an output of one name that are "
        "different tensors.",
        "chain(a: x -> y, b: y -> x)",
        'Rename one of them: oh.chain(a, b.rename({"x": "x_out"})).',
    ),
    _row(
        "OH211",
        "ComposeError",
        "One input would have two defaults",
        "Two parts share an input by name, and each says something else for when it is left out.",
        'a cascade inside a cascade, both with oh.Input("threshold", default=…) and different defaults',
        "Rename the input in one of the parts, or give both the same default.",
    ),
)

_REMOTE = (
    _row(
        "OH301",
        "ModelError",
        "A remote node is malformed",
        "An Invoke node lacks an attribute, has an unknown protocol, an endpoint that is no URL of the protocol's "
        "schemes, or names that do not fit its inputs and outputs.",
        'oh.remote.triton("ftp://host", "yolo")',
        "Build remote models with oh.remote; an endpoint is a base URL such as https://host:8000.",
    ),
    _row(
        "OH302",
        "ModelError",
        "Only one side of the remote model is described",
        "inputs and outputs are given together, or neither is and the server is asked for its metadata.",
        'oh.remote.triton(url, "yolo", inputs=[…]) without outputs',
        "Give both lists of TensorSpec, or none.",
    ),
    _row(
        "OH303",
        "ModelError",
        "A secret would end up in the artifact",
        "An artifact is a file that is copied, so it holds no credential: neither in a URL nor as a constant.",
        'oh.remote.triton("https://user:password@host", "yolo"), or model.bind(auth_token="…")',
        'Use auth=oh.Credential("name") and give the value to the Session, or auth=oh.Input("auth_token").',
    ),
    _row(
        "OH304",
        "ModelError",
        "An option has a value that it cannot have",
        "timeout and connect_timeout are seconds above 0 and up to a day, retries is 0 to 100, on_error raise or flag.",
        'oh.remote.triton(url, "yolo", timeout=0)',
        "Use a value in the range that the message gives.",
    ),
    _warning(
        "OH305",
        "A credential travels unencrypted",
        "The node sends a token over plain http to a host that is not this machine, where others can read it.",
        'oh.remote.triton("http://gpu.example:8000", "yolo", auth=oh.Credential("yolo"))',
        "Use https.",
    ),
    _row(
        "OH306",
        "ValidationError",
        "Something that looks like a secret is in the artifact",
        "A string in the file has the form of a token (sk-…, a JSON web token, a bearer header).",
        'metadata {"note": "Bearer eyJhbGciOi…"}',
        "Remove it and revoke it: an artifact is copied to every device.",
    ),
)

_RUN = (
    _row(
        "OH500",
        "RemoteError",
        "The operator library failed",
        "An error inside the library was caught before it could do harm.",
        "a defect in onnxhybrid",
        "Report it with the message and the model's remote nodes.",
    ),
    _row(
        "OH501",
        "RemoteRefused",
        "No connection could be made",
        "The server's name is unknown, nothing listens there, it cannot be reached, or TLS failed.",
        "a Triton server that is not running",
        "Check the endpoint, the network and the certificate; retries= bridges short outages.",
    ),
    _row(
        "OH502",
        "RemoteTimeout",
        "The deadline passed",
        "No complete answer came before the node's timeout, which covers all attempts together.",
        "a server that accepts the connection and never answers",
        "Raise timeout=, or let a fallback answer.",
    ),
    _row(
        "OH503",
        "RemoteStatusError",
        "The server answered with an error",
        "The status was not success; the server's own words are in the message, shortened and without secrets.",
        "401 Unauthorized: invalid token",
        "Read the server's message; .status has the number.",
    ),
    _row(
        "OH504",
        "ProtocolError",
        "The answer is not what the protocol promises",
        "Status 200 came with a body that is not the protocol's: an HTML page, broken JSON, a missing or doubled "
        "output, text that is not UTF-8.",
        "a captive portal's page in place of an inference response",
        "Check that the endpoint is the service's base URL and nothing between answers for it.",
    ),
    _row(
        "OH505",
        "ProtocolError",
        "An answer has another type than declared",
        "The artifact declares the element type of each remote output; the server sent another one.",
        "FP16 where the artifact says float32, after the remote model was exported anew",
        "Build the remote model again, so that its declaration fits the server's.",
    ),
    _row(
        "OH506",
        "ProtocolError",
        "An answer's shape or size does not fit",
        "The shape contradicts the declared one or the request's, or the number of bytes is not that of the shape.",
        "9 rows in answer to 10",
        "Check the remote model; declare None for a size that really varies.",
    ),
    _row(
        "OH507",
        "ProtocolError",
        "The answer is too large",
        "The body exceeds the policy's max_response_bytes.",
        "an answer that never ends",
        "Raise max_response_bytes in oh.Policy if the answer is meant to be that large.",
    ),
    _row(
        "OH508",
        "ProtocolError",
        "The answer ended early",
        "The connection was lost after the answer began, before it was whole.",
        "a proxy that cuts the body",
        "Look at the server's or the proxy's log; the call was not repeated, since the server may have acted on it.",
    ),
    _row(
        "OH509",
        "ProtocolError",
        "An input cannot be sent",
        "The protocol has no form for the input's type or value.",
        "a complex64 tensor to a Triton server",
        "Cast it in the graph before the remote node.",
    ),
    _row(
        "OH510",
        "CredentialError",
        "No such credential",
        "The node names a credential that neither the session nor the environment holds.",
        'auth=oh.Credential("yolo") and a Session without credentials',
        'oh.Session(model, credentials={"yolo": "…"}), or ONNXHYBRID_CREDENTIAL_YOLO with '
        "ONNXHYBRID_CREDENTIAL_YOLO_HOSTS.",
    ),
    _row(
        "OH511",
        "CredentialError",
        "The credential is not meant for this host",
        "A credential is sent only to the hosts that it is bound to, since an artifact may come from a stranger.",
        "a secret for api.example.com in an artifact whose endpoint is evil.example",
        "Check the artifact's endpoint; if it is right, name its host in oh.Secret(…, hosts=[…]).",
    ),
    _row(
        "OH512",
        "CredentialError",
        "The credential is malformed",
        "A token is one string of visible ASCII characters; line breaks in it could add headers to the request.",
        'a token that ends in "\\n" because it was read from a file',
        "Strip it.",
    ),
    _row(
        "OH513",
        "CredentialError",
        "The credential could not be fetched",
        "The callable or file behind an oh.Secret failed.",
        "a vault that cannot be reached",
        "See the message; the callable must return a str.",
    ),
    _row(
        "OH514",
        "RemoteError",
        "The run was cancelled",
        "What waited for a remote call was ended before the answer came: a future or a task was cancelled, "
        "RunOptions.terminate was set, a signal came, the graph cancelled the call, or the process was ending. Also "
        "with on_error='flag', since the run is to end.",
        "future = session.submit(…); future.cancel()",
        "Nothing, where that was meant. The request may have reached the server.",
    ),
    _row(
        "OH515",
        "RemoteError",
        "The ticket is unknown",
        "Await or Cancel was given something else than a ticket of a Begin node of the same session that is still "
        "good. A ticket is good once, until its run is over; where the host does not tell the library of runs, as a "
        "plain InferenceSession does not, until its deadline.",
        "two Await nodes that read one ticket",
        "Give each Begin one Await or one Cancel in every branch that can be taken, in the same graph.",
    ),
    _row(
        "OH516",
        "RemoteError",
        "Await declares other outputs than Begin",
        "The types of an Await node's outputs are declared in the graph; they have to be the output_types of the "
        "Begin node that gave the ticket, followed by bool, int64 and str with on_error='flag'.",
        "Begin with output_types='[\"float32\"]' whose Await declares an int64",
        "Correct the declaration (value_info or graph output), or output_types.",
    ),
    _row(
        "OH520",
        "PolicyDenied",
        "The policy refuses this address",
        "allow or deny of oh.Policy, or the built-in refusal of link-local, metadata and unspecified addresses. "
        "Nothing was sent.",
        "an endpoint whose name resolves to 169.254.169.254",
        "If the address is meant, allow it: oh.Policy(allow=[…]).",
    ),
    _row(
        "OH521",
        "PolicyDenied",
        "The budget is used up",
        "The request would go over the budget of oh.Policy: calls, bytes or cost, counted since the session began, "
        "repeats included. It was not sent.",
        'the third call of a session with oh.Policy(budget={"calls": 2})',
        "Raise the budget, or make a new session, which begins at nothing.",
    ),
    _row(
        "OH522",
        "PolicyDenied",
        "The budget has no price for a model",
        "A budget that limits the cost needs the price of every request, since one without a price would be free. "
        "Nothing was sent.",
        'oh.Policy(budget={"cost": 5.0, "price": {"whisper-1": 0.006}}) and a call of another model',
        'Add the model\'s price, or one for all others: {"*": 0.01}.',
    ),
    _row(
        "OH523",
        "PolicyDenied",
        "The circuit breaker is open",
        "The origin failed as often in a row as the breaker of oh.Policy allows, so that nothing is sent to it until "
        "the pause is over; then one request is let through to see whether it works again.",
        'oh.Policy(breaker={"failures": 5, "pause": 30.0}) and a server that answers 503 to everything',
        "Let a fallback answer, or wait; the failures before this one say what is wrong.",
    ),
    _row(
        "OH530",
        "Error",
        "The session's settings cannot be used",
        "A credential, a policy or the scope given to the operator library is malformed or unknown.",
        'oh.Policy(max_response_bytes=-1), or oh.Session(model, credentials={"yolo": 5})',
        "Correct what the message names.",
    ),
    _row(
        "OH531",
        "RemoteRefused",
        "A certificate's file cannot be used",
        "A file of oh.Policy (ca_file, client_certificate) or of the environment (ONNXHYBRID_CA_FILE, "
        "ONNXHYBRID_CLIENT_CERT, ONNXHYBRID_CLIENT_KEY) is missing, is not PEM, or the key is not the certificate's.",
        "ONNXHYBRID_CA_FILE=/no/such/file.pem",
        "Name files in PEM form that this process may read.",
    ),
    _row(
        "OH532",
        "RemoteError",
        "The request is not in the record",
        "A session that replays sends nothing, and its record holds no answer to this request: the inputs, the "
        'endpoint, the model or the declared outputs differ from those that were recorded. on_error="flag" does not '
        "hide this.",
        "other inputs than at the time of recording",
        "Record again: oh.Session(model, record=path).",
    ),
    _row(
        "OH533",
        "Error",
        "The record's file cannot be used",
        "The file of record= cannot be written, or is no record and is therefore not overwritten; the file of replay= "
        "is missing, damaged, no record, or of another version.",
        'oh.Session(model, replay="photo.jpg")',
        "Check the path; record again if the file is damaged.",
    ),
    _row(
        "OH540",
        "Error",
        "ONNX Runtime refused",
        "ONNX Runtime could not load the model or run it with these inputs; its own words are in the message.",
        "a feed that is missing or has another type",
        "Compare the feeds with Session.get_inputs(), and the model with oh.validate(model).",
    ),
    _row(
        "OH541",
        "Error",
        "There is no thread to run on",
        "submit, arun and run_async run on threads of their own; there is none at all to be had.",
        "submit in a function that atexit calls",
        "Run earlier, or with Session.run; raise the limit of threads of the process.",
    ),
    _row(
        "OH550",
        "Error",
        "The operator library cannot be loaded",
        "The native library is missing or of another version.",
        "a source tree that was copied without building it",
        "Install the package again: pip install onnxhybrid.",
    ),
    _row(
        "OH551",
        "Error",
        "An extra is not installed",
        "This part of onnxhybrid needs packages that come with an extra.",
        "oh.endpoint without starlette",
        'pip install "onnxhybrid[endpoint]"',
    ),
    _row(
        "OH552",
        "Error",
        "The endpoint cannot be started",
        "The embedded endpoint was given an address that it cannot listen on, or a name that it cannot serve.",
        "a port that another program listens on",
        "Use port=0 for a free one.",
    ),
    _row(
        "OH553",
        "Error",
        "A request to the embedded endpoint is malformed",
        "The endpoint answers with an error status (400, 404, 413 and the like) and the message; nothing was run.",
        "a request whose tensor has fewer bytes than its shape says",
        "Correct the request as the message says; the official clients make well-formed ones.",
    ),
)

REGISTER: dict[str, Diagnostic] = {row.code: row for row in (*_GRAPH, *_COMPOSE, *_REMOTE, *_RUN)}
