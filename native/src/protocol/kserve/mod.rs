//! The KServe v2 inference protocol, what its two forms share: datatypes, tensors, outputs checked, model metadata.
//!
//! Source: the open inference protocol, <https://github.com/kserve/open-inference-protocol>.

pub mod binary;
pub mod blobs;
pub mod json_data;
pub mod metadata;
pub mod optional;
pub mod output;

use std::borrow::Cow;

use crate::element::ElementType;

/// Parameters of a request that no node gives: they say how the answer is framed, or belong to the server.
pub const OWN_PARAMETERS: &[(&str, &str)] = &[
    ("binary_data*", "nothing, since the form of the tensors is the protocol's"),
    ("headers", "the argument headers"),
    ("triton_*", "nothing, since these names belong to the server"),
];

/// Every datatype, by its element type.
pub const DATATYPES: &[(ElementType, &str)] = &[
    (ElementType::Bool, "BOOL"),
    (ElementType::UInt8, "UINT8"),
    (ElementType::UInt16, "UINT16"),
    (ElementType::UInt32, "UINT32"),
    (ElementType::UInt64, "UINT64"),
    (ElementType::Int8, "INT8"),
    (ElementType::Int16, "INT16"),
    (ElementType::Int32, "INT32"),
    (ElementType::Int64, "INT64"),
    (ElementType::Float16, "FP16"),
    (ElementType::Float32, "FP32"),
    (ElementType::Float64, "FP64"),
    (ElementType::BFloat16, "BF16"),
    (ElementType::String, "BYTES"),
];

/// The datatype of an element type.
pub fn datatype(element: ElementType) -> Option<&'static str> {
    DATATYPES.iter().find(|row| row.0 == element).map(|row| row.1)
}

/// The element type of a datatype.
pub fn element(datatype: &str) -> Option<ElementType> {
    DATATYPES.iter().find(|row| row.1 == datatype).map(|row| row.0)
}

/// Elements between this machine's byte order and the wire's, which is little-endian.
pub fn little_endian(bytes: &[u8], size: usize) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") || size < 2 {
        return Cow::Borrowed(bytes);
    }
    let mut swapped = bytes.to_vec();
    swapped.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    Cow::Owned(swapped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::ELEMENTS;

    #[test]
    fn every_element_type_has_its_datatype() {
        for (kind, ..) in ELEMENTS {
            assert_eq!(datatype(*kind).and_then(element), Some(*kind));
        }
        assert_eq!(element("FP8"), None);
    }
}
