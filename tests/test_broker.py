"""The broker of limits: what it hands out is never more than there is, whoever dies, the broker included."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxhybrid as oh
from onnxhybrid.cluster.amounts import Amount
from onnxhybrid.cluster.audits import merged
from onnxhybrid.cluster.broker import Broker, No
from onnxhybrid.cluster.sending import require_no_secrets
from onnxhybrid.library import audit_low

ONE = Amount(calls=1)


@given(most=st.integers(1, 40), workers=st.integers(1, 12), joining=st.integers(1, 12))
def test_places_are_shared_out_evenly_and_never_more_than_there_are(most: int, workers: int, joining: int) -> None:
    broker = Broker(oh.Policy(max_concurrency=most), workers)
    places = [broker.join(str(worker)) for worker in range(min(joining, workers))]
    given_out = [place for place in places if place is not None]
    assert sum(given_out) <= most
    assert all(place >= 1 for place in given_out)
    assert len(given_out) == min(len(places), most)
    if joining >= workers:
        assert sum(given_out) == most
        assert max(given_out) - min(given_out) <= 1


def test_a_worker_waits_where_all_places_are_taken_and_gets_those_of_one_that_is_gone() -> None:
    broker = Broker(oh.Policy(max_concurrency=2), 2)
    assert [broker.join(worker) for worker in "abc"] == [1, 1, None]
    broker.leave("a")
    assert broker.join("c") == 1
    assert broker.join("b") == 1, "a worker that is started again has its own place, once"
    assert sum(broker.workers().values()) == 2


events = st.lists(st.tuples(st.sampled_from(["lend", "settle", "die"]), st.sampled_from("abc"), st.integers(0, 50)))


@given(limit=st.integers(0, 60), events=events)
def test_what_workers_may_spend_is_within_the_limit_in_any_order_of_events(
    limit: int, events: list[tuple[str, str, int]]
) -> None:
    broker = Broker(oh.Policy(budget={"calls": limit}), 3)
    lent, spent = dict.fromkeys("abc", 0), 0
    for time, (event, worker, count) in enumerate(events):
        if event == "lend":
            share = broker.lend(worker, ONE, time / 2)
            lent[worker] += share.calls if isinstance(share, Amount) else 0
        elif event == "settle":
            used = min(count, lent[worker])
            broker.settle(worker, Amount(calls=lent[worker] - used))
            spent, lent[worker] = spent + used, 0
        else:  # what it had may all have been spent
            broker.leave(worker)
            spent, lent[worker] = spent + lent[worker], 0
        assert spent + sum(lent.values()) <= limit
        assert broker.spent().calls == spent + sum(lent.values())


def test_nothing_is_left_over_where_workers_take_turns_to_the_end() -> None:
    broker = Broker(oh.Policy(budget={"calls": 1000}), 4)
    count = 0
    while isinstance(share := broker.lend("abcd"[count % 4], ONE, count / 10), Amount):
        count += 1
        assert share.calls >= 1
    assert broker.spent().calls == 1000
    assert count < 150, "shares are larger as long as much is left"


def test_what_a_worker_gives_back_is_lent_to_one_that_waits() -> None:
    broker = Broker(oh.Policy(budget={"calls": 1}), 2)
    assert broker.lend("a", ONE, 0) == ONE
    assert broker.lend("b", ONE, 0) is No.NOT_YET
    broker.settle("a", ONE)
    assert broker.lend("b", ONE, 0) == ONE
    broker.settle("b", Amount())
    assert broker.lend("a", ONE, 0) is No.NOTHING_LEFT


def test_money_and_bytes_are_lent_as_calls_are() -> None:
    broker = Broker(oh.Policy(budget={"bytes": 100, "cost": 1.0, "price": {"*": 0.25}}), 1)
    need = Amount(calls=1, bytes=10, cost_billionths=250_000_000)
    paid = 0
    while isinstance(share := broker.lend("a", need, 10.0 * paid), Amount):
        paid += 1
        broker.settle("a", share - need)
    assert paid == 4
    assert broker.left().cost_billionths == 0


def test_a_broker_that_is_started_again_knows_what_was_spent_and_who_has_places(tmp_path: Path) -> None:
    policy = oh.Policy(max_concurrency=3, budget={"calls": 10})
    first = Broker(policy, 2, tmp_path)
    assert [first.join("a", "here"), first.join("b")] == [2, 1]
    first.leave("b")
    assert first.lend("a", Amount(calls=4), 0) == Amount(calls=4)
    again = Broker(policy, 2, tmp_path)
    assert (again.workers(), again.reach("a"), again.spent().calls) == ({"a": 2}, "here", 4)
    with (tmp_path / "workers.jsonl").open("a") as file:
        file.write('{"worker": "c", "pla')  # a death in the middle of a line
    assert Broker(policy, 2, tmp_path).workers() == {"a": 2}


def test_a_ledger_is_shared_with_who_else_names_it(tmp_path: Path) -> None:
    budget = {"calls": 5, "ledger": tmp_path / "spend.ledger"}
    one, two = (Broker(oh.Policy(budget=budget), 1) for _ in range(2))
    assert one.lend("a", Amount(calls=3), 0) == Amount(calls=3)
    assert two.lend("b", Amount(calls=3), 0) is No.NOTHING_LEFT
    assert two.lend("b", Amount(calls=2), 0) == Amount(calls=2)


def test_secrets_are_not_sent_and_the_message_says_what_to_set() -> None:
    with pytest.raises(
        oh.Error, match=r"ONNXHYBRID_CREDENTIAL_MY_KEY and ONNXHYBRID_CREDENTIAL_MY_KEY_HOSTS"
    ) as caught:
        require_no_secrets("x", {"my-key": "s3cret"}, None)
    assert caught.value.code == "OH671"
    assert "s3cret" not in str(caught.value)
    policy = oh.Policy(client_certificate=("c.pem", "k.pem", "s3cret"))
    with pytest.raises(oh.Error) as caught:
        require_no_secrets("x", None, policy)
    assert caught.value.code == "OH671"
    require_no_secrets("x", None, oh.Policy(client_certificate=("c.pem", "k.pem")))


def test_audits_of_many_workers_are_one_verdict_on_the_union_of_their_rows() -> None:
    found = [{"audit/m": oh.AuditStats(40, 4, low=0.01, promised=0.05, failed=1, dropped=2)} for _ in range(10)]
    verdict = merged(found)["audit/m"]
    assert (verdict.audited, verdict.differed, verdict.failed, verdict.dropped) == (400, 40, 10, 20)
    assert verdict.low == audit_low(400, 40)
    assert 0.05 < verdict.low < 0.1
    assert verdict.alarm, "what no worker knows by itself all know together"


def test_the_alarm_of_one_worker_alone_is_none_of_all() -> None:
    unlucky = {"audit/m": oh.AuditStats(40, 6, low=audit_low(40, 6), alarm=True, promised=0.03)}
    assert audit_low(40, 6) > 0.03
    others = [{"audit/m": oh.AuditStats(400, 8, promised=0.03)} for _ in range(9)]
    assert not merged([unlucky, *others])["audit/m"].alarm


def test_a_merged_bound_never_falls() -> None:
    early = merged([{"audit/m": oh.AuditStats(100, 50)}])
    late = merged([{"audit/m": oh.AuditStats(10_000, 50)}], before=early)
    assert late["audit/m"].low == early["audit/m"].low > audit_low(10_000, 50)


@given(counts=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=6))
def test_a_merge_of_merges_says_what_one_merge_says(counts: list[tuple[int, int]]) -> None:
    each = [{"n": oh.AuditStats(rows, min(rows, differ))} for rows, differ in counts]
    assert merged([merged(each[:3]), merged(each[3:])]) == merged(each)
