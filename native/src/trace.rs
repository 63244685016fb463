//! The trace that the calling thread is part of, as the host says it: W3C Trace Context's `traceparent`.

use std::cell::RefCell;

use http::HeaderValue;

thread_local! {
    static CURRENT: RefCell<Option<HeaderValue>> = const { RefCell::new(None) };
}

/// Sets or clears this thread's `traceparent`; a text that is none clears it.
pub fn set(traceparent: Option<&str>) {
    let value = traceparent.filter(|text| is_traceparent(text)).and_then(|text| HeaderValue::from_str(text).ok());
    CURRENT.with(|current| current.replace(value));
}

/// This thread's `traceparent`.
pub fn current() -> Option<HeaderValue> {
    CURRENT.with(|current| current.borrow().clone())
}

/// `version-trace-parent-flags` in lower-case hexadecimal digits (section 3.2 of the recommendation).
fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [2, 32, 16, 2] && text.split('-').all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_belongs_to_its_thread() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        set(Some(text));
        assert_eq!(current().unwrap(), text);
        assert_eq!(std::thread::spawn(current).join().unwrap(), None);
        set(None);
        assert_eq!(current(), None);
    }

    #[test]
    fn other_text_is_no_trace() {
        for text in ["", "00", "00-0-0-0", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", "a\r\nx: y"] {
            set(Some(text));
            assert_eq!(current(), None, "{text}");
        }
    }
}
