"""Models as people log them with MLflow, each behind its own scoring server on one port.

It runs in the environment of MLflow, where nothing of this package is.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import fastapi
import mlflow.pyfunc
import numpy as np
import pandas as pd
import uvicorn
from mlflow.models import ModelSignature
from mlflow.pyfunc import scoring_server
from mlflow.types import ColSpec, Schema, TensorSpec

TABLE = Schema([ColSpec("double", "a"), ColSpec("string", "b")])
FLOAT32 = np.dtype("float32")


class Columns(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A table to an array."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """A number for each row."""
        return (model_input["a"] * 2 + model_input["b"].str.len()).to_numpy()


class Frame(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A table to a table."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Two columns."""
        return pd.DataFrame({"y": model_input["a"] * 2, "z": model_input["b"] + "!"})


class Tensor(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A tensor to a tensor."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """The rows' sums."""
        return model_input.sum(axis=1)


class Tensors(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Named tensors to named tensors."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Their sum and product."""
        return {"sum": model_input["u"] + model_input["v"], "product": model_input["u"] * model_input["v"]}


MODELS = {
    "columns": (Columns(), TABLE),
    "frame": (Frame(), TABLE),
    "tensor": (Tensor(), Schema([TensorSpec(FLOAT32, (-1, 3))])),
    "tensors": (Tensors(), Schema([TensorSpec(FLOAT32, (-1, 2), name) for name in ("u", "v")])),
}


def main(port: int) -> None:
    """Serve them all."""
    app = fastapi.FastAPI()
    for name, (model, schema) in MODELS.items():
        folder = str(Path(tempfile.mkdtemp(dir=".")).resolve() / name)
        mlflow.pyfunc.save_model(folder, python_model=model, signature=ModelSignature(schema), pip_requirements=[])
        app.mount(f"/{name}", scoring_server.init(mlflow.pyfunc.load_model(folder)))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]))
