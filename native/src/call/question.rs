//! What one call asks for, checked, and the requests that ask for it.

use std::time::Instant;

use http::HeaderMap;

use super::Call;
use super::prepared::{Expected, Invocation};
use super::requests::{Fitting, Requests};
use super::secrets::token_secret;
use crate::failure::Problem;
use crate::protocol::{Asked, headers};
use crate::shape::Sizes;
use crate::tensor::InputTensor;

/// What one call asks for, beside its tensors.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) asked: Asked,
    /// Its headers that hold no credential.
    headers: HeaderMap,
}

impl Call {
    /// The requests, which are made until `deadline` at most, and what their answers have to fit.
    pub(super) fn prepare<'a>(
        &self,
        invocation: &Invocation,
        token: Option<&InputTensor>,
        inputs: &'a [InputTensor<'a>],
        deadline: Instant,
    ) -> Result<(Requests<'a>, Expected), Problem> {
        let (question, tensors, sizes) = self.question(invocation, token, inputs)?;
        self.ready(question, tensors, sizes, deadline)
    }

    /// What is asked for, if the policy and the node's declarations let it be, with the tensors that travel and the sizes
    /// that these give to names.
    pub(super) fn question<'a>(
        &self,
        invocation: &Invocation,
        token: Option<&InputTensor>,
        inputs: &'a [InputTensor<'a>],
    ) -> Result<(Question, &'a [InputTensor<'a>], Sizes), Problem> {
        self.check_servers()?;
        if let Some(token) = token {
            let token = token_secret(token)?;
            if !token.is_empty() {
                self.check_token_clear()?;
            }
            self.scope.masks().remember(&token);
            let _ = invocation.tally.secret.set(token);
        }
        let (options, tensors) = inputs.split_at_checked(self.node.option_inputs.len()).unwrap_or_default();
        let sizes = self.check_inputs(tensors)?;
        let asked = self.asked(options, tensors)?;
        if self.scope.policy().budget.is_some() {
            invocation.tally.account.ask_for(&self.models(tensors, &asked));
        }
        let headers = self.node.headers.of(&asked.options)?;
        Ok((Question { asked, headers }, tensors, sizes))
    }

    /// The requests for these tensors, which give these sizes to names.
    pub(super) fn ready<'a>(
        &self,
        question: Question,
        tensors: &'a [InputTensor<'a>],
        sizes: Sizes,
        deadline: Instant,
    ) -> Result<(Requests<'a>, Expected), Problem> {
        let Question { asked, headers } = question;
        let mut requests = self.requests(tensors, &asked, deadline)?;
        requests.headers().into_iter().for_each(|own| headers::set(own, &headers));
        let cut = requests.cut();
        if let (Some(_), Requests::One(_, fitting)) = (&self.hedging, &mut requests) {
            *fitting = Some(Box::new(Fitting { asked: asked.clone(), sizes: sizes.clone(), is_slice: false }));
        }
        Ok((requests, Expected { sizes, asked, cut }))
    }
}
