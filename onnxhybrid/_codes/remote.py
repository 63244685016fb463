"""OH3xx: remote nodes and secrets."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row, warning

ROWS = (
    row(
        "OH301",
        "ModelError",
        "A remote node is malformed",
        "An Invoke node lacks an attribute, has an unknown protocol, an endpoint that is no URL of the protocol's "
        "schemes, or names that do not fit its inputs and outputs.",
        'oh.remote.triton("ftp://host", "yolo")',
        "Build remote models with oh.remote; an endpoint is a base URL such as https://host:8000.",
    ),
    row(
        "OH302",
        "ModelError",
        "Only one side of the remote model is described",
        "inputs and outputs are given together, or neither is and the server is asked for its metadata.",
        'oh.remote.triton(url, "yolo", inputs=[…]) without outputs',
        "Give both lists of TensorSpec, or none.",
    ),
    row(
        "OH303",
        "ModelError",
        "A secret would end up in the artifact",
        "An artifact is a file that is copied, so it holds no credential: neither in a URL nor as a constant.",
        'oh.remote.triton("https://user:password@host", "yolo"), or model.bind(auth_token="…")',
        'Use auth=oh.Credential("name") and give the value to the Session, or auth=oh.Input("auth_token").',
    ),
    row(
        "OH304",
        "ModelError",
        "An option has a value that it cannot have",
        "timeout, connect_timeout and attempt_timeout are seconds above 0 and up to a day, retries is 0 to 100, "
        "on_error raise or flag; a hedge's after is a quantile below 1 or a time below timeout, its most up to 1; "
        "cache an oh.Cache of a size above 0. "
        "Also where an argument is mistyped.",
        'oh.remote.triton(url, "yolo", timeout=0)',
        "Use a value in the range that the message gives.",
    ),
    warning(
        "OH305",
        "A credential travels unencrypted",
        "The node sends a token over plain http to a host that is not this machine, where others can read it. A "
        "session does so only where its policy or the secret names that very origin (OH511).",
        'oh.remote.triton("http://gpu.example:8000", "yolo", auth=oh.Credential("yolo"))',
        "Use https.",
    ),
    row(
        "OH306",
        "ValidationError",
        "Something that looks like a secret is in the artifact",
        "A string in the file has the form of a token (sk-…, a JSON web token, a bearer header).",
        'metadata {"note": "Bearer eyJhbGciOi…"}',
        "Remove it and revoke it: an artifact is copied to every device.",
    ),
    warning(
        "OH307",
        "Data travels unencrypted",
        "The node calls a host that is not this machine over plain http, where others can read and change it.",
        'oh.remote.triton("http://gpu.example:8000", "yolo")',
        "Use https.",
    ),
    warning(
        "OH308",
        "The deadline is so long that it is none",
        "The node may keep its caller waiting for more than ten minutes.",
        'oh.remote.triton(url, "yolo", timeout=86400)',
        "Give it the time that an answer is worth waiting for.",
    ),
    warning(
        "OH309",
        "A remote output is not used",
        "The server computes and sends a tensor that nothing in the graph reads.",
        "a remote model with two outputs in a chain that goes on with one",
        "Describe the remote model with the outputs that are used, or select the others.",
    ),
    warning(
        "OH310",
        "A failure would pass for an answer",
        'The node has on_error="flag", so that a failure gives empty tensors and ok=False, and nothing reads ok.',
        'oh.remote.triton(url, "yolo", on_error="flag") followed by a model that reads its tensors alone',
        'Branch on ok, use oh.fallback, or on_error="raise".',
    ),
    warning(
        "OH311",
        "A remote call in a loop",
        "The node calls out once for each iteration, one after the other.",
        "a Loop over the rows of a batch whose body calls a server",
        "Send the batch in one request: take the call out of the loop.",
    ),
    row(
        "OH312",
        "ValidationError",
        "The server's model differs from the node",
        "The server's metadata gives other names or types than the node sends and expects.",
        "a model that was deployed again with an output renamed",
        "Build the remote model anew with oh.remote, which asks the server, or deploy what the file was made for.",
    ),
    warning(
        "OH313",
        "The server could not be asked",
        "validate(online=True) asks for the metadata of each remote model; this server gave none.",
        "a server that is not reachable from here, or wants a token that is given at run time",
        "Ask from where the server can be reached, with the credential in the environment.",
    ),
    warning(
        "OH314",
        "The file does not say what leaves the device",
        "A model with remote calls has no metadata about them or its parts, which compositions write.",
        "a graph put together by hand around an Invoke node",
        "Compose with onnxhybrid, or write the entry with with_metadata.",
    ),
    warning(
        "OH315",
        "The file tells of other remote calls than it makes",
        "The metadata name a node, an endpoint or a setting that the remote nodes do not have, or leave out a call. "
        "Whoever reads them, or looks at the file in Netron, is told something else than what leaves the device.",
        "an endpoint that was edited in the node alone",
        "Load the model and save it: the list of calls is written anew. Compose it anew where the tree of its parts is "
        "wrong, or take that entry out.",
    ),
    warning(
        "OH316",
        "A suppressed warning that does not exist",
        "The metadata entry onnxhybrid.noqa names a code or a node that there is not, so that it leaves nothing out: "
        "mistyped, of another release, or of a node that has another name by now.",
        'model.with_metadata({"onnxhybrid.noqa": "OH30"})',
        "Write the code as validate prints it, and behind an @ the node's name; or take the entry out.",
    ),
    warning(
        "OH320",
        "External data has a name of its own",
        "A model names the files of its weights, and one of a stranger may name any file that lies beside it, in a "
        "folder of downloads or a home. This one is named after neither the model (model.onnx.data, model_weights.bin) "
        "nor the tensor whose data it is, the whole of it.",
        "a tensor of model.onnx whose data is said to lie in notes.txt",
        "Look at what the file is. Where it is the model's, name it after the model: oh.load(path).save(path, "
        "external_data=True) does so.",
    ),
    warning(
        "OH321",
        "What lies in a file beside the model is sent",
        "A remote call is given the content of a file as it is, and no input of the model takes part in it; or it is "
        "given something that was made of a file of OH320. So a model of a stranger would send files of its folder "
        "away. A session refuses the latter (OH580), and with oh.Policy.strict both.",
        "an Invoke that reads an initializer whose data lies in notes.txt",
        "Do not run the model unless you know what the file holds; put constants that are meant to be sent into the "
        ".onnx file, with save(path, external_data=False).",
    ),
    row(
        "OH330",
        "ModelError",
        "The server does not tell what its model takes and gives",
        "Without inputs= and outputs= the server is asked for the model's metadata. Some answer with empty lists "
        "(MLServer and KServe do, unless the model's settings describe it), others name a tensor twice.",
        'oh.remote.triton("http://mlserver:8080", "iris") where GET /v2/models/iris says "inputs": [], "outputs": []',
        "Describe the tensors: inputs=[oh.TensorSpec(…)], outputs=[oh.TensorSpec(…)]; or describe them on the server.",
    ),
    row(
        "OH322",
        "ModelError",
        "A header that a node cannot give",
        "headers= takes what a gateway or a server asks for beside the request. Authorization and the protocol's own "
        "api-key carry the token; Content-*, Transfer-Encoding, Connection and the like say where a message ends; "
        "grpc-* and names that begin with a colon belong to the transport. A name has the characters of a header's "
        "name, a value is visible ASCII with spaces and tabs inside of it, and no name comes twice, whatever its case.",
        'oh.remote.triton(url, "yolo", headers={"Authorization": "Bearer …"})',
        'A token is auth=oh.Credential("name"), with scheme="bearer" or "api-key" where the protocol has another way; '
        "leave the others to the transport.",
    ),
    row(
        "OH323",
        "ModelError",
        "A field that the call sends itself",
        "extra= and parameters= add fields to a request that its builder knows nothing of. One that the builder sends, "
        "or that would change how the answer has to be read (stream, binary_data_output), is not among them.",
        'oh.remote.openai_chat("gpt-4o", extra={"messages": []})',
        "Use the builder's own argument, which the message names.",
    ),
    warning(
        "OH324",
        "A key stands in the URL of an endpoint",
        "The query of an endpoint is part of the file, which is copied, and of what proxies and servers write into "
        "their logs. Messages show stars in its place. Keys are told by their names: code, sig, and what ends in key, "
        "token, secret, signature, password or credential, with a value of at least eight characters.",
        'oh.remote.azureml("https://host/score?code=…", …)',
        'Where the server takes it as a header: headers={"x-functions-key": oh.Credential("function")}.',
    ),
    row(
        "OH325",
        "ModelError",
        "The endpoint holds the protocol's own path",
        "A builder takes a base URL and adds the path of its protocol, so that a path which is there already would "
        "come twice.",
        'oh.remote.triton("http://host:8000/v2/models/yolo/infer", "yolo")',
        "Give the base URL that the message names.",
    ),
    row(
        "OH334",
        "ModelError",
        "What bytes= names is not one element of BYTES",
        "A Triton BYTES tensor that holds bytes and not text is one element on the wire, and in the graph the uint8 "
        "tensor of the bytes that it holds. The name given is that of no tensor of the model, or of one of another "
        "datatype or size.",
        'oh.remote.triton(url, "m", bytes=["image"]) where image is BYTES of shape [3]',
        "Name BYTES tensors of one element. Where inputs and outputs are given, declare them as oh.TensorSpec(name, "
        '"uint8", ("bytes",)), or as oh.TensorSpec(name, "str", (1, 1)) where the server has another shape than [1].',
    ),
)
