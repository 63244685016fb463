//! The answers that one node keeps, in one session.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::node::Node;
use crate::protocol::cutting;
use crate::session::cache::{Cache, key};
use crate::session::fingerprint::Print;

/// What a node keeps of its answers.
pub(super) struct Kept {
    pub(super) cache: Cache,
    /// What all its questions have in common.
    pub(super) print: Print,
    /// Which inputs have rows that are asked for one by one; `None` where a call is one question.
    pub(super) with_rows: Option<Vec<bool>>,
    /// Whether an answer came that has no such rows, whatever was declared.
    pub(super) is_whole: AtomicBool,
}

impl Kept {
    /// Nothing yet; `None` where the node keeps nothing.
    pub(super) fn of(node: &Node) -> Option<Arc<Self>> {
        let settings = node.cache?;
        let rows = || cutting::rows(node.protocol, &node.attributes, (&node.inputs, &node.outputs));
        Some(Arc::new(Self {
            cache: Cache::new(&settings),
            print: key::of_node(node),
            with_rows: settings.rows.then(rows).flatten(),
            is_whole: AtomicBool::new(false),
        }))
    }
}
