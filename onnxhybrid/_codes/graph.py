"""OH1xx: graphs, opsets, domains, IR and types."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row, warning

ROWS = (
    row(
        "OH100",
        "ModelError",
        "The file is no ONNX model",
        "The file cannot be read, or its bytes are no ONNX ModelProto with a graph.",
        'oh.load("weights.bin")',
        "Give the path of an .onnx file. Where the message says what the file is (a pointer of Git LFS, a web page, an "
        "archive, another framework's model), do what it says; otherwise open it in Netron to see whether it is whole.",
    ),
    row(
        "OH101",
        "ValidationError",
        "An operator's domain is not imported",
        "Every domain that a node uses needs an opset import in the model, and a model-local function brings its own.",
        "a node of domain com.example in a model that imports ai.onnx only",
        "Add the domain to the model's opset_import, with the version that the operator was written for.",
    ),
    row(
        "OH102",
        "ComposeError",
        "The opsets of the parts cannot be aligned",
        "Parts of different opsets are brought to one, the newest of them that all can reach. That is done only where "
        "it provably keeps the meaning (an operator is the same in both versions, or it is known how to write it in "
        "the newer one), and where the installed ONNX Runtime has kernels for the newer version.",
        "a part of ai.onnx.ml 1 whose operator changed in version 3, beside a part of version 3",
        "Export the parts with one opset, or convert the older one with onnx.version_converter and test it.",
    ),
    row(
        "OH103",
        "ValidationError",
        "The IR version is newer than the runtime accepts",
        "ONNX Runtime refuses a file whose IR version it does not know, whatever is in it.",
        "IR version 14 under onnxruntime 1.31, which accepts up to 13",
        "Save the model again through onnxhybrid (it writes the least IR version that holds the model), or update "
        "onnxruntime.",
    ),
    row(
        "OH104",
        "ValidationError",
        "A name is defined twice",
        "In ONNX each tensor has one producer (static single assignment); a second node, input or initializer of the "
        "name makes the graph ambiguous. So does a domain that is imported in two versions.",
        'two nodes that both write the tensor "y", or two initializers "w"',
        "Rename one of them, or take it out; import each domain once.",
    ),
    row(
        "OH105",
        "ValidationError",
        "A tensor is used before it is defined, or never defined",
        "A node or a graph output reads a name that no input, initializer or earlier node provides.",
        'a node reads "features" and nothing writes it',
        "Sort the nodes topologically, or declare the missing input or initializer.",
    ),
    row(
        "OH106",
        "ValidationError",
        "The opset is newer than the runtime knows",
        "ONNX Runtime refuses a model that imports an opset version which it was not built for.",
        "ai.onnx 28 under onnxruntime 1.31, which knows up to 26",
        "Export the model with an older opset, or update onnxruntime.",
    ),
    row(
        "OH107",
        "ModelError",
        "Weights cannot be read",
        "A model refers to weights in a file (its own, or external data). That file is missing, too short, no regular "
        "file, was changed since the model was loaded, or lies outside of the model's folder, which ONNX Runtime "
        "refuses too: its real path has to lie in the folder of the path that was given, or in the one where the .onnx "
        "file really is. Or a part of its name is hidden (begins with a dot), as files are that hold keys. Or the "
        "weights are said to be longer or shorter than their type and shape take. Or a model that is saved has a node "
        "that names a file (EPContext) which was not there when the model was loaded.",
        'external data at "../weights.bin", or a file that was overwritten after oh.load',
        "Keep external data beside the .onnx file, and load the model again after its files changed.",
    ),
    row(
        "OH108",
        "ModelError",
        "The model is too large for one protobuf message",
        "A protobuf message holds less than 2 GiB; to_proto() and external_data=False need the whole model in one.",
        "to_proto() on a model with 3 GB of weights",
        "Use model.save(path), which writes external data where it must.",
    ),
    row(
        "OH109",
        "ModelError",
        "No such tensor",
        "rename, select or bind was given a name that the model does not have.",
        'model.select(["probs"]) on a model whose output is "probabilities"',
        "Use one of the names that the message lists; Model.inputs and Model.outputs have them.",
    ),
    row(
        "OH110",
        "ModelError",
        "A tensor description is malformed",
        "A TensorSpec needs a name, a dtype that ONNX knows, and a shape of sizes (0 or more), names and None.",
        'oh.TensorSpec("x", "float31", (1,))',
        "Use a numpy dtype or its name, such as float32, float16, bfloat16, int64, bool or str.",
    ),
    row(
        "OH111",
        "ModelError",
        "A value does not fit the input it is bound to",
        "bind makes an input constant; the value must have, or safely convert to, the input's dtype and fit its shape.",
        "model.bind(threshold=[0.5, 0.6]) on an input of one element",
        "Give a value of the dtype and shape that Model.inputs shows.",
    ),
    row(
        "OH112",
        "ModelError",
        "The model cannot be written",
        "The operating system refused to write the file. Nothing was changed: a file is replaced when it is whole.",
        'model.save("/no/such/folder/model.onnx")',
        "Check the folder, its permissions and the free space.",
    ),
    row(
        "OH113",
        "ModelError",
        "Two tensors would get one name",
        "After rename, prefix or select each input and output still needs a name of its own.",
        'model.rename({"a": "b"}) on a model that has a public tensor "b" already',
        'Rename both: model.rename({"a": "b", "b": "c"}) is simultaneous.',
    ),
    row(
        "OH114",
        "ValidationError",
        "A remote output has no declared type",
        "ONNX Runtime cannot infer what a remote node answers, so each output of an Invoke node needs its element type "
        "in the graph's outputs or value_info.",
        "an Invoke node that was cut out of its graph without its value_info",
        "Build remote models with oh.remote, which declares the types.",
    ),
    row(
        "OH115",
        "ModelError",
        "The interface of a model cannot be changed like this",
        "expose, cast and expand_dims change what a model takes and gives. An output needs a type that is declared or "
        "can be inferred; an element type needs a Cast in the model's opset; an axis needs a place in the shape.",
        'model.expand_dims(5) of a model that gives "y" of shape [n, 10]',
        "Name a tensor that has what the edit needs; the message says what this one lacks.",
    ),
    row(
        "OH116",
        "ModelError",
        "No remote call goes to that URL",
        "retarget moves the calls that go to a base URL, or to a path behind it. A URL that no call goes to is a "
        "mistake, and the calls would stay where they are.",
        'model.retarget({"http://127.0.0.1:9000": "https://gpu.example"}) of a model that calls port 8000',
        "Write the base URLs that the model calls; model.remotes lists them as .endpoint.",
    ),
    warning(
        "OH117",
        "What a model says of its training is left out",
        "training_info speaks of tensors of the model's graph. It follows rename, prefix, bind, cast and select. What "
        "is composed of several models, or cut out of one, is another graph, and so is one that lost a tensor which it "
        "names. The warning is one of Python's (UserWarning), at the line that made the new model.",
        "oh.chain(a, b), where the file of a holds training_info",
        "Train the part before it is composed. Where that is meant: "
        'warnings.filterwarnings("ignore", message=".OH117").',
    ),
    row(
        "OH118",
        "ModelError",
        "A declared size cannot be true",
        "declare says which sizes a model takes and gives. A size is refused that contradicts what follows from the "
        "operators and weights, as is another rank, and one name for sizes that differ.",
        'model.declare({"x": ("n", 5)}) of a model that multiplies "x" by a matrix of 4 rows',
        "Declare what the model takes and gives; the message says what that is. A size that is not known is None.",
    ),
    warning(
        "OH120",
        "A branch is never taken",
        "The condition of an If is a constant, so that one of its branches, its weights and its remote calls are never "
        "used, or always.",
        "a switch whose condition was bound",
        "Use the branch itself in place of the If, or make the condition an input.",
    ),
    row(
        "OH121",
        "ValidationError",
        "The branches of an If do not agree",
        "Both branches of an If give as many outputs as it has, with the same types in the same order.",
        "a then_branch that gives float32 and an else_branch that gives float64",
        "Cast in one of the branches; oh.switch and oh.cascade check this when they are written.",
    ),
    warning(
        "OH122",
        "A name inside a graph hides one around it",
        "ONNX wants the names of a branch or a loop's body to differ from those around it; tools disagree about what a "
        "hidden name means.",
        "a branch with a node that writes x, in a graph with an input x",
        "Rename the inner tensor; composing with onnxhybrid does so.",
    ),
    warning(
        "OH123",
        "Weights lie in a branch",
        "ONNX Runtime makes a copy of a branch's own weights for each session; those of the main graph are shared "
        "and mapped.",
        "an If written by hand, with initializers in its branches",
        "Move them to the main graph, where branches see them; oh.switch and oh.cascade do so.",
    ),
    row(
        "OH124",
        "ValidationError",
        "An operator does not exist in the imported opset",
        "The node's operator is not, or no longer, part of its domain in the version that the model imports.",
        "Upsample in a model that imports ai.onnx 17",
        "Correct the operator's name, or import an opset that has it.",
    ),
    warning(
        "OH125",
        "A judge compares nothing",
        "A condition depends on no input of the model, or a comparison is of a tensor with itself, so that the "
        "decision is always the same.",
        "a cascade whose judge compares a constant with a constant",
        "Compare a score that depends on the local model's outputs with the threshold.",
    ),
    warning(
        "OH126",
        "An operator needs a library of its own",
        "The operator belongs to a domain that ONNX Runtime does not have by itself, and the model has no function of "
        "that name.",
        "a node of the domain com.example",
        "Register the library that holds it in the session's options, or give the model a function.",
    ),
    warning(
        "OH127",
        "An output is no tensor but maps",
        "The output is a sequence of maps from labels to numbers, as ZipMap gives. No judge and no other model takes "
        "it, no server sends it, and ONNX Runtime cannot give it from a branch.",
        "skl2onnx.to_onnx(classifier, x), whose output_probability is a list of dicts",
        'Export with skl2onnx.to_onnx(classifier, x, options={"zipmap": False}), which gives a tensor with a column '
        "for each class.",
    ),
    row(
        "OH128",
        "ValidationError",
        "The runtime has no kernel for this version of an operator, or for these types",
        "ONNX Runtime reads the opset, and computes the operator on the CPU as older opsets define it only, for other "
        "element types, or not at all. A session for the model ends with NOT_IMPLEMENTED.",
        "RoiAlign in a model that imports ai.onnx 22 under onnxruntime 1.32, which has kernels for the opsets 10 to 21",
        "Import an older opset in which the operator is what it was, cast to a type that the runtime computes, or use "
        "a runtime that has the kernel.",
    ),
    row(
        "OH130",
        "ModelError",
        "A node says what its operator does not take",
        "An attribute is of another type than the operator's schema has, one that it needs is missing, an element type "
        "or an equation is none, there are too few or too many inputs or outputs, an input has a type that it does not "
        "take, or an output another type than is declared. ONNX Runtime refuses such a model, and the parts of onnx "
        "that infer types and convert opsets would end the process.",
        "a Split whose attribute split is a float, in a model that is raised to a newer opset",
        "Write the node as https://onnx.ai/onnx/operators has it for the opset that the model imports.",
    ),
    row(
        "OH131",
        "ModelError",
        "Functions unfold to more than a file of this size may take",
        "ONNX Runtime replaces each call of a model-local function by its nodes. Functions that call each other "
        "several times, in many levels, become more nodes than any machine holds, and those that call themselves never "
        "end.",
        "ten functions, each of which calls the next one ten times",
        "Give the model without such functions; oh.load takes up to 100 000 nodes, or twenty times as many as are in "
        "the file.",
    ),
)
