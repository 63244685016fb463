//! Compressed answers: gzip (RFC 1952) and deflate (RFC 9110, section 8.4.1.2), taken apart as they come.
//!
//! Nobody asks for them: `Accept-Encoding: identity` goes with every request, since a small answer takes longer to be
//! compressed than to travel. Some gateways compress all the same.

use std::future::poll_fn;
use std::task::Poll;

use bytes::{Buf, Bytes};
use flate2::{Decompress, FlushDecompress, Status};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::io::cut_short;
use crate::failure::{Code, Problem};

/// Bytes that are decompressed at a time. Between two such steps the deadline is looked at: few bytes can hold very many.
const STEP: usize = 64 << 10;

/// The largest window that either format has, as a power of two.
const WINDOW: u8 = 15;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Coding {
    Gzip,
    /// zlib's format, or, as some servers have it, the bare deflate within.
    Deflate,
}

impl Coding {
    /// The coding of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// The one coding that an answer's headers name. What is encoded twice, or in another way, stays as it is, and its
    /// headers keep saying so.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("?"));
        let names = values.flat_map(|value| value.split(',')).map(str::trim);
        let mut names = names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
        let (first, second) = (names.next(), names.next());
        first.filter(|_| second.is_none()).and_then(Self::named)
    }

    /// [`Coding::of`], and the headers as those of the body that is left without it.
    pub(super) fn take(headers: &mut HeaderMap) -> Option<Self> {
        Self::of(headers).inspect(|_| drop(headers.remove(CONTENT_ENCODING)))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// What takes apart a stream that begins with this byte.
    fn begin(self, first: u8) -> Decompress {
        match self {
            Self::Gzip => Decompress::new_gzip(WINDOW),
            // zlib's first byte says "deflate" in its lower half, which no encoder begins bare deflate with.
            Self::Deflate => Decompress::new(first & 0x0F == 8),
        }
    }
}

/// Takes a compressed body apart.
pub(super) struct Decoder {
    coding: Coding,
    /// The stream that is being taken apart; none before the first, and behind the end of one.
    stream: Option<Decompress>,
    /// Whether a stream has ended.
    ended: bool,
    output: Vec<u8>,
}

impl Decoder {
    pub(super) fn new(coding: Coding) -> Self {
        Self { coding, stream: None, ended: false, output: Vec::with_capacity(STEP) }
    }

    /// Whether there is more to be taken apart: of `input`, or of what came before and had no room in one step.
    pub(super) fn has_more(&self, input: &Bytes) -> bool {
        !input.is_empty() || (self.stream.is_some() && self.output.len() == STEP)
    }

    /// The bytes of the next step.
    pub(super) fn step(&mut self, input: &mut Bytes) -> Result<&[u8], Problem> {
        self.output.clear();
        let stream = match (&mut self.stream, input.first()) {
            (Some(stream), _) => stream,
            // A file of gzip is any number of streams, one behind the other; zlib's is one.
            (None, Some(_)) if self.ended && self.coding == Coding::Deflate => {
                return Err(self.damaged("bytes follow it"));
            }
            (none, first) => none.insert(self.coding.begin(first.copied().unwrap_or_default())),
        };
        let before = stream.total_in();
        let status = stream.decompress_vec(input, &mut self.output, FlushDecompress::None);
        let taken = usize::try_from(stream.total_in() - before).unwrap_or(usize::MAX).min(input.len());
        let stuck = taken == 0 && self.output.is_empty() && !input.is_empty();
        input.advance(taken);
        match status {
            Ok(Status::StreamEnd) => (self.stream, self.ended) = (None, true),
            Ok(_) if !stuck => {}
            _ if self.ended => return Err(self.damaged("what follows its end is none")),
            _ => return Err(self.damaged("it is damaged")),
        }
        Ok(&self.output)
    }

    /// Refuses a body whose stream has not ended.
    pub(super) fn finish(&self) -> Result<(), Problem> {
        match self.stream {
            None => Ok(()),
            Some(_) => Err(cut_short(&std::io::Error::other(format!("its {} has no end", self.coding.name())))),
        }
    }

    fn damaged(&self, what: &str) -> Problem {
        Problem::new(Code::Answer, format!("the answer is compressed as {}, and {what}", self.coding.name()))
    }
}

/// Lets whoever drives this look at the clock before it goes on.
pub(super) async fn pause() {
    let mut passed = false;
    poll_fn(|context| {
        if std::mem::replace(&mut passed, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bare(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(coding: Coding, bytes: &[u8], piece: usize) -> Result<Vec<u8>, Problem> {
        let (mut decoder, mut decoded) = (Decoder::new(coding), Vec::new());
        for piece in bytes.chunks(piece) {
            let mut piece = Bytes::copy_from_slice(piece);
            while decoder.has_more(&piece) {
                decoded.extend_from_slice(decoder.step(&mut piece)?);
            }
        }
        decoder.finish().map(|()| decoded)
    }

    #[test]
    fn a_coding_is_known_by_each_of_its_names() {
        let of = |values: &[&'static str]| {
            Coding::of(&values.iter().map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value))).collect())
        };
        for values in [&["gzip"][..], &["x-GZIP"], &["identity, gzip"], &["identity", " gzip ,"], &["gzip,identity"]] {
            assert_eq!(of(values), Some(Coding::Gzip), "{values:?}");
        }
        assert_eq!(of(&["Deflate"]), Some(Coding::Deflate));
        for values in [&[][..], &["identity"], &["br"], &["zstd"], &["gzip, gzip"], &["gzip", "br"], &["gzip;q=1"]] {
            assert_eq!(of(values), None, "{values:?}");
        }
    }

    #[test]
    fn gzip_of_several_streams_is_one_body() {
        let both = [gzip(b"ab"), gzip(b""), gzip(b"cd")].concat();
        for piece in 1..both.len() {
            assert_eq!(decode(Coding::Gzip, &both, piece).unwrap(), b"abcd");
        }
        assert_eq!(decode(Coding::Gzip, b"", 1).unwrap(), b"");
    }

    #[test]
    fn what_is_damaged_cut_short_or_followed_by_something_else_is_told() {
        let (whole, zlib) = (gzip(&[7; 1000]), zlib(&[7; 1000]));
        let (mut sum, mut length) = (whole.clone(), whole.clone());
        sum[whole.len() - 8] ^= 1;
        length[whole.len() - 1] ^= 1;
        for (coding, bytes) in [
            (Coding::Gzip, sum),
            (Coding::Gzip, length),
            (Coding::Gzip, [&whole[..], b"garbage"].concat()),
            (Coding::Gzip, [&whole[..], &[0; 20]].concat()),
            (Coding::Gzip, b"{\"a\": 1}".to_vec()),
            (Coding::Gzip, zlib.clone()),
            (Coding::Deflate, [&zlib[..], b"garbage"].concat()),
            (Coding::Deflate, [&zlib[..zlib.len() - 1], &[!zlib[zlib.len() - 1]]].concat()),
            (Coding::Deflate, whole.clone()),
        ] {
            for piece in [1, 5, 10_000] {
                assert_eq!(decode(coding, &bytes, piece).unwrap_err().code, Code::Answer, "{bytes:?}");
            }
        }
        for end in 1..whole.len() {
            assert_eq!(decode(Coding::Gzip, &whole[..end], 7).unwrap_err().code, Code::CutShort);
        }
        assert_eq!(decode(Coding::Deflate, &zlib[..zlib.len() - 1], 7).unwrap_err().code, Code::CutShort);
    }

    #[test]
    fn a_step_gives_no_more_than_its_bytes() {
        let mut input = Bytes::from(gzip(&vec![0; 4 << 20]));
        let (mut decoder, mut length) = (Decoder::new(Coding::Gzip), 0);
        while decoder.has_more(&input) {
            let step = decoder.step(&mut input).unwrap().len();
            assert!(step <= STEP);
            length += step;
        }
        assert_eq!((length, decoder.finish().is_ok()), (4 << 20, true));
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            times in 1usize..200,
            piece in 1usize..5000,
        ) {
            let bytes = bytes.repeat(times);
            prop_assert_eq!(&decode(Coding::Gzip, &gzip(&bytes), piece).unwrap(), &bytes);
            prop_assert_eq!(&decode(Coding::Deflate, &zlib(&bytes), piece).unwrap(), &bytes);
            prop_assert_eq!(&decode(Coding::Deflate, &bare(&bytes), piece).unwrap(), &bytes);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1usize..300) {
            for coding in [Coding::Gzip, Coding::Deflate] {
                let _ = decode(coding, &bytes, piece);
                let mut plausible = gzip(b"abcdefgh");
                plausible.truncate(12);
                plausible.extend_from_slice(&bytes);
                let _ = decode(coding, &plausible, piece);
            }
        }
    }
}
