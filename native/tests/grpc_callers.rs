//! Callers of one HTTP/2 connection: one of them watches it for all, and whoever that is may go at any time.

mod h2_server;
mod node;

use std::cell::RefCell;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use h2_server::{After, Exchange, Server};
use node::{call, input, node, run, values};
use onnxhybrid::call::Call;
use onnxhybrid::failure::Code;
use onnxhybrid::run::running;
use onnxhybrid::session::scope::Scope;

#[test]
fn calls_that_were_begun_and_calls_that_are_waited_for_share_a_connection() {
    let server = Server::start(Exchange::good);
    let call = Arc::new(call(&server.url, "{}", &[], "none"));
    thread::scope(|scope| {
        for number in 0..8 {
            let call = &call;
            scope.spawn(move || {
                for turn in number..number + 60 {
                    let begun = (turn % 3 > 0).then(|| call.begin(None, &[input()]));
                    assert_eq!(values(&run(call).unwrap()), [1.5, -2.0]);
                    let answered = begun.map(|begun| begun.finish().unwrap());
                    assert!(answered.is_none_or(|outputs| values(&outputs) == [1.5, -2.0]));
                }
            });
        }
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_call_that_ends_at_its_deadline_leaves_others_that_learn_of_their_answers() {
    let (came, first) = mpsc::channel();
    // Those that wait for the first to go; none do once it has gone.
    let held = Arc::new(Mutex::new(Some(Vec::new())));
    let server = Server::start(move |mut exchange| {
        if exchange.number > 0 {
            return match &mut *held.lock().unwrap() {
                Some(held) => {
                    held.push(exchange);
                    After::Nothing
                }
                None => exchange.good(),
            };
        }
        let (came, held) = (came.clone(), held.clone());
        came.send(()).unwrap();
        tokio::spawn(async move {
            // The others are answered once the first has gone, whichever way it watched the connection for them.
            std::future::poll_fn(|context| exchange.respond.poll_reset(context)).await.unwrap();
            for exchange in held.lock().unwrap().take().into_iter().flatten() {
                exchange.good();
            }
        });
        After::Nothing
    });
    let scope = Arc::new(Scope::default());
    let in_scope = |timeout| Call::new(node(&server.url, &[("timeout_ms", timeout)], "none"), scope.clone()).unwrap();
    let (hasty, patient) = (in_scope(600), in_scope(10_000));
    thread::scope(|threads| {
        let hasty = threads.spawn(|| run(&hasty).unwrap_err().problem.code);
        first.recv().unwrap();
        let others: Vec<_> = (0..6).map(|_| threads.spawn(|| run(&patient).is_ok())).collect();
        assert_eq!(hasty.join().unwrap(), Code::Deadline);
        assert!(others.into_iter().all(|other| other.join().unwrap()));
    });
    assert_eq!(server.connections(), 1);
}

thread_local! {
    static WITHIN: RefCell<Option<Arc<Call>>> = const { RefCell::new(None) };
}

/// Runs a call within the run that asks whether it is to go on, as a signal handler of the host may.
extern "C" fn run_within() -> i32 {
    WITHIN.take().is_some_and(|call| run(&call).is_err()).into()
}

#[test]
fn a_call_within_the_wait_of_another_on_the_same_connection_gets_its_answer() {
    let outer = Mutex::new(None);
    let server = Server::start(move |exchange| match exchange.number {
        0 => {
            *outer.lock().unwrap() = Some(exchange);
            After::Nothing
        }
        _ => {
            exchange.good();
            outer.lock().unwrap().take().map_or(After::Nothing, Exchange::good)
        }
    });
    let call = Arc::new(call(&server.url, "{}", &[], "none"));
    WITHIN.set(Some(call.clone()));
    running::enter(0, Some(run_within), 1);
    let outcome = run(&call);
    running::leave(1);
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    assert_eq!(server.connections(), 1);
}
