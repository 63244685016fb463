//! A large tensor is copied once at most on its way out, and once on its way in.

mod allocations;
mod node;
mod server;

use std::io::Write;

use allocations::counted;
use node::{call, floats};
use onnxhybrid::tensor::OutputData;
use server::{Server, answer, echo, read};

const ELEMENTS: usize = 1 << 20;
const SIZE: usize = 4 * ELEMENTS;

/// What else a call allocates, a buffer that is read into among it.
const ROOM: usize = SIZE / 2;

#[test]
fn a_large_tensor_is_copied_once_at_most_on_its_way_out() {
    let server = Server::start(|mut stream, _| {
        while read(&stream).is_some() {
            stream.write_all(&answer("500 No", "", b"")).unwrap();
        }
    });
    let (call, bytes) = (call(&server.url, "{}", &[], "none"), vec![1; SIZE]);
    let run = || call.run(None, &[floats(&bytes)]);
    assert!(run().is_err());
    let (failed, allocated) = counted(run);
    assert!(failed.is_err());
    assert!(allocated < SIZE + ROOM, "{allocated} bytes for {SIZE}");
}

#[test]
fn a_large_tensor_is_read_into_memory_once_on_its_way_in() {
    let server = Server::start(|mut stream, _| {
        while let Some(request) = read(&stream) {
            stream.write_all(&echo(&request)).unwrap();
        }
    });
    let (call, bytes) = (call(&server.url, "{}", &[], "none"), vec![1; SIZE]);
    let run = || call.run(None, &[floats(&bytes)]).unwrap();
    run();
    let (outputs, allocated) = counted(run);
    let OutputData::Raw(chunks) = &outputs[0].data else { panic!("strings") };
    assert_eq!(chunks.len(), SIZE);
    assert!(allocated < 2 * SIZE + ROOM, "{allocated} bytes for {SIZE} out and in");
}
