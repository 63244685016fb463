//! Whether a remote answers what was answered without it, row by row.

use half::{bf16, f16};

use crate::element::ElementType;
use crate::tensor::{InputData, InputTensor, OutputData, OutputTensor};

/// What was compared: rows, and how many of them differed.
pub type Counted = (u64, u64);

/// Compares answers, pair by pair. A row differs where any element of it does in any pair, or its shape; two NaNs are
/// equal. Without `by_row` all is one row. `None` where the answers have not as many rows as were asked for, or are of
/// other types.
pub fn compare(pairs: &[(&InputTensor, &OutputTensor)], by_row: bool) -> Option<Counted> {
    if pairs.iter().any(|(ours, theirs)| ours.element != theirs.element) {
        return None;
    }
    if !by_row {
        let differs = pairs.iter().any(|(ours, theirs)| ours.shape != theirs.shape || !equal_rows(ours, theirs, 1)[0]);
        return Some((1, u64::from(differs)));
    }
    let rows = usize::try_from(*pairs.first()?.0.shape.first()?).ok()?;
    let mut same = vec![true; rows];
    for (ours, theirs) in pairs {
        let (mine, other) = (ours.shape.split_first()?, theirs.shape.split_first()?);
        if [mine.0, other.0].iter().any(|size| usize::try_from(**size) != Ok(rows)) {
            return None;
        }
        if mine.1 == other.1 {
            let equal = equal_rows(ours, theirs, rows);
            same.iter_mut().zip(equal).for_each(|(same, equal)| *same &= equal);
        } else {
            same.fill(false);
        }
    }
    Some((rows as u64, same.iter().filter(|same| !**same).count() as u64))
}

/// Whether each of `rows` is the same in two tensors of one type and shape.
fn equal_rows(ours: &InputTensor, theirs: &OutputTensor, rows: usize) -> Vec<bool> {
    match (&ours.data, &theirs.data) {
        (InputData::Text(mine), OutputData::Text(other)) => {
            let each = other.len() / rows.max(1);
            let equal: Vec<_> = mine.iter().zip(other.iter()).map(|(one, two)| one == two).collect();
            (0..rows).map(|row| equal[row * each..(row + 1) * each].iter().all(|equal| *equal)).collect()
        }
        (InputData::Raw(mine), OutputData::Raw(other)) => {
            let (other, each) = (other.join(), mine.len() / rows.max(1));
            let row = |row: usize| row * each..(row + 1) * each;
            (0..rows).map(|index| equal(ours.element, &mine[row(index)], &other[row(index)])).collect()
        }
        _ => vec![false; rows],
    }
}

/// Whether two runs of elements are equal as numbers.
fn equal(element: ElementType, one: &[u8], other: &[u8]) -> bool {
    one == other
        || match element {
            ElementType::Float16 => numbers::<2>(one, other, |bytes| f16::from_ne_bytes(bytes).to_f64()),
            ElementType::BFloat16 => numbers::<2>(one, other, |bytes| bf16::from_ne_bytes(bytes).to_f64()),
            ElementType::Float32 => numbers::<4>(one, other, |bytes| f64::from(f32::from_ne_bytes(bytes))),
            ElementType::Float64 => numbers::<8>(one, other, f64::from_ne_bytes),
            _ => false,
        }
}

fn numbers<const SIZE: usize>(one: &[u8], other: &[u8], read: impl Fn([u8; SIZE]) -> f64) -> bool {
    let (one, other) = (one.as_chunks().0, other.as_chunks().0);
    one.iter().zip(other).map(|(one, other)| (read(*one), read(*other))).all(|(one, other)| {
        #[allow(clippy::float_cmp)] // an answer is the same or it is not
        let same = one == other;
        same || (one.is_nan() && other.is_nan())
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn ours<'a>(element: ElementType, shape: &[i64], bytes: &'a [u8]) -> InputTensor<'a> {
        InputTensor { element, shape: shape.to_vec(), data: InputData::Raw(bytes) }
    }

    fn theirs(element: ElementType, shape: &[i64], bytes: &[u8]) -> OutputTensor {
        let data = OutputData::Raw(Bytes::copy_from_slice(bytes).into());
        OutputTensor { element, shape: shape.to_vec(), data }
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let bits = |numbers: [f32; 2]| numbers.map(f32::to_ne_bytes).concat();
        for (one, other, differs) in [
            ([0.0, f32::NAN], [-0.0, -f32::NAN], 0),
            ([1.0, 2.0], [1.0, 2.0], 0),
            ([1.0, 2.0], [1.0, 2.0 + f32::EPSILON * 2.0], 1),
            ([f32::NAN, 0.0], [0.0, 0.0], 1),
        ] {
            let (one, other) = (bits(one), bits(other));
            let pair = (&ours(ElementType::Float32, &[2], &one), &theirs(ElementType::Float32, &[2], &other));
            assert_eq!(compare(&[pair], true), Some((2, differs)), "{one:?} {other:?}");
            assert_eq!(compare(&[pair], false), Some((1, differs)));
        }
        let (one, other) = (f16::from_f32(-0.0).to_ne_bytes(), f16::from_f32(0.0).to_ne_bytes());
        let pair = (&ours(ElementType::Float16, &[1], &one), &theirs(ElementType::Float16, &[1], &other));
        assert_eq!(compare(&[pair], true), Some((1, 0)));
    }

    #[test]
    fn what_has_another_number_of_rows_or_another_type_is_not_compared() {
        let one = ours(ElementType::Int8, &[2, 1], &[1, 2]);
        assert_eq!(compare(&[(&one, &theirs(ElementType::Int8, &[1, 2], &[1, 2]))], true), None);
        assert_eq!(compare(&[(&one, &theirs(ElementType::Int8, &[1, 2], &[1, 2]))], false), Some((1, 1)));
        assert_eq!(compare(&[(&one, &theirs(ElementType::UInt8, &[2, 1], &[1, 2]))], true), None);
        assert_eq!(compare(&[(&one, &theirs(ElementType::Int8, &[2, 2], &[1, 2, 3, 4]))], true), Some((2, 2)));
        let scalar = ours(ElementType::Int8, &[], &[1]);
        assert_eq!(compare(&[(&scalar, &theirs(ElementType::Int8, &[], &[1]))], true), None);
        assert_eq!(compare(&[(&scalar, &theirs(ElementType::Int8, &[], &[1]))], false), Some((1, 0)));
    }

    proptest! {
        #[test]
        fn a_row_differs_where_any_of_its_answers_does(
            rows in proptest::collection::vec((any::<[u8; 2]>(), "[ab]{0,2}", any::<bool>(), any::<bool>()), 1..20)
        ) {
            let count = rows.len() as i64;
            let numbers: Vec<u8> = rows.iter().flat_map(|(numbers, ..)| *numbers).collect();
            let changed = rows.iter().flat_map(|([one, two], _, change, _)| [*one, two.wrapping_add(u8::from(*change))]);
            let changed: Vec<u8> = changed.collect();
            let texts = InputTensor {
                element: ElementType::String, shape: vec![count], data: InputData::Text(rows.iter().map(|row| &row.1).collect()),
            };
            let other: Vec<_> = rows.iter().map(|row| if row.3 { format!("{}!", row.1) } else { row.1.clone() }).collect();
            let other = OutputTensor {
                element: ElementType::String, shape: vec![count],
                data: OutputData::Text(other.iter().map(String::as_str).collect()),
            };
            let (one, two) = (ours(ElementType::UInt8, &[count, 2], &numbers), theirs(ElementType::UInt8, &[count, 2], &changed));
            let differ = rows.iter().filter(|row| row.2 || row.3).count() as u64;
            prop_assert_eq!(compare(&[(&one, &two), (&texts, &other)], true), Some((count as u64, differ)));
        }
    }
}
