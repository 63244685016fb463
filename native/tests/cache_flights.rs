//! Equal questions that are under way at a time: asked once, and no failure is shared.

mod keeping;
mod node;
mod server;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use keeping::{ROWS, bytes, held, hits, keeping, run, server};
use node::{call_that_keeps, floats, values};
use onnxhybrid::call::Call;
use onnxhybrid::failure::Code;
use onnxhybrid::run::running;
use server::answer;

#[test]
fn equal_rows_of_many_threads_are_asked_for_once() {
    let (server, asked) = server(|_| None);
    let call = keeping(&server.url, ROWS);
    thread::scope(|scope| {
        for thread in 0..8u32 {
            let call = &call;
            scope.spawn(move || {
                for step in 0..40u32 {
                    let batch: Vec<_> = (0..12).map(|row| ((thread + row * step + step) % 60) as f32).collect();
                    assert_eq!(values(&run(call, &batch).unwrap()), batch);
                }
            });
        }
    });
    assert!(asked.counts().values().all(|count| *count == 1), "{:?}", asked.counts());
    let rows = 8 * 40 * 12;
    assert_eq!(hits(&call), rows - asked.counts().len() as u64);
}

#[test]
fn calls_that_are_begun_and_calls_that_wait_follow_one_another() {
    let (server, asked, was_asked, go) = held();
    let call = Arc::new(keeping(&server.url, ROWS));
    let content = bytes(&[1.0, 2.0]);
    let first = call.begin(None, &[floats(&content)]);
    was_asked.recv().unwrap();
    let second = call.begin(None, &[floats(&content)]);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| run(&call, &[2.0, 1.0]));
        assert!(!first.is_over() && !second.is_over());
        go.send(()).unwrap();
        assert_eq!(values(&waiting.join().unwrap().unwrap()), [2.0, 1.0]);
    });
    // Awaited last, and in the other order: nobody waits for whoever awaits the first.
    assert_eq!(values(&second.finish().unwrap()), [1.0, 2.0]);
    assert_eq!(values(&first.finish().unwrap()), [1.0, 2.0]);
    assert_eq!((asked.requests().len(), hits(&call)), (1, 4));
}

#[test]
fn two_calls_that_each_wait_for_a_row_of_the_other_both_end() {
    let (server, asked, was_asked, go) = held();
    let call = Arc::new(keeping(&server.url, ROWS));
    let (one, two) = (bytes(&[1.0]), bytes(&[2.0]));
    let leading = [call.begin(None, &[floats(&one)]), call.begin(None, &[floats(&two)])];
    for _ in 0..2 {
        was_asked.recv().unwrap();
    }
    let crossed = [bytes(&[1.0, 3.0, 2.0]), bytes(&[2.0, 4.0, 3.0, 1.0])];
    let crossing: Vec<_> = crossed.iter().map(|content| call.begin(None, &[floats(content)])).collect();
    (0..8).for_each(|_| go.send(()).unwrap());
    for (begun, content) in leading.into_iter().chain(crossing).zip([&one, &two, &crossed[0], &crossed[1]]) {
        assert_eq!(&bytes(&values(&begun.finish().unwrap())), content);
    }
    assert!(asked.counts().values().all(|count| *count == 1), "{:?}", asked.requests());
}

#[test]
fn who_followed_a_call_that_was_given_up_asks_for_itself() {
    let (server, asked, was_asked, go) = held();
    let call = Arc::new(keeping(&server.url, ROWS));
    let content = bytes(&[1.0]);
    let leader = call.begin(None, &[floats(&content)]);
    was_asked.recv().unwrap();
    let followers: Vec<_> = (0..3).map(|_| call.begin(None, &[floats(&content)])).collect();
    leader.abandon(Code::Cancelled);
    was_asked.recv().unwrap();
    (0..2).for_each(|_| go.send(()).unwrap());
    for follower in followers {
        assert_eq!(values(&follower.finish().unwrap()), [1.0]);
    }
    assert_eq!(asked.requests().len(), 2);
}

#[test]
fn who_followed_a_call_whose_run_was_cancelled_asks_for_itself() {
    let (server, asked, was_asked, go) = held();
    let call = keeping(&server.url, ROWS);
    let run_id = running::create();
    thread::scope(|scope| {
        let leader = scope.spawn(|| {
            running::enter(run_id, None, 1);
            let outcome = run(&call, &[1.0]);
            running::leave(1);
            outcome
        });
        was_asked.recv().unwrap();
        let follower = scope.spawn(|| run(&call, &[1.0]));
        running::cancel(run_id);
        assert_eq!(leader.join().unwrap().unwrap_err().problem.code, Code::Cancelled);
        was_asked.recv().unwrap();
        (0..2).for_each(|_| go.send(()).unwrap());
        assert_eq!(values(&follower.join().unwrap().unwrap()), [1.0]);
    });
    assert_eq!(asked.requests().len(), 2);
}

#[test]
fn who_followed_a_call_that_failed_asks_for_itself() {
    let ((say, was_asked), (go, wait)) = (channel(), channel::<()>());
    let (say, wait) = (Mutex::new(say), Mutex::new(wait));
    let (server, asked) = server(move |number| {
        let _ = say.lock().unwrap().send(());
        if number > 1 {
            return None;
        }
        let _ = wait.lock().unwrap().recv();
        Some(answer("500 No", "", b""))
    });
    let call = Arc::new(keeping(&server.url, ROWS));
    let content = bytes(&[1.0]);
    let leader = call.begin(None, &[floats(&content)]);
    was_asked.recv().unwrap();
    let followers: Vec<_> = (0..3).map(|_| call.begin(None, &[floats(&content)])).collect();
    go.send(()).unwrap();
    assert_eq!(leader.finish().unwrap_err().problem.code, Code::Status);
    for follower in followers {
        assert_eq!(values(&follower.finish().unwrap()), [1.0]);
    }
    assert!((2..=4).contains(&asked.requests().len()), "{:?}", asked.requests());
}

static INTERRUPTED: OnceLock<Call> = OnceLock::new();
static ANSWERED: OnceLock<bool> = OnceLock::new();

/// A host's function that makes a call itself, once, as a handler of a signal may.
extern "C" fn ask_again() -> i32 {
    ANSWERED.get_or_init(|| run(INTERRUPTED.get().unwrap(), &[1.0]).is_ok());
    0
}

#[test]
fn what_a_thread_asks_while_it_waits_does_not_wait_for_itself() {
    let (second, seen) = channel();
    let (second, seen) = (Mutex::new(second), Mutex::new(seen));
    let (server, asked) = server(move |number| {
        if number == 1 {
            let _ = seen.lock().unwrap().recv();
        } else {
            let _ = second.lock().unwrap().send(());
        }
        None
    });
    let call = INTERRUPTED.get_or_init(|| keeping(&server.url, ROWS));
    running::enter(0, Some(ask_again), 1);
    let outcome = run(call, &[1.0]);
    running::leave(1);
    assert_eq!((values(&outcome.unwrap()), ANSWERED.get(), asked.requests().len()), (vec![1.0], Some(&true), 2));
}

#[test]
fn a_follower_ends_by_its_own_deadline() {
    let (server, _, was_asked, _go) = held();
    let call = Arc::new(call_that_keeps(&server.url, "{}", "{}", ROWS, &[("timeout_ms", 600)], "none"));
    let content = bytes(&[1.0]);
    let leader = call.begin(None, &[floats(&content)]);
    was_asked.recv().unwrap();
    let started = Instant::now();
    let failure = run(&call, &[1.0]).unwrap_err();
    let took = started.elapsed();
    assert_eq!(failure.problem.code, Code::Deadline);
    assert!(took >= Duration::from_millis(600) && took < Duration::from_millis(1500), "{took:?}");
    assert_eq!(leader.finish().unwrap_err().problem.code, Code::Deadline);
}
