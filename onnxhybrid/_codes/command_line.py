"""OH70x and OH71x: recipes in YAML, files that are fed, and the command line."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

ROWS = (
    row(
        "OH700",
        "Error",
        "The command line has words that are not known",
        "A verb, an option or the form of a value is mistyped, or one that is needed is missing. Nothing was done; the "
        "exit code is 2.",
        "onnxhybrid inspct hybrid.onnx",
        "Write what the message names; onnxhybrid VERB --help says what there is.",
    ),
    row(
        "OH701",
        "Error",
        "A file cannot be read as an input",
        "The file that is to be fed is not there, cannot be read, or is none of .npy, .npz, .json, .wav, .png and .jpg "
        "in a form that an array comes of. Pickled arrays are refused, since they may run code.",
        "onnxhybrid run model.onnx --input x=notes.txt",
        "Save the array with numpy.save, or write it as nested lists in a .json file.",
    ),
    row(
        "OH702",
        "Error",
        "What is fed does not fit the input",
        "The array has values that the input's element type cannot hold, or its sizes cannot be those of the input; "
        "or random values are asked for, and a size is open, or the element type has none.",
        "--input x=half.npy of 1.5 for an input of int64",
        "Feed what the message says that the input takes; onnxhybrid inspect MODEL lists the inputs.",
    ),
    row(
        "OH703",
        "Error",
        "The inputs of the model are not those that are fed",
        "An input is fed that the model does not have, is fed twice, or is not fed and has no default.",
        "--input imge=cat.png where the input is called image",
        "Feed each input that has no default once: --input NAME=FILE, or --random NAME=SIZES.",
    ),
    row(
        "OH704",
        "Error",
        "A file cannot be written",
        "The folder is not there, the name is that of a folder, or the system refused. What stood there before stands "
        "there still.",
        "--save absent/answer.npz",
        "Name a file in a folder that is there and may be written.",
    ),
    row(
        "OH710",
        "Error",
        "A recipe is no YAML",
        "The file cannot be read, is no UTF-8, or breaks YAML's grammar at the line and column that the message names.",
        'a judge with >=: 0.8 in place of ">=": 0.8',
        "Indent with spaces, and put what begins with one of > | & * ! % @ ` into quotes.",
    ),
    row(
        "OH711",
        "Error",
        "A recipe uses YAML that recipes do without",
        "A recipe says each thing once and where it stands: aliases and anchors, tags, keys that come twice, keys that "
        "are no texts, several documents and hundreds of levels are refused. So a file means what it looks like, and "
        "a small one cannot unfold into a huge one.",
        "local: &small {load: small.onnx}",
        "Write the part out in each place: parts that are loaded from one file share their weights.",
    ),
    row(
        "OH712",
        "Error",
        "A recipe has a word that is not known",
        "A model in a recipe is one function of onnxhybrid by its name, with its arguments below it by theirs. This is "
        "no such function, it has no such argument, or two functions stand in one place.",
        "cascade: {local: …, remot: …}",
        "Write what the message names; onnxhybrid compose --schema prints all of them for an editor.",
    ),
    row(
        "OH713",
        "Error",
        "A recipe has a value of the wrong kind, or lacks one",
        "The argument is missing, or its value is not of a kind that the function takes. Values are not converted: "
        '"2" is a text and 2 a number.',
        'retries: "2"',
        "Write a value of the kind that the message names.",
    ),
    row(
        "OH714",
        "Error",
        "The model does not tell its recipe",
        "It was not composed from YAML, or was changed since, so that the recipe that it holds is no longer its own.",
        "onnxhybrid inspect small.onnx --yaml",
        "Compose it from a YAML file; after a change, compose it again.",
    ),
    row(
        "OH729",
        "Error",
        "Something went wrong that nobody foresaw",
        "A fault of onnxhybrid, of a package below it, or of the system, such as a lack of memory. Files that were to "
        "be written are as they were.",
        "no memory left while a model is composed",
        "Set ONNXHYBRID_TRACEBACK=1 to see where it happened, and report it with that.",
    ),
)
