//! A batch as requests (one, one for each row, or one for each slice of rows), and the answers put together again.

use std::time::Instant;

use http::HeaderMap;

use super::Call;
use super::prepared::Invocation;
use super::requests::{Cut, Requests, Slices};
use crate::failure::{Code, Problem};
use crate::protocol::cutting::Slice;
use crate::protocol::{Asked, Batch, headers};
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::{Limits, Request, Response, side_by_side};

/// Requests of one call that are under way at a time.
const SIDE_BY_SIDE: usize = 16;

impl Call {
    /// The requests of a call; none where the service takes no empty batch. One that carries all rows is made until
    /// `deadline` at most.
    pub(super) fn requests<'a>(
        &self,
        tensors: &'a [InputTensor<'a>],
        asked: &Asked,
        deadline: Instant,
    ) -> Result<Requests<'a>, Problem> {
        if self.asks_nothing(asked) {
            return Ok(Requests::None);
        }
        let Some(cut) = self.cut(tensors, asked)? else {
            let request = self.in_form(deadline, || self.protocol.request(tensors, asked))?;
            return Ok(Requests::One(request, None));
        };
        let slices = Slices { tensors, cut, asked: asked.clone(), headers: HeaderMap::new() };
        // Such services are paid by the row: of rows that cannot all be sent, none is.
        if self.node.protocol.batch != Batch::Request {
            (0..slices.cut.requests()).try_for_each(|index| self.slice(index, &slices, deadline).map(drop))?;
        }
        Ok(Requests::Slices(slices))
    }

    /// Whether there is no row to ask for, and the service takes no empty batch.
    pub(super) fn asks_nothing(&self, asked: &Asked) -> bool {
        asked.rows == 0 && matches!(self.node.protocol.batch, Batch::Filled | Batch::Row)
    }

    /// How the rows are spread; `None` where one request carries them all.
    fn cut(&self, tensors: &[InputTensor], asked: &Asked) -> Result<Option<Cut>, Problem> {
        let slice = match (self.node.protocol.batch, self.node.batch) {
            (Batch::Row, _) => return Ok((asked.rows > 1).then(|| Cut::singly(asked.rows))),
            (_, None) => return Ok(None),
            (_, Some(slice)) => slice,
        };
        let (mut rows, mut taken, mut whole) = (Vec::with_capacity(tensors.len()), 0usize, 0);
        for (index, tensor) in tensors.iter().enumerate() {
            let bytes = tensor.bytes(0..tensor.rows());
            if self.has_rows(index, tensor) {
                taken = taken.saturating_add(bytes);
                rows.push(tensor);
            } else {
                whole += bytes;
            }
        }
        let Some(count) = rows.first().map(|tensor| tensor.rows()) else { return Ok(None) };
        let room = room(slice.bytes, whole);
        if count <= 1 || (count <= slice.rows && taken <= room) {
            return Ok(None);
        }
        if rows.iter().any(|tensor| tensor.rows() != count) {
            return Err(Problem::new(Code::Input, "the inputs differ in their number of rows"));
        }
        let bytes = |row: usize| rows.iter().map(|tensor| tensor.bytes(row..row + 1)).sum();
        Ok(Some(Cut::fitting(count, Slice { bytes: room, ..slice }, bytes)))
    }

    fn has_rows(&self, input: usize, tensor: &InputTensor) -> bool {
        let left_out = || self.node.optional.is_left_out(&self.node.inputs[input], tensor);
        self.node.protocol.batch == Batch::Row
            || self.node.with_rows.get(input).is_some_and(|has_rows| *has_rows && !left_out())
    }

    /// The request of one slice, made until `deadline` at most.
    fn slice<'a>(&self, index: usize, slices: &Slices<'a>, deadline: Instant) -> Result<Request<'a>, Problem> {
        let range = slices.cut.range(index);
        let asked = Asked { rows: range.len(), ..slices.asked.clone() };
        let slice = |(input, tensor): (usize, &'a InputTensor<'a>)| {
            if self.has_rows(input, tensor) { tensor.slice(range.clone()) } else { tensor.clone() }
        };
        let tensors: Vec<_> = slices.tensors.iter().enumerate().map(slice).collect();
        let request = self.in_form(deadline, || self.protocol.request(&tensors, &asked));
        let mut request = request.map_err(|problem| slices.cut.problem(index, problem))?;
        headers::set(&mut request.headers, &slices.headers);
        Ok(request)
    }

    /// The successful answers to all slices, in their order. The first failure ends the others.
    pub(super) async fn all(
        &self,
        slices: &Slices<'_>,
        limits: &Limits,
        invocation: &Invocation,
    ) -> Result<Vec<Response>, Problem> {
        let answers = (0..slices.cut.requests()).map(|index| self.one_of(index, slices, limits, invocation));
        side_by_side(answers, SIDE_BY_SIDE).await
    }

    async fn one_of(
        &self,
        index: usize,
        slices: &Slices<'_>,
        limits: &Limits,
        invocation: &Invocation,
    ) -> Result<Response, Problem> {
        let request = self.slice(index, slices, limits.deadline)?;
        let rows = slices.cut.range(index).len();
        let asked = || Asked { rows, ..slices.asked.clone() };
        let fitting = self.hedging.is_some().then(|| self.fitting_slice(asked()));
        let answer = self.one(&request, fitting.as_ref(), limits, invocation).await;
        answer.map(Response::detached).map_err(|problem| slices.cut.problem(index, problem))
    }

    /// The outputs in the answers to all requests of a call whose rows are spread over several.
    pub(super) fn joined(
        &self,
        responses: &[Response],
        cut: &Cut,
        asked: &Asked,
    ) -> Result<Vec<OutputTensor>, Problem> {
        let mut columns: Vec<Vec<OutputTensor>> = vec![Vec::with_capacity(responses.len()); self.node.outputs.len()];
        for (request, response) in responses.iter().enumerate() {
            let asked = Asked { rows: cut.range(request).len(), ..asked.clone() };
            let outputs = self.protocol.outputs(response, &asked).and_then(|outputs| self.whole(outputs, asked.rows));
            let outputs = outputs.map_err(|problem| cut.problem(request, problem))?;
            columns.iter_mut().zip(outputs).for_each(|(column, output)| column.push(output));
        }
        let unfit = || Problem::new(Code::OutputShape, "the answers to the rows differ in their shapes");
        columns.iter().map(|rows| OutputTensor::stack(rows).ok_or_else(unfit)).collect()
    }

    /// The outputs of one request, if they have as many rows as it had.
    pub(super) fn whole(&self, outputs: Vec<OutputTensor>, rows: usize) -> Result<Vec<OutputTensor>, Problem> {
        let unfit = |output: &OutputTensor| output.shape.first().is_none_or(|size| usize::try_from(*size) != Ok(rows));
        match outputs.iter().position(unfit) {
            Some(index) if self.node.protocol.batch != Batch::Row => {
                let (name, shape) = (&self.node.outputs[index].name, &outputs[index].shape);
                let message = format!("output \"{name}\" has shape {shape:?}, and {rows} rows were asked for");
                Err(Problem::new(Code::OutputShape, message))
            }
            _ => Ok(outputs),
        }
    }
}

/// What the rows of a request may take of `bytes`, where `whole` go along with each. They have half of it at least: else
/// a large tensor that goes along would leave each row a request of its own.
fn room(bytes: usize, whole: usize) -> usize {
    bytes.saturating_sub(whole).max(bytes / 2)
}
