"""Names: renamed wherever they stand, and given away once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from onnx import GraphProto, SparseTensorProto, TensorProto, ValueInfoProto, compose, helper, numpy_helper

from onnxhybrid.model.naming import GraphTree, Taken, free_name, injective, rename_tensors, tensor_names

NAMES = st.sampled_from(["a", "b", "a_1", "a_2", "b_1", "c", ""])


def whole() -> GraphProto:
    """A graph in which names stand everywhere that a name of a tensor can."""

    def value(name: str) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])

    then = helper.make_graph(
        [helper.make_node("Add", ["x", "own"], ["inner"]), helper.make_node("Neg", ["inner"], ["t"])],
        "then",
        [],
        [value("t")],  # type: ignore[list-item]
        [numpy_helper.from_array(np.zeros(2, np.float32), "own")],
        value_info=[value("inner")],  # type: ignore[list-item]
    )
    otherwise = helper.make_graph([helper.make_node("Abs", ["w"], ["e"])], "else", [], [value("e")])  # type: ignore[list-item]
    nodes = [
        helper.make_node("Clip", ["x", "", "w"], ["m"]),
        helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=otherwise),
    ]
    sparse = SparseTensorProto(dims=[2])
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "s"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.zeros(1, np.int64), "at"))
    weight = numpy_helper.from_array(np.zeros(2, np.float32), "w")
    graph = helper.make_graph(nodes, "g", [value("x"), value("c")], [value("y")], [weight], value_info=[value("m")])  # type: ignore[list-item]
    graph.sparse_initializer.append(sparse)
    return graph


ALL = {"x", "c", "y", "w", "m", "s", "at", "t", "e", "own", "inner"}


def test_every_name_of_a_graph_is_renamed_as_onnx_does_it_and_those_of_its_branches_too() -> None:
    graph = whole()
    assert tensor_names(graph) == ALL
    rename_tensors(graph, {name: f"p/{name}" for name in ALL})
    assert tensor_names(graph) == {f"p/{name}" for name in ALL}
    expected = compose.add_prefix_graph(whole(), "p/", rename_nodes=False)  # which leaves branches as they are
    otherwise, then = (attribute.g for attribute in graph.node[1].attribute)
    assert [*otherwise.node[0].input, *otherwise.node[0].output, otherwise.output[0].name] == ["p/w", "p/e", "p/e"]
    assert [value.name for value in (*then.initializer, *then.value_info, *then.output)] == ["p/own", "p/inner", "p/t"]
    del graph.node[1].attribute[:], expected.node[1].attribute[:]
    assert graph == expected


def test_a_name_that_is_not_asked_for_stays() -> None:
    for name in sorted(ALL):
        graph = whole()
        rename_tensors(graph, {name: "new"})
        assert tensor_names(graph) == ALL - {name} | {"new"}
        rename_tensors(graph, {"new": name})
        assert graph == whole()


def test_names_that_change_places_do_so_at_once() -> None:
    graph = whole()
    rename_tensors(graph, {"x": "w", "w": "x"})
    assert (graph.input[0].name, graph.initializer[0].name, graph.node[0].input[:]) == ("w", "x", ["w", "", "x"])


def test_annotations_of_quantization_follow() -> None:
    graph = whole()
    note = graph.quantization_annotation.add(tensor_name="x")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="w")
    rename_tensors(graph, {"x": "u", "w": "v", "SCALE_TENSOR": "no"})
    entry = note.quant_parameter_tensor_names[0]
    assert (note.tensor_name, entry.key, entry.value) == ("u", "SCALE_TENSOR", "v")


@given(st.lists(NAMES, max_size=5), st.lists(NAMES, max_size=8))
def test_each_name_is_given_away_once_and_the_first_free_one(given_away: list[str], wanted: list[str]) -> None:
    taken, names = Taken(given_away), set(given_away)
    for wish in wanted:
        expected = free_name(wish, names)
        assert expected not in names
        assert expected == wish or wish in names
        assert taken.take(wish) == expected
        names.add(expected)
    assert taken == names


def test_a_free_name_has_the_first_number_that_is_free() -> None:
    assert free_name("a", ["b"]) == "a"
    assert free_name("a", ["a"]) == "a_1"
    assert free_name("a", ["a", "a_1", "a_3"]) == "a_2"


@given(st.dictionaries(NAMES, NAMES, max_size=4), st.sets(NAMES, max_size=6))
def test_no_two_names_become_one_where_the_mapping_itself_keeps_them_apart(
    mapping: dict[str, str], names: set[str]
) -> None:
    complete = injective(mapping, names)
    assert mapping.items() <= complete.items()
    if len(set(mapping.values())) == len(mapping):
        after = [complete.get(name, name) for name in {*names, *mapping}]
        assert len(set(after)) == len(after)


def sized(kind: str, size: str) -> ValueInfoProto:
    """A value of tensors with a named first size: itself, in a sequence, in an optional, or in both."""
    held = helper.make_tensor_type_proto(TensorProto.FLOAT, [size, 3, None])
    wraps = {"s": helper.make_sequence_type_proto, "o": helper.make_optional_type_proto}
    for letter in reversed(kind):
        held = wraps[letter](held)
    return helper.make_value_info(f"v{kind}", held)


def test_names_of_sizes_are_renamed_in_tensors_sequences_and_optionals_and_in_branches() -> None:
    values = [sized(kind, "n") for kind in ("", "s", "o", "os")]
    mapped = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, ["n"]))
    inner = helper.make_graph([], "inner", [], [sized("", "m")], value_info=[sized("s", "n")])
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner, name="if")
    graph = helper.make_graph([node], "g", values[:2], values[2:3], value_info=[values[3], sized("", "k")])
    graph.input.append(helper.make_value_info("map", mapped))  # whose sizes nothing reads
    scopes = GraphTree(graph)
    assert scopes.size_names() == {"n", "m", "k"}
    before = graph.SerializeToString(deterministic=True)
    scopes.rename_sizes({"n": "n"})
    assert graph.SerializeToString(deterministic=True) == before
    scopes.rename_sizes({"n": "m", "m": "n"})
    assert scopes.size_names() == {"n", "m", "k"}
    assert graph.output[0].type.optional_type.elem_type.tensor_type.shape.dim[0].dim_param == "m"
    assert graph.input[1].type.sequence_type.elem_type.tensor_type.shape.dim[0].dim_param == "m"
    deep = graph.value_info[0].type.optional_type.elem_type.sequence_type.elem_type.tensor_type.shape
    assert [dim.dim_param or dim.dim_value for dim in deep.dim] == ["m", 3, 0]
    assert all(entry.g.output[0].type.tensor_type.shape.dim[0].dim_param == "n" for entry in graph.node[0].attribute)


def test_nodes_get_their_names_at_any_depth_and_the_standard_domain_its_one_spelling() -> None:
    graph = whole()
    graph.node[0].domain, graph.node[0].name = "ai.onnx", "clip"
    graph.node[1].domain = "com.example"
    graph.node[1].attribute[0].g.node[0].name = "inside"
    GraphTree(graph).rename_nodes(lambda name: f"p/{name}")
    assert [(node.domain, node.name) for node in graph.node] == [("", "p/clip"), ("com.example", "")]
    assert graph.node[1].attribute[0].g.node[0].name == "p/inside"
