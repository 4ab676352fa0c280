//! The two ends of a TCP connection: what state each is in, how much it sent, and its bytes in order.
//!
//! States, sizes by sequence number and letters of the history follow the meaning of Zeek's `conn.log`, so that people and
//! rules that know it read ours alike. Time comes with each segment. Memory: two [`Stream`]s.

use std::time::Duration;

use dongson_event::Timestamp;
use etherparse::TcpSlice;

use super::Side;
use super::history::{History, Repeated};
use super::stream::{Budget, Chunk, Stream};

/// How long an unanswered SYN is kept.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long a closed connection is kept for stragglers.
const LINGER: Duration = Duration::from_secs(5);
/// How long an open connection may be silent.
const IDLE: Duration = Duration::from_mins(5);
/// A jump of sequence numbers in a SYN or RST beyond this is not believed.
const TOO_FAR: i64 = 1 << 20;

/// What one end has shown so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum State {
    #[default]
    Inactive,
    SynSent,
    SynAckSent,
    /// Sent data without a SYN that we saw.
    Partial,
    Established,
    Closed,
    Reset,
}

/// A position, or a moment in nanoseconds, that may not be there yet; in eight bytes, because connections are many.
#[derive(Debug, Clone, Copy)]
struct Maybe(i64);

impl Default for Maybe {
    fn default() -> Self {
        Self(i64::MIN)
    }
}

impl Maybe {
    fn get(self) -> Option<i64> {
        (self.0 != i64::MIN).then_some(self.0)
    }

    fn moment(self) -> Option<Timestamp> {
        self.get().map(Timestamp::from_nanos)
    }
}

/// One end.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub(crate) state: State,
    previous: State,
    /// Sequence number of the SYN, seen or assumed.
    start: u32,
    /// One past the last byte sent, relative to `start`.
    last: i64,
    /// The highest acknowledgement of its bytes, relative to `start`.
    acknowledged: i64,
    fin_at: Maybe,
    closed: bool,
    /// The lower 32 bits of where its last SYN, FIN and RST stood.
    last_syn: u32,
    last_fin: u32,
    last_rst: u32,
    retransmissions: Repeated,
    gaps: Repeated,
    zero_windows: Repeated,
    pub(crate) stream: Stream,
}

/// A connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(crate) originator: Peer,
    pub(crate) responder: Peer,
    /// When the SYN that opened it came.
    attempted: Maybe,
    /// When both ends were done, or one of them broke off.
    ended: Maybe,
    /// True when it was picked up without its SYN.
    partial: bool,
    seen: (bool, bool),
    /// Payload bytes that were acknowledged but never seen, in a cleanly opened connection.
    pub(crate) missed: u64,
}

/// What of a segment matters, apart from its bytes.
#[expect(clippy::struct_excessive_bools, reason = "the flags of the header are so many")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) ack: bool,
    pub(super) urg: bool,
    window: u16,
    /// Payload bytes on the wire.
    pub(super) length: i64,
}

impl Segment {
    /// Reads a header; `length` is that of the payload on the wire, captured or not.
    pub(crate) fn of(tcp: &TcpSlice<'_>, length: usize) -> Self {
        Self {
            sequence: tcp.sequence_number(),
            acknowledgement: tcp.acknowledgment_number(),
            syn: tcp.syn(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            ack: tcp.ack(),
            urg: tcp.urg(),
            window: tcp.window_size(),
            length: i64::try_from(length).unwrap_or(i64::MAX),
        }
    }

    /// True for the segment that opens a connection.
    pub(crate) fn opens(&self) -> bool {
        self.syn && !self.ack
    }

    /// How much sequence space it takes; the payload of a RST does not count.
    fn space(&self) -> i64 {
        i64::from(self.syn) + i64::from(self.fin) + if self.rst { 0 } else { self.length }
    }

    fn flag_count(&self) -> u8 {
        u8::from(self.syn) + u8::from(self.fin) + u8::from(self.rst)
    }
}

impl Peer {
    /// `sequence` relative to the start, near `around`.
    fn relative(&self, sequence: u32, around: i64) -> i64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "sequence numbers wrap at 32 bits"
        )]
        let near = self.start.wrapping_add(around as u32);
        around + i64::from(sequence.wrapping_sub(near).cast_signed())
    }

    fn begin(&mut self, start: u32, last: i64) {
        self.start = start;
        self.last = last;
        self.acknowledged = 0;
    }

    fn become_state(&mut self, state: State) {
        if state != self.state {
            self.previous = self.state;
            self.state = state;
        }
    }

    fn is_clean(&self) -> bool {
        self.state == State::Established
            || (self.state == State::Closed && self.previous == State::Established)
    }

    /// Payload was sent, by sequence numbers.
    pub(super) fn has_sent(&self) -> bool {
        self.last.max(self.acknowledged) > 1
    }

    /// The SYN of `segment` is the one that is known.
    pub(super) fn started_at(&self, segment: &Segment) -> bool {
        self.start == segment.sequence
    }

    /// `sequence` lies before the SYN, seen or assumed.
    pub(super) fn is_before_start(&self, sequence: u32) -> bool {
        self.relative(sequence, self.last) < 0
    }

    /// `acknowledgement` lies within what was sent.
    pub(super) fn has_reached(&self, acknowledgement: u32) -> bool {
        (0..=self.last).contains(&self.relative(acknowledgement, self.last))
    }

    /// `segment` ends behind everything that was sent before.
    pub(super) fn is_beyond(&self, segment: &Segment) -> bool {
        self.relative(segment.sequence, self.last) + segment.space() > self.last
    }

    fn in_handshake(&self) -> bool {
        matches!(self.state, State::SynSent | State::SynAckSent)
    }

    /// Payload bytes sent, by sequence numbers: retransmissions count once, lost ones count.
    pub(crate) fn payload_bytes(&self, other: &Self) -> u64 {
        let never_answered = self.previous == State::SynSent
            && self.state == State::Reset
            && other.state == State::Inactive
            && self.acknowledged > 0;
        if never_answered {
            return 0;
        }
        let mut size = self.last.max(self.acknowledged);
        size -= i64::from(size != 0);
        size -= i64::from(size != 0 && self.fin_at.get().is_some());
        u64::try_from(size).unwrap_or(0)
    }

    /// Sequence numbers of the first segment, or of a SYN that starts anew.
    fn initialise(&mut self, segment: &Segment) {
        let space = segment.space();
        match self.state {
            State::Inactive if segment.syn => self.begin(segment.sequence, space),
            // As though the SYN had come one before, so that positions stay the same.
            State::Inactive => self.begin(segment.sequence.wrapping_sub(1), 1),
            State::SynSent | State::SynAckSent | State::Established | State::Partial
                if segment.syn && segment.sequence != self.start =>
            {
                self.begin(segment.sequence, space);
            }
            State::Reset if segment.syn && self.previous == State::Inactive => {
                self.begin(segment.sequence, space);
            }
            _ => {}
        }
    }

    /// Follows the highest byte sent; says whether `end` lies beyond what was known.
    fn extend(&mut self, end: i64, segment: &Segment, side: Side, history: &mut History) {
        let advance = end - self.last;
        let implausible = (segment.syn || segment.rst) && advance.abs() > TOO_FAR;
        if implausible {
            return;
        }
        if (segment.fin && self.last == 1) || (self.state != State::Reset && advance > 0) {
            self.last = end;
        } else if self.state != State::Reset && segment.length > 0 {
            history.repeated(side, b't', &mut self.retransmissions);
        }
    }

    fn note(&mut self, segment: &Segment, at: i64, side: Side, history: &mut History) {
        match segment.flag_count() {
            0 if segment.length > 0 => {
                history.once(side, b'd');
            }
            0 if segment.ack => {
                history.once(side, b'a');
            }
            0 => {}
            1 => self.note_flag(segment, at, side, history),
            _ if segment.fin && segment.rst => {
                history.once(side, b'i');
            }
            _ => {
                history.once(side, b'q');
            }
        }
    }

    /// A flag stands again when it comes with another sequence number.
    fn note_flag(&mut self, segment: &Segment, at: i64, side: Side, history: &mut History) {
        let (letter, place, last) = if segment.syn {
            (if segment.ack { b'h' } else { b's' }, at, &mut self.last_syn)
        } else if segment.fin {
            (b'f', at + segment.length, &mut self.last_fin)
        } else {
            (b'r', at, &mut self.last_rst)
        };
        let place = lower(place);
        if history.once(side, letter) && place != *last {
            history.write(side, letter);
        }
        *last = place;
    }
}

/// What a segment did to the connection as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Effect {
    /// Originator and responder were the other way round.
    pub(crate) flipped: bool,
}

impl Connection {
    /// The end that sends, and the other one.
    fn ends(&mut self, side: Side) -> (&mut Peer, &mut Peer) {
        match side {
            Side::Originator => (&mut self.originator, &mut self.responder),
            Side::Responder => (&mut self.responder, &mut self.originator),
        }
    }

    /// Both ends said that they are done.
    pub(crate) fn both_closed(&self) -> bool {
        self.originator.closed && self.responder.closed
    }

    /// Whether `segment`, which comes with the addresses and ports of this connection, opens another one.
    pub(crate) fn is_reused_by(&self, segment: &Segment) -> bool {
        if !segment.syn {
            return false;
        }
        let first = if segment.ack {
            if self.originator.state != State::Inactive {
                return false;
            }
            &self.responder
        } else {
            &self.originator
        };
        if self.originator.closed || self.responder.closed {
            return true;
        }
        let reversed_handshake = !segment.ack
            && first.state == State::SynAckSent
            && self.responder.state == State::Inactive
            && segment.sequence == self.responder.start;
        segment.sequence != first.start && !reversed_handshake
    }

    /// When the connection is over if nothing more comes; `last` is its latest segment.
    pub(crate) fn deadline(&self, last: Timestamp) -> Timestamp {
        if let Some(ended) = self.ended.moment() {
            return ended.plus(LINGER);
        }
        match self.attempted.moment() {
            Some(attempted) if self.is_attempt() => attempted.plus(ATTEMPT),
            _ => last.plus(IDLE),
        }
    }

    /// True when one end wants to open it and the other has said nothing.
    pub(crate) fn is_attempt(&self) -> bool {
        self.originator.in_handshake() && self.responder.state == State::Inactive
    }

    /// Takes one segment from `side`. Bytes that are now in order, and holes given up, go to `sink` with the side that
    /// sent them.
    #[expect(
        clippy::too_many_arguments,
        reason = "what the flow owns beside the connection is lent one by one"
    )]
    pub(crate) fn segment(
        &mut self,
        side: Side,
        at: Timestamp,
        segment: &Segment,
        bytes: &[u8],
        history: &mut History,
        budget: &mut Budget,
        sink: &mut dyn FnMut(Side, Chunk<'_>),
    ) -> Effect {
        self.note_partial(side, segment);
        let (sender, receiver) = self.ends(side);
        sender.initialise(segment);
        let position = sender.relative(segment.sequence, sender.last);
        sender.note(segment, position, side, history);
        note_window(sender, receiver, segment, side, history);
        if segment.fin {
            sender.fin_at = Maybe(position + segment.space());
        }
        let acknowledged = acknowledge(receiver, segment);
        let end = position + segment.space();
        sender.extend(end, segment, side, history);
        let (side, effect) = self.advance(side, at, segment, history);
        if let Some(until) = acknowledged {
            self.give_up_holes(side.other(), until, history, budget, sink);
        }
        match side {
            Side::Originator => self.seen.0 = true,
            Side::Responder => self.seen.1 = true,
        }
        if !bytes.is_empty() && !segment.rst && position >= 0 {
            let (sender, _) = self.ends(side);
            let first = position + i64::from(segment.syn);
            sender.stream.data(first, bytes, budget, &mut |chunk| sink(side, chunk));
        }
        effect
    }

    /// Hands out what still waits on both sides.
    pub(crate) fn finish(&mut self, budget: &mut Budget, sink: &mut dyn FnMut(Side, Chunk<'_>)) {
        self.originator.stream.finish(budget, &mut |chunk| sink(Side::Originator, chunk));
        self.responder.stream.finish(budget, &mut |chunk| sink(Side::Responder, chunk));
    }

    fn note_partial(&mut self, side: Side, segment: &Segment) {
        match side {
            Side::Originator if !self.seen.0 => self.partial = !segment.syn || segment.ack,
            Side::Responder if !self.seen.1 && !self.partial => self.partial = !segment.syn,
            _ => {}
        }
    }

    /// Holes before `until` in what `side` sent will not be filled any more.
    fn give_up_holes(
        &mut self,
        side: Side,
        until: i64,
        history: &mut History,
        budget: &mut Budget,
        sink: &mut dyn FnMut(Side, Chunk<'_>),
    ) {
        let partial = self.partial;
        let clean = self.originator.is_clean() && self.responder.is_clean();
        let (peer, _) = self.ends(side);
        let until = peer.fin_at.get().map_or(until, |fin| until.min(fin - 1));
        if until <= 2 && partial {
            // The SYN was only assumed; a keep-alive may have been the first that we saw.
            peer.stream.pass_over(until, budget, &mut |chunk| sink(side, chunk));
            return;
        }
        let missing = peer.stream.acknowledged(until, budget, &mut |chunk| sink(side, chunk));
        if missing > 0 && clean {
            history.repeated(side, b'g', &mut peer.gaps);
            self.missed += missing;
        }
    }

    /// The state machine of the end that sent `segment`.
    fn advance(
        &mut self,
        side: Side,
        at: Timestamp,
        segment: &Segment,
        history: &mut History,
    ) -> (Side, Effect) {
        let (sender, receiver) = self.ends(side);
        let mut effect = Effect::default();
        let mut side = side;
        match sender.state {
            State::Inactive => {
                effect.flipped = self.first_segment(side, at, segment);
                if effect.flipped {
                    history.flip();
                    side = side.other();
                }
            }
            State::SynSent | State::SynAckSent => {
                if segment.fin {
                    sender.become_state(State::Closed);
                }
                if segment.rst {
                    sender.become_state(State::Reset);
                }
            }
            State::Established | State::Partial => established(sender, receiver, segment),
            State::Closed => {
                if segment.rst && receiver.state != State::Closed {
                    sender.become_state(State::Reset);
                }
            }
            State::Reset => return (side, effect),
        }
        if segment.fin || segment.rst {
            self.close(side, at);
        }
        (side, effect)
    }

    /// The first segment of an end. True when it shows that the roles were the other way round.
    fn first_segment(&mut self, side: Side, at: Timestamp, segment: &Segment) -> bool {
        let mut flipped = false;
        if segment.syn {
            match side {
                Side::Originator => {
                    self.originator.become_state(if segment.ack {
                        State::SynAckSent
                    } else {
                        State::SynSent
                    });
                    self.attempted = Maybe(at.nanos());
                }
                Side::Responder => flipped = self.answer(segment),
            }
        }
        let side = if flipped { side.other() } else { side };
        let was_attempted = self.originator.state == State::SynSent;
        let (sender, receiver) = self.ends(side);
        if segment.fin {
            sender.become_state(State::Closed);
        }
        if segment.rst {
            sender.become_state(State::Reset);
        }
        if sender.state == State::Inactive {
            // Some stacks acknowledge a SYN before they answer it.
            let early_ack = side == Side::Responder && segment.length == 0 && was_attempted;
            if segment.ack && receiver.state == State::Established {
                sender.become_state(State::Established);
                self.partial = false;
            } else if !early_ack {
                sender.become_state(State::Partial);
            }
        }
        flipped
    }

    /// The SYN of the responder. True when it turns out to be the one that opened the connection.
    fn answer(&mut self, segment: &Segment) -> bool {
        let reversed = !segment.ack
            && self.originator.state == State::SynAckSent
            && segment.sequence == self.responder.start;
        if reversed {
            self.partial = false;
            std::mem::swap(&mut self.originator, &mut self.responder);
            self.seen = (self.seen.1, self.seen.0);
        }
        let (answering, opening) = (&mut self.responder, &mut self.originator);
        if reversed {
            answering.become_state(State::Established);
            opening.become_state(State::Established);
            return true;
        }
        if opening.state == State::SynSent {
            opening.become_state(State::Established);
        }
        answering.become_state(State::Established);
        false
    }

    /// One end is done; the connection is, when the other is too, never spoke, or this was a reset.
    fn close(&mut self, side: Side, at: Timestamp) {
        let (sender, receiver) = self.ends(side);
        if sender.closed {
            return;
        }
        sender.closed = true;
        if sender.state == State::Reset || receiver.closed || receiver.state == State::Inactive {
            self.ended = Maybe(at.nanos());
        }
    }
}

/// The lower half of a position, as sequence numbers have it.
fn lower(position: i64) -> u32 {
    let [a, b, c, d, ..] = position.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn established(sender: &mut Peer, receiver: &mut Peer, segment: &Segment) {
    let opens_after_all =
        segment.opens() && sender.state == State::Partial && receiver.state == State::Inactive;
    if opens_after_all {
        sender.become_state(State::SynSent);
    }
    if segment.fin && !segment.rst {
        sender.become_state(State::Closed);
        // A FIN followed by a RST was an ordinary end after all.
        if receiver.state == State::Reset && receiver.previous == State::Closed {
            receiver.become_state(State::Closed);
        }
    }
    if segment.rst {
        sender.become_state(State::Reset);
    }
}

/// Follows what a segment acknowledges of what `receiver` sent; gives the position, when it is believed.
fn acknowledge(receiver: &mut Peer, segment: &Segment) -> Option<i64> {
    if !segment.ack {
        return None;
    }
    if receiver.state == State::Inactive {
        receiver.begin(segment.acknowledgement.wrapping_sub(1), 0);
        return Some(1);
    }
    let position = receiver.relative(segment.acknowledgement, receiver.acknowledged);
    if position < 0 {
        return None;
    }
    let broken = segment.acknowledgement == 0 && position - receiver.acknowledged > TOO_FAR;
    if !segment.rst && !broken && position > receiver.acknowledged {
        receiver.acknowledged = position;
    }
    Some(position)
}

/// A window of zero says that the receiver cannot keep up; not of interest around a reset or after the peer's FIN.
fn note_window(sender: &mut Peer, receiver: &Peer, segment: &Segment, side: Side, history: &mut History) {
    let closed = receiver.state == State::Closed || sender.state == State::Reset;
    if segment.window == 0 && !segment.rst && !closed {
        history.repeated(side, b'w', &mut sender.zero_windows);
    }
}
