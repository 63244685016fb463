//! Declared shapes, and the check of real ones against them.

use std::collections::HashMap;

use serde_json::Value;

use crate::failure::{Code, Problem};

/// A declared dimension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dimension {
    Any,
    Fixed(i64),
    /// The size that the name with this number stands for.
    Named(usize),
}

/// A declared shape; `None` where even the rank is unknown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shape(Option<Vec<Dimension>>);

impl Shape {
    /// Of unknown rank.
    pub const UNKNOWN: Self = Self(None);

    /// A shape without elements, as close to the declared one as can be: unknown sizes become 0; if none is unknown,
    /// the first size becomes 0; a scalar, and a shape of unknown rank, become `[0]`.
    pub fn emptied(&self) -> Vec<i64> {
        let Some(dimensions) = &self.0 else { return vec![0] };
        let mut sizes: Vec<i64> =
            dimensions.iter().map(|dimension| if let Dimension::Fixed(size) = dimension { *size } else { 0 }).collect();
        if !sizes.contains(&0) {
            match sizes.first_mut() {
                Some(first) => *first = 0,
                None => sizes.push(0),
            }
        }
        sizes
    }

    /// How many dimensions there are, if that is known.
    pub fn rank(&self) -> Option<usize> {
        self.0.as_ref().map(Vec::len)
    }

    /// The size of dimension `axis`, if it is fixed.
    pub fn fixed(&self, axis: usize) -> Option<i64> {
        match self.0.as_ref()?.get(axis)? {
            Dimension::Fixed(size) => Some(*size),
            _ => None,
        }
    }
}

impl Shape {
    /// Whether its first size and that of `other` may count the same rows: neither is fixed, and two names are the same.
    pub fn shares_rows(&self, other: &Self) -> bool {
        match (self.leading(), other.leading()) {
            (Some(Dimension::Named(own)), Some(Dimension::Named(theirs))) => own == theirs,
            (Some(Dimension::Fixed(_)) | None, _) | (_, Some(Dimension::Fixed(_)) | None) => false,
            _ => true,
        }
    }

    /// Whether its first size and that of `other` are called the same.
    pub fn has_rows_of(&self, other: &Self) -> bool {
        matches!((self.leading(), other.leading()), (Some(Dimension::Named(own)), Some(Dimension::Named(theirs))) if own == theirs)
    }

    /// Whether one of its dimensions behind the first `from` is called like the first of `other`.
    pub fn has_size(&self, other: &Self, from: usize) -> bool {
        let named = other.leading().filter(|leading| matches!(leading, Dimension::Named(_)));
        named.is_some() && self.0.iter().flatten().skip(from).any(|dimension| Some(*dimension) == named)
    }

    /// The first dimension; `None` of a scalar.
    fn leading(&self) -> Option<Dimension> {
        self.0.as_ref().map_or(Some(Dimension::Any), |dimensions| dimensions.first().copied())
    }
}

/// Reads declared shapes. A name that occurs several times, in one shape or in several, stands for one size.
#[derive(Debug, Default)]
pub struct ShapeParser {
    names: HashMap<String, usize>,
}

impl ShapeParser {
    /// One entry of `input_shapes` or `output_shapes`: null, or an array of sizes, names and nulls.
    pub fn parse(&mut self, value: &Value) -> Option<Shape> {
        match value {
            Value::Null => Some(Shape::UNKNOWN),
            Value::Array(dimensions) => {
                let dimensions: Option<Vec<_>> = dimensions.iter().map(|dimension| self.dimension(dimension)).collect();
                dimensions.map(|dimensions| Shape(Some(dimensions)))
            }
            _ => None,
        }
    }

    /// How many names there are.
    pub fn names(&self) -> usize {
        self.names.len()
    }

    fn dimension(&mut self, value: &Value) -> Option<Dimension> {
        match value {
            Value::Null => Some(Dimension::Any),
            Value::String(name) => {
                let next = self.names.len();
                Some(Dimension::Named(*self.names.entry(name.clone()).or_insert(next)))
            }
            _ => value.as_i64().filter(|size| *size >= 0).map(Dimension::Fixed),
        }
    }
}

/// The sizes that names turned out to have during one call.
#[derive(Clone, Debug)]
pub struct Sizes(Vec<Option<i64>>);

impl Sizes {
    /// None known yet, of `names` names.
    pub fn unknown(names: usize) -> Self {
        Self(vec![None; names])
    }

    /// Checks the shape `actual` against `declared`, and keeps the sizes of names that it sees for the first time.
    ///
    /// A misfit has the code `code`, and a message that begins with `what()`.
    pub fn fit(
        &mut self,
        declared: &Shape,
        actual: &[i64],
        code: Code,
        what: impl Fn() -> String,
    ) -> Result<(), Problem> {
        if declared.rank().is_some_and(|rank| rank != actual.len()) {
            let rank = declared.rank().unwrap_or_default();
            return Err(Problem::new(
                code,
                format!("{} has shape {actual:?}, but {rank} dimensions are declared", what()),
            ));
        }
        for (axis, (dimension, size)) in declared.0.iter().flatten().zip(actual).enumerate() {
            let wanted = match dimension {
                Dimension::Any => *size,
                Dimension::Fixed(wanted) => *wanted,
                Dimension::Named(name) => *self.0[*name].get_or_insert(*size),
            };
            if wanted != *size {
                return Err(Problem::new(
                    code,
                    format!("{} has shape {actual:?}, but dimension {axis} must be {wanted}", what()),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fit(sizes: &mut Sizes, shape: &Shape, actual: &[i64]) -> bool {
        sizes.fit(shape, actual, Code::OutputShape, || "output \"y\"".into()).is_ok()
    }

    #[test]
    fn rows_are_shared_by_open_first_sizes_of_one_name() {
        let mut parser = ShapeParser::default();
        let mut shape = |value| parser.parse(&value).unwrap();
        let (named, other, open) = (shape(json!(["n", 4])), shape(json!(["m"])), shape(json!([null, 4])));
        let (fixed, scalar) = (shape(json!([1, "n"])), shape(json!([])));
        for (one, two, shared) in [
            (&named, &named, true),
            (&named, &other, false),
            (&named, &open, true),
            (&Shape::UNKNOWN, &other, true),
            (&named, &fixed, false),
            (&fixed, &fixed, false),
            (&scalar, &open, false),
        ] {
            assert_eq!((one.shares_rows(two), two.shares_rows(one)), (shared, shared), "{one:?} {two:?}");
        }
    }

    #[test]
    fn a_recurring_name_is_one_size() {
        let mut parser = ShapeParser::default();
        let input = parser.parse(&json!(["n", 4])).unwrap();
        let output = parser.parse(&json!(["n", null])).unwrap();
        let mut sizes = Sizes::unknown(parser.names());
        assert!(fit(&mut sizes, &input, &[3, 4]));
        assert!(fit(&mut sizes, &output, &[3, 9]));
        assert!(!fit(&mut sizes, &output, &[2, 9]));
    }

    #[test]
    fn rank_and_fixed_sizes_must_fit() {
        let mut parser = ShapeParser::default();
        let shape = parser.parse(&json!([2])).unwrap();
        let mut sizes = Sizes::unknown(0);
        assert!(fit(&mut sizes, &shape, &[2]));
        assert!(!fit(&mut sizes, &shape, &[3]));
        assert!(!fit(&mut sizes, &shape, &[]));
        assert!(fit(&mut sizes, &Shape::UNKNOWN, &[7, 7]));
    }

    #[test]
    fn a_malformed_shape_is_refused() {
        for value in [json!(3), json!([-1]), json!([1.5]), json!([[1]]), json!("n")] {
            assert_eq!(ShapeParser::default().parse(&value), None, "{value}");
        }
    }

    #[test]
    fn an_emptied_shape_has_no_elements() {
        for (declared, emptied) in [
            (json!(null), vec![0]),
            (json!([]), vec![0]),
            (json!(["n", 4]), vec![0, 4]),
            (json!([3, null]), vec![3, 0]),
            (json!([3, 4]), vec![0, 4]),
            (json!([3, 0]), vec![3, 0]),
        ] {
            assert_eq!(ShapeParser::default().parse(&declared).unwrap().emptied(), emptied);
        }
    }
}
