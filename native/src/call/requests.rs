//! The requests of one call, and which rows each of them carries.

use std::ops::Range;

use crate::failure::Problem;
use crate::transport::Request;

/// How the rows of a call are spread over its requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cut {
    pub(super) rows: usize,
    /// Rows of one request; the last may have fewer.
    pub(super) each: usize,
}

impl Cut {
    /// How many requests there are.
    pub(super) fn requests(self) -> usize {
        self.rows.div_ceil(self.each)
    }

    /// The rows of one of them.
    pub(super) fn range(self, request: usize) -> Range<usize> {
        let first = request * self.each;
        first..(first + self.each).min(self.rows)
    }

    /// Says which rows a problem of one request befell.
    pub(super) fn problem(self, request: usize, mut problem: Problem) -> Problem {
        let range = self.range(request);
        let place = if range.len() == 1 {
            format!("row {}", range.start)
        } else {
            format!("rows {} to {}", range.start, range.end - 1)
        };
        if self.rows > 1 {
            problem.message = format!("{place}: {}", problem.message);
        }
        problem
    }
}

/// The requests of one call, and how its rows are spread over them: `None` where one request carries them all.
pub(super) struct Requests<'a> {
    pub(super) list: Vec<Request<'a>>,
    pub(super) cut: Option<Cut>,
}

impl Requests<'_> {
    /// The same, with nothing lent.
    pub(super) fn into_owned(self) -> Requests<'static> {
        Requests { list: self.list.into_iter().map(Request::into_owned).collect(), cut: self.cut }
    }

    /// The problem of the request at `index`, with the rows that it befell.
    pub(super) fn problem(&self, index: usize, problem: Problem) -> Problem {
        match self.cut {
            Some(cut) => cut.problem(index, problem),
            None => problem,
        }
    }
}
