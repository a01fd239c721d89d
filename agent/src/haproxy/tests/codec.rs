use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use super::super::*;

fn encoded(commands: &[Command]) -> Result<BytesMut, CodecError> {
    let mut target = BytesMut::new();
    AnswerCodec::default().encode(commands, &mut target)?;
    Ok(target)
}

#[test]
fn commands_of_a_line_are_joined_and_ended() {
    let line = encoded(&[Command::ShowInfo, Command::ShowSessions]).unwrap();
    assert_eq!(&line[..], b"show info;show sess\n");
}

#[test]
fn an_empty_line_is_never_sent() {
    assert!(matches!(encoded(&[]), Err(CodecError::EmptyLine)));
}

#[test]
fn a_line_beyond_haproxys_buffer_is_never_sent() {
    // "show info;" is ten bytes, the last one has a newline instead.
    assert_eq!(encoded(&vec![Command::ShowInfo; 1600]).unwrap().len(), MAX_LINE);
    assert!(matches!(encoded(&vec![Command::ShowInfo; 1601]), Err(CodecError::LineTooLong { length: 16_010 })));
}

#[test]
fn the_answer_is_everything_up_to_the_end_of_the_stream() {
    let mut codec = AnswerCodec::default();
    let mut source = BytesMut::from("Pid: 1\n\n");
    assert_eq!(codec.decode(&mut source).unwrap(), None);
    source.extend_from_slice(b"more\n\n");
    assert_eq!(codec.decode(&mut source).unwrap(), None);
    let answer = codec.decode_eof(&mut source).unwrap().unwrap();
    assert_eq!(&answer[..], b"Pid: 1\n\nmore\n\n");
    assert_eq!(codec.decode_eof(&mut source).unwrap(), None);
}

#[test]
fn an_answer_beyond_the_limit_is_an_error_before_it_is_complete() {
    let mut codec = AnswerCodec::new(4);
    assert_eq!(codec.decode(&mut BytesMut::from("1234")).unwrap(), None);
    assert!(matches!(codec.decode(&mut BytesMut::from("12345")), Err(CodecError::AnswerTooLong { limit: 4 })));
}

#[test]
fn last_words_end_an_answer_only_at_its_beginning_and_only_whole() {
    let mut codec = AnswerCodec::default().with_last_words(b"gone");
    assert_eq!(codec.decode(&mut BytesMut::from("not gone\n")).unwrap(), None);
    assert_eq!(codec.decode(&mut BytesMut::from("gone 1")).unwrap(), None);
    let answer = codec.decode(&mut BytesMut::from("gone 12\n")).unwrap().unwrap();
    assert_eq!(&answer[..], b"gone 12\n");
}
