//! How tests speak with a parser of a stream: turns of a conversation, in pieces of any size.

use dongson_event::{Event, Timestamp};

use super::Side;
use super::dissect::Stream;

/// What `parser` tells of a whole conversation, each turn of it in pieces of at most `chunk` bytes (at least one).
pub(super) fn hear(parser: &mut impl Stream, turns: &[(Side, impl AsRef<[u8]>)], chunk: usize) -> Vec<Event> {
    let mut out = Vec::new();
    for (side, bytes) in turns {
        for part in bytes.as_ref().chunks(chunk) {
            Stream::data(parser, *side, Timestamp::default(), part, &mut out);
        }
    }
    Stream::finish(parser, Timestamp::default(), &mut out);
    out
}
