//! OpenAI's transcriptions, chat completions, responses and embeddings.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onnxhybrid::element::ElementType::{Float32, String};
use onnxhybrid::node::Node;
use onnxhybrid_fuzz::{check, node};

static NODES: LazyLock<Vec<Node>> = LazyLock::new(|| {
    let audio = |form| node("openai.audio", &[String], &[("response_format", form)]);
    let chat = |form| node("openai.chat", &[String], &[("form", form)]);
    let embeddings = node("openai.embeddings", &[Float32], &[]);
    let responses = node("openai.responses", &[String], &[]);
    vec![responses, audio("json"), audio("verbose_json"), audio("text"), chat(""), chat("raw"), embeddings]
});

fuzz_target!(|data: &[u8]| NODES.iter().for_each(|node| check(node, data)));
