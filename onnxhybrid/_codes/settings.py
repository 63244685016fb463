"""OH59x: a session's settings, given as text by any binding of ONNX Runtime."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

_ENTRY = 'options.add_session_config_entry("onnxhybrid.session", {})'

ROWS = (
    row(
        "OH590",
        "Error",
        "A session's settings are no JSON",
        "The session's configuration entry onnxhybrid.session is one JSON object, in which no key stands twice. The "
        "message tells the line and column, and nothing of the text: it may hold a secret.",
        _ENTRY.format("\"{'policy': {}}\""),
        "Write it with your language's JSON library, such as json.dumps({'policy': {}}), or put it into a file and "
        "give @ and the file's path.",
    ),
    row(
        "OH591",
        "Error",
        "A session's settings have a key that there is not",
        "The settings have the keys credentials, endpoints and policy, each with the words of oh.Session in Python. "
        "The message tells the key, and the one that was probably meant.",
        _ENTRY.format('\'{"policy": {"maxConcurrency": 4}}\''),
        'Write the key that the message names: {"policy": {"max_concurrency": 4}}.',
    ),
    row(
        "OH592",
        "Error",
        "A session's settings have a value that its key does not take",
        "A key has a value of another type or range than it takes; the message tells the key and what to write. The "
        "value is not shown: it may be a secret. A credential from the environment or a file names its hosts.",
        _ENTRY.format('\'{"policy": {"max_concurrency": "4"}}\''),
        'Write what the message says: {"policy": {"max_concurrency": 4}}.',
    ),
    row(
        "OH593",
        "Error",
        "A session's settings say what is held elsewhere",
        "The operator library does not see a session's file before it opens, so that what is held against the file "
        "(egress, send_external_data, max_nodes) is held by oh.Session in Python alone; so are records. Or the session "
        "has settings already, from oh.Session or oh.register.",
        _ENTRY.format('\'{"policy": {"egress": "…"}}\''),
        "Check the file with oh.validate and oh.egress where it is made, and leave the key out; give oh.Session its "
        "settings as arguments.",
    ),
    row(
        "OH594",
        "Error",
        "What a session's settings name cannot be read",
        "The entry is @ and the path of a file, or a passphrase is in a file or an environment variable, and that is "
        "not there, is no text in UTF-8, or has more than a mebibyte. A path that does not begin with / is below the "
        "process's working directory.",
        _ENTRY.format('"@settings.json"'),
        "Give the path of a file that this process may read.",
    ),
)
