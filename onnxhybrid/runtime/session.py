"""`Session`: an InferenceSession for models of which a part is in the cloud."""

from __future__ import annotations

import asyncio
import functools
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any

import onnxruntime
from onnx import ModelProto

from onnxhybrid import legacy
from onnxhybrid.errors import Error, ModelError
from onnxhybrid.model import Model, load
from onnxhybrid.model.storage.glancing import glance
from onnxhybrid.runtime import extensions
from onnxhybrid.runtime.arguments import check_arguments, misfit, odd_feed
from onnxhybrid.runtime.artifact import Artifact
from onnxhybrid.runtime.computation import computation
from onnxhybrid.runtime.failures import translated
from onnxhybrid.runtime.interruption import interruptible
from onnxhybrid.runtime.observation import Observation
from onnxhybrid.runtime.paths import path_of
from onnxhybrid.runtime.policy import Policy
from onnxhybrid.runtime.run_future import RunFuture
from onnxhybrid.runtime.scope import Credentials, attach, lock, make_scope
from onnxhybrid.runtime.statistics import NodeStats, parsed
from onnxhybrid.runtime.workers import do

_ERROR, _FATAL = 3, 4
_OLD = (
    "[OH401] the model holds operators of the domain com.microsoft.extensions, which no longer exist; the session "
    "upgraded them. oh.legacy.upgrade(model).save(path) does so once and for all"
)


class Session:
    """Runs a Model, or the file of one, with ONNX Runtime. Any number of threads may use it at once.

    It needs no closing: what it holds is freed with it. Where a graph uses operators of onnxruntime-extensions, their
    library is registered too.

    Args:
        model_or_path: a Model, or the path of an .onnx file.
        credentials: token by name: a str for the endpoints of this very model, or an `oh.Secret`.
        policy: what its remote calls may do.
        sess_options: ONNX Runtime's options.
        providers: ONNX Runtime's execution providers, in order of preference.
        record: a file that is made anew and keeps what the remote nodes answered, failures included.
        replay: a file that was recorded; its answers take the place of the remote nodes', and nothing is sent.

    Raises:
        ModelError: the file is no model, its weights cannot be read, or (OH301) a remote node is malformed.
        Error: OH530, credentials or policy are malformed; OH533, the record's file cannot be used; OH540, ONNX Runtime
            refused the model; OH542, the library was registered in sess_options by hand; OH547, the model needs
            onnxruntime-extensions, which is not installed; OH550, the library cannot be loaded.
    """

    def __init__(
        self,
        model_or_path: Model | str | os.PathLike[str],
        *,
        credentials: Credentials | None = None,
        policy: Policy | None = None,
        sess_options: onnxruntime.SessionOptions | None = None,
        providers: Sequence[Any] | None = None,
        record: str | os.PathLike[str] | None = None,
        replay: str | os.PathLike[str] | None = None,
    ) -> None:
        self._artifact: Artifact | None = None
        options = sess_options if sess_options is not None else onnxruntime.SessionOptions()
        if not isinstance(options, onnxruntime.SessionOptions):
            raise Error("OH540", f"sess_options are onnxruntime.SessionOptions, not {type(options).__name__}")
        source, operators = self._source(model_or_path, options, ours=sess_options is None)
        tape = {"record": path_of("record", record), "replay": path_of("replay", replay)}
        self._scope = make_scope(credentials, policy, events=True, **tape)
        self._observation = Observation(self._scope)
        with lock():
            attach(options, self._scope)
            try:
                self._session = extensions.opened(source, options, providers, operators)
            except Error:
                raise
            except Exception as problem:  # noqa: BLE001  # ONNX Runtime raises many kinds
                raise translated(problem) from None
        self._quiet = onnxruntime.RunOptions()
        self._quiet.log_severity_level = _FATAL  # ONNX Runtime prints each failure that is raised, too
        self._compute = computation(self._session)

    def _source(
        self, model: Model | str | os.PathLike[str], options: onnxruntime.SessionOptions, *, ours: bool
    ) -> tuple[str | bytes, list[str]]:
        """What InferenceSession is given: a path as it is, and a Model as bytes; and what it needs of the extensions.

        Weights are mapped only through options of our own, since options keep what was attached to them.
        """
        if isinstance(model, (ModelProto, bytes)):
            raise ModelError("OH100", "a Session takes a Model or the path of a file; use oh.Model.from_proto(proto)")
        path = None
        if not isinstance(model, Model):
            seen = glance(model)  # whose errors say what is wrong with a file
            if not seen.external and seen.domains.isdisjoint(extensions.DOMAINS):
                _hush(options, ours and seen.defaults)
                return os.fspath(model), []
            path = None if seen.small else os.fspath(model)
            model = load(model)
        if (upgraded := legacy.upgrade(model)) is not model:
            warnings.warn(_OLD, UserWarning, stacklevel=3)
            model, path = upgraded, None
        operators = extensions.used(model)
        _hush(options, ours and any(spec.optional for spec in model.inputs))
        if path is not None:
            return path, operators
        if not ours:
            return _whole(model), operators
        self._artifact = Artifact.mapped(model)
        self._artifact.attach(options)
        return self._artifact.graph, operators

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        run_options: onnxruntime.RunOptions | None = None,
    ) -> list[Any]:
        """Run the model: exactly `InferenceSession.run`.

        Args:
            output_names: the outputs to compute; None or empty for all.
            input_feed: input -> array; bfloat16 and float8 tensors are arrays of ml_dtypes' dtypes.
            run_options: ONNX Runtime's options for this run.

        Returns:
            The outputs, in the order of `output_names`.

        Raises:
            RemoteError: a remote call failed; see its subclasses.
            Error: OH540, ONNX Runtime refused, for example a feed of another type.
        """
        check_arguments(output_names, input_feed, run_options)
        return interruptible(0, run_options, self._run, output_names, input_feed, run_options)

    def _run(
        self,
        output_names: Sequence[str] | None,
        feeds: Mapping[str, Any],
        run_options: onnxruntime.RunOptions | None,
    ) -> list[Any]:
        options = run_options if run_options is not None else self._quiet
        with self._observation:
            try:
                return list(self._compute(output_names, feeds, options))
            except Exception as problem:
                if translated(problem).code != "OH540":
                    raise
                odd = odd_feed(feeds) or misfit(self._session, output_names, feeds)
                if odd is None:
                    raise
                raise Error("OH540", odd) from None

    def submit(
        self,
        output_names: Sequence[str] | None,
        feeds: Mapping[str, Any],
        run_options: onnxruntime.RunOptions | None = None,
    ) -> Future[list[Any]]:
        """Run the model without waiting for it, on a thread of onnxhybrid's own.

        Args:
            output_names: as for `run`.
            feeds: as for `run`; the arrays have to stay as they are until the run is over.
            run_options: as for `run`.

        Returns:
            A future of what `run` returns or raises. It can be cancelled while it runs: its remote calls end at once.

        Raises:
            Error: OH540, an argument is of another kind; OH541, there is no thread to run on.
        """
        check_arguments(output_names, feeds, run_options)
        future = RunFuture()
        self._begin(future, output_names, feeds, run_options)
        return future

    def _begin(
        self,
        future: RunFuture,
        output_names: Sequence[str] | None,
        feeds: Mapping[str, Any],
        run_options: onnxruntime.RunOptions | None,
    ) -> None:
        work = functools.partial(self._run, output_names, feeds, run_options)
        do(functools.partial(copy_context().run, future.fulfil, run_options, work))

    async def arun(
        self,
        output_names: Sequence[str] | None,
        feeds: Mapping[str, Any],
        run_options: onnxruntime.RunOptions | None = None,
    ) -> list[Any]:
        """Run the model from a coroutine: `run`, awaited. A task that is cancelled ends its remote calls at once.

        Args:
            output_names: as for `run`.
            feeds: as for `run`; the arrays have to stay as they are until the run is over.
            run_options: as for `run`.

        Raises:
            RemoteError: a remote call failed; see its subclasses.
            Error: OH540, ONNX Runtime refused; OH541, there is no thread to run on.
        """
        return await asyncio.wrap_future(self.submit(output_names, feeds, run_options))

    def run_async(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        callback: Callable[[list[Any], Any, str], object],
        user_data: Any,
        run_options: onnxruntime.RunOptions | None = None,
    ) -> None:
        """Run the model without waiting for it: exactly `InferenceSession.run_async`, without its pool's threads.

        Args:
            output_names: as for `run`.
            input_feed: as for `run`; the arrays have to stay as they are until the run is over.
            callback: called once, on a thread of onnxhybrid's own, with the outputs, `user_data` and the error: an
                empty text, or the text of what `run` would have raised, and then there are no outputs.
            user_data: anything, given to the callback.
            run_options: as for `run`.

        Raises:
            Error: OH540, an input is missing from the feeds, or an argument is of another kind; OH541, there is no
                thread to run on.
        """
        check_arguments(output_names, input_feed, run_options)
        if not callable(callback):
            raise Error("OH540", f"the callback is a function, not {type(callback).__name__}")
        if missing := [argument.name for argument in self._session.get_inputs() if argument.name not in input_feed]:
            raise Error("OH540", f"the inputs {missing} are missing from the feeds")
        future = RunFuture()
        # Before the run begins: the callback of a run that is over would be called on this thread.
        future.add_done_callback(functools.partial(_call_back, callback, user_data))
        self._begin(future, output_names, input_feed, run_options)

    def get_inputs(self) -> Sequence[onnxruntime.NodeArg]:
        """The inputs without a default, as `InferenceSession.get_inputs` gives them."""
        return list(self._session.get_inputs())

    def get_overridable_initializers(self) -> Sequence[onnxruntime.NodeArg]:
        """The inputs with a default, as `InferenceSession.get_overridable_initializers` gives them."""
        return list(self._session.get_overridable_initializers())

    def get_outputs(self) -> Sequence[onnxruntime.NodeArg]:
        """The outputs, as `InferenceSession.get_outputs` gives them."""
        return list(self._session.get_outputs())

    def get_modelmeta(self) -> onnxruntime.ModelMetadata:
        """The model's metadata, as `InferenceSession.get_modelmeta` gives it."""
        return self._session.get_modelmeta()

    def get_providers(self) -> list[str]:
        """The execution providers in use."""
        return list(self._session.get_providers())

    def stats(self) -> dict[str, NodeStats]:
        """What the remote nodes did since the session began, by node name."""
        return parsed(self._scope.stats())


def _hush(options: onnxruntime.SessionOptions, defaults: bool) -> None:
    if defaults:
        options.log_severity_level = _ERROR  # ONNX Runtime warns of each input that has a default


def _call_back(callback: Callable[[list[Any], Any, str], object], user_data: Any, future: Future[list[Any]]) -> None:
    problem = future.exception()
    if problem is None:
        callback(future.result(), user_data, "")
    else:
        callback([], user_data, str(problem))


def _whole(model: Model) -> bytes:
    try:
        data: bytes = model.to_proto().SerializeToString()
        return data
    except ModelError as problem:
        if problem.code != "OH108":
            raise
        raise Error(
            "OH540",
            "a model of 2 GiB or more cannot be given together with sess_options; save it and give the path",
        ) from None
