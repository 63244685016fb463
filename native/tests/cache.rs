//! Answers that a node keeps, over real sockets: nothing is asked twice, and no answer is another than the server's.

mod keeping;
mod node;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keeping::{OPEN, ROWS, WHOLE, bytes, hits, keeping, run, server, until};
use node::{call, call_that_keeps, floats, values};
use onnxhybrid::element::ElementType;
use onnxhybrid::failure::Code;
use onnxhybrid::tensor::{InputData, InputTensor};
use proptest::prelude::*;
use server::answer;

#[test]
fn rows_are_asked_for_once_and_come_back_in_order() {
    let (server, asked) = server(|_| None);
    let call = keeping(&server.url, ROWS);
    for batch in [&[3.0, 1.0, 3.0, 2.0, 1.0][..], &[2.0, 5.0, 3.0, 5.0], &[5.0], &[1.0, 2.0, 3.0, 5.0]] {
        assert_eq!(values(&run(&call, batch).unwrap()), batch);
    }
    let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    assert_eq!(asked.requests(), [bits(&[3.0, 1.0, 2.0]), bits(&[5.0])]);
    assert_eq!((hits(&call), call.stats()["calls"].as_u64()), (2 + 3 + 1 + 4, Some(4)));
}

#[test]
fn only_rows_that_are_not_known_are_cut_into_slices() {
    let (server, asked) = server(|_| None);
    let call = call_that_keeps(&server.url, "{}", "{}", ROWS, &[("batch", 2)], "none");
    run(&call, &[1.0, 2.0]).unwrap();
    assert_eq!(values(&run(&call, &[9.0, 2.0, 8.0, 1.0, 7.0, 9.0]).unwrap()), [9.0, 2.0, 8.0, 1.0, 7.0, 9.0]);
    let mut sizes: Vec<_> = asked.requests().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 2]);
    assert!(asked.counts().values().all(|count| *count == 1));
}

#[test]
fn numbers_are_told_apart_bit_by_bit() {
    let (server, asked) = server(|_| None);
    let call = keeping(&server.url, ROWS);
    let numbers = [0.0, -0.0, f32::from_bits(0x7fc0_0000), f32::from_bits(0x7fc0_0001), 0.0];
    for _ in 0..2 {
        let bits: Vec<_> = values(&run(&call, &numbers).unwrap()).iter().map(|number| number.to_bits()).collect();
        assert_eq!(bits, numbers.map(f32::to_bits));
    }
    assert_eq!(asked.counts().len(), 4);
    assert!(asked.counts().values().all(|count| *count == 1));
}

#[test]
fn a_call_without_rows_is_one_question() {
    let (server, asked) = server(|_| None);
    for (shapes, cache) in [(WHOLE, "{}"), (ROWS, r#"{"rows": false}"#)] {
        let before = asked.requests().len();
        let call = call_that_keeps(&server.url, "{}", cache, shapes, &[], "none");
        for batch in [&[1.0, 2.0][..], &[1.0, 2.0], &[2.0, 1.0], &[1.0], &[1.0, 2.0]] {
            assert_eq!(values(&run(&call, batch).unwrap()), batch);
        }
        assert_eq!((asked.requests().len() - before, hits(&call)), (3, 2));
    }
}

#[test]
fn where_an_answer_turns_out_to_have_no_rows_the_call_is_the_question() {
    let sum = br#"{"outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[4.5]}]}"#;
    let (server, asked) = server(move |_| Some(answer("200 OK", "content-type: application/json\r\n", sum)));
    let call = keeping(&server.url, OPEN);
    for batch in [&[1.0, 3.5][..], &[1.0, 3.5], &[3.5, 1.0], &[1.0], &[1.0, 3.5]] {
        assert_eq!(values(&run(&call, batch).unwrap()), [4.5]);
    }
    assert_eq!((asked.requests().iter().map(Vec::len).collect::<Vec<_>>(), hits(&call)), (vec![2, 2, 1], 2));
}

#[test]
fn no_failure_is_kept_or_shared() {
    let (server, asked) = server(|number| (number % 2 == 1).then(|| answer("500 No", "", b"")));
    for shapes in [ROWS, WHOLE] {
        let before = asked.requests().len();
        let call = keeping(&server.url, shapes);
        assert_eq!(run(&call, &[1.0]).unwrap_err().problem.code, Code::Status);
        assert!(run(&call, &[1.0]).is_ok() && run(&call, &[1.0]).is_ok());
        assert_eq!((asked.requests().len() - before, hits(&call)), (2, 1));
    }
}

#[test]
fn an_answer_of_another_shape_than_is_declared_is_not_kept() {
    let wide = br#"{"outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"data":[1,2]}]}"#;
    let (server, asked) =
        server(move |number| (number == 1).then(|| answer("200 OK", "content-type: application/json\r\n", wide)));
    let call = keeping(&server.url, ROWS);
    assert_eq!(run(&call, &[1.0]).unwrap_err().problem.code, Code::OutputShape);
    assert_eq!((values(&run(&call, &[1.0]).unwrap()), asked.requests().len()), (vec![1.0], 2));
}

fn token(text: &str) -> InputTensor<'static> {
    let data = InputData::Text([text].into_iter().collect());
    InputTensor { element: ElementType::String, shape: vec![1], data }
}

#[test]
fn what_was_answered_to_one_token_is_asked_again_for_another() {
    let (server, asked) = server(|_| None);
    let call = call_that_keeps(&server.url, "{}", "{}", ROWS, &[], "input");
    let content = bytes(&[1.0, 2.0]);
    for text in ["one", "two", "", "one", "two", ""] {
        assert!(call.run(Some(&token(text)), &[floats(&content)]).is_ok());
    }
    assert_eq!((asked.requests().len(), hits(&call)), (3, 6));
}

#[test]
fn what_is_known_is_not_told_to_whom_the_policy_refuses() {
    let (server, asked) = server(|_| None);
    let call = call_that_keeps(&server.url, "{}", "{}", ROWS, &[], "input");
    let content = bytes(&[1.0]);
    assert!(call.run(Some(&token("good")), &[floats(&content)]).is_ok());
    let failure = call.run(Some(&token("not a token")), &[floats(&content)]).unwrap_err();
    assert_eq!((failure.problem.code, asked.requests().len()), (Code::CredentialMalformed, 1));
}

#[test]
fn what_is_known_spends_nothing_of_the_budget() {
    let (server, asked) = server(|_| None);
    let budget = r#"{"policy": {"budget": {"calls": 1}}}"#;
    let call = call_that_keeps(&server.url, budget, "{}", ROWS, &[], "none");
    for _ in 0..3 {
        assert!(run(&call, &[1.0, 2.0, 1.0]).is_ok());
    }
    assert_eq!(run(&call, &[1.0, 3.0]).unwrap_err().problem.code, Code::Budget);
    assert_eq!(asked.requests().len(), 1);
}

#[test]
fn a_node_keeps_no_more_than_its_bytes() {
    let (server, asked) = server(|_| None);
    // Room for a few rows, and for no call that is a question of 1 000 floats.
    let strict = r#"{"policy": {"allow": ["127.0.0.1"], "max_response_bytes": 2000, "strict":
        {"max_timeout": 20, "max_retries": 1, "max_request_bytes": 1000000}}}"#;
    for (config, shapes, numbers, max_bytes, most) in
        [("{}", ROWS, 100u16, 2_000, 2_000u64), ("{}", WHOLE, 1_000, 3_000, 3_000), (strict, ROWS, 100, 1 << 30, 2_000)]
    {
        let call =
            call_that_keeps(&server.url, config, &format!(r#"{{"max_bytes": {max_bytes}}}"#), shapes, &[], "none");
        let before = asked.requests().len();
        let batch: Vec<_> = (0..numbers).map(f32::from).collect();
        for _ in 0..3 {
            assert_eq!(values(&run(&call, &batch).unwrap()), batch);
        }
        assert_eq!(asked.requests().len() - before, 3);
        assert!(hits(&call) < 3 * most / 256);
    }
}

#[test]
fn an_answer_that_is_too_old_is_asked_for_again() {
    let (server, asked) = server(|_| None);
    let call = call_that_keeps(&server.url, "{}", r#"{"ttl_ms": 1}"#, ROWS, &[], "none");
    until(|| run(&call, &[1.0]).is_ok() && asked.requests().len() > 1);
}

#[test]
fn two_sessions_ask_each_for_itself() {
    let (server, asked) = server(|_| None);
    for _ in 0..2 {
        assert!(run(&keeping(&server.url, ROWS), &[1.0]).is_ok());
    }
    assert_eq!(asked.requests().len(), 2);
}

#[test]
fn a_node_without_a_cache_asks_each_time() {
    let (server, asked) = server(|_| None);
    let call = call(&server.url, "{}", &[], "none");
    for _ in 0..3 {
        assert_eq!(values(&run(&call, &[1.0, 1.0]).unwrap()), [1.0, 1.0]);
    }
    assert_eq!((asked.requests().len(), hits(&call)), (3, 0));
}

#[test]
fn a_row_that_fails_is_called_by_its_place_in_the_batch() {
    static REQUESTS: AtomicUsize = AtomicUsize::new(0);
    let (server, _) = server(|_| {
        let number = REQUESTS.fetch_add(1, Ordering::SeqCst);
        (number > 0).then(|| answer("400 No", "", b"no"))
    });
    let call = keeping(&server.url, ROWS);
    run(&call, &[1.0, 2.0]).unwrap();
    let message = run(&call, &[1.0, 2.0, 7.0, 1.0]).unwrap_err().problem.message;
    assert!(message.starts_with("row 2: "), "{message}");
    let message = run(&call, &[1.0, 7.0, 2.0, 8.0]).unwrap_err().problem.message;
    assert!(message.starts_with("of the rows 1, 3, which alone were asked for: "), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The model is a set: what was asked before is not asked again, and each row's answer is that row.
    #[test]
    fn no_answer_is_changed_and_no_row_asked_twice(
        batches in proptest::collection::vec(proptest::collection::vec(0u8..9, 0..12), 1..8),
        slice in 0i64..4,
        begun: bool,
    ) {
        let (server, asked) = server(|_| None);
        let call = Arc::new(call_that_keeps(&server.url, "{}", "{}", ROWS, &[("batch", slice)], "none"));
        let (mut known, mut expected) = (Vec::new(), 0);
        for batch in &batches {
            let numbers: Vec<_> = batch.iter().map(|number| f32::from(*number)).collect();
            let content = bytes(&numbers);
            let outputs = match begun {
                true => call.begin(None, &[floats(&content)]).finish(),
                false => call.run(None, &[floats(&content)]),
            };
            prop_assert_eq!(values(&outputs.unwrap()), numbers);
            for number in batch {
                if known.contains(number) {
                    expected += 1;
                } else {
                    known.push(*number);
                }
            }
        }
        prop_assert!(asked.counts().values().all(|count| *count == 1));
        prop_assert_eq!(asked.counts().len(), known.len());
        // A batch without a row is a question of its own, which has none either.
        let empty = batches.iter().filter(|batch| batch.is_empty()).count().saturating_sub(1);
        prop_assert_eq!(hits(&call), (expected + empty) as u64);
    }
}
