//! Messages of gRPC that are compressed.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/compression.md>.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderName, HeaderValue};

use super::coding::Coding;
use super::reading::Reading;
use super::{Limits, Response, Tally, grpc};
use crate::failure::{Code, Problem};
use crate::tensor::Chunks;

/// What a client can read, as every official client says it.
pub(super) const ACCEPTED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("grpc-accept-encoding"), HeaderValue::from_static("identity, deflate, gzip"));

/// Bytes in front of a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Takes the compression off the one message of a good answer. What is not one whole message stays as it is, for
/// whoever reads it to refuse.
pub(super) async fn unpack(response: &mut Response, limits: &Limits, tally: &Tally) -> Result<(), Problem> {
    if !is_packed(&response.body) || !grpc::is_ok(&response.headers) {
        return Ok(());
    }
    let mut reading = Reading::new(limits, true, Some(coding(response)?), tally);
    let mut prefix = PREFIX;
    for mut piece in std::mem::take(&mut response.body) {
        tally.release(piece.len() as u64);
        let skipped = prefix.min(piece.len());
        piece.advance(skipped);
        prefix -= skipped;
        reading.add(piece).await?;
    }
    reading.end()?;
    response.body = framed(reading.finish())?;
    Ok(())
}

/// Whether a body is one message, and compressed.
fn is_packed(body: &Chunks) -> bool {
    let mut bytes = body.iter().flatten();
    let mut prefix = [0; PREFIX];
    let filled = prefix.iter_mut().all(|byte| bytes.next().map(|next| *byte = *next).is_some());
    let [flag, length @ ..] = prefix;
    filled && flag == 1 && body.len() - PREFIX == u32::from_be_bytes(length) as usize
}

/// How the message is compressed.
fn coding(response: &Response) -> Result<Coding, Problem> {
    let refused = |what: String| Problem::new(Code::Answer, format!("the answer's message is compressed {what}"));
    match response.headers.get("grpc-encoding").map(HeaderValue::to_str) {
        Some(Ok(name)) => Coding::named(name.trim()).ok_or_else(|| {
            refused(format!(
                "as {name}, and only gzip and deflate are read: set the server's compression to one of them"
            ))
        }),
        _ => Err(refused("and does not say how".into())),
    }
}

/// A message behind its prefix.
fn framed(message: Chunks) -> Result<Chunks, Problem> {
    let length = u32::try_from(message.len()).map_err(|_| {
        Problem::new(Code::TooLarge, "the answer's message has more than 4 GiB once it is decompressed")
    })?;
    let mut prefix = BytesMut::with_capacity(PREFIX);
    prefix.put_u8(0);
    prefix.put_u32(length);
    let mut body = Chunks::from(Bytes::from(prefix));
    message.into_iter().for_each(|piece| body.push(piece));
    Ok(body)
}
