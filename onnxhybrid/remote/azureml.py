"""Remote models on AzureML online endpoints and MLflow's scoring server: JSON to a scoring URI.

Source: https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint and
https://mlflow.org/docs/latest/deployment/deploy-model-locally.html.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

from onnxhybrid.errors import ModelError
from onnxhybrid.model.model import Model
from onnxhybrid.model.tensor_spec import Input, TensorSpec
from onnxhybrid.remote.auth import Credential
from onnxhybrid.remote.invoke import CallSettings, Target, builder, invoke, specs
from onnxhybrid.remote.named_endpoint import Endpoint
from onnxhybrid.remote.options import Options, chosen

PROTOCOL = "azureml.score"
DEPLOYMENT = "azureml-model-deployment"

Form = Literal["named", "data", "mlflow", "dataframe_split", "input_data", "input_data_split"]


@builder
def azureml(
    scoring_url: str | Endpoint,
    *,
    inputs: Iterable[TensorSpec],
    outputs: Iterable[TensorSpec],
    deployment: str | Input | None = None,
    form: Form = "named",
    **common: Any,
) -> Model:
    """A model behind an AzureML online endpoint, or any server of its scoring scripts.

    Tensors travel as nested JSON lists; NaN and infinities cannot, and are refused.

    Args:
        scoring_url: the endpoint's scoring URI, called as it is; or an `oh.Endpoint`.
        inputs, outputs: what the script takes and gives, by the names in its JSON.
        deployment: the deployment that is to answer instead of the endpoint's own choice; an `oh.Input()` makes it a
            graph input, str[1].
        form: what the request holds, which is the service's choice:

            - "named": `{"x": …, "w": …}`, and "data": `{"data": …}` with the one input, answered by `{"result": …}`:
              scoring scripts, that of `oh.deploy.azureml` included;
            - "mlflow": `{"inputs": …}` with the one input, or with all by name, and "dataframe_split":
              `{"dataframe_split": {"columns": …, "data": …}}`, where each input is a column of shape ["n"] or ["n", 1]:
              an MLflow scoring server;
            - "input_data" and "input_data_split", the same under `{"input_data": …}`: an MLflow model that AzureML
              serves without a script.

            Each takes the outputs by name, one output as a bare list, or what MLflow answers: `{"predictions": …}` and
            rows, `[{"y": …}, …]`.
        **common: what every call has, as for `oh.remote.triton`; auth is `oh.Credential("azureml")` by default, the
            endpoint's key or token.

    Raises:
        ModelError: OH301, OH303, OH304 or OH322, an argument is wrong.
    """
    settings = CallSettings.of(common, auth=Credential("azureml"))
    taken, given = specs(inputs), specs(outputs)
    chosen("form", form, get_args(Form))
    if form == "data" and (len(taken), len(given)) != (1, 1):
        raise ModelError("OH304", f"form='data' has one input and one output, not {len(taken)} and {len(given)}")
    if form in _TABLES and (wide := [spec for spec in taken if spec.shape is not None and not _is_column(spec)]):
        raise ModelError("OH304", f"form={form!r} sends columns of shape ('n',) or ('n', 1), which {wide[0]} is not")
    if deployment is not None and any(name.lower() == DEPLOYMENT for name in settings.headers or {}):
        raise ModelError("OH322", f"the header {DEPLOYMENT!r} is what deployment= sends; give one of the two")
    options = Options.of(PROTOCOL, {"deployment": deployment}, form=form)
    return invoke(Target(PROTOCOL, scoring_url), taken, given, settings, options)


_TABLES = ("dataframe_split", "input_data_split")


def _is_column(spec: TensorSpec) -> bool:
    """Whether a tensor can be a column of a table."""
    shape = spec.shape or ()
    return len(shape) == 1 or (len(shape) == 2 and (not isinstance(shape[1], int) or shape[1] == 1))
