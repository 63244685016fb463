//! The C functions of the library. Text is UTF-8 and NUL-terminated; a returned text is freed with `onnxhybrid_free`.

use std::sync::Arc;
use std::time::Duration;

use ort_sys::{OrtApiBase, OrtSessionOptions, OrtStatusPtr};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::failure::{Code, Failure, Problem};
use crate::guard::guard;
use crate::host::provider::{self, Hybrid};
use crate::host::{describe, register};
use crate::ort::foreign::{self, GivenText, Lent, LentText, Provider, export};
use crate::ort::provider::{Slots, creating};
use crate::ort::{registering, success};
use crate::run::running::{self, Check};
use crate::session::audit::low;
use crate::session::credential::Resolver;
use crate::session::scope::{self, Scope};
use crate::session::settings;
use crate::{protocol, trace};

/// The version of these functions; it changes when one of them does, or comes to them.
const ABI_VERSION: u32 = 5;

export! {
    /// Adds the operators of the domain `ai.onnxhybrid` to a session's options; ONNX Runtime looks for this name.
    #[allow(non_snake_case)]
    extern "system" fn RegisterCustomOps(
        options: &mut OrtSessionOptions,
        base: Option<&OrtApiBase>
    ) -> OrtStatusPtr {
        registering(base, options, |api, options| {
            let registered = guard(|| Err(internal()), || register::register(api, options));
            registered.map_err(|problem| Failure::without_node(problem).to_string())
        })
    }

    /// Gives ONNX Runtime 1.24 and later what makes sessions the execution provider `OnnxHybridExecutionProvider`; it looks
    /// for this name.
    #[allow(non_snake_case)]
    extern "system" fn CreateEpFactories(
        _name: LentText,
        base: Option<&OrtApiBase>,
        _logger: Lent,
        slots: Slots,
        most: usize,
        count: Option<&mut usize>
    ) -> OrtStatusPtr {
        creating::<Hybrid>(base, slots, most, count, provider::factory)
    }

    /// Takes back what `CreateEpFactories` gave; sessions that have it keep it.
    #[allow(non_snake_case)]
    extern "system" fn ReleaseEpFactory(_factory: Lent) -> OrtStatusPtr {
        success()
    }

    /// The version of the C functions.
    extern "C" fn onnxhybrid_abi_version() -> u32 {
        ABI_VERSION
    }

    /// The attributes that every node has, the protocol table, and the words of a session's settings, as JSON.
    extern "C" fn onnxhybrid_protocols() -> GivenText {
        protocol::table::json(&settings::json()).as_str().into()
    }

    /// What a text is as an endpoint, as JSON: `{"scheme": …, "host": …, "port": …, "loopback": …}`, or
    /// `{"problem": …, "login": …}` with what is wrong with it, and whether that is a user or a password. Whoever checks a
    /// model sees the host that a call goes to.
    extern "C" fn onnxhybrid_endpoint(text: LentText) -> GivenText {
        Endpoint::describe(text.read().unwrap_or_default()).to_string().as_str().into()
    }

    /// Creates a scope; 0 on failure, with the failure's JSON in `*failure` unless that is null. The resolver may be
    /// called from any thread until the last kernel of the scope is gone.
    extern "C" fn onnxhybrid_scope_create(
        config: LentText,
        resolver: Option<Provider>,
        failure: Option<&mut GivenText>
    ) -> u64 {
        let resolver = resolver.map(|provider| Arc::new(HostResolver(provider)) as Arc<dyn Resolver>);
        let create = || Scope::from_json(config.read().ok_or_else(no_text)?, resolver).map(scope::add);
        let (id, message) = match guard(|| Err(internal()), create) {
            Ok(id) => (id, GivenText::default()),
            Err(problem) => (0, told(problem)),
        };
        match failure {
            Some(failure) => *failure = message,
            None => drop(message.take()),
        }
        id
    }

    /// Forgets a scope's id. Its kernels keep the scope until they are freed; no session may be created any more with
    /// options that were registered under the id.
    extern "C" fn onnxhybrid_scope_release(id: u64) {
        register::release(id);
        scope::remove(id);
    }

    /// The statistics of a scope as JSON; `{}` for one that is unknown. Of 0, the sessions that name no scope, it is what
    /// their audits found.
    extern "C" fn onnxhybrid_scope_stats(id: u64) -> GivenText {
        let scope = if id == 0 { register::unnamed() } else { scope::find(id) };
        let stats = scope.map_or_else(|| json!({}), |scope| scope.stats());
        stats.to_string().as_str().into()
    }

    /// Changes the budget of a scope, and gives what was spent then: `{"calls": …, "bytes": …, "cost_billionths": …}`, or
    /// `{"failure": {…}}`. The change is `null`; `{"spend": {…}}`, unless it is over a limit; `{"count": {…}}` whatever the
    /// limits are, where what is negative is given back; or, of a budget that is lent, `{"allow": {…}}`, so much in all and
    /// what was spent at least. Where more is needed of one that is lent, the resolver is asked by the name `:lend ` and
    /// what would have to be allowed in all, with the milliseconds that the call can wait; it answers `no`, nothing once it has allowed more, or
    /// what failed.
    extern "C" fn onnxhybrid_scope_budget(id: u64, change: LentText) -> GivenText {
        let unknown = || Problem::new(Code::Scope, "the scope is unknown, or has no budget");
        let ask = || {
            let scope = scope::find(id).ok_or_else(unknown)?;
            scope.policy().budget.as_ref().ok_or_else(unknown)?.change(change.read().ok_or_else(no_text)?)
        };
        let answer = guard(|| Err(internal()), ask).map_err(Failure::without_node);
        let answer = answer.unwrap_or_else(|failure| json!({"failure": failure.to_json_with_message()}));
        answer.to_string().as_str().into()
    }

    /// The share of rows that differ is above this, but for a chance of 5 %, where so many rows were audited by any number
    /// of sessions, of which so many differed.
    extern "C" fn onnxhybrid_audit_low(audited: u64, differed: u64) -> f64 {
        low(audited, differed)
    }

    /// The failed attempts of a scope since the last question, and the reports of finished calls that `onnxhybrid_trace`
    /// asked for on this thread: `{"events": […], "forgotten": n, "calls": […], "forgotten_calls": n}`; null if there are none.
    extern "C" fn onnxhybrid_scope_events(id: u64) -> GivenText {
        let events = scope::find(id).and_then(|scope| scope.events()?.take());
        events.map(|events| events.to_string().as_str().into()).unwrap_or_default()
    }

    /// Lets kernels that are created from now on through the registration made under `registered` belong to `scope`;
    /// 1 if done, 0 if either id is unknown.
    extern "C" fn onnxhybrid_scope_assign(registered: u64, scope: u64) -> u32 {
        u32::from(register::assign(registered, scope))
    }

    /// Says what is wanted of calls of this thread from now on: a W3C `traceparent` that they carry; `calls`, with one
    /// after a space or without, for a report of each; `spans`, for a report of each and a `traceparent` of its own, for which
    /// the scope's resolver is asked by the name `:call ` and the node's. Null ends it, and drops reports that wait.
    extern "C" fn onnxhybrid_trace(traceparent: LentText) {
        trace::set(traceparent.read());
    }

    /// Asks a server for a model's interface: `{"inputs": […], "outputs": […]}` or `{"failure": {…}}`.
    extern "C" fn onnxhybrid_describe(scope: u64, request: LentText) -> GivenText {
        let ask = || {
            let unknown = || Problem::new(Code::Scope, "the scope is unknown");
            let scope = scope::find(scope).ok_or_else(|| Failure::without_node(unknown()))?;
            describe::describe(&scope, request.read().ok_or_else(|| Failure::without_node(no_text()))?)
        };
        let answer = guard(|| Err(Failure::without_node(internal())), ask);
        let answer: Value = answer.unwrap_or_else(|failure| json!({"failure": failure.to_json_with_message()}));
        answer.to_string().as_str().into()
    }

    /// Makes a run, to be entered on the thread that will call ONNX Runtime, and gives its id; 0 on failure.
    extern "C" fn onnxhybrid_run_create() -> u64 {
        running::create()
    }

    /// Says that kernels on this thread belong to the run `id`, or with 0 (or an id that is unknown) to one without an
    /// id, until `onnxhybrid_run_leave` with the same token on the same thread; a token is a number that no other run has
    /// which this thread is in. `check`, unless null, is called on this thread while it waits, many times a second:
    /// anything but 0 ends the wait. It is not called once the thread has left the run.
    extern "C" fn onnxhybrid_run_enter(id: u64, check: Option<Check>, token: u64) {
        running::enter(id, check, token);
    }

    /// Ends the run that this thread entered with this token, and those that it entered since and did not leave: forgets
    /// their ids, and drops what they began and did not await. Nothing if there is none, so that a host need not know
    /// whether it came to enter it.
    extern "C" fn onnxhybrid_run_leave(token: u64) {
        running::leave(token);
    }

    /// Ends the waits of a run with OH514, from any thread; those that it has not come to yet, too.
    extern "C" fn onnxhybrid_run_cancel(id: u64) {
        running::cancel(id);
    }

    /// Forgets the id of a run that will not be entered.
    extern "C" fn onnxhybrid_run_release(id: u64) {
        running::release(id);
    }

    /// Ends all waits of the process for good, and gives runs at most `patience_ms` milliseconds to return to the host,
    /// which is about to end. The host's functions are not called again afterwards.
    extern "C" fn onnxhybrid_exit(patience_ms: u32) {
        running::exit(Duration::from_millis(patience_ms.into()));
    }

    /// Frees a text that one of these functions returned, once; null is nothing to free.
    extern "C" fn onnxhybrid_free(text: GivenText) {
        drop(text.take());
    }
}

/// A credential's provider in the host's language.
struct HostResolver(Provider);

impl Resolver for HostResolver {
    fn resolve(&self, name: &str) -> Result<Vec<u8>, String> {
        foreign::ask(self.0, name)
    }
}

fn told(problem: Problem) -> GivenText {
    Failure::without_node(problem).to_json_with_message().to_string().as_str().into()
}

fn no_text() -> Problem {
    Problem::new(Code::Scope, "the configuration is no UTF-8 text")
}

fn internal() -> Problem {
    Problem::new(Code::Internal, "an error of the operator library (a panic)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: GivenText) -> String {
        text.take().unwrap().into_string().unwrap()
    }

    #[test]
    fn bad_arguments_are_failures() {
        assert_eq!(onnxhybrid_scope_create(LentText::from(None), None, None), 0);
        let mut failure = GivenText::default();
        assert_eq!(onnxhybrid_scope_create(LentText::from(Some(c"{")), None, Some(&mut failure)), 0);
        assert!(read(failure).contains("OH590"));
        assert!(read(onnxhybrid_describe(u64::MAX, LentText::from(None))).contains("OH530"));
        onnxhybrid_free(GivenText::default());
        assert_eq!(onnxhybrid_scope_assign(u64::MAX, u64::MAX), 0);
        onnxhybrid_scope_release(u64::MAX);
    }

    #[test]
    fn a_scope_lives_between_its_creation_and_its_release() {
        let id = onnxhybrid_scope_create(LentText::from(Some(c"{}")), None, None);
        assert!(id > 0);
        let query = c"{\"protocol\": \"triton.http\", \"endpoint\": \"http://u:s3cret@h\", \"model\": \"m\"}";
        let text = read(onnxhybrid_describe(id, LentText::from(Some(query))));
        assert!(text.contains("OH301") && !text.contains("s3cret"), "{text}");
        onnxhybrid_scope_release(id);
        assert!(scope::find(id).is_none());
    }
}
