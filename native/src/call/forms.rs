//! The form in which a server takes tensors, found out by the first call that it refuses.
//!
//! A request goes in bytes until the server refuses one. Only then is it asked for its extensions: a server that has the
//! binary one answers no question, and behind a gateway it may not be there to answer. Where the server names no such
//! extension, or has no place for the question, the call goes on in JSON, and so do all that follow.

use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;

use super::Call;
use super::prepared::Invocation;
use super::requests::Fitting;
use crate::failure::{Code, Problem};
use crate::protocol::spec::Forms;
use crate::run::bounds::{self, Beyond};
use crate::session::spoken::{Evasion, Form};
use crate::transport::runtime::Ended;
use crate::transport::{Limits, Request, Response, Tally};

/// How long a server may take to describe itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes that the description of a server may have.
const DESCRIPTION: u64 = 1 << 20;

impl Call {
    /// The request that `make` gives, made until `deadline` at most, in JSON where the server is to have that.
    pub(super) fn in_form<'a>(
        &self,
        deadline: Instant,
        make: impl FnOnce() -> Result<Request<'a>, Problem>,
    ) -> Result<Request<'a>, Problem> {
        let forms = self.protocol.forms().filter(|forms| self.form(*forms) == Some(Form::Json));
        self.made(deadline, || match forms {
            Some(forms) => forms.to_json(&make()?),
            None => make(),
        })
    }

    /// What `make` gives, which it does until `deadline` and in no more memory than the policy allows a request.
    pub(super) fn made<T>(&self, deadline: Instant, make: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
        let most = self.scope.policy().strict.map_or(u64::MAX, |strict| strict.max_request_bytes);
        match bounds::within(deadline, most, make) {
            Ok(outcome) => outcome,
            Err(Beyond::Deadline) => Err(self.ended(Ended::Deadline)),
            Err(Beyond::Run) => Err(self.ended(Ended::Cancelled)),
            Err(Beyond::Memory) => {
                let message = format!("the request has more than the {most} bytes that the policy allows");
                Err(Problem::new(Code::Ceiling, message))
            }
        }
    }

    /// The form that the node names, or that the server is known to take.
    fn form(&self, forms: &dyn Forms) -> Option<Form> {
        forms.chosen().or_else(|| self.spoken.form())
    }

    /// Sends a request; in JSON, too, where it went in bytes and the server turns out not to take them.
    pub(super) async fn one(
        &self,
        request: &Request<'_>,
        fitting: Option<&Fitting>,
        limits: &Limits,
        invocation: &Invocation,
    ) -> Result<Response, Problem> {
        let outcome = self.exchanged(request, fitting, limits, invocation).await;
        let Some(forms) = self.protocol.forms() else { return outcome };
        if self.form(forms) == Some(Form::Bytes) || forms.form(request) == Form::Json {
            return outcome;
        }
        match outcome {
            Err(problem) if may_be_of_the_form(&problem) => {
                self.again(forms, (request, fitting), problem, limits, invocation).await
            }
            Ok(response) => {
                self.learn(Form::Bytes);
                Ok(response)
            }
            outcome => outcome,
        }
    }

    async fn exchanged(
        &self,
        request: &Request<'_>,
        fitting: Option<&Fitting>,
        limits: &Limits,
        invocation: &Invocation,
    ) -> Result<Response, Problem> {
        let response = self.sent(request, fitting, limits, &invocation.tally).await?;
        self.protocol.check(&response)?;
        invocation.tally.succeeded();
        Ok(response)
    }

    /// What becomes of a request in bytes that was refused as `refusal` says.
    async fn again(
        &self,
        forms: &dyn Forms,
        (request, fitting): (&Request<'_>, Option<&Fitting>),
        refusal: Problem,
        limits: &Limits,
        invocation: &Invocation,
    ) -> Result<Response, Problem> {
        let told = self.told(forms, request, &refusal, limits, invocation).await;
        // Where the server has perhaps worked on the request, only its own word is reason enough to repeat it.
        let has_worked = refusal.status.is_none_or(|status| status == 500);
        let stands = match told {
            Ok(form) => form == Form::Bytes,
            Err(Evasion::NoPlace) => false,
            Err(Evasion::Alike) => true,
            Err(Evasion::Silence) => has_worked,
        };
        if stands {
            return Err(refusal);
        }
        let plain = self.made(limits.deadline, || forms.to_json(request));
        let outcome = match plain {
            Ok(plain) => self.exchanged(&plain, fitting, limits, invocation).await,
            Err(problem) => Err(problem),
        };
        match outcome {
            Ok(response) => {
                self.spoken.learn(Form::Json);
                Ok(response)
            }
            Err(problem) if told.is_ok() || problem.message == refusal.message => Err(problem),
            Err(problem) => {
                let message = format!("{}; and, to the same tensors in bytes: {}", problem.message, refusal.message);
                Err(Problem { message, ..problem })
            }
        }
    }

    /// The form that the server names; others who want to know it at the same time wait for its one answer.
    async fn told(
        &self,
        forms: &dyn Forms,
        request: &Request<'_>,
        refusal: &Problem,
        limits: &Limits,
        invocation: &Invocation,
    ) -> Result<Form, Evasion> {
        let mut asked = self.spoken.turn().await;
        if let Some(form) = self.spoken.form() {
            return Ok(form);
        }
        if let Some(evasion) = asked.lately() {
            return Err(evasion);
        }
        let most = limits.max_response_bytes.min(DESCRIPTION);
        // A server that never answers leaves time to tell the refusal.
        let patience = PATIENCE.min(limits.deadline.saturating_duration_since(Instant::now()) / 2);
        let limits = Limits { retries: 0, max_response_bytes: most, ..*limits };
        let (question, tally) = (forms.question(request), Tally::default());
        let answer = tokio::time::timeout(patience, self.asked_again(&question, &limits, invocation, &tally)).await;
        let told = match &answer {
            Ok(Ok(response)) => forms.told(response).ok_or_else(|| evasion(response, refusal.status)),
            _ => Err(Evasion::Silence),
        };
        match told {
            Ok(form) => self.learn(form),
            Err(evasion) => asked.keep(evasion),
        }
        told
    }
}

/// What an answer to the question says that describes no server, where the status `refusal` came to the request.
fn evasion(response: &Response, refusal: Option<u16>) -> Evasion {
    let is_page = response.header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
    match response.status.as_u16() {
        status if Some(status) == refusal => Evasion::Alike,
        200 if !is_page => Evasion::Alike,
        429 | 500 | 502..=599 => Evasion::Silence,
        _ => Evasion::NoPlace,
    }
}

/// Whether a request may have failed for its form: the server's own words do not tell.
fn may_be_of_the_form(problem: &Problem) -> bool {
    match problem.status {
        Some(status) => problem.code == Code::Status && matches!(status, 400 | 406 | 415 | 422 | 500 | 501),
        // Some servers end the connection over what they cannot read.
        None => problem.code == Code::CutShort,
    }
}
