//! Second requests beside those that take long, over HTTP/1.1 and over gRPC: what the servers see of them.

mod h2_server;
mod node;
mod server;
mod told;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use node::{hedged, input, run, values};
use onnxhybrid::call::Call;
use onnxhybrid::failure::Code;
use proptest::prelude::*;
use told::Does::{Answer, Busy, Close, Hang, Refuse};
use told::{BOTH, Told};

/// Every request may be hedged once it has taken 150 ms.
const SOON: &str = r#"{"after_ms": 150, "most": 1.0}"#;

fn at(servers: &[Told], hedge: &str, more: &str, integers: &[(&'static str, i64)]) -> Call {
    let urls: Vec<_> = servers.iter().map(|server| server.url.as_str()).collect();
    hedged(&urls, hedge, more, integers)
}

fn right(call: &Call) {
    let outputs = run(call).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(values(&outputs), [1.5, -2.0]);
}

fn hedges(call: &Call) -> u64 {
    call.stats()["hedges"].as_u64().unwrap()
}

#[test]
fn a_request_that_takes_long_is_overtaken_by_one_on_another_connection_and_given_up() {
    for make in BOTH {
        let servers = [make()];
        let call = at(&servers, SOON, "", &[("retries", 0)]);
        right(&call);
        servers[0].next(&[Hang]);
        right(&call);
        servers[0].sees_given_up(1);
        let stats = call.stats();
        assert_eq!((servers[0].requests(), servers[0].connections()), (3, 2), "{stats}");
        assert_eq!((&stats["calls"], &stats["hedges"], &stats["retries"]), (&2.into(), &1.into(), &0.into()));
        assert_eq!(stats["bytes_out"].as_u64().unwrap() % 3, 0);
        // Nothing is left of the loser: neither a connection that seems to be good, nor a request to be repeated.
        (0..3).for_each(|_| right(&call));
        assert_eq!((servers[0].requests(), servers[0].connections()), (6, 2));
        assert_eq!((hedges(&call), &call.stats()["retries"]), (1, &0.into()));
    }
}

#[test]
fn a_call_that_is_begun_is_hedged_as_well() {
    for make in BOTH {
        let servers = [make()];
        let call = Arc::new(at(&servers, SOON, "", &[]));
        servers[0].next(&[Hang]);
        let outputs = call.begin(None, &[input()]).finish().unwrap();
        assert_eq!((values(&outputs), hedges(&call)), (vec![1.5, -2.0], 1));
        servers[0].sees_given_up(1);
    }
}

#[test]
fn the_second_request_loses_where_the_first_is_answered_before_it() {
    for make in BOTH {
        let servers = [make()];
        let call = at(&servers, SOON, "", &[]);
        servers[0].next(&[Answer(600), Hang]);
        right(&call);
        servers[0].sees_given_up(1);
        assert_eq!((servers[0].requests(), hedges(&call)), (2, 1));
    }
}

#[test]
fn where_there_are_several_servers_it_goes_to_the_next() {
    for make in BOTH {
        let servers = [make(), make()];
        let call = at(&servers, SOON, "", &[]);
        servers[0].next(&[Hang]);
        right(&call);
        servers[0].sees_given_up(1);
        assert_eq!((servers[0].requests(), servers[1].requests()), (1, 1));
        let stats = call.stats();
        assert!(servers.iter().all(|server| stats["endpoints"][&server.url] == 1), "{stats}");
        assert_eq!((&stats["hedges"], &stats["retries"]), (&1.into(), &0.into()));
    }
}

#[test]
fn a_server_that_is_left_alone_is_not_the_next_and_its_failure_not_the_calls() {
    for make in BOTH {
        let servers = [make(), make()];
        let call = at(&servers, SOON, "", &[("retries", 0)]);
        servers[0].next(&[Answer(700), Answer(700)]);
        servers[1].next(&[Busy(0)]);
        right(&call);
        assert_eq!((servers[0].requests(), servers[1].requests()), (1, 1));
        // Now the second one of both has to go to the same server.
        right(&call);
        assert_eq!((servers[0].requests(), servers[1].requests(), hedges(&call)), (3, 1, 2));
    }
}

#[test]
fn where_the_first_fails_the_second_goes_on() {
    for make in BOTH {
        for failure in [Refuse(400), Busy(400)] {
            let servers = [make(), make()];
            let call = at(&servers, SOON, "", &[("retries", 3)]);
            servers[0].next(&[failure]);
            servers[1].next(&[Answer(1000)]);
            right(&call);
            assert_eq!((servers[0].requests(), servers[1].requests()), (1, 1), "{failure:?}");
            assert_eq!((hedges(&call), &call.stats()["retries"]), (1, &0.into()));
        }
    }
}

#[test]
fn where_both_fail_the_call_fails_as_the_first_did() {
    for make in BOTH {
        let servers = [make(), make()];
        let call = at(&servers, SOON, "", &[("retries", 3)]);
        servers[0].next(&[Refuse(400)]);
        servers[1].next(&[Busy(0)]);
        let failure = run(&call).unwrap_err();
        assert!(matches!(failure.problem.status, Some(404 | 5)), "{failure}");
        assert_eq!((failure.attempts, failure.endpoint.as_str()), (2, servers[0].url.as_str()));
    }
}

#[test]
fn where_both_fail_one_request_is_repeated_if_the_first_was_worth_it() {
    for make in BOTH {
        for count in 1..3 {
            let servers: Vec<_> = (0..count).map(|_| make()).collect();
            let call = at(&servers, SOON, "", &[("retries", 1)]);
            servers[0].next(&[Busy(400)]);
            servers[count - 1].next(&[Close]);
            right(&call);
            let stats = call.stats();
            assert_eq!(servers.iter().map(Told::requests).sum::<usize>(), 3, "{stats}");
            assert_eq!((&stats["hedges"], &stats["retries"]), (&1.into(), &1.into()));
        }
    }
}

#[test]
fn without_history_nothing_is_hedged() {
    for make in BOTH {
        let servers = [make()];
        let call = at(&servers, r#"{"after": 0.95, "most": 1.0}"#, "", &[("retries", 0)]);
        servers[0].next(&[Refuse(0); 40]);
        (0..40).for_each(|_| assert!(run(&call).is_err()));
        (0..19).for_each(|_| right(&call));
        servers[0].next(&[Answer(300)]);
        right(&call);
        assert_eq!((hedges(&call), servers[0].requests()), (0, 60));
        servers[0].next(&[Hang]);
        right(&call);
        assert_eq!(hedges(&call), 1);
    }
}

#[test]
fn a_share_that_nothing_was_saved_of_is_not_used() {
    let servers = [Told::http()];
    let call = at(&servers, r#"{"after_ms": 20, "most": 0.25}"#, "", &[]);
    servers[0].next(&[Answer(90); 3]);
    (0..3).for_each(|_| right(&call));
    assert_eq!((hedges(&call), servers[0].requests()), (0, 3));
    servers[0].next(&[Hang]);
    right(&call);
    assert_eq!((hedges(&call), servers[0].requests()), (1, 5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn second_requests_are_never_more_than_their_share_of_all(
        late in proptest::collection::vec(any::<bool>(), 1..24), most in 0.02f64..1.0, grpc in any::<bool>(),
        count in 1..3usize,
    ) {
        let servers: Vec<_> = (0..count).map(|_| BOTH[usize::from(grpc)]()).collect();
        let call = at(&servers, &format!(r#"{{"after_ms": 5, "most": {most}}}"#), "", &[("retries", 0)]);
        let mut calls = 0;
        for late in late {
            if late {
                servers[0].next(&[Answer(25)]);
            }
            right(&call);
            calls += 1;
            prop_assert!(hedges(&call) as f64 <= most * f64::from(calls));
        }
        let requests: usize = servers.iter().map(Told::requests).sum();
        // The server may not have read yet what was given up at once.
        prop_assert!(requests as u64 <= calls as u64 + hedges(&call));
        prop_assert!(requests as u64 >= calls as u64);
    }
}

#[test]
fn what_the_policy_refuses_is_not_sent_and_the_first_goes_on() {
    for make in BOTH {
        for policy in [r#"{"budget": {"calls": 1}}"#, r#"{"max_concurrency": 1}"#] {
            let servers = [make()];
            let call = at(&servers, SOON, &format!(r#", "policy": {policy}"#), &[]);
            servers[0].next(&[Answer(600)]);
            right(&call);
            assert_eq!((hedges(&call), servers[0].requests()), (0, 1), "{policy}");
        }
        let servers = [make(), make()];
        let call = at(&servers, SOON, r#", "policy": {"breaker": {"failures": 1, "pause": 60}}"#, &[("retries", 0)]);
        for hedges_so_far in [1, 1] {
            servers[0].next(&[Answer(1200)]);
            servers[1].next(&[Busy(0)]);
            right(&call);
            assert_eq!((hedges(&call), servers[1].requests()), (hedges_so_far, 1));
        }
    }
}

#[test]
fn the_budget_counts_both() {
    let servers = [Told::http()];
    let call = at(&servers, SOON, r#", "policy": {"budget": {"calls": 2}}"#, &[]);
    servers[0].next(&[Hang]);
    right(&call);
    assert_eq!(run(&call).unwrap_err().problem.code, Code::Budget);
    assert_eq!(servers[0].requests(), 2);
}

#[test]
fn the_place_of_the_loser_is_free_again() {
    for make in BOTH {
        let servers = [make()];
        let call = at(&servers, SOON, r#", "policy": {"max_concurrency": 2}"#, &[]);
        for _ in 0..5 {
            servers[0].next(&[Hang]);
            right(&call);
        }
        servers[0].sees_given_up(5);
        assert_eq!((hedges(&call), servers[0].requests()), (5, 10));
    }
}

#[test]
fn the_deadline_ends_both() {
    for make in BOTH {
        let servers = [make(), make()];
        let call = at(&servers, SOON, "", &[("timeout_ms", 1000), ("retries", 3)]);
        servers.iter().for_each(|server| server.next(&[Hang]));
        let started = Instant::now();
        let failure = run(&call).unwrap_err();
        assert!(started.elapsed() < Duration::from_millis(1800));
        assert_eq!((failure.problem.code, failure.attempts), (Code::Deadline, 2));
        servers.iter().for_each(|server| server.sees_given_up(1));
    }
}

#[test]
fn a_second_request_under_which_a_kept_connection_dies_is_not_sent_again() {
    for make in BOTH {
        let servers = [make()];
        let call = Arc::new(at(&servers, r#"{"after_ms": 500, "most": 1.0}"#, "", &[("retries", 0)]));
        // Two connections that are kept: of HTTP/1.1 by two calls at a time, of gRPC by a call that is hedged.
        servers[0].next(&[Answer(200), Answer(200)]);
        let other = call.clone();
        let beside = thread::spawn(move || right(&other));
        right(&call);
        beside.join().unwrap();
        servers[0].next(&[Hang]);
        right(&call);
        servers[0].next(&[Answer(200), Answer(200)]);
        let other = call.clone();
        let beside = thread::spawn(move || right(&other));
        right(&call);
        beside.join().unwrap();
        let (requests, connections, before) = (servers[0].requests(), servers[0].connections(), hedges(&call));
        servers[0].next(&[Answer(1500), Close]);
        right(&call);
        assert_eq!((servers[0].requests() - requests, hedges(&call) - before), (2, 1));
        assert_eq!(servers[0].connections(), connections);
    }
}

#[test]
fn each_request_is_hedged_by_itself_beside_others_of_its_node() {
    for make in BOTH {
        let servers = [make(), make()];
        let call = Arc::new(at(&servers, SOON, "", &[]));
        servers[0].next(&[Hang; 8]);
        let calls: Vec<_> = (0..8).map(|_| call.clone()).map(|call| thread::spawn(move || right(&call))).collect();
        calls.into_iter().for_each(|call| call.join().unwrap());
        servers[0].sees_given_up(8);
        assert_eq!((hedges(&call), servers[1].requests()), (8, 8));
    }
}
