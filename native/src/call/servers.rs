//! A call to a server, or to one of several.

use super::Call;
use super::prepared::Invocation;
use crate::failure::{Failure, Problem};
use crate::session::credential::check_clear;
use crate::session::hedging::Hedging;
use crate::session::spoken::Form;
use crate::transport::{Hedge, Limits, Peer, Request, Response, Tally, send};

impl Call {
    /// Sends a request to the server, or to one of several.
    pub(super) async fn sent(
        &self,
        request: &Request<'_>,
        limits: &Limits,
        tally: &Tally,
    ) -> Result<Response, Problem> {
        match (&self.several, &self.hedging) {
            (None, None) => send(&self.peer, request, limits, tally, None).await,
            // Apart from the future of a call to one server, which would be the larger for it.
            (Some(several), None) => Box::pin(several.send(request, limits, tally, None)).await,
            (_, Some(hedging)) => Box::pin(self.hedged(hedging, request, limits, tally)).await,
        }
    }

    /// Sends a request, and perhaps a second one where it takes long.
    async fn hedged(
        &self,
        hedging: &Hedging,
        request: &Request<'_>,
        limits: &Limits,
        tally: &Tally,
    ) -> Result<Response, Problem> {
        let counts = |response: &Response| self.protocol.check(response).is_ok();
        let hedge = Hedge::new(hedging, &counts, limits, tally);
        match &self.several {
            None => send(&self.peer, request, limits, tally, Some(&hedge)).await,
            Some(several) => several.send(request, limits, tally, Some(&hedge)).await,
        }
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
