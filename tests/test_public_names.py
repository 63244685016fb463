"""The public names, pinned: a change here is a change for every user."""

from __future__ import annotations

import inspect

import onnxhybrid as oh

NAMES = {
    "AuditStats", "Cache", "Calibration", "Certificate", "ComposeError", "Credential", "CredentialError",
    "Endpoint", "Error", "Hedge", "Input", "Model", "ModelError", "NodeStats", "Policy", "PolicyDenied",
    "ProtocolError", "RemoteError", "RemoteRefused", "RemoteSpec", "RemoteStatusError", "RemoteTimeout", "Report",
    "Secret", "Session", "TensorSpec", "ValidationError", "calibrate", "cascade", "chain", "deploy", "egress",
    "endpoint", "ensemble", "explain", "fallback", "fit_judge", "judge", "legacy", "library_path", "load",
    "offload", "overlap", "parallel", "register", "remote", "report", "route", "score", "scoring", "splice",
    "split", "switch", "validate",
}  # fmt: skip


BUILDERS = {
    "Cache", "Credential", "Endpoint", "Hedge", "azure_openai_audio", "azure_openai_chat", "azure_openai_embeddings",
    "azureml",
    "openai_audio", "openai_chat", "openai_embeddings", "openai_responses", "triton",
}  # fmt: skip


def test_the_package_of_builders_offers_exactly_these_names() -> None:
    assert set(oh.remote.__all__) == BUILDERS
    for name in BUILDERS:
        assert inspect.getdoc(getattr(oh.remote, name)), name


def test_the_package_offers_exactly_these_names() -> None:
    assert set(oh.__all__) == NAMES
    for name in NAMES:
        assert getattr(oh, name) is not None


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    assert not hasattr(oh, "ensemble_of_everything")


def test_validate_stays_the_function_whatever_was_imported() -> None:
    import onnxhybrid.validation.rules  # noqa: F401

    assert inspect.isfunction(oh.validate)


def test_everything_public_has_a_docstring() -> None:
    for name in NAMES:
        assert inspect.getdoc(getattr(oh, name)), name
    for kind in (oh.Model, oh.Session, oh.TensorSpec, oh.Report):
        for name, member in vars(kind).items():
            if not name.startswith("_") and callable(member):
                assert inspect.getdoc(member), f"{kind.__name__}.{name}"
