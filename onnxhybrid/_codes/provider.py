"""OH554, OH595 to OH598: the operator library as an execution provider of ONNX Runtime."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

ROWS = (
    row(
        "OH554",
        "Error",
        "This ONNX Runtime takes no execution provider with operators",
        "The operator library is an execution provider for ONNX Runtime 1.24 and later. Earlier ones take its "
        "operators alone.",
        "onnxruntime.register_execution_provider_library with onnxruntime 1.23",
        "Register the operators instead: options.register_custom_ops_library(oh.library_path()), with the settings in "
        "the entry onnxhybrid.session.",
    ),
    row(
        "OH595",
        "Error",
        "A session has the operators twice",
        "The session's options have both the execution provider OnnxHybridExecutionProvider and the operator library's "
        "operators. Either brings all of them.",
        "options.add_provider_for_devices(…) and oh.Session(model, sess_options=options)",
        "Leave one out: the execution provider for a session of oh.Session or oh.register, or "
        "register_custom_ops_library for a session with the execution provider.",
    ),
    row(
        "OH596",
        "Error",
        "The execution provider has no such option",
        "Its options are credentials, endpoints and policy, each a text of JSON, or @ and the path of a file with it.",
        'options.add_provider_for_devices(devices, {"credential": "…"})',
        'options.add_provider_for_devices(devices, {"credentials": json.dumps({"name": "token"})})',
    ),
    row(
        "OH597",
        "Error",
        "A configuration entry of a run cannot be read",
        "With the execution provider, the options of a run may have the entries onnxhybrid.deadline_ms, a whole number "
        "of milliseconds from 1 to a day, and onnxhybrid.traceparent, as the W3C's recommendation on traces writes it.",
        'run_options.add_run_config_entry("onnxhybrid.deadline_ms", "1.5 s")',
        'run_options.add_run_config_entry("onnxhybrid.deadline_ms", "1500")',
    ),
    row(
        "OH598",
        "Error",
        "The execution provider of an open session has no such option",
        "The one option that can be set while a session is open is cancel, which ends the runs of that tag.",
        'session.set_ep_dynamic_options({"policy": "{}"})',
        'session.set_ep_dynamic_options({"cancel": run_options.logid}); settings are given before the session opens.',
    ),
)
