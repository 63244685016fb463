"""Registers the model beside it in an AzureML workspace: `python register.py` (pip install azure-ai-ml azure-identity).

The workspace is that of the nearest config.json, as the portal gives it for download.
"""

from pathlib import Path

from azure.ai.ml import MLClient
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import Model
from azure.identity import DefaultAzureCredential

client = MLClient.from_config(DefaultAzureCredential())
registered = client.models.create_or_update(
    Model(
        name="$name",
        path=str(Path(__file__).parent / "model"),
        type=AssetTypes.CUSTOM_MODEL,
        tags={"onnx": "$name"},
        description="an ONNX model, to be served by score.py",
    )
)
print(registered.name, registered.version)
for model in client.models.list():
    print("Name:", model.name, "Version:", model.latest_version, "Description:", model.description, model.tags)
