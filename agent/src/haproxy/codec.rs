//! The framing: one line of commands there, everything up to the end of the stream back.
//!
//! HAProxy ends each answer with an empty line, but before 3.0 some messages swallow it, and the text of a check
//! may hold empty lines of its own. So the end of the answer is the end of the stream and nothing else.

use std::fmt::{Display, Write as _};
use std::io;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// The longest line that is sent, in bytes with its newline: below `tune.bufsize` (16384 by default), beyond which
/// HAProxy closes the connection or answers an error.
pub const MAX_LINE: usize = 16_000;

/// The longest answer that is read unless [`Limits`](super::Limits) say otherwise: 64 MiB, twenty times a full
/// `show stat` of 10,000 servers.
pub const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Writes lines of commands, reads answers.
#[derive(Debug, Clone, Copy)]
pub struct AnswerCodec {
    max_answer: usize,
    last_words: Option<&'static [u8]>,
}

/// What can't be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A line without a command: some HAProxy answer it with their help, 3.2.0 could crash.
    #[error("a line needs at least one command")]
    EmptyLine,
    /// A line beyond [`MAX_LINE`].
    #[error("a line of {length} bytes is longer than HAProxy's {MAX_LINE}")]
    LineTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// An answer beyond the limit.
    #[error("the answer is longer than the limit of {limit} bytes")]
    AnswerTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl AnswerCodec {
    /// Reads answers of at most this many bytes.
    pub fn new(max_answer: usize) -> Self {
        Self { max_answer, last_words: None }
    }

    /// Also ends an answer that begins with these words, at its first newline, should the stream stay open.
    pub fn with_last_words(self, words: &'static [u8]) -> Self {
        Self { last_words: Some(words), ..self }
    }

    fn bounded(&self, length: usize) -> Result<(), CodecError> {
        if length > self.max_answer { Err(CodecError::AnswerTooLong { limit: self.max_answer }) } else { Ok(()) }
    }
}

impl Default for AnswerCodec {
    fn default() -> Self {
        Self::new(MAX_ANSWER)
    }
}

/// Joins commands to the text of a line, without its newline.
pub(super) fn line<C: Display>(commands: &[C]) -> String {
    let mut line = String::new();
    for command in commands {
        if !line.is_empty() {
            line.push(';');
        }
        // Writing to a String can't fail.
        let _ = write!(line, "{command}");
    }
    line
}

impl<C: Display> Encoder<&[C]> for AnswerCodec {
    type Error = CodecError;

    fn encode(&mut self, commands: &[C], target: &mut BytesMut) -> Result<(), CodecError> {
        let line = line(commands);
        if line.is_empty() {
            return Err(CodecError::EmptyLine);
        }
        let length = line.len() + 1;
        if length > MAX_LINE {
            return Err(CodecError::LineTooLong { length });
        }
        target.extend_from_slice(line.as_bytes());
        target.extend_from_slice(b"\n");
        Ok(())
    }
}

impl Decoder for AnswerCodec {
    type Item = Bytes;
    type Error = CodecError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Bytes>, CodecError> {
        self.bounded(source.len())?;
        let over = self.last_words.is_some_and(|words| source.starts_with(words) && source.contains(&b'\n'));
        Ok(over.then(|| source.split().freeze()))
    }

    fn decode_eof(&mut self, source: &mut BytesMut) -> Result<Option<Bytes>, CodecError> {
        self.bounded(source.len())?;
        Ok((!source.is_empty()).then(|| source.split().freeze()))
    }
}
