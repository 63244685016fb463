"""Remote models on AzureML online endpoints: JSON to the scoring URI of a scoring script.

Source: https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from onnxhybrid.errors import ModelError
from onnxhybrid.model.model import Model
from onnxhybrid.model.tensor_spec import Input, TensorSpec
from onnxhybrid.remote.auth import Credential
from onnxhybrid.remote.invoke import CallSettings, Target, invoke, specs
from onnxhybrid.remote.options import Options, chosen

PROTOCOL = "azureml.score"


def azureml(
    scoring_url: str,
    *,
    inputs: Iterable[TensorSpec],
    outputs: Iterable[TensorSpec],
    deployment: str | Input | None = None,
    form: Literal["named", "data"] = "named",
    **common: Any,
) -> Model:
    """A model behind an AzureML online endpoint, or any server of its scoring scripts.

    Tensors travel as nested JSON lists; NaN and infinities cannot, and are refused.

    Args:
        scoring_url: the endpoint's scoring URI, called as it is.
        inputs, outputs: what the script takes and gives, by the names in its JSON.
        deployment: the deployment that is to answer instead of the endpoint's own choice; an `oh.Input()` makes it a
            graph input, str[1].
        form: "named" sends `{"x": …}` and takes `{"y": …}`; "data" sends `{"data": …}` and takes `{"result": …}`, for
            one input and one output.
        **common: auth (`oh.Credential("azureml")` by default, the endpoint's key or token), timeout, connect_timeout,
            attempt_timeout, retries, on_error and name, as for `oh.remote.triton`.

    Raises:
        ModelError: OH301, OH303 or OH304, an argument is wrong.
    """
    settings = CallSettings.of(common, auth=Credential("azureml"))
    taken, given = specs(inputs), specs(outputs)
    chosen("form", form, ("named", "data"))
    if form == "data" and (len(taken), len(given)) != (1, 1):
        raise ModelError("OH304", f"form='data' has one input and one output, not {len(taken)} and {len(given)}")
    options = Options.of(PROTOCOL, {"deployment": deployment}, form=form)
    return invoke(Target(PROTOCOL, scoring_url), taken, given, settings, options)
