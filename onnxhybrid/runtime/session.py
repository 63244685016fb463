"""`Session`: an InferenceSession for models of which a part is in the cloud."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import onnxruntime

from onnxhybrid.errors import Error
from onnxhybrid.model import Model
from onnxhybrid.runtime import extensions, telemetry
from onnxhybrid.runtime.arguments import (
    absent,
    check_arguments,
    check_binding,
    check_opening,
    check_vectors,
    misfit,
    odd_feed,
    odd_value,
)
from onnxhybrid.runtime.computation import computation
from onnxhybrid.runtime.endpoint_urls import Endpoints, listed, require_fitting
from onnxhybrid.runtime.failures import translated
from onnxhybrid.runtime.observation import Observation, report
from onnxhybrid.runtime.paths import path_of
from onnxhybrid.runtime.policy import Policy
from onnxhybrid.runtime.run_future import RunFuture, apart, is_main_thread, quiet
from onnxhybrid.runtime.scope import attach, lock, make_scope
from onnxhybrid.runtime.sealing import Credentials, Sealed
from onnxhybrid.runtime.sending import require_unsent
from onnxhybrid.runtime.source import source_of
from onnxhybrid.runtime.statistics import AuditStats, Statistics, audits, parsed

_T = TypeVar("_T")


class Session(onnxruntime.InferenceSession):  # type: ignore[misc]  # it carries no types
    """Runs a Model, or the file of one, with ONNX Runtime. Any number of threads may use it at once.

    It is an `onnxruntime.InferenceSession`: each method of the installed release works, with its arguments and results.
    What those methods raise where a model is opened or run is an `oh.Error` with a code. Texts alone it takes
    otherwise: str, and bytes of UTF-8, are passed on to the last byte, and what is no text is refused.

    It needs no closing: what it holds is freed with it. Where a graph uses operators of onnxruntime-extensions, their
    library is registered too.

    Args:
        model_or_path: a Model, or the path of an .onnx file.
        credentials: token by name: a str for the endpoints of this very model, or an `oh.Secret`.
        endpoints: URL, or list of URLs, by the name of an `oh.Endpoint`; what is not given is taken from the variables
            ONNXHYBRID_ENDPOINT_<NAME>, or is the default.
        policy: what its remote calls may do.
        sess_options: ONNX Runtime's options.
        providers: ONNX Runtime's execution providers, in order of preference.
        record: a file that is made anew and keeps what the remote nodes answered, failures included.
        replay: a file that was recorded; its answers take the place of the remote nodes', and nothing is sent.

    Raises:
        ModelError: the file is no model, its weights cannot be read, or (OH301) a remote node is malformed.
        CredentialError: OH510, a remote node sends a credential that is neither given nor in the environment, and one
            is given that no node sends: a name was mistyped.
        RemoteError: OH574, an endpoint by name leads nowhere; OH575, one is given that no node names; OH576, what a
            name stands for cannot be called.
        PolicyDenied: OH524, the graph is larger than a strict policy allows; OH580, it would send a file; OH583, the
            budget's ledger is locked; OH587, more would leave the device than the policy's egress allows.
        Error: OH530, credentials or policy are malformed; OH533, the record's file cannot be used, and OH581, the
            ledger's; OH540, ONNX Runtime refused the model; OH542, the library was registered in sess_options by hand;
            OH547, the model needs onnxruntime-extensions, which is not installed; OH550, the library cannot be loaded.
    """

    def __init__(
        self,
        model_or_path: Model | str | os.PathLike[str],
        *,
        credentials: Credentials | None = None,
        endpoints: Endpoints | None = None,
        policy: Policy | None = None,
        sess_options: onnxruntime.SessionOptions | None = None,
        providers: Sequence[Any] | None = None,
        record: str | os.PathLike[str] | None = None,
        replay: str | os.PathLike[str] | None = None,
    ) -> None:
        sealed = Sealed(credentials)
        del credentials  # a report of an error would show it
        sealed.check()
        options = sess_options if sess_options is not None else self._fresh_options()
        check_opening(options, providers)
        if isinstance(policy, Policy):
            model_or_path = policy.held(model_or_path)
        source = source_of(model_or_path, options, ours=sess_options is None)
        if source.model is not None:
            require_unsent(source.model, policy if isinstance(policy, Policy) else None)
        self._options, self._operators, self._weights = options, source.operators, source.weights
        self._loops = source.loops
        tape = {"record": path_of("record", record), "replay": path_of("replay", replay)}
        urls = listed(endpoints)
        calls = source.calls() if urls or (sealed.secrets and replay is None) else ()
        require_fitting(calls, urls)
        known = calls if replay is None else ()
        more = {"endpoints": urls, "events": True, **tape}
        self._scope = make_scope(sealed, policy, known, telemetry.begin, **more)
        self._observation = Observation(self._scope)
        self._quiet = quiet()
        self._open(functools.partial(super().__init__, source.graph, options, providers=providers))

    @staticmethod
    def _fresh_options() -> onnxruntime.SessionOptions:
        """The options of a session that is given none."""
        return onnxruntime.SessionOptions()

    def _open(self, make: Callable[[], None]) -> None:
        """Let ONNX Runtime make its session, whose remote nodes then belong to this one's scope."""
        with lock():
            attach(self._options, self._scope)
            try:
                extensions.opened(make, self._options, self._operators)
            except Error:
                raise
            except Exception as problem:  # noqa: BLE001  # ONNX Runtime raises many kinds
                raise translated(problem) from None
        self._compute = computation(self)
        self._observation.has_calls = bool(self._scope.stats())

    def set_providers(
        self,
        providers: Sequence[str | tuple[str, dict[Any, Any]]] | None = None,
        provider_options: Sequence[dict[Any, Any]] | None = None,
    ) -> None:
        """Open the model again with other execution providers: exactly `InferenceSession.set_providers`.

        Credentials, policy, statistics and connections stay.

        Raises:
            Error: OH540, ONNX Runtime refused.
        """
        self._open(functools.partial(super().set_providers, providers, provider_options))

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        run_options: onnxruntime.RunOptions | None = None,
    ) -> list[Any]:
        """Run the model: exactly `InferenceSession.run`.

        Args:
            output_names: the outputs to compute; None or empty for all.
            input_feed: input -> array; bfloat16 and float8 tensors are arrays of ml_dtypes' dtypes, texts arrays of
                dtype U, S or StringDType, or of objects that are str, or bytes of UTF-8.
            run_options: ONNX Runtime's options for this run.

        Returns:
            The outputs, in the order of `output_names`.

        Raises:
            RemoteError: a remote call failed; see its subclasses.
            Error: OH540, ONNX Runtime refused, for example a feed of another type; OH543, a feed for an input of texts
                holds something else.
        """
        check_arguments(output_names, input_feed, run_options)
        return self._perform(run_options, self._run, output_names, input_feed)

    def _run(
        self, output_names: Sequence[str] | None, feeds: Mapping[str, Any], options: onnxruntime.RunOptions
    ) -> list[Any]:
        try:
            return list(self._compute(self, output_names, feeds, options))
        except Exception as problem:
            error = translated(problem)
            if not isinstance(error, Error) or error.code not in ("OH509", "OH540"):
                raise
            odd = absent(self, feeds)
            if odd is None and error.code == "OH540":
                odd = odd_feed(feeds) or misfit(self, output_names, feeds)
            if odd is None:
                raise
            raise Error("OH540", odd) from None

    def run_with_ort_values(
        self,
        output_names: Sequence[str] | None,
        input_dict_ort_values: Mapping[str, onnxruntime.OrtValue],
        run_options: onnxruntime.RunOptions | None = None,
    ) -> list[onnxruntime.OrtValue]:
        """Run the model with OrtValues in and out: exactly `InferenceSession.run_with_ort_values`.

        Raises:
            RemoteError: a remote call failed; see its subclasses.
            Error: OH540, ONNX Runtime refused, or a feed is no OrtValue.
        """
        check_arguments(output_names, input_dict_ort_values, run_options)
        if (odd := odd_value(input_dict_ort_values)) is not None:
            raise Error("OH540", odd)
        run = super().run_with_ort_values
        return list(self._perform(run_options, run, output_names, input_dict_ort_values))

    def run_with_iobinding(
        self, iobinding: onnxruntime.IOBinding, run_options: onnxruntime.RunOptions | None = None
    ) -> None:
        """Run the model on what is bound: exactly `InferenceSession.run_with_iobinding`.

        Raises:
            RemoteError: a remote call failed; see its subclasses.
            Error: OH540, ONNX Runtime refused, or an argument is of another kind.
        """
        check_binding(iobinding, run_options)
        run = super().run_with_iobinding
        self._perform(run_options, run, iobinding)

    def run_with_ortvaluevector(
        self,
        run_options: onnxruntime.RunOptions | None,
        feed_names: Sequence[str],
        feeds: Any,
        fetch_names: Sequence[str],
        fetches: Any,
        fetch_devices: Sequence[Any],
    ) -> None:
        """Run the model on vectors of OrtValues: exactly `InferenceSession.run_with_ortvaluevector`.

        Raises:
            RemoteError: a remote call failed; see its subclasses.
            Error: OH540, ONNX Runtime refused, or an argument is of another kind.
        """
        check_vectors(run_options, feeds, fetches)
        run = super().run_with_ortvaluevector
        self._perform(run_options, lambda options: run(options, feed_names, feeds, fetch_names, fetches, fetch_devices))

    def _perform(self, run_options: onnxruntime.RunOptions | None, run: Callable[..., _T], *given: Any) -> _T:
        """Do `run(*given, options)`, a run of ONNX Runtime: it can be ended, and is observed.

        Python code in the midst of one, such as that of spans, would swallow what a signal handler raises; no other
        thread than the main one handles signals.
        """
        observed, wish = self._observation.run, self._observation.wish()
        if (self._loops or wish == telemetry.SPANS) and is_main_thread():
            outcome: _T = apart(run_options, functools.partial(run, *given), functools.partial(observed, wish))
            return outcome
        return observed(wish, 0, run_options, run, *given, self._quiet if run_options is None else run_options)

    def _observed(self) -> Callable[..., Any]:
        """What does a run that is asked for here, and observes it."""
        return functools.partial(self._observation.run, self._observation.wish())

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
            A future of what `run` returns or raises. It can be cancelled while it runs: its remote calls end at
            once, and what it computes with the node at which it is.

        Raises:
            Error: OH540, an argument is of another kind; OH541, there is no thread to run on.
        """
        check_arguments(output_names, feeds, run_options)
        future = RunFuture(run_options, functools.partial(self._run, output_names, feeds), self._observed())
        future.begin()
        return future

    async def arun(
        self,
        output_names: Sequence[str] | None,
        feeds: Mapping[str, Any],
        run_options: onnxruntime.RunOptions | None = None,
    ) -> list[Any]:
        """Run the model from a coroutine: `run`, awaited. A task that is cancelled ends it, as `submit` says.

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
        needed = [argument.name for argument in self.get_inputs() if not argument.type.startswith("optional")]
        if missing := [name for name in needed if name not in input_feed]:
            raise Error("OH540", f"the inputs {missing} are missing from the feeds")
        future = RunFuture(run_options, functools.partial(self._run, output_names, input_feed), self._observed())
        # Before the run begins: the callback of a run that is over would be called on this thread.
        future.add_done_callback(functools.partial(_call_back, callback, user_data))
        future.begin()

    def stats(self) -> Statistics:
        """What the remote nodes did since the session began: a dict of `oh.NodeStats` by node name.

        Its attribute `budget` is what was spent of the policy's budget (`calls`, `bytes`, `cost`) and what is `left` of
        its limits; of a budget with a ledger by all who share that.
        """
        return parsed(self._scope.stats())

    def audit(self) -> dict[str, AuditStats]:
        """What the audits of cascades found since the session began, by the name of the node that asks."""
        report(self._scope)
        return audits(self._scope.stats())


def _call_back(callback: Callable[[list[Any], Any, str], object], user_data: Any, future: Future[list[Any]]) -> None:
    problem = future.exception()
    if problem is None:
        callback(future.result(), user_data, "")
    else:
        callback([], user_data, str(problem))
