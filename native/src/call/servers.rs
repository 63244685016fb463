//! A call to a server, or to one of several.

use std::time::Instant;

use super::Call;
use super::prepared::Invocation;
use super::requests::Fitting;
use crate::failure::{Failure, Problem};
use crate::protocol::Asked;
use crate::session::credential::check_clear;
use crate::session::hedging::Hedging;
use crate::session::spoken::Form;
use crate::shape::Sizes;
use crate::transport::{Hedge, Limits, Peer, Request, Response, Tally, send};

impl Call {
    /// Sends a request to the server, or to one of several.
    pub(super) async fn sent(
        &self,
        request: &Request<'_>,
        fitting: Option<&Fitting>,
        limits: &Limits,
        tally: &Tally,
    ) -> Result<Response, Problem> {
        match (&self.several, &self.hedging) {
            (None, None) => send(&self.peer, request, limits, tally, None).await,
            // Apart from the future of a call to one server, which would be the larger for it.
            (Some(several), None) => Box::pin(several.send(request, limits, tally, None)).await,
            (_, Some(hedging)) => Box::pin(self.hedged(hedging, (request, fitting), limits, tally)).await,
        }
    }

    /// Sends a request, and perhaps a second one where it takes long.
    async fn hedged(
        &self,
        hedging: &Hedging,
        (request, fitting): (&Request<'_>, Option<&Fitting>),
        limits: &Limits,
        tally: &Tally,
    ) -> Result<Response, Problem> {
        let counts = |response: &Response| self.protocol.check(response).is_ok();
        let wins = |response: &Response| {
            counts(response) && fitting.is_none_or(|fitting| self.fits(fitting, response, limits.deadline))
        };
        let hedge = Hedge::new(hedging, (&counts, &wins), limits, tally);
        match &self.several {
            None => send(&self.peer, request, limits, tally, Some(&hedge)).await,
            Some(several) => several.send(request, limits, tally, Some(&hedge)).await,
        }
    }

    /// What the answer to a slice has to fit.
    pub(super) fn fitting_slice(&self, asked: Asked) -> Fitting {
        Fitting { asked, sizes: Sizes::unknown(self.node.shape_names), is_slice: true }
    }

    /// Whether an answer is one that the call can use, to the last value. It is read once more by the call.
    fn fits(&self, fitting: &Fitting, response: &Response, deadline: Instant) -> bool {
        let read = || {
            let outputs = self.protocol.outputs(response, &fitting.asked)?;
            let outputs = if fitting.is_slice { self.whole(outputs, fitting.asked.rows)? } else { outputs };
            self.fit(&mut fitting.sizes.clone(), &outputs)
        };
        self.reading(deadline, read).is_ok()
    }

    /// Sends another request to the server that the call's last one went to.
    pub(super) async fn asked_again(
        &self,
        request: &Request<'_>,
        limits: &Limits,
        invocation: &Invocation,
        tally: &Tally,
    ) -> Result<Response, Problem> {
        let Some(several) = &self.several else { return send(&self.peer, request, limits, tally, None).await };
        let server = several.last(&invocation.tally);
        send(&server.peer, &*several.made_for(server, request)?, limits, tally, None).await
    }

    /// Keeps a form for later requests. That one of several servers takes bytes says nothing of the others; JSON all take.
    pub(super) fn learn(&self, form: Form) {
        if self.several.is_none() || form == Form::Json {
            self.spoken.learn(form);
        }
    }

    /// Refuses what the policy refuses by name: each of several servers, since any of them may come to be asked.
    pub(super) fn check_servers(&self) -> Result<(), Problem> {
        self.peer.check()?;
        self.others().try_for_each(Peer::check)
    }

    /// Refuses a token that would travel in clear, to whichever of the servers.
    pub(super) fn check_token_clear(&self) -> Result<(), Problem> {
        let check = |peer: &Peer| check_clear("the token", peer.origin(), peer.allows_in_clear());
        check(&self.peer)?;
        self.others().try_for_each(check)
    }

    /// Refuses a credential that may not go to each of several servers; what is asked for the first is checked then.
    pub(super) fn check_others(&self, credential: &str) -> Result<(), Problem> {
        self.others().try_for_each(|peer| self.scope.credential(credential, peer).map(drop))
    }

    /// A failure with the server that it befell.
    pub(super) fn placed(&self, mut failure: Failure, invocation: &Invocation) -> Failure {
        if let Some(several) = &self.several {
            failure.endpoint.clone_from(&several.last(&invocation.tally).endpoint.shown);
        }
        failure
    }

    fn others(&self) -> impl Iterator<Item = &Peer> {
        self.several.iter().flat_map(|several| several.servers()).skip(1).map(|server| &*server.peer)
    }
}
