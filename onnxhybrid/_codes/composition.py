"""OH2xx: composition."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

ROWS = (
    row(
        "OH201",
        "ComposeError",
        "Types differ",
        "A tensor was to be connected to an input of another dtype, or two parts share an input by name and want "
        "different dtypes.",
        'chain(a, b), where a gives "features" as float32 and b takes it as float16',
        "Put a Cast between them, or rename one of the tensors if they are not meant to be the same.",
    ),
    row(
        "OH202",
        "ComposeError",
        "Shapes differ",
        "A tensor was to be connected to an input whose rank or fixed sizes it cannot have, or two parts share an "
        "input by name and want different sizes.",
        'chain(a, b), where a gives "features" as (n, 64) and b takes (n, 32)',
        "Put a Reshape between them, or rename one of the tensors if they are not meant to be the same.",
    ),
    row(
        "OH203",
        "ComposeError",
        "Nothing, or more than one thing, can be connected",
        "chain connects by name. Where no name fits it connects one to one, if there is only one possible way.",
        "chain(a, b), where a gives y and z, and b takes u, and both y and z fit",
        'Say it: oh.chain(a, b, connect={"u": "y"}).',
    ),
    row(
        "OH204",
        "ComposeError",
        "A connection names what is not there",
        "connect maps an input of a later part to an output of an earlier one; one of the names is unknown.",
        'oh.chain(a, b, connect={"imag": "y"}) where the input is called "image"',
        "Use the names that the message lists.",
    ),
    row(
        "OH205",
        "ComposeError",
        "An argument is no Model, or a part's label cannot be used",
        "Combinators take Models: oh.load gives one for a file, oh.remote one for an endpoint. Labels of parts become "
        "prefixes of names and must be non-empty, different and without control characters.",
        'oh.chain("a.onnx", b)',
        'oh.chain(oh.load("a.onnx"), b)',
    ),
    row(
        "OH206",
        "ComposeError",
        "The branches offer different outputs",
        "Whichever branch runs, the same outputs must come out, with the same types.",
        "switch(c, then=a, else_=b), where a gives label and score, and b gives label only",
        'Drop what is not common with a.select(["label"]), or rename outputs so that they meet.',
    ),
    row(
        "OH207",
        "ComposeError",
        "The condition is no bool",
        "A switch needs the name of a graph input (bool, one element), or a Model with exactly one output, a bool.",
        "switch(classifier, then=a, else_=b), where the classifier gives an int64 label",
        "Use a judge, or a Model whose one output is a comparison.",
    ),
    row(
        "OH208",
        "ComposeError",
        "The judge does not fit the local model",
        "A judge is a Model with exactly one bool output; it reads outputs of the local model by name, and can accept "
        "some of what they hold.",
        'cascade(local, remote, accept=oh.judge.max_probability("probs") >= 0.8), where local gives "probabilities"; '
        "or max_probability(...) >= 80, which no probability reaches",
        "Name one of the local outputs that the message lists; give a threshold that the score can reach.",
    ),
    row(
        "OH210",
        "ComposeError",
        "One name would be an input and an output",
        "Public names are kept as they are, and a graph cannot have an input and an output of one name that are "
        "different tensors.",
        "chain(a: x -> y, b: y -> x)",
        'Rename one of them: oh.chain(a, b.rename({"x": "x_out"})).',
    ),
    row(
        "OH211",
        "ComposeError",
        "One input would have two defaults",
        "Two parts share an input by name, and each says something else for when it is left out.",
        'a cascade inside a cascade, both with oh.Input("threshold", default=…) and different defaults',
        "Rename the input in one of the parts, or give both the same default.",
    ),
    row(
        "OH220",
        "ComposeError",
        "An option of a cascade is neither True nor False",
        "rows, speculate and report are switches.",
        "cascade(local, remote, accept=judge, rows=0.5)",
        "Give what the message names as True or False, or leave it out.",
    ),
    row(
        "OH221",
        "ComposeError",
        "An output is called like one of the report",
        'report=True adds the outputs "accepted" and "score", and local and remote both offer one of that name, as '
        "cascades with a report do.",
        "cascade(inner, other, accept=judge, report=True), where both parts give accepted",
        'Rename it in both parts: model.rename({"accepted": "inner_accepted"}).',
    ),
    row(
        "OH222",
        "ComposeError",
        "An input of the remote cannot be cut to the refused rows",
        "With rows=True the remote is sent fewer rows. Inputs of a fixed first size are passed whole, as tokens and "
        "options are; the others are cut, if their first size has one name (or none) in all of them, or the name that "
        "the first size of an output has. Here that does not tell, or the remote takes a fixed number of rows.",
        "an input declared as float32[8, 64], or two inputs float32[a, 64] and float32[b, 3]",
        'Declare the first size of what has rows by one name, as in TensorSpec("x", "float32", ("n", 64)), and a fixed '
        "size for what has none; or drop rows=True.",
    ),
    row(
        "OH223",
        "ComposeError",
        "An output cannot be put together of rows of both models",
        "With rows=True rows of remote take the place of rows of local, so each output has rows along its first axis, "
        "and rows of both models have one shape.",
        "local gives embedding float32[n, 384] and remote float32[n, 768], or both give a scalar or a sequence",
        "Bring the outputs to one shape, drop what has no rows with select, or drop rows=True.",
    ),
    row(
        "OH224",
        "ComposeError",
        "The judge names a score that it does not have",
        'A judge\'s metadata entry "onnxhybrid.score" names the tensor of its main graph that report=True gives out.',
        'judge.with_metadata({"onnxhybrid.score": "scores"}), where the tensor is called score',
        "Name a tensor of the judge's main graph that holds numbers.",
    ),
    row(
        "OH246",
        "ComposeError",
        "The remote of a cascade cannot be audited",
        "An audit begins a call in the background, and its answer comes when the run is over: it is compared as it is, "
        "and no node of the graph can follow. So remote is one call whose outputs are the answers; nodes before the "
        "call, and new names of its outputs, are fine.",
        "cascade(local, chain(oh.remote.triton(…), argmax), accept=judge, audit=0.02), or a fallback as the remote",
        "Let the server give what is compared; or put what follows the call behind the cascade, where local needs it, "
        "too: chain(cascade(local, remote, …), argmax); or drop audit=.",
    ),
    row(
        "OH247",
        "ComposeError",
        "The share that is audited is no share",
        "audit= is the share of accepted rows that the remote is asked for as well: a number from 0 to 1.",
        "cascade(local, remote, accept=judge, audit=2), where 2 % is meant",
        "Give a share such as 0.02; 0.0 audits nothing.",
    ),
    row(
        "OH245",
        "ComposeError",
        "Branches are nested too deeply",
        "Each switch, cascade or other branch puts a graph into a graph, and protobuf, which every program reads ONNX "
        "files with, reads 100 messages inside each other and no more: about 30 branches.",
        "a loop that puts switch(c, then=new, else_=old) around the last result, forty times",
        "Choose between all models at once with oh.route, or halve the models again and again, as in a tree.",
    ),
    row(
        "OH212",
        "ComposeError",
        "The index is no whole number",
        "A route needs the name of a graph input (int64, one element), or a Model with exactly one output, a whole "
        "number of one element.",
        "route(classifier, [a, b]), where the classifier gives a label for each row of a batch",
        "Use a Model that gives one number, as ArgMax of one row does.",
    ),
    row(
        "OH213",
        "ComposeError",
        "The outputs cannot be combined so",
        "An ensemble combines tensors of one type by name: mean takes floats, max takes numbers, vote takes whole "
        "numbers, strings and bools. A Model as combine reads the outputs by name.",
        'ensemble([a, b], combine="mean"), where a gives an int64 label',
        'Drop the output with select(["probabilities"]), use combine="vote", or give a Model.',
    ),
    row(
        "OH214",
        "ComposeError",
        "A remote call cannot be guarded",
        "fallback has to turn each remote failure of the primary into data, wherever the call stands. It cannot inside "
        "a Scan and other operators that hold graphs, but for If and Loop, nor where more than 17 calls wait for each "
        "other in a row.",
        "fallback(primary, backup), where the primary calls out in the body of a Scan",
        "Put the fallback into the body, around the call, before the Scan is made; or use a Loop.",
    ),
    row(
        "OH215",
        "ComposeError",
        "An option has a value that it cannot have",
        "An option of a combinator was given a value of another kind than it takes.",
        'oh.ensemble([a, b], combine="median")',
        "Use one of the values that the message names.",
    ),
    row(
        "OH235",
        "ComposeError",
        "A cut needs a list of tensors",
        "split, offload and splice take tensors of the main graph as a list of names, each once, or of TensorSpecs "
        "where the model does not tell a tensor's type.",
        'oh.split(model, at="features")',
        'oh.split(model, at=["features"]); model.tensors() lists the tensors that there are.',
    ),
    row(
        "OH236",
        "ComposeError",
        "The model has no such tensor to cut at",
        "A cut goes through tensors of the main graph: its inputs, its weights and what its nodes write. Tensors "
        "inside of branches, loops and functions cannot be cut.",
        'oh.split(model, at=["feature"]) where the tensor is called "features"',
        "Use one of the names that the message suggests, or look it up in model.tensors().",
    ),
    row(
        "OH237",
        "ComposeError",
        "The cut is no cut",
        "After a cut the tail may depend on the model's inputs through the tensors of the cut alone. The message shows "
        "a path from an input to an output that goes around them, or a node (a remote call, a random number) that "
        "both sides need and that must not run twice.",
        "a cut at the main branch of a network with a skip connection: x -> Add(add3) -> y",
        "Add a tensor of that path to at, or cut where all paths meet.",
    ),
    row(
        "OH238",
        "ComposeError",
        "The type of a tensor at the cut is not known, not as given, or cannot cross",
        "What crosses a cut becomes an output of the head and an input of the tail, and an input needs an element "
        "type, which cannot be inferred behind unknown operators. A map that is an output of the whole cannot cross, "
        "since no operator gives a map as it is.",
        "a cut behind an operator of com.example in a model without value_info",
        'Say it: oh.split(model, at=[oh.TensorSpec("features", "float32", ("n", 64))]).',
    ),
    row(
        "OH239",
        "ComposeError",
        "It is not clear what the replacement reads or writes",
        "splice matches tensors and the replacement's inputs and outputs by name; the others in their order, if there "
        "are as many on both sides.",
        "one tensor in outputs, and a replacement that gives y, ok, status and error",
        'Rename the one that is meant: replacement.rename({"y": "features"}).',
    ),
    row(
        "OH240",
        "ComposeError",
        "There is nothing to replace",
        "splice removes the nodes between inputs and outputs. There are none: no path leads from one to the other, or "
        "no node writes an output.",
        'oh.splice(model, inputs=["y"], outputs=["x"], replacement=b), the wrong way round',
        "Name tensors that nodes write in outputs, and in inputs tensors that these depend on.",
    ),
    row(
        "OH241",
        "ComposeError",
        "Somebody else reads a tensor that would be removed",
        "The nodes between inputs and outputs go, with what they write; a node that stays, or an output of the model, "
        "reads some of it.",
        "a replaced block whose inner tensor is also the source of a skip connection",
        "Add that tensor to outputs, so that the replacement writes it, or cut closer or wider.",
    ),
    row(
        "OH242",
        "ComposeError",
        "The replacement would depend on itself",
        "One of the tensors that it reads depends on one that it writes.",
        'oh.splice(model, inputs=["late"], outputs=["early"], replacement=b)',
        "Read tensors that come before those that are written; the message shows the path.",
    ),
    row(
        "OH243",
        "ComposeError",
        "A name of the replacement is taken",
        "Inputs and outputs of a replacement that are not matched with a tensor become inputs and outputs of the "
        "whole, and keep their names; one of the names stands for another tensor of the model.",
        "a replacement with a second input called as a tensor inside of the model",
        "Name that tensor in inputs or outputs if it is what is meant; otherwise rename it in the replacement.",
    ),
    row(
        "OH244",
        "ComposeError",
        "What takes the tail's place is not like it",
        "offload gives the tail to a function that publishes it, and chains the head to the Model that comes back. It "
        "needs the tail's inputs and outputs, under their names, with their types.",
        "to=lambda tail: print(tail), which gives None",
        "Return the remote Model, as in to=lambda tail: oh.remote.triton(url, publish(tail)); rename what differs.",
    ),
)
