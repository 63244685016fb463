"""`cascade`: the local model answers, and the remote one is asked only where a judge says no."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass, replace

from onnx import TensorProto

from onnxhybrid.compose.build.assembly import Assembly, Choice
from onnxhybrid.compose.build.branches import computed, meeting, unite
from onnxhybrid.compose.build.maps import without_maps
from onnxhybrid.compose.build.part import Part, parts_of
from onnxhybrid.compose.build.traits import Combinator
from onnxhybrid.compose.build.types import judged_as
from onnxhybrid.compose.cascade import audit as auditor
from onnxhybrid.compose.cascade import verdict
from onnxhybrid.compose.cascade.audit import Auditing
from onnxhybrid.compose.cascade.escalation import Escalation, escalation
from onnxhybrid.compose.cascade.flags import OK, UNASKED, flags_of
from onnxhybrid.compose.cascade.rows import rows_of
from onnxhybrid.compose.cascade.slicing import sliced
from onnxhybrid.compose.cascade.speculation import start_early
from onnxhybrid.compose.judge.reach import check_reach, check_rows
from onnxhybrid.compose.judge.suiting import Suited, suited
from onnxhybrid.compose.judge.verdict import verdict_of
from onnxhybrid.errors import ComposeError
from onnxhybrid.model import Model
from onnxhybrid.model.alignment import GLUE_OPSET, align, newest
from onnxhybrid.model.keywords import known_keywords
from onnxhybrid.model.tensor_spec import TensorSpec

_CASCADE = Combinator("cascade", branches=True)
_ROWS_OPSET = 14
_REPORTS = ["accepted", "score"]


@known_keywords()
def cascade(
    local: Model,
    remote: Model,
    accept: Model,
    *,
    rows: bool = False,
    speculate: bool = False,
    report: bool = False,
    audit: float = 0.0,
) -> Model:
    """Run `local`; what the judge accepts of its outputs is the answer, and for the rest `remote` is asked.

    Args:
        local: the model that always runs.
        remote: the model that is asked where the judge refuses; it gives what local gives, but need not give what only
            the judge reads.
        accept: the judge: a Model with one bool output that reads outputs of `local` by name.
        rows: send the refused rows only, and put the answers in their places; nothing is sent where there are none. It
            says that remote answers each row by itself: many rows are sent in several requests, side by side, each of
            1024 rows and 4 MB of tensors at most (a row that is larger goes alone), by each call that sends these rows
            and has no `batch` of its own. The judge gives a verdict for each row (of several for one, all have to
            hold). An input of remote has rows if its first size is not fixed and is called like that of the other
            inputs, or has no name; tokens and options, of a fixed first size, are passed whole. Without it all rows are
            sent if one is refused.
        speculate: send at once what needs no other remote answer, and cancel it when local is accepted; the run does
            not wait for it then, and does not fail if it fails. With rows=True all rows are sent ahead, and
            those that are refused are taken from the answer.
        report: add the outputs `accepted` (bool: a scalar, or one for each row with rows=True) and `score` (float32:
            what the judge compared; of a judge that does not say, 1 where it accepts and 0 where it does not).
        audit: the share of accepted rows, each drawn by itself, that remote is asked for as well (without rows=True the
            share of accepted runs). The answer is local's, and waits for nothing; `Session.audit()` says how many
            differ. Remote is one call then, whose outputs are the answers, with any nodes before it.

    Returns:
        A Model with the outputs of `remote`; inputs of one name are one input. Where remote flags its failures
        (`on_error="flag"`), its flags are outputs too: a call that failed leaves local's answer, and `ok` is false;
        where nothing was sent, `ok` is true.

    Raises:
        ComposeError: OH205, an argument is no Model; OH206, the outputs differ; OH208, the judge does not fit local, or
            accepts nothing; OH210, an input and an output have one name; OH201 or OH202, the models want different
            types or shapes of an input they share; OH220, an option is no bool; OH221, an output is called as those
            that report=True adds; OH222 or OH223, inputs or outputs cannot be cut into rows; OH224, the judge has no
            such score; OH246, remote is no such call; OH247, audit is no share.
    """
    share = _check_options(audit, rows=rows, speculate=speculate, report=report)
    _require_judge(accept)
    (local, remote), maps = without_maps(local, remote)
    parts = _Parts(*parts_of({"local": local, "judge": accept, "remote": remote}))
    offered = _Offered.of(parts, report)
    read = _read_by_judge(parts)
    check_reach(parts.judge.model, parts.local.outputs)
    cut = rows_of(parts.local, parts.remote, offered.answers) if rows else None
    if cut:
        check_rows(parts.judge.model, parts.local.outputs, offered.answers)
        parts = replace(parts, remote=parts.remote.of(sliced(parts.remote.model, cut)))
    inputs = {*parts.local.inputs, *parts.remote.inputs, *(set(parts.judge.inputs) - set(read))}
    written = computed(offered.all, [parts.local, parts.remote])
    ready = _prepared(parts, offered, cut, report=report, ahead=speculate, share=share)
    assembly = Assembly(_CASCADE, ready.listed, inputs, written)
    tensors = assembly.add("local", {}, {})
    said, *score = assembly.add("judge", _judged(assembly, tensors, ready.parts.judge, read), {}).values()
    if cut is not None:
        counted = [*cut, *(tensors[name] for name in offered.answers if name != ready.judge.counted)]
        said = verdict.by_row(assembly, said, counted, ready.opset)
    all_accepted = said if ready.judge.whole else verdict.all_of(assembly, said)
    drawn_from = said if rows else all_accepted
    all_accepted = auditor.audited(assembly, ready.auditing, tensors, drawn_from, all_accepted)
    choice = _choose(assembly, ready.asked, tensors, offered, said, all_accepted)
    if report:
        answer = tensors[[*offered.answers, *tensors][0]]
        _report(assembly, said if rows else all_accepted, score, answer if rows else None)
    last = functools.partial(start_early, choice) if speculate and choice else None
    return maps.put_back(assembly.finish(offered.all, last=last))


def _require_judge(given: object) -> None:
    if not isinstance(given, Model) and not hasattr(given, "tensor"):  # of a score, parts_of says what it lacks
        kind = type(given).__name__
        raise ComposeError("OH205", f"accept is a judge, as in oh.judge.max_probability('probs') >= 0.8, not a {kind}")


@dataclass(frozen=True)
class _Parts:
    """The parts of a cascade."""

    local: Part
    judge: Part
    remote: Part


@dataclass(frozen=True)
class _Offered:
    """The outputs of a cascade.

    Attributes:
        answers: those that local and remote both answer, in local's order; what both give back is no answer.
        flags: those that say how remote's call ended -> what they say: `ok`, `status` or `error`.
        all: these, what both give back, and those of the report.
    """

    answers: list[str]
    flags: dict[str, str]
    all: list[str]

    @classmethod
    def of(cls, parts: _Parts, report: bool) -> _Offered:
        """What the parts offer together.

        Raises:
            ComposeError: OH206, one side offers what the other lacks, other than what the judge alone needs, and than
                the flags of remote; OH221, one of them is called like an output of the report.
        """
        flags = flags_of(parts.remote.model)
        common = _common_outputs(parts, flags)
        outputs = [*common, *(name for name in flags if name not in common)]
        if clashing := [name for name in _REPORTS if report and name in outputs]:
            raise ComposeError(
                "OH221",
                f"local and remote offer {clashing[0]!r}, which report=True adds; rename it in both, as in "
                f"model.rename({{{clashing[0]!r}: 'inner_{clashing[0]}'}})",
            )
        answers = [name for name in computed(common, [parts.local, parts.remote]) if name not in flags]
        return cls(answers, flags, [*outputs, *(_REPORTS if report else [])])


def _common_outputs(parts: _Parts, flags: Collection[str]) -> list[str]:
    """The outputs that local and remote offer, in local's order.

    Raises:
        ComposeError: OH206, one side offers what the other lacks, other than what the judge alone needs.
    """
    local, remote = parts.local.outputs, parts.remote.outputs
    judged = set(parts.judge.inputs)
    missing = [name for name in remote if name not in local and name not in flags]
    unmet = [name for name in local if name not in remote and name not in judged]
    for names, owner, other in ((missing, "remote", "local"), (unmet, "local", "remote")):
        if names:
            raise ComposeError(
                "OH206",
                f"{owner} offers {names[0]!r} and {other} does not; local: {', '.join(local)}; remote: "
                f"{', '.join(remote)}{meeting(local, remote)}",
            )
    return [name for name in local if name in remote]


def _read_by_judge(parts: _Parts) -> list[str]:
    """The judge's inputs that are local outputs.

    Raises:
        ComposeError: OH208, it has not one bool output, or reads what local does not give.
    """
    judge, local = parts.judge, parts.local
    verdict_of(judge.model)
    read = [name for name in judge.inputs if name in local.outputs]
    for spec in judge.model.inputs:
        # A threshold or a token has the shape [1] and is fed at run time; anything else is an output that is misspelt.
        is_option = spec.optional or (spec.shape == (1,) and bool(read))
        if spec.name not in local.outputs and spec.name not in local.inputs and not is_option:
            raise ComposeError(
                "OH208", f"the judge reads {spec.name!r}, and local gives {', '.join(map(repr, local.outputs))}"
            )
    return read


@dataclass(frozen=True)
class _Prepared:
    """The parts as they are in a cascade.

    Attributes:
        parts: the parts, aligned, the judge with its score where that is reported.
        judge: the judge for what local gives.
        asked: the remote as it is asked here.
        opset: the standard opset.
        auditing: the part that audits; None where nothing is.
    """

    parts: _Parts
    judge: Suited
    asked: Escalation
    opset: int
    auditing: Auditing | None

    @property
    def listed(self) -> list[Part]:
        """All parts."""
        parts = [self.parts.local, self.parts.judge, self.parts.remote]
        return [*parts, Part(auditor.LABEL, self.auditing.model)] if self.auditing else parts


def _prepared(
    parts: _Parts, offered: _Offered, cut: list[str] | None, *, report: bool, ahead: bool, share: float
) -> _Prepared:
    """The parts, aligned, and changed where they do more or other things here than by themselves."""
    models = align([part.model for part in (parts.local, parts.judge, parts.remote)], 0 if cut is None else _ROWS_OPSET)
    opset = newest(model.opsets for model in models).get("", GLUE_OPSET)
    local, remote = parts.local.of(models[0]), parts.remote.of(models[2])
    sure = {name: value.shaped(local.near.get(name)) for name, value in local.outputs.items() if name in local.near}
    fitting = suited(models[1], sure, whole=cut is None and not report)
    judge = parts.judge.of(verdict.scored(fitting.model, opset, local.outputs) if report else fitting.model)
    calls = [name for name, kind in offered.flags.items() if kind == OK]
    answers = {name: local.outputs[name] for name in offered.answers}
    auditing = auditor.auditing(remote.model, answers, cut, opset, share) if share else None
    if cut is None and not calls:
        return _Prepared(_Parts(local, judge, remote), fitting, Escalation(remote.model), opset, auditing)
    asked = escalation(remote.model, answers, calls, cut, opset, ahead=ahead)
    return _Prepared(_Parts(local, judge, remote.of(asked.model)), fitting, asked, opset, auditing)


def _choose(
    assembly: Assembly, asked: Escalation, tensors: dict[str, str], offered: _Offered, verdicts: str, accepted: str
) -> Choice | None:
    """Add the If that passes local's answers on where all are accepted, and runs the remote otherwise."""
    unasked = {
        n: tensors.get(n) or assembly.constant(UNASKED[kind], f"unasked/{n}") for n, kind in offered.flags.items()
    }
    outputs = [name for name in offered.all if name in unasked or name in offered.answers]
    answered = assembly.passed_on("local", {name: unasked.get(name) or tensors[name] for name in outputs})
    feeds = {given: tensors[name] for name, given in asked.answers.items()}
    if asked.verdicts:
        feeds[asked.verdicts] = verdicts
    remote = assembly.branch("remote", feeds)
    declared = unite(answered, remote, outputs)
    if asked.verdicts:
        declared = [answered.outputs[v.name].called(v.name) if v.name in offered.answers else v for v in declared]
    return assembly.choose(accepted, answered, remote, declared)


def _report(assembly: Assembly, said: str, score: list[str], rows: str | None) -> None:
    """Write the outputs of the report; `rows` is a tensor that has as many rows as there are verdicts."""
    shape = () if rows is None else (assembly.spec(rows).shape or (None,))[:1]
    accepted = TensorSpec("accepted", "bool", shape)
    compared = TensorSpec("score", "float32", assembly.spec(score[0]).shape if score else shape)
    assembly.publish("Identity", said, accepted)
    if score:
        assembly.publish("Identity", score[0], compared)
    else:
        assembly.publish("Cast", accepted.name, compared, to=TensorProto.FLOAT)


def _judged(assembly: Assembly, tensors: dict[str, str], judge: Part, read: list[str]) -> dict[str, str]:
    """The judge's input -> the tensor of local that it reads, cast if it holds numbers of another type."""
    feeds = {name: tensors[name] for name in read}
    for name, tensor in feeds.items():
        wanted = judge.inputs[name].dtype
        if judged_as(assembly.spec(tensor).dtype, wanted):
            feeds[name] = assembly.cast(tensor, wanted, f"judge/{name}")
    return feeds


def _check_options(audit: object, **options: object) -> float:
    """The share that is audited.

    Raises:
        ComposeError: OH220, an option is no bool; OH247, the share is none.
    """
    for name, value in options.items():
        if not isinstance(value, bool):
            raise ComposeError("OH220", f"{name} is True or False, not {value!r}")
    return auditor.check_share(audit)
