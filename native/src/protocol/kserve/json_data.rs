//! Tensors as JSON: a flat array, read element by element into the bytes that a tensor holds.

use std::fmt;

use half::{bf16, f16};
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use crate::element::ElementType;
use crate::run::bounds;

/// The elements of a JSON array, in row-major order and native byte order; strings are packed behind their lengths.
#[derive(Debug, Eq, PartialEq)]
pub struct Elements {
    /// How many there are.
    pub count: usize,
    /// Their bytes.
    pub bytes: Vec<u8>,
}

/// Bytes that ONNX Runtime keeps for a string, beside its characters.
pub(crate) const STRING: usize = 32;

impl Elements {
    /// None yet, with room for the elements that `text` can hold: a buffer that grows step by step would take twice as
    /// much. Each but the last is followed by a comma; strings take about as much as their text.
    pub(crate) fn of(text: &str, element: ElementType) -> Self {
        let room = match element {
            ElementType::String => 0,
            _ => (1 + text.bytes().filter(|byte| *byte == b',').count()) * element.size(),
        };
        Self { count: 0, bytes: Vec::with_capacity(room.min(bounds::room())) }
    }
}

/// Reads `text`; `Err` says where it is no array of such elements, or one of arrays. Integers are exact.
pub fn read(text: &str, element: ElementType) -> Result<Elements, serde_json::Error> {
    let mut elements = Elements::of(text, element);
    read_into(&mut elements, text, element)?;
    Ok(elements)
}

/// Reads `text` as [`read`] does, behind the elements that are there.
pub(crate) fn read_into(elements: &mut Elements, text: &str, element: ElementType) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Flat { element, elements }.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Reads an array into `elements`.
struct Flat<'a> {
    element: ElementType,
    elements: &'a mut Elements,
}

impl<'de> DeserializeSeed<'de> for Flat<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", self.element.name())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let Self { element, elements } = self;
        while sequence.next_element_seed(Collector { element, elements: &mut *elements })?.is_some() {}
        Ok(())
    }
}

/// Reads a single value into `elements`.
pub(crate) struct Collector<'a> {
    pub(crate) element: ElementType,
    pub(crate) elements: &'a mut Elements,
}

impl Collector<'_> {
    /// `None` where there is no time or no room for it; an error of another text is told then.
    fn push<const N: usize>(&mut self, bytes: [u8; N]) -> Option<()> {
        bounds::hold(N).ok()?;
        self.elements.bytes.extend_from_slice(&bytes);
        self.elements.count += 1;
        Some(())
    }

    fn integer(&mut self, value: i128) -> Option<()> {
        match self.element {
            ElementType::Int8 => self.push(i8::try_from(value).ok()?.to_ne_bytes()),
            ElementType::Int16 => self.push(i16::try_from(value).ok()?.to_ne_bytes()),
            ElementType::Int32 => self.push(i32::try_from(value).ok()?.to_ne_bytes()),
            ElementType::Int64 => self.push(i64::try_from(value).ok()?.to_ne_bytes()),
            ElementType::UInt8 => self.push(u8::try_from(value).ok()?.to_ne_bytes()),
            ElementType::UInt16 => self.push(u16::try_from(value).ok()?.to_ne_bytes()),
            ElementType::UInt32 => self.push(u32::try_from(value).ok()?.to_ne_bytes()),
            ElementType::UInt64 => self.push(u64::try_from(value).ok()?.to_ne_bytes()),
            _ => self.float(value as f64),
        }
    }

    /// A number that the type cannot hold is refused rather than made infinite.
    fn float(&mut self, value: f64) -> Option<()> {
        match self.element {
            ElementType::Float16 => {
                self.push(Some(f16::from_f64(value)).filter(|half| half.is_finite())?.to_ne_bytes())
            }
            ElementType::BFloat16 => {
                self.push(Some(bf16::from_f64(value)).filter(|half| half.is_finite())?.to_ne_bytes())
            }
            ElementType::Float32 => self.push(Some(value as f32).filter(|single| single.is_finite())?.to_ne_bytes()),
            ElementType::Float64 => self.push(value.to_ne_bytes()),
            _ => None,
        }
    }

    fn text(&mut self, value: &str) -> Option<()> {
        let length = u32::try_from(value.len()).ok().filter(|_| self.element == ElementType::String)?;
        bounds::hold(value.len() + STRING).ok()?;
        self.push(length.to_le_bytes())?;
        self.elements.bytes.extend_from_slice(value.as_bytes());
        Some(())
    }

    fn misfit<E: Error>(&self, value: impl fmt::Display) -> E {
        E::custom(format_args!("{value} is no {}", self.element.name()))
    }
}

impl<'de> DeserializeSeed<'de> for Collector<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Collector<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.element.name())
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<(), E> {
        if self.element != ElementType::Bool {
            return Err(self.misfit(value));
        }
        self.push([u8::from(value)]).ok_or_else(|| self.misfit(value))
    }

    fn visit_u64<E: Error>(mut self, value: u64) -> Result<(), E> {
        self.integer(value.into()).ok_or_else(|| self.misfit(value))
    }

    fn visit_i64<E: Error>(mut self, value: i64) -> Result<(), E> {
        self.integer(value.into()).ok_or_else(|| self.misfit(value))
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<(), E> {
        self.float(value).ok_or_else(|| self.misfit(format_args!("{value:?}")))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Err(E::custom("null, by which servers mean NaN and infinities alike: only bytes (binary=True) tell which"))
    }

    fn visit_str<E: Error>(mut self, value: &str) -> Result<(), E> {
        self.text(value).ok_or_else(|| self.misfit("a text"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(text: &str, element: ElementType) -> Option<Vec<u8>> {
        read(text, element).ok().map(|elements| elements.bytes)
    }

    #[test]
    fn integers_are_exact_to_their_limits() {
        let wide = format!("[{}, {}]", i64::MIN, i64::MAX);
        assert_eq!(bytes(&wide, ElementType::Int64), Some([i64::MIN.to_ne_bytes(), i64::MAX.to_ne_bytes()].concat()));
        assert_eq!(bytes("[18446744073709551615]", ElementType::UInt64), Some(u64::MAX.to_ne_bytes().to_vec()));
        for (text, element) in [
            ("[18446744073709551616]", ElementType::UInt64),
            ("[-1]", ElementType::UInt8),
            ("[256]", ElementType::UInt8),
            ("[128]", ElementType::Int8),
            ("[1.0]", ElementType::Int32),
            ("[9223372036854775808]", ElementType::Int64),
        ] {
            assert_eq!(bytes(text, element), None, "{text}");
        }
    }

    #[test]
    fn floats_round_to_the_nearest_and_never_to_infinity() {
        assert_eq!(bytes("[0.1]", ElementType::Float32), Some(0.1f32.to_ne_bytes().to_vec()));
        assert_eq!(
            bytes("[1, -2.5]", ElementType::Float16),
            Some([f16::ONE.to_ne_bytes(), f16::from_f32(-2.5).to_ne_bytes()].concat())
        );
        assert_eq!(bytes("[1.5]", ElementType::BFloat16), Some(bf16::from_f32(1.5).to_ne_bytes().to_vec()));
        assert_eq!(bytes("[70000]", ElementType::Float16), None);
        assert_eq!(bytes("[1e39]", ElementType::Float32), None);
        assert_eq!(bytes("[1e999]", ElementType::Float64), None);
    }

    #[test]
    fn null_is_refused_with_what_it_may_mean() {
        assert!(read_error("[null]").contains("binary=True"));
    }

    fn read_error(text: &str) -> String {
        read(text, ElementType::Float32).unwrap_err().to_string()
    }

    #[test]
    fn a_list_is_read_in_its_order_and_lists_within_it_are_refused() {
        assert_eq!(bytes("[1,2,3]", ElementType::UInt8), Some(vec![1, 2, 3]));
        assert_eq!(read("[]", ElementType::Float32).unwrap().count, 0);
        assert_eq!(read("[true,false]", ElementType::Bool).unwrap(), Elements { count: 2, bytes: vec![1, 0] });
        assert_eq!(bytes("[[1,2],[3],[]]", ElementType::UInt8), None);
        assert_eq!(bytes("1", ElementType::UInt8), None);
        assert_eq!(bytes(&"[".repeat(100_000), ElementType::UInt8), None);
    }

    #[test]
    fn strings_are_packed() {
        assert_eq!(bytes(r#"["a\u0000é", ""]"#, ElementType::String), Some(b"\x04\0\0\0a\0\xc3\xa9\0\0\0\0".to_vec()));
    }

    #[test]
    fn other_things_are_refused() {
        for text in ["null", "[null]", "{}", "[{}]", "[\"1\"]", "[true]", "[1] 2", ""] {
            assert_eq!(bytes(text, ElementType::Int32), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn doubles_survive(values in proptest::collection::vec(any::<f64>().prop_filter("JSON has no others", |v| v.is_finite()), 0..30)) {
            let text = serde_json::to_string(&values).unwrap();
            let expected: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
            prop_assert_eq!(bytes(&text, ElementType::Float64), Some(expected));
        }

        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let _ = read(&text, ElementType::Float32);
        }
    }
}
