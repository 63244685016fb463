"""OH5xx of budgets and their ledgers."""

from __future__ import annotations

from onnxhybrid._codes.diagnostic import row

ROWS = (
    row(
        "OH521",
        "PolicyDenied",
        "The budget is used up",
        "The request would go over the budget of oh.Policy: calls, bytes or cost, counted since the session began, or "
        "in a ledger by all who share it, repeats included. With a price for output tokens, those that the request "
        "itself allows (max_tokens) count until the answer says how many there were. It was not sent.",
        'the third call of a session with oh.Policy(budget={"calls": 2})',
        "Raise the budget, or make a new session, which begins at nothing; with a ledger, name another file. "
        "Session.stats().budget says what is left.",
    ),
    row(
        "OH522",
        "PolicyDenied",
        "The budget has no price for a model",
        "A budget that limits the cost needs the price of every request, since one without a price would be free. The "
        "price is that of the model that the request asks for, never of the node's name. "
        "Nothing was sent.",
        'oh.Policy(budget={"cost": 5.0, "price": {"whisper-1": 0.006}}) and a call of another model',
        'Add the model\'s price, or one for all others: {"*": 0.01}.',
    ),
    row(
        "OH581",
        "Error",
        "A file cannot be used as a ledger",
        "The ledger of a budget is a file that onnxhybrid made, and that this process may read and write. This one is "
        "something else (a folder, a link, a device, another file), is damaged or of another version, or it is not "
        "there and cannot be made. It was left as it is.",
        'oh.Policy(budget={"cost": 5.0, "price": {"*": 0.01}, "ledger": "photo.jpg"})',
        "Name a file that is not there yet, in a folder that may be written. If a ledger is damaged, what was spent is "
        "no longer known: find it out elsewhere, then delete the file to begin anew.",
    ),
    row(
        "OH582",
        "PolicyDenied",
        "The ledger is gone or damaged",
        "What was spent is not known any more, or cannot be written: the ledger was deleted, overwritten, or the disk "
        'failed while the session was open. Nothing was sent. on_error="flag" does not hide this.',
        "a ledger that is deleted while a session uses it",
        "Put the file back, or open the session anew, which makes a new ledger that begins at nothing.",
    ),
    row(
        "OH583",
        "PolicyDenied",
        "The ledger is locked for too long",
        "A process holds the ledger's lock, and did not let go until the call's deadline, or for 5 s while a session "
        "opened. The library holds it for some microseconds; a process that was stopped, or a tool that locks the "
        "file, may do so for ever. Nothing was sent.",
        "flock spend.ledger sleep 1000, and a call of a session with that ledger",
        "End or continue the process that holds it (fuser or lsof name it).",
    ),
)
