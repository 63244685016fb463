"""A scoring script as people write them: each input comes back, as the answer that its form has.

It runs in the environment of the AzureML server, where nothing of this package is.
"""

import json
from typing import Any


def init() -> None:
    """Nothing to load."""


def run(raw_data: str) -> Any:
    """`{"data": …}` gives `{"result": …}` through json.dumps; `{"x": …}` gives `{"x_out": …}` as a dict."""
    request = json.loads(raw_data)
    if "crash" in request:
        raise ValueError("crashed as it was asked to")
    try:
        if "data" in request:
            return json.dumps({"result": [[value * 2 for value in row] for row in request["data"]]})
        return {f"{name}_out": value for name, value in request.items()}
    except TypeError:
        return json.dumps({"error": "the rows are no lists"})
