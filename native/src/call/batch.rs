//! A batch as requests (one, one for each row, or one for each slice of rows), and the answers put together again.

use super::Call;
use super::requests::{Cut, Requests};
use crate::failure::{Code, Problem};
use crate::protocol::{Asked, Batch};
use crate::tensor::{InputTensor, OutputTensor};
use crate::transport::Response;

impl Call {
    /// The requests of a call; none where the service takes no empty batch.
    pub(super) fn requests<'a>(&self, tensors: &'a [InputTensor<'a>], asked: &Asked) -> Result<Requests<'a>, Problem> {
        if self.asks_nothing(asked) {
            return Ok(Requests { list: Vec::new(), cut: None });
        }
        let Some(cut) = self.cut(tensors, asked)? else {
            return Ok(Requests { list: vec![self.protocol.request(tensors, asked)?], cut: None });
        };
        let request = |index| {
            let range = cut.range(index);
            let asked = Asked { rows: range.len(), ..asked.clone() };
            let slice = |(index, tensor): (usize, &'a InputTensor<'a>)| {
                if self.has_rows(index, tensor) { tensor.slice(range.clone()) } else { tensor.clone() }
            };
            let tensors: Vec<_> = tensors.iter().enumerate().map(slice).collect();
            self.protocol.request(&tensors, &asked).map_err(|problem| cut.problem(index, problem))
        };
        let list: Result<_, _> = (0..cut.requests()).map(request).collect();
        Ok(Requests { list: list?, cut: Some(cut) })
    }

    /// Whether there is no row to ask for, and the service takes no empty batch.
    pub(super) fn asks_nothing(&self, asked: &Asked) -> bool {
        asked.rows == 0 && matches!(self.node.protocol.batch, Batch::Filled | Batch::Row)
    }

    /// How the rows are spread; `None` where one request carries them all.
    fn cut(&self, tensors: &[InputTensor], asked: &Asked) -> Result<Option<Cut>, Problem> {
        let with_rows = tensors.iter().enumerate().filter(|(index, tensor)| self.has_rows(*index, tensor));
        let mut counts = with_rows.map(|(_, tensor)| tensor.rows());
        let cut = match (self.node.protocol.batch, self.node.batch) {
            (Batch::Row, _) => Cut { rows: asked.rows, each: 1 },
            (_, Some(most)) => Cut { rows: counts.clone().next().unwrap_or(0), each: most },
            (_, None) => return Ok(None),
        };
        if self.node.protocol.batch != Batch::Row && cut.rows <= cut.each {
            return Ok(None);
        }
        match counts.any(|count| count != cut.rows) {
            true => Err(Problem::new(Code::Input, "the inputs differ in their number of rows")),
            false => Ok(Some(cut)),
        }
    }

    fn has_rows(&self, input: usize, tensor: &InputTensor) -> bool {
        let left_out = || self.node.optional.is_left_out(&self.node.inputs[input], tensor);
        self.node.protocol.batch == Batch::Row
            || self.node.with_rows.get(input).is_some_and(|has_rows| *has_rows && !left_out())
    }

    /// The outputs in the answers to all requests of a call whose rows are spread over several.
    pub(super) fn joined(&self, responses: &[Response], cut: Cut, asked: &Asked) -> Result<Vec<OutputTensor>, Problem> {
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
    fn whole(&self, outputs: Vec<OutputTensor>, rows: usize) -> Result<Vec<OutputTensor>, Problem> {
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
