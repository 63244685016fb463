//! A call whose answer, or that of some of its rows, may be known: only what nobody has asked before is asked for.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::thread::{self, ThreadId};

use http::HeaderMap;

use super::Call;
use super::kept::Kept;
use super::plan::Plan;
use super::prepared::Invocation;
use super::question::Question;
use super::task::apart;
use crate::failure::{Code, Problem};
use crate::guard::lock;
use crate::run::bounds;
use crate::session::cache::{Answer, Asking, key};
use crate::session::fingerprint::Print;
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::Limits;

/// A question that was prepared where the inputs were there; its credentials are asked for while it is under way.
pub(super) struct Wanted {
    question: Question,
    /// What it asks for beside its tensors.
    print: Print,
    on_runtime: bool,
}

/// What goes along with every request of a call.
struct Sending<'a> {
    question: Question,
    headers: HeaderMap,
    limits: &'a Limits,
    invocation: &'a Invocation,
    on_runtime: bool,
    /// What came for all rows where it turned out to have none.
    whole: Mutex<Option<Vec<OutputTensor>>>,
}

impl Sending<'_> {
    /// The thread that asks, where none of the runtime does.
    fn thread(&self) -> Option<ThreadId> {
        (!self.on_runtime).then(|| thread::current().id())
    }
}

impl Wanted {
    /// One that is asked on a thread of the runtime, which others need as well.
    pub(super) fn on_runtime(self) -> Self {
        Self { on_runtime: true, ..self }
    }
}

impl Call {
    /// Checks a call as [`Call::prepare`] does, with the tensors that travel.
    pub(super) fn wanted<'a>(
        &self,
        kept: &Kept,
        invocation: &Invocation,
        token: Option<&InputTensor>,
        inputs: &'a [InputTensor<'a>],
    ) -> Result<(Wanted, &'a [InputTensor<'a>]), Problem> {
        let (question, tensors, _) = self.question(invocation, token, inputs)?;
        let mut print = kept.print.clone();
        key::add_options(&mut print, &inputs[..inputs.len() - tensors.len()]);
        Ok((Wanted { question, print, on_runtime: false }, tensors))
    }

    /// The outputs of a call that was checked.
    pub(super) async fn known_or_asked(
        &self,
        kept: &Kept,
        wanted: Wanted,
        tensors: &[InputTensor<'_>],
        limits: &Limits,
        invocation: &Invocation,
    ) -> Result<Vec<OutputTensor>, Problem> {
        let Wanted { question, mut print, on_runtime } = wanted;
        if self.asks_nothing(&question.asked) {
            return Ok(self.node.emptied());
        }
        // First of all: whoever may not ask is not told what others were answered.
        let headers = self.identify(invocation).await?;
        key::add_caller(&mut print, invocation.tally.secret.get(), &headers);
        let sending = Sending { question, headers, limits, invocation, on_runtime, whole: Mutex::default() };
        if let Some(plan) = self.plan(kept, &print, tensors, limits, on_runtime)? {
            if let Some(outputs) = self.by_rows(kept, &plan, tensors, &sending).await? {
                return Ok(outputs);
            }
            kept.is_whole.store(true, Ordering::Relaxed);
        }
        self.as_a_whole(kept, print, tensors, &sending).await
    }

    /// Which rows are asked for, where they are by themselves.
    fn plan(
        &self,
        kept: &Kept,
        print: &Print,
        tensors: &[InputTensor],
        limits: &Limits,
        on_runtime: bool,
    ) -> Result<Option<Plan>, Problem> {
        let Some(with_rows) = kept.with_rows.as_ref().filter(|_| !kept.is_whole.load(Ordering::Relaxed)) else {
            return Ok(None);
        };
        let declared = self.node.inputs.iter().zip(tensors).zip(with_rows);
        let with_rows: Vec<_> = declared
            .map(|((declared, tensor), has_rows)| *has_rows && !self.node.optional.is_left_out(declared, tensor))
            .collect();
        let mut counts =
            tensors.iter().zip(&with_rows).filter(|(_, has_rows)| **has_rows).map(|(tensor, _)| tensor.rows());
        let Some(rows) = counts.next().filter(|rows| *rows > 0) else { return Ok(None) };
        if counts.any(|count| count != rows) {
            return Ok(None); // the server may know what that means
        }
        let plan = || Plan::new(print.clone(), tensors, with_rows, rows);
        apart(on_runtime, || self.made(limits.deadline, || Ok(plan().ok())))
    }

    async fn as_a_whole(
        &self,
        kept: &Kept,
        print: Print,
        tensors: &[InputTensor<'_>],
        sending: &Sending<'_>,
    ) -> Result<Vec<OutputTensor>, Problem> {
        let keys = [key::of_call(print, tensors)];
        let ask = |_| -> Asking<'_> {
            Box::pin(async move {
                let brought = lock(&sending.whole).take();
                let outputs = match brought {
                    Some(outputs) => outputs,
                    None => self.brought(tensors, sending).await?,
                };
                Ok(Some(vec![outputs.iter().map(OutputTensor::apart).collect()]))
            })
        };
        let answered = kept.cache.answers(&keys, sending.thread(), ask).await?;
        let (answers, asked) = answered.unwrap_or_default();
        sending.invocation.hits.store(1 - asked.min(1) as u64, Ordering::Relaxed);
        Ok(answers.first().map(|answer| answer.to_vec()).unwrap_or_default())
    }

    /// The outputs for rows of which some may be known; `None` where the answers turn out to have no rows.
    async fn by_rows(
        &self,
        kept: &Kept,
        plan: &Plan,
        tensors: &[InputTensor<'_>],
        sending: &Sending<'_>,
    ) -> Result<Option<Vec<OutputTensor>>, Problem> {
        let ask = |questions: Vec<usize>| -> Asking<'_> {
            Box::pin(async move { self.rows(plan, &plan.rows_of(&questions), tensors, sending).await })
        };
        let Some((answers, asked)) = kept.cache.answers(&plan.keys, sending.thread(), ask).await? else {
            return Ok(None);
        };
        let outputs = self.reading(sending.limits.deadline, || self.together(plan, &answers, tensors))?;
        sending.invocation.hits.store((plan.rows() - asked) as u64, Ordering::Relaxed);
        Ok(outputs)
    }

    /// Asks for some rows; `None` where these tensors, or what comes back, do not have them.
    async fn rows(
        &self,
        plan: &Plan,
        rows: &[usize],
        tensors: &[InputTensor<'_>],
        sending: &Sending<'_>,
    ) -> Result<Option<Vec<Answer>>, Problem> {
        let outputs = if rows.len() == plan.rows() {
            self.brought(tensors, sending).await?
        } else {
            let mut gathered = plan.gathered(tensors, rows);
            let gathered: Vec<_> = gathered.iter_mut().map(|tensor| tensor.lend()).collect();
            if self.check_inputs(&gathered).is_err() {
                return Ok(None);
            }
            let outputs = self.brought(&gathered, sending).await;
            outputs.map_err(|problem| self.among(problem, rows))?
        };
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if outputs.iter().any(|output| output.shape.first() != Some(&count)) {
            *lock(&sending.whole) = (rows.len() == plan.rows()).then_some(outputs);
            return Ok(None);
        }
        let mut columns: Vec<_> = outputs.iter().map(|output| output.rows_apart().into_iter()).collect();
        Ok(Some(rows.iter().map(|_| columns.iter_mut().filter_map(Iterator::next).collect()).collect()))
    }

    /// The outputs that a server gives for these tensors, checked against what is declared.
    async fn brought(&self, tensors: &[InputTensor<'_>], sending: &Sending<'_>) -> Result<Vec<OutputTensor>, Problem> {
        let Sending { question, headers, limits, invocation, on_runtime, .. } = sending;
        let mut question = question.clone();
        question.asked.rows = tensors.first().map_or(1, InputTensor::rows);
        let sizes = self.check_inputs(tensors)?;
        let ready = || self.ready(question, tensors, sizes, limits.deadline);
        let (requests, mut expected) = apart(*on_runtime, ready)?;
        let responses = self.deliver(requests, headers, limits, invocation).await?;
        apart(*on_runtime, || self.answer(&mut expected, &responses, limits.deadline))
    }

    /// The answers to all rows as outputs; `None` where they do not belong together.
    fn together(
        &self,
        plan: &Plan,
        answers: &[Answer],
        tensors: &[InputTensor],
    ) -> Result<Option<Vec<OutputTensor>>, Problem> {
        for question in &plan.questions {
            let held = answers[*question].iter().map(OutputTensor::bytes).sum();
            bounds::hold(held).map_err(|beyond| Problem::new(Code::TooLarge, beyond.to_string()))?;
        }
        let column =
            |output: usize| OutputTensor::stacked(plan.questions.iter().map(|question| &answers[*question][output]));
        let Some(outputs) = (0..self.node.outputs.len()).map(column).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let fits = self.fit(&mut self.check_inputs(tensors)?, &outputs).is_ok();
        Ok(fits.then_some(outputs))
    }

    /// Says which rows a request carried whose problem may say, in its own count, which of them it befell.
    fn among(&self, mut problem: Problem, rows: &[usize]) -> Problem {
        const FEW: usize = 8;
        let listed = rows.iter().take(FEW).map(usize::to_string).collect::<Vec<_>>().join(", ");
        let what = match rows {
            [_] => format!("row {listed}"),
            _ if rows.len() <= FEW => format!("of the rows {listed}, which alone were asked for"),
            _ => format!("of the rows {listed}, …, {} in all, which alone were asked for", rows.len()),
        };
        problem.message = format!("{what}: {}", problem.message);
        problem
    }
}
