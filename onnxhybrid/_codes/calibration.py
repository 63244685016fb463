"""OH60x and OH61x: calibrating a cascade, and what a file says of it."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row, warning

ROWS = (
    row(
        "OH600",
        "Error",
        "There is no cascade to calibrate",
        "What is calibrated is the threshold of a cascade: the choice between local's answer and the remote's.",
        "oh.calibrate(oh.chain(features, classifier), rows)",
        'hybrid = oh.cascade(local, remote, accept=oh.judge.max_probability("probs") >= oh.Input("threshold", '
        "default=0.5)), and calibrate that, or what is made of it.",
    ),
    row(
        "OH601",
        "Error",
        "The cascade has no threshold that is an input",
        "A threshold that is a constant of the file cannot be chosen.",
        'a judge written as oh.judge.max_probability("probs") >= 0.8, or a threshold that was bound',
        'Write >= oh.Input("threshold", default=0.8), and do not bind it.',
    ),
    row(
        "OH602",
        "Error",
        "The cascade has several thresholds that are inputs",
        "One number is chosen, and it is not clear which.",
        '(max_probability("probs") >= oh.Input("low")) & (entropy("probs") <= oh.Input("high"))',
        "Bind all but one, as in hybrid.bind(high=0.5), or give the judges one oh.Input.",
    ),
    row(
        "OH603",
        "Error",
        "The judge cannot be calibrated",
        "It decides a row by several scores, or the threshold is read elsewhere than in its comparisons.",
        "rows=True with a judge of a tensor that has several scores for a row, written by hand",
        "Let the judge compare one score for each row with the threshold; the judges of oh.judge do.",
    ),
    row(
        "OH604",
        "Error",
        "The data do not fit the cascade",
        "The rows are no arrays of the names, dtypes and sizes that the cascade is fed.",
        'data={"img": rows} for an input that is called image',
        "Give a mapping, input -> array with a row along axis 0, or an iterator of such mappings.",
    ),
    row(
        "OH605",
        "Error",
        "The labels do not fit the data",
        "There are more or fewer labels than rows, or they are of another kind or size than the output.",
        "labels that are names where the output gives numbers",
        "Give one label for each row, as the compared output would give it.",
    ),
    row(
        "OH606",
        "Error",
        "There are too few rows to prove anything",
        "Even without a single loss so few rows do not prove that the expected loss is as small as promised.",
        "100 rows for a loss of 0.01 with confidence 0.95, which takes 299",
        "Give more rows, or allow a larger loss, or less confidence.",
    ),
    row(
        "OH607",
        "Error",
        "An argument of a calibration has no such value",
        "Loss and confidence lie between 0 and 1, prices are numbers, and a budget needs a cost.",
        "oh.calibrate(hybrid, rows, loss=1)",
        "loss=0.01 is one answer in a hundred; confidence=0.95; cost=0.002, or "
        '{"request": 0, "input_token": 5e-7, "output_token": 2e-6}.',
    ),
    row(
        "OH608",
        "Error",
        "It is not clear which output is compared",
        "Several outputs could be, there is none of this name, or it is no tensor.",
        "a hybrid with the outputs label and language, both whole numbers",
        'oh.calibrate(hybrid, rows, labels, output="label")',
    ),
    row(
        "OH609",
        "Error",
        "The remote does not answer",
        "No call succeeded, so there is nothing to calibrate on.",
        "a server that is not running",
        "See what the message says of the last call; oh.validate(hybrid, online=True) asks the server.",
    ),
    row(
        "OH610",
        "Error",
        "The record of a calibration cannot be used",
        "The file is no record, holds the answers of another remote, is damaged or in use, or cannot be read or "
        "written.",
        "a record of another endpoint's answers, given after retarget",
        "Name another file, or delete this one: then all rows are asked again.",
    ),
    row(
        "OH611",
        "Error",
        "The labels belong to something else",
        "Neither local nor remote is right in a single row.",
        "labels counted from 1 where the output counts from 0, or in another order than the rows",
        "Compare a few rows by hand: what oh.Session(hybrid).run gives, and their labels.",
    ),
    row(
        "OH612",
        "Error",
        "The picture of a calibration cannot be written",
        "The path ends in no format of pictures, or the system refused.",
        'calibration.plot("curve.bmp")',
        "Let it end in .png, .svg or .pdf, in a folder that is there.",
    ),
    row(
        "OH613",
        "Error",
        "No threshold reaches the aim",
        "On the calibration rows no threshold is as accurate, or as cheap.",
        "calibration.best(accuracy=0.99) where the remote itself is right in 95 % of the rows",
        "See calibration.points for what there is.",
    ),
    warning(
        "OH614",
        "A certificate that is not of this file",
        "The file was changed after it was calibrated: what the certificate proves is of other parts or of another "
        "threshold, its numbers are none that a calibration gives, or an audit watches for another promise.",
        "a default threshold that was written with another tool",
        "Calibrate it again, or drop the metadata entry onnxhybrid.certificate.",
    ),
    row(
        "OH615",
        "Error",
        "A learned judge was fitted on rows that it is calibrated on",
        "On rows that it was fitted on a judge looks better than it is: nothing would be proven of others. They are "
        "known by the hashes that the file keeps; one row in a hundred is let pass, and as many more as are repeated "
        "in the rows of the fit.",
        "oh.calibrate(oh.cascade(local, remote, accept=oh.judge.learned(scorer) >= threshold), images, labels) after "
        "scorer = oh.fit_judge(local, images, labels)",
        "Part the rows first: fit the judge on some, calibrate on the others.",
    ),
)
