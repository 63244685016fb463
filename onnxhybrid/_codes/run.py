"""OH5xx: run time; the native library uses the same codes."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

ROWS = (
    row(
        "OH500",
        "RemoteError",
        "The operator library failed",
        "An error inside the library was caught before it could do harm.",
        "a defect in onnxhybrid",
        "Report it with the message and the model's remote nodes.",
    ),
    row(
        "OH501",
        "RemoteRefused",
        "No connection could be made",
        "The server's name is unknown, nothing listens there, it cannot be reached, or TLS failed: the message says "
        "what was wrong with a certificate, and what kind is needed.",
        "a Triton server that is not running",
        "Check the endpoint, the network and the certificate; retries= bridges short outages. Where TLS meets a "
        "corrupt message the port speaks none: write http:// or grpc://.",
    ),
    row(
        "OH502",
        "RemoteTimeout",
        "The deadline passed",
        "No complete answer came and was read before the node's timeout, which covers all attempts together; or none "
        "within attempt_timeout, as often as retries allows.",
        "a server that accepts the connection and never answers",
        "Raise timeout=, or let a fallback answer. attempt_timeout= leaves time for a repeat where a connection was "
        "dropped without a word.",
    ),
    row(
        "OH503",
        "RemoteStatusError",
        "The server answered with an error",
        "The status was not success; the server's own words are in the message, shortened and without secrets. It says "
        "where a redirect, which is never followed, points to, and how long the server asks to wait.",
        "401 Unauthorized: invalid token",
        "Read the server's message; .status has the number.",
    ),
    row(
        "OH504",
        "ProtocolError",
        "The answer is not what the protocol promises",
        "Status 200 came with a body that is not the protocol's: an HTML page, broken JSON, a missing or doubled "
        "output, text that is not UTF-8, compressed bytes that are damaged, an encoding other than gzip and deflate. "
        "Or the body says itself that the service failed, or that the model gave no text: it refused, a filter took "
        "the text away, or its tokens were used up.",
        "a captive portal's page in place of an inference response; a chat that ends with finish_reason length before "
        "there is any text",
        "Where the message tells a reason, act on it: more tokens, another prompt, what the service asks for. Else "
        "check that the endpoint is the service's base URL and nothing between answers for it. A Triton BYTES tensor "
        'that holds other bytes than text is declared with oh.remote.triton(…, bytes=["thumbnail"]).',
    ),
    row(
        "OH505",
        "ProtocolError",
        "An answer has another type than declared",
        "The artifact declares the element type of each remote output; the server sent another one.",
        "FP16 where the artifact says float32, after the remote model was exported anew",
        "Build the remote model again, so that its declaration fits the server's.",
    ),
    row(
        "OH506",
        "ProtocolError",
        "An answer's shape or size does not fit",
        "The shape contradicts the declared one or the request's, or the number of bytes is not that of the shape.",
        "9 rows in answer to 10",
        "Check the remote model; declare None for a size that really varies.",
    ),
    row(
        "OH507",
        "ProtocolError",
        "The answer is too large",
        "The bodies of a call's answers together, or the outputs that are read from them, take more than the policy's "
        "max_response_bytes, which is 256 MiB unless the policy says otherwise. What is compressed counts as it "
        "was before.",
        "an answer that never ends, or a tensor of int64 of which each number is a byte on the way",
        "Raise max_response_bytes in oh.Policy if the answer is meant to be that large.",
    ),
    row(
        "OH508",
        "ProtocolError",
        "The answer ended early",
        "The connection was lost before the answer was whole. Where nothing of it had come, the request was repeated "
        "as often as retries allows, once more where a kept connection died, and a few times more where the server "
        "refused it unread; once it began, never.",
        "a proxy that cuts the body",
        "Look at the server's or the proxy's log: the server may have acted on the request. Where no answer ever "
        "begins, the port may speak TLS: write https:// or grpcs://.",
    ),
    row(
        "OH509",
        "ProtocolError",
        "An input cannot be sent",
        "The protocol has no form for the input's type or value.",
        "a complex64 tensor to a Triton server",
        "Cast it in the graph before the remote node.",
    ),
    row(
        "OH510",
        "CredentialError",
        "No such credential",
        "The node names a credential that neither the session nor the environment holds. It is found at the call; or "
        "when the session opens, where that is given a credential which no node names.",
        'auth=oh.Credential("yolo") and a Session without credentials',
        'oh.Session(model, credentials={"yolo": "…"}), or ONNXHYBRID_CREDENTIAL_YOLO with '
        "ONNXHYBRID_CREDENTIAL_YOLO_HOSTS.",
    ),
    row(
        "OH511",
        "CredentialError",
        "The credential is not meant for this host",
        "A credential is sent only to the hosts or origins that it is bound to, since an artifact may come from a "
        "stranger. In clear (http, grpc) it goes to this very machine alone, or where an http:// origin in the "
        "secret's hosts or in the policy's allow names the endpoint.",
        "a secret for api.example.com in an artifact whose endpoint is evil.example",
        "Check the artifact's endpoint; if it is right, name its host in oh.Secret(…, hosts=[…]), and use https; or "
        'name the origin where a token may be read on the way: oh.Policy(allow=["http://gpu.internal:8000"]).',
    ),
    row(
        "OH512",
        "CredentialError",
        "The credential is malformed",
        "A token is one string of visible ASCII characters; line breaks in it could add headers to the request.",
        'a token that ends in "\\n" because it was read from a file',
        "Strip it.",
    ),
    row(
        "OH513",
        "CredentialError",
        "The credential could not be fetched",
        "The callable or file behind an oh.Secret failed.",
        "a vault that cannot be reached",
        "See the message; the callable must return a str.",
    ),
    row(
        "OH514",
        "RemoteError",
        "The run was cancelled",
        "What waited for a remote call was ended before the answer came: a future or a task was cancelled, "
        "RunOptions.terminate was set, a signal came, the graph cancelled the call, or the process was ending. Also "
        "with on_error='flag', since the run is to end.",
        "future = session.submit(…); future.cancel()",
        "Nothing, where that was meant. The request may have reached the server.",
    ),
    row(
        "OH515",
        "RemoteError",
        "The ticket is unknown",
        "Await or Cancel was given something else than a ticket of a Begin node of the same session that is still "
        "good. A ticket is good once, until its run is over; where the host does not tell the library of runs, as a "
        "plain InferenceSession does not, until its deadline.",
        "two Await nodes that read one ticket",
        "Give each Begin one Await or one Cancel in every branch that can be taken, in the same graph.",
    ),
    row(
        "OH516",
        "RemoteError",
        "Await declares other outputs than Begin",
        "The types of an Await node's outputs are declared in the graph; they have to be the output_types of the "
        "Begin node that gave the ticket, followed by bool, int64 and str with on_error='flag'.",
        "Begin with output_types='[\"float32\"]' whose Await declares an int64",
        "Correct the declaration (value_info or graph output), or output_types.",
    ),
    row(
        "OH520",
        "PolicyDenied",
        "The policy refuses this address",
        "allow or deny of oh.Policy, or the built-in refusal of link-local, metadata and unspecified addresses. "
        "Nothing was sent.",
        "an endpoint whose name resolves to 169.254.169.254",
        "If the address is meant, allow it: oh.Policy(allow=[…]).",
    ),
    row(
        "OH523",
        "PolicyDenied",
        "The circuit breaker is open",
        "The origin failed as often in a row as the breaker of oh.Policy allows, so that nothing is sent to it until "
        "the pause is over; then one request is let through to see whether it works again.",
        'oh.Policy(breaker={"failures": 5, "pause": 30.0}) and a server that answers 503 to everything',
        "Let a fallback answer, or wait; the failures before this one say what is wrong.",
    ),
    row(
        "OH524",
        "PolicyDenied",
        "The file asks for more than the policy allows",
        "A graph has more nodes, or a request more bytes, than oh.Policy.strict allows. Nothing was run or sent.",
        "a file of 2 KB whose functions call each other until they are millions of nodes",
        "If the file is trusted, raise max_nodes or max_request_bytes of oh.Policy.strict, or use oh.Policy.",
    ),
    row(
        "OH580",
        "PolicyDenied",
        "A file beside the model would be sent",
        "A model names the files of its weights, and a remote call of this one is given what lies in such a file: a "
        "model of a stranger could so send files of the folder that it was put into. Refused are files that are named "
        "after neither the model nor a tensor, however their content is mixed with others; with oh.Policy.strict also "
        "those of the model where they are sent as they are. Nothing was sent.",
        "an Invoke that reads an initializer whose data lies in notes.txt",
        "Look at what the file holds. If it may be sent, say so: oh.Policy(send_external_data=True); or put the "
        "constants into the .onnx file, with save(path, external_data=False).",
    ),
    row(
        "OH530",
        "Error",
        "The session's settings cannot be used",
        "A credential, a policy or the scope given to the operator library is malformed or unknown.",
        'oh.Policy(max_response_bytes=-1), or oh.Session(model, credentials={"yolo": 5})',
        "Correct what the message names.",
    ),
    row(
        "OH531",
        "RemoteRefused",
        "A certificate's file cannot be used",
        "A file of oh.Policy (ca_file, client_certificate) or of the environment (ONNXHYBRID_CA_FILE, "
        "ONNXHYBRID_CLIENT_CERT, ONNXHYBRID_CLIENT_KEY) is missing, is not PEM, the key is not the certificate's, or "
        "it is encrypted and its passphrase missing or another one.",
        "ONNXHYBRID_CA_FILE=/no/such/file.pem",
        "Name files in PEM form that this process may read; a passphrase goes behind the key's file, or into "
        "ONNXHYBRID_CLIENT_KEY_PASSPHRASE.",
    ),
    row(
        "OH532",
        "RemoteError",
        "The request is not in the record",
        "A session that replays sends nothing, and its record holds no answer to this request: the inputs, the "
        'endpoint, the model or the declared outputs differ from those that were recorded. on_error="flag" does not '
        "hide this.",
        "other inputs than at the time of recording",
        "Record again: oh.Session(model, record=path).",
    ),
    row(
        "OH533",
        "Error",
        "The record's file cannot be used",
        "The file of record= cannot be written, or is no record and is therefore not overwritten; the file of replay= "
        "is missing, damaged, no record, or of another version.",
        'oh.Session(model, replay="photo.jpg")',
        "Check the path; record again if the file is damaged.",
    ),
    row(
        "OH540",
        "Error",
        "ONNX Runtime refused",
        "ONNX Runtime could not load the model or run it with these inputs; its own words are in the message.",
        "a feed that is missing or has another type",
        "Compare the feeds with Session.get_inputs(), and the model with oh.validate(model).",
    ),
    row(
        "OH541",
        "Error",
        "There is no thread to run on",
        "submit, arun and run_async run on threads of their own; there is none at all to be had.",
        "submit in a function that atexit calls",
        "Run earlier, or with Session.run; raise the limit of threads of the process.",
    ),
    row(
        "OH542",
        "Error",
        "An operator library is registered twice",
        "oh.Session and oh.register register onnxhybrid's operator library in the session options, which take each "
        "domain once; there it was registered by hand already, or another library holds its domain.",
        "options.register_custom_ops_library(oh.library_path()), then oh.Session(model, sess_options=options)",
        "Leave the registration to oh.Session or oh.register.",
    ),
    row(
        "OH543",
        "Error",
        "A feed is no text",
        "An input of strings takes texts: str, or bytes that are UTF-8, and they are passed on to the last byte. ONNX "
        "Runtime's Python API would make a text of anything else, as b'…' of bytes and None of a missing value, and "
        "send that.",
        'a feed of np.array([jpeg], dtype=object), or of ["a", None]',
        'Feed texts. A Triton BYTES tensor of other bytes is declared with oh.remote.triton(…, bytes=["image"]), and '
        "fed with np.frombuffer(data, np.uint8).",
    ),
    row(
        "OH546",
        "Error",
        "Rows of a cascade do not match",
        "With rows=True a cascade needs as many verdicts as rows of each input that is cut and of each answer of "
        "local, and as many rows back as were sent, of local's shape. Here the numbers or shapes differ.",
        "a remote that drops the rows it cannot read",
        "Let the remote answer each row it is sent, and declare inputs that do not belong to rows with a fixed first "
        "size; see the node that the message names.",
    ),
    row(
        "OH545",
        "Error",
        "The index of a route is out of range",
        "A route runs one of its models by number, and was given a number that none of them has, or several numbers. "
        "None of the models ran.",
        'oh.route("which", [a, b]) run with which=2',
        "Feed a number from 0 to the count of models less one.",
    ),
    row(
        "OH548",
        "Error",
        "An output does not fit the input that it feeds",
        "ONNX Runtime holds a model's inputs to their ranks and fixed sizes. A composition does so where one part "
        "feeds another, too: an output of another shape than the next part takes fails the run, as when the parts run "
        "one after the other. Where the shape is known beforehand it is OH202 when composing.",
        "a part that gives float32[3, 5], before one that takes float32[n, 4]",
        "Feed what makes the first part give that shape, or leave the sizes of the second part's input open, as in "
        'model.declare({"y": ("n", None)}).',
    ),
    row(
        "OH547",
        "Error",
        "onnxruntime-extensions is not installed",
        "The graph uses operators of the domain ai.onnx.contrib (tokenizers, audio and image decoders). oh.Session "
        "registers their library by itself, and the package that has it is missing.",
        "a model that begins with a BertTokenizer",
        'pip install "onnxhybrid[extensions]"',
    ),
)
