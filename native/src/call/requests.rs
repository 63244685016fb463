//! The requests of one call, and which rows each of them carries.

use std::ops::Range;

use http::HeaderMap;

use crate::failure::Problem;
use crate::protocol::Asked;
use crate::protocol::cutting::Slice;
use crate::shape::Sizes;
use crate::tensor::{InputTensor, OwnedTensor};
use crate::transport::Request;

/// How the rows of a call are spread over its requests: after which row each of them ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Cut(Vec<usize>);

impl Cut {
    /// Each of so many rows by itself.
    pub(super) fn singly(rows: usize) -> Self {
        Self((1..=rows).collect())
    }

    /// As many rows in each request as `slice` lets it hold, and one at least; `bytes` are those of a row.
    pub(super) fn fitting(rows: usize, slice: Slice, bytes: impl Fn(usize) -> usize) -> Self {
        let (mut ends, mut first, mut held) = (Vec::new(), 0, 0usize);
        for row in 0..rows {
            let size = bytes(row);
            if row > first && (row - first >= slice.rows || held.saturating_add(size) > slice.bytes) {
                ends.push(row);
                (first, held) = (row, 0);
            }
            held = held.saturating_add(size);
        }
        ends.push(rows);
        Self(ends)
    }

    /// How many requests there are.
    pub(super) fn requests(&self) -> usize {
        self.0.len()
    }

    /// The rows of one of them.
    pub(super) fn range(&self, request: usize) -> Range<usize> {
        let first = request.checked_sub(1).map_or(0, |before| self.0[before]);
        first..self.0[request]
    }

    /// Says which rows a problem of one request befell.
    pub(super) fn problem(&self, request: usize, mut problem: Problem) -> Problem {
        let range = self.range(request);
        let place = if range.len() == 1 {
            format!("row {}", range.start)
        } else {
            format!("rows {} to {}", range.start, range.end - 1)
        };
        problem.message = format!("{place}: {}", problem.message);
        problem
    }
}

/// The requests of one call.
pub(super) enum Requests<'a> {
    /// None: the service takes no empty batch.
    None,
    /// One, which carries all rows; with what its answer has to fit, where that decides between two.
    One(Request<'a>, Option<Box<Fitting>>),
    /// One for each slice of the rows.
    Slices(Slices<'a>),
}

/// What the answer to one request has to fit.
pub(super) struct Fitting {
    pub(super) asked: Asked,
    /// The sizes that the inputs give to names, as far as they are known.
    pub(super) sizes: Sizes,
    /// Whether it carries some rows of a batch, and its answer has to have as many.
    pub(super) is_slice: bool,
}

/// Rows that are spread over several requests. Each is made when its turn comes, so that no more of them are in memory
/// than are under way.
pub(super) struct Slices<'a> {
    pub(super) tensors: &'a [InputTensor<'a>],
    pub(super) cut: Cut,
    pub(super) asked: Asked,
    /// Headers of each request, beside its own.
    pub(super) headers: HeaderMap,
}

impl<'a> Requests<'a> {
    /// The headers that each of them has.
    pub(super) fn headers(&mut self) -> Option<&mut HeaderMap> {
        match self {
            Self::None => None,
            Self::One(request, _) => Some(&mut request.headers),
            Self::Slices(slices) => Some(&mut slices.headers),
        }
    }

    /// How the rows are spread; `None` where one request carries them all.
    pub(super) fn cut(&self) -> Option<Cut> {
        match self {
            Self::Slices(slices) => Some(slices.cut.clone()),
            Self::None | Self::One(..) => None,
        }
    }

    /// The same, with nothing lent; tensors that slices are made of are beside it, to be given back by [`Self::over`].
    pub(super) fn into_owned(self) -> (Requests<'static>, Vec<OwnedTensor>) {
        match self {
            Self::None => (Requests::None, Vec::new()),
            Self::One(request, fitting) => (Requests::One(request.into_owned(), fitting), Vec::new()),
            Self::Slices(Slices { tensors, cut, asked, headers }) => {
                let owned = tensors.iter().map(InputTensor::owned).collect();
                (Requests::Slices(Slices { tensors: &[], cut, asked, headers }), owned)
            }
        }
    }

    /// The same, of which slices are made of `tensors`.
    pub(super) fn over(self, tensors: &'a [InputTensor<'a>]) -> Self {
        match self {
            Self::Slices(slices) => Self::Slices(Slices { tensors, ..slices }),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_request_has_as_many_rows_as_fit_and_each_row_is_in_one(
            sizes in proptest::collection::vec(0usize..40, 1..60),
            rows in 1usize..20,
            bytes in 0usize..100,
        ) {
            let cut = Cut::fitting(sizes.len(), Slice { rows, bytes }, |row| sizes[row]);
            let ranges: Vec<_> = (0..cut.requests()).map(|request| cut.range(request)).collect();
            prop_assert_eq!(ranges.iter().cloned().flatten().collect::<Vec<_>>(), (0..sizes.len()).collect::<Vec<_>>());
            let held = |range: Range<usize>| sizes[range].iter().sum::<usize>();
            for (place, range) in ranges.iter().enumerate() {
                prop_assert!(range.len() == 1 || (range.len() <= rows && held(range.clone()) <= bytes));
                let full = range.len() == rows || held(range.start..(range.end + 1).min(sizes.len())) > bytes;
                prop_assert!(full || place + 1 == ranges.len());
            }
        }
    }

    #[test]
    fn a_problem_says_which_rows_it_befell() {
        let told = |cut: &Cut, request| cut.problem(request, Problem::new(crate::failure::Code::Input, "no")).message;
        assert_eq!(told(&Cut::singly(3), 1), "row 1: no");
        assert_eq!(told(&Cut::fitting(5, Slice { rows: 3, bytes: usize::MAX }, |_| 0), 1), "rows 3 to 4: no");
    }
}
