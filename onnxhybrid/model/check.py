"""What must hold for every model that leaves: the rules that `save`, the combinators and `validate` share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from google.protobuf.message import Message
from onnx import (
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    StringStringEntryProto,
    TensorProto,
    ValueInfoProto,
)

from onnxhybrid import library
from onnxhybrid.diagnostics import Finding, Report
from onnxhybrid.errors import ValidationError
from onnxhybrid.library import attributes, protocols
from onnxhybrid.model import request_groups
from onnxhybrid.model.batching import BATCH, BATCH_BYTES, Slices, cut_problem, listed
from onnxhybrid.model.dtypes import is_container, type_name
from onnxhybrid.model.functions import key_of
from onnxhybrid.model.graphs import attribute_graphs, nested_graphs, nodes_of
from onnxhybrid.model.opsets import opsets_of, standard
from onnxhybrid.model.remote_spec import (
    DOMAIN,
    RemoteSpec,
    attributes_of,
    blobs_of,
    gives_results,
    is_remote,
    option_names,
    result_count,
)
from onnxhybrid.model.secret_texts import is_secret, may_be_secret

_PASSING = frozenset({"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})

_SCHEMELESS = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]+)?(?:[/?][^@]*)?")
"""A host, perhaps with a port and a path, and no login, which a message must not repeat."""

_SEVERAL = re.compile(r"[^?]*(?:://[^/?]*,|,\s*[a-z]+://)")
"""URLs with commas between, as an environment variable has them: a comma among the hosts, or before a scheme."""

_FEW = 16  # a tensor with more strings is a vocabulary, not a setting


def check(model: ModelProto) -> Iterator[Finding]:
    """Every finding of the rules below about a skeleton."""
    graphs = list(nested_graphs(model.graph))  # all rules share one walk
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [node for function in model.functions for node in nodes_of(function.node)]
    domains = {node.domain for node in nodes}
    if not domains <= {"", "ai.onnx"}:
        yield from _domains(model)
    yield from _imports(model)
    yield from _functions(model)
    yield from _names(model.graph, (), "the graph", nested=len(graphs) > 1)
    if DOMAIN in domains:
        yield from _remote_nodes(nodes)
        yield from _remote_types(graphs)
        yield from _tokens(model, graphs)
    yield from _secrets(model)


def require_single_names(model: ModelProto) -> None:
    """No two inputs or initializers of the main graph have one name: which of them a runtime takes is not said.

    Raises:
        ValidationError: OH104, two have.
    """
    if findings := [*_given(model.graph, "the graph"), *_imports(model)]:
        raise ValidationError(Report.of(findings))


def _domains(model: ModelProto) -> Iterator[Finding]:
    """OH101: every domain that is used is imported, in functions by the function itself."""
    own = {standard(function.domain) for function in model.functions}
    scopes = [("the graph", nodes_of(model.graph.node), model.opset_import)]
    scopes += [(f"the function {f.name!r}", nodes_of(f.node), f.opset_import) for f in model.functions]
    for where, inside, imports in scopes:
        used = {standard(node.domain) for node in inside} - {""}
        for domain in sorted(used - own - set(opsets_of(imports))):
            yield Finding("OH101", f"nodes use the domain {domain!r}, which is not imported", where)


def _imports(model: ModelProto) -> Iterator[Finding]:
    """OH104: no domain is imported in two versions; ONNX says that the newest one counts, and ONNX Runtime the last."""
    scopes = [
        ("the graph", model.opset_import),
        *((f"the function {f.name!r}", f.opset_import) for f in model.functions),
    ]
    for where, imports in scopes:
        if len(imports) == len(opsets_of(imports)):
            continue
        versions: dict[str, set[int]] = {}
        for entry in imports:
            versions.setdefault(standard(entry.domain), set()).add(entry.version)
        for domain, found in versions.items():
            if len(found) > 1:
                listed = " and ".join(map(str, sorted(found)))
                yield Finding("OH104", f"{domain or 'ai.onnx'} is imported in the versions {listed}", where)


def _given(graph: GraphProto, where: str) -> Iterator[Finding]:
    """OH104: no two inputs and no two initializers have one name; an input may have an initializer as its default."""
    weights = [tensor.name for tensor in graph.initializer]
    weights += [sparse.values.name for sparse in graph.sparse_initializer]
    for kind, names in (("inputs", [value.name for value in graph.input]), ("initializers", weights)):
        if len(names) > len(set(names)):
            for name, count in Counter(names).items():
                if count > 1:
                    yield Finding("OH104", f"{count} {kind} are called {name!r}", where)


def _functions(model: ModelProto) -> Iterator[Finding]:
    """OH104: each function has a name of its own; ONNX Runtime refuses a model with two of one name."""
    keys = [key_of(function) for function in model.functions]
    if len(keys) == len(set(keys)):
        return
    for domain, name, overload in sorted({key for key in keys if keys.count(key) > 1}):
        called = f"{domain}.{name}" + (f" (overload {overload!r})" if overload else "")
        yield Finding("OH104", f"two functions are called {called}", "the model")


def _names(graph: GraphProto, outer: tuple[set[str], ...], where: str, *, nested: bool) -> Iterator[Finding]:
    """OH104 and OH105: each tensor has one producer, which comes before its readers."""
    seen = {"", *(value.name for value in (*graph.input, *graph.initializer))}
    seen.update(sparse.values.name for sparse in graph.sparse_initializer)
    scopes = (seen, *outer)
    yield from _given(graph, where)
    for node in graph.node:
        reads, writes = node.input[:], node.output[:]
        for name in () if seen.issuperset(reads) else reads:
            if not any(name in scope for scope in scopes):
                yield Finding("OH105", f"{_label(node)} reads {name!r}, which nothing before it provides", where)
        for inner in attribute_graphs(node) if nested else ():
            yield from _names(inner, scopes, f"a graph inside {_label(node)}", nested=True)
        for name in () if seen.isdisjoint(writes) else _doubled(writes, seen):
            yield Finding("OH104", f"{_label(node)} writes {name!r}, which exists already", where)
        seen.update(writes)
    for value in graph.output:
        if not value.name or not any(value.name in scope for scope in scopes):
            yield Finding("OH105", f"the output {value.name!r} is provided by nothing", where)


def _remote_nodes(nodes: Iterable[NodeProto]) -> Iterator[Finding]:
    """OH301, OH303, OH306, OH322, OH323: each remote node can be read, and gives only what is its to give."""
    for node in filter(is_remote, nodes):
        try:
            spec = RemoteSpec.of(node)
            flaws = [("OH301", flaw) for flaw in _attribute_problems(node, spec)]
            if spec.protocol in protocols():
                flaws += request_groups.problems(attributes_of(node), option_names(node), spec.protocol)
        except ValueError as problem:
            yield Finding("OH301", str(problem), _label(node))
            continue
        leads_elsewhere = spec.endpoint_name and not spec.endpoint and spec.protocol in protocols()
        if not leads_elsewhere and (flaw := endpoint_problem(spec.protocol, spec.endpoint)):
            yield Finding(*flaw, _label(node))
        yield from (Finding(*flaw, _label(node)) for flaw in flaws)
        wanted = result_count(node, spec)
        if len(node.output) != wanted:
            yield Finding("OH301", f"it has {len(node.output)} outputs and names {wanted}", _label(node))


def _attribute_problems(node: NodeProto, spec: RemoteSpec) -> Iterator[str]:
    """Why no session takes a node that can be read: a number out of its range, or nothing that its protocol needs."""
    values, inputs = attributes_of(node), option_names(node)
    for name, row in attributes().items():
        value = values.get(name, row["default"]) if "least" in row else None
        if "least" in row and not isinstance(value, int):
            yield f"attribute {name!r} is no int"
        elif "least" in row and not row["least"] <= value <= row["most"]:
            yield f"attribute {name!r} is {value}, not from {row['least']} to {row['most']}"
    if spec.protocol in protocols() and (problem := _cut_problem(node, spec)):
        yield problem
    protocol = protocols().get(spec.protocol, {"required": (), "required_options": ()})
    needed = {*protocol["required"], *(name for name in protocol["required_options"] if name not in inputs)}
    for name in sorted(needed):
        if not values.get(name) or not isinstance(values[name], bytes):
            yield f"attribute {name!r} is missing, without which {spec.protocol} makes no request"


def _cut_problem(node: NodeProto, spec: RemoteSpec) -> str | None:
    """Why no session cuts the batch of a node as it says."""
    values = attributes_of(node)
    slices = Slices(values.get(BATCH, 0), values.get(BATCH_BYTES, 0))
    if not (isinstance(slices.rows, int) and isinstance(slices.bytes, int)):
        return None  # which is told already
    inputs, outputs = (
        listed(names, values.get(attribute))
        for names, attribute in ((spec.inputs, "input_shapes"), (spec.outputs, "output_shapes"))
    )
    return cut_problem(spec.protocol, slices, inputs, outputs, blobs_of(node))


def endpoint_problem(protocol: str, endpoint: str) -> tuple[str, str] | None:
    """The code and text of what is wrong with an endpoint of a protocol; None when nothing is."""
    table = protocols()
    if protocol not in table:
        return "OH301", f"the protocol {protocol!r} is not known; there are {', '.join(table)}"
    if _SEVERAL.match(endpoint):
        return "OH301", 'the endpoint is several URLs: give a session a list of them, endpoints={"gpu": [url, …]}'
    found = library.endpoint(endpoint)
    schemes = table[protocol]["schemes"]
    if "problem" in found:
        code = "OH303" if found["login"] else "OH301"
        return code, _spelled(endpoint, schemes) or f"the endpoint {found['problem']}"
    if found["scheme"] not in schemes:
        place = f"the endpoint at {found['host']!r}"
        return "OH301", f"{protocol} speaks {' and '.join(schemes)}, and {place} has the scheme {found['scheme']}"
    return None


def _spelled(endpoint: str, schemes: list[str]) -> str | None:
    """What to write instead of an endpoint that lacks nothing but its scheme."""
    if not _SCHEMELESS.fullmatch(endpoint):
        return None
    found = library.endpoint(f"https://{endpoint}")
    if "problem" in found:
        return None
    scheme = schemes[0] if found["loopback"] else schemes[-1]
    written = f"{scheme}://{str(found['shown']).partition('://')[2]}"
    return f"the endpoint has no scheme: write {written!r}, say"


def _remote_types(graphs: Iterable[GraphProto]) -> Iterator[Finding]:
    """OH114: each output of a remote call has a declared element type, where the call ends."""
    for inner in graphs:
        remote = [node for node in inner.node if gives_results(node)]
        if not remote:
            continue
        known = {value.name for value in (*inner.value_info, *inner.output) if not is_container(type_name(value.type))}
        for node in remote:
            for name in node.output:
                if name and name not in known:
                    yield Finding("OH114", f"the output {name!r} has no declared element type", _label(node))


def _tokens(model: ModelProto, graphs: Iterable[GraphProto]) -> Iterator[Finding]:
    """OH303: a token that is given at run time is no constant, and has no default."""
    constants = {tensor.name for graph in graphs for tensor in graph.initializer}
    producers = {name: node for node in nodes_of(model.graph.node) for name in node.output}
    constants.update(name for name, node in producers.items() if node.op_type == "Constant")
    origins: dict[str, str] = {}
    for node in nodes_of(model.graph.node):
        if is_remote(node) and attributes_of(node).get("auth") == b"input" and node.input:
            name = _origin(node.input[0], producers, origins)
            if name in constants:
                yield Finding("OH303", f"the token {name!r} is a constant, or has one as its default", _label(node))


def _origin(name: str, producers: Mapping[str, NodeProto], origins: dict[str, str]) -> str:
    """The tensor whose value a tensor has, through nodes that pass it on; what is found is kept in `origins`."""
    way: list[str] = []
    while name in producers and producers[name].op_type in _PASSING and producers[name].input:
        way.append(name)
        name = origins.setdefault(name, producers[name].input[0])
        if len(way) > len(producers):  # a circle
            break
    origins.update(dict.fromkeys(way, name))
    return name


def _may_hold_secrets(model: ModelProto) -> bool:
    """Whether any secret can be in the texts."""
    try:
        data = model.SerializePartialToString()
    except ValueError:  # EncodeError: more than one message holds
        return True
    return may_be_secret(data)


def _secrets(model: ModelProto) -> Iterator[Finding]:
    """OH306: no text of the artifact looks like a token, wherever it stands."""
    if not _may_hold_secrets(model):
        return  # without a look at each of its texts
    for where, text in _texts(model, "the model"):
        if is_secret(text):
            yield Finding("OH306", "a text has the form of a secret", where)


def _texts(message: Message, where: str) -> Iterator[tuple[str, str]]:
    """Every text of a message and the messages inside it, with the innermost place that has a name."""
    where = _place(message) or where
    for field, value in message.ListFields():
        values = value if isinstance(value, (str, bytes, Message)) or not isinstance(value, Iterable) else list(value)
        for entry in values if isinstance(values, list) else [values]:
            if isinstance(entry, Message):
                yield from _texts(entry, where)
            elif isinstance(entry, str):
                yield where, entry
            elif isinstance(entry, bytes) and _is_text_field(field.name, values):
                yield where, entry.decode("utf-8", "replace")


def _is_text_field(name: str, values: object) -> bool:
    return name != "raw_data" and not (name == "string_data" and isinstance(values, list) and len(values) > _FEW)


def _place(message: Message) -> str | None:
    """What people call the part of a model that a message is; its name is left out where that is the secret."""
    if isinstance(message, StringStringEntryProto):
        kind, name = "metadata", message.key
    elif isinstance(message, NodeProto):
        kind, name = f"a node {message.op_type} called", message.name
    elif isinstance(message, (TensorProto, GraphProto, FunctionProto, ValueInfoProto)):
        kind, name = type(message).__name__.removesuffix("Proto").lower(), message.name
    else:
        return None
    return kind if is_secret(f"{kind} {name}") else f"{kind} {name!r}"


def _doubled(writes: Iterable[str], seen: set[str]) -> list[str]:
    return [name for name in writes if name and name in seen]


def _label(node: NodeProto) -> str:
    return f"node {node.name!r} ({node.op_type})" if node.name else f"a node {node.op_type}"
