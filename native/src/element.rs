//! Element types of tensors: the ONNX code, the numpy name and the size, declared once.

/// The type of a tensor's elements; the discriminant is ONNX's `TensorProto.DataType`, which ONNX Runtime shares.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(i32)]
#[allow(missing_docs)] // each variant is its own name
pub enum ElementType {
    Float32 = 1,
    UInt8 = 2,
    Int8 = 3,
    UInt16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Float64 = 11,
    UInt32 = 12,
    UInt64 = 13,
    BFloat16 = 16,
}

/// Every element type with its numpy name and its size in bytes (0 for strings, which have no fixed size).
pub const ELEMENTS: &[(ElementType, &str, usize)] = &[
    (ElementType::Bool, "bool", 1),
    (ElementType::UInt8, "uint8", 1),
    (ElementType::UInt16, "uint16", 2),
    (ElementType::UInt32, "uint32", 4),
    (ElementType::UInt64, "uint64", 8),
    (ElementType::Int8, "int8", 1),
    (ElementType::Int16, "int16", 2),
    (ElementType::Int32, "int32", 4),
    (ElementType::Int64, "int64", 8),
    (ElementType::Float16, "float16", 2),
    (ElementType::Float32, "float32", 4),
    (ElementType::Float64, "float64", 8),
    (ElementType::BFloat16, "bfloat16", 2),
    (ElementType::String, "str", 0),
];

impl ElementType {
    /// The type with ONNX code `code`, if a tensor of it can travel.
    pub fn from_code(code: i32) -> Option<Self> {
        ELEMENTS.iter().map(|row| row.0).find(|element| *element as i32 == code)
    }

    /// The type with this numpy name.
    pub fn from_name(name: &str) -> Option<Self> {
        ELEMENTS.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// The numpy name, as the host language writes it.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Bytes an element takes; 0 for strings.
    pub fn size(self) -> usize {
        self.row().2
    }

    fn row(self) -> &'static (ElementType, &'static str, usize) {
        ELEMENTS.iter().find(|row| row.0 == self).unwrap_or(&ELEMENTS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_find_their_type_again() {
        for (element, ..) in ELEMENTS {
            assert_eq!(ElementType::from_code(*element as i32), Some(*element));
        }
        assert_eq!(ElementType::from_code(14), None);
    }

    #[test]
    fn only_strings_have_no_size() {
        for (element, ..) in ELEMENTS {
            assert_eq!(element.size() == 0, *element == ElementType::String);
        }
    }
}
