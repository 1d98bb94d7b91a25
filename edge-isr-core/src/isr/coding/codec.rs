//! The encoders, fed piece by piece so that work that nobody wants any more ends soon.

use std::io::{Error, Read, Result, Write, copy};

use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;

use crate::model::coding::Coding;
use crate::model::page::Content;

/// A page is coded once and sent often, but while it is made others wait for the processor: of each scale what
/// takes about as long as one more render.
const BR_QUALITY: i32 = 5;
const ZSTD_LEVEL: i32 = 7;
const GZIP_LEVEL: u32 = 6;

/// How many bytes of a long body are coded between two questions whether it is still wanted.
const STEP_BYTES: usize = 256 << 10;

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Coded {
    /// Fewer bytes.
    Smaller(Vec<Bytes>),
    /// As many, or hardly fewer.
    NotSmaller,
    /// Nobody wanted it any more.
    Unwanted,
}

/// Codes a body, for as long as it `is_wanted`.
pub(super) fn encode(coding: Coding, body: Content, is_wanted: impl Fn() -> bool) -> Coded {
    let len = body.len();
    // What saves less than a twentieth is not worth a reader's work. A store that has room for four pages of the
    // largest kind also has it for one in all its forms.
    let mut sink = Sink { pieces: Vec::new(), piece: Vec::new(), left: len - len / 20 };
    let mut source = Source { body, piece: Bytes::new(), until_asked: 0, is_wanted };
    let outcome = run(coding, &mut source, &mut sink, len);
    match outcome {
        Ok(()) => {
            sink.close();
            Coded::Smaller(sink.pieces)
        }
        Err(_) if (source.is_wanted)() => Coded::NotSmaller,
        Err(_) => Coded::Unwanted,
    }
}

fn run(coding: Coding, source: &mut impl Read, sink: &mut Sink, len: usize) -> Result<()> {
    match coding {
        Coding::Br => {
            let params =
                BrotliEncoderParams { quality: BR_QUALITY, size_hint: len, ..BrotliEncoderParams::default() };
            brotli::BrotliCompress(source, sink, &params)?;
        }
        Coding::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(sink, ZSTD_LEVEL)?;
            encoder.set_pledged_src_size(Some(len as u64))?;
            copy(source, &mut encoder)?;
            encoder.finish()?;
        }
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(sink, flate2::Compression::new(GZIP_LEVEL));
            copy(source, &mut encoder)?;
            encoder.finish()?;
        }
    }
    Ok(())
}

struct Source<F> {
    body: Content,
    piece: Bytes,
    until_asked: usize,
    is_wanted: F,
}

impl<F: Fn() -> bool> Read for Source<F> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        if self.piece.is_empty() {
            let Some(piece) = self.body.take() else { return Ok(0) };
            self.piece = piece;
        }
        if self.until_asked == 0 {
            if !(self.is_wanted)() {
                return Err(Error::other("it is not wanted any more"));
            }
            self.until_asked = STEP_BYTES;
        }
        let len = into.len().min(self.piece.len()).min(self.until_asked);
        self.until_asked -= len;
        into[..len].copy_from_slice(&self.piece.split_to(len));
        Ok(len)
    }
}

struct Sink {
    pieces: Vec<Bytes>,
    piece: Vec<u8>,
    left: usize,
}

impl Sink {
    fn close(&mut self) {
        if !self.piece.is_empty() {
            self.pieces.push(std::mem::take(&mut self.piece).into());
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.left =
            self.left.checked_sub(bytes.len()).ok_or_else(|| Error::other("it does not get smaller"))?;
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= STEP_BYTES {
            self.close();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
