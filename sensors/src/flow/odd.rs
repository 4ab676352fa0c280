//! What is odd about a TCP segment, given what both ends have shown before it.
//!
//! The names and the states they belong to are those of Zeek's `weird.log`. Nothing is changed here: [`oddities`] looks at
//! the connection before the segment is taken.

use super::Side;
use super::tcp::{Connection, Peer, Segment, State};

/// The names of what is odd about `segment` from `side`; mostly none.
pub(crate) fn oddities(connection: &Connection, side: Side, segment: &Segment) -> Vec<&'static str> {
    let (sender, receiver) = match side {
        Side::Originator => (&connection.originator, &connection.responder),
        Side::Responder => (&connection.responder, &connection.originator),
    };
    let mut names = Vec::new();
    let mut note = |odd: bool, name| {
        if odd {
            names.push(name);
        }
    };
    if segment.syn {
        of_syn(sender, segment, &mut note);
    }
    of_numbers(sender, receiver, segment, &mut note);
    match sender.state {
        State::Inactive => of_first(sender, receiver, side, segment, &mut note),
        State::SynSent | State::SynAckSent => of_opening(sender, receiver, side, segment, &mut note),
        State::Established | State::Partial => {
            let opens = segment.opens() && sender.state == State::Partial;
            note(opens && receiver.state == State::Inactive, "SYN_after_partial");
        }
        State::Closed => {
            note(segment.syn, "SYN_after_close");
            note(segment.fin && sender.is_beyond(segment), "FIN_advanced_last_seq");
        }
        State::Reset => {
            note(segment.syn, "SYN_after_reset");
            note(segment.fin, "FIN_after_reset");
            note(segment.length > 0 && !segment.rst, "data_after_reset");
        }
    }
    names
}

/// Odd about any SYN.
fn of_syn(sender: &Peer, segment: &Segment, note: &mut dyn FnMut(bool, &'static str)) {
    let inside = matches!(sender.state, State::Established | State::Partial);
    let follows = inside || matches!(sender.state, State::SynSent | State::SynAckSent);
    note(inside && sender.has_sent(), "SYN_inside_connection");
    note(follows && !sender.started_at(segment), "SYN_seq_jump");
    note(segment.rst, "TCP_christmas");
    note(segment.urg, "baroque_SYN");
    note(segment.length > 0, "SYN_with_data");
}

/// Sequence numbers before the beginning of a stream, and an acknowledgement of what was never asked for.
fn of_numbers(sender: &Peer, receiver: &Peer, segment: &Segment, note: &mut dyn FnMut(bool, &'static str)) {
    // A SYN begins anew, whatever came before it.
    let plain = !segment.syn && !segment.fin && !segment.rst;
    let known = |peer: &Peer| peer.state != State::Inactive;
    note(
        known(sender) && !segment.rst && !segment.syn && sender.is_before_start(segment.sequence),
        "TCP_seq_underflow_or_misorder",
    );
    if !segment.ack {
        return;
    }
    let has_opened = matches!(sender.state, State::SynSent | State::SynAckSent | State::Established);
    note(plain && has_opened && !known(receiver), "possible_split_routing");
    note(
        known(receiver) && receiver.is_before_start(segment.acknowledgement),
        "TCP_ack_underflow_or_misorder",
    );
}

/// The first segment of an end.
fn of_first(
    sender: &Peer,
    receiver: &Peer,
    side: Side,
    segment: &Segment,
    note: &mut dyn FnMut(bool, &'static str),
) {
    let from_originator = side == Side::Originator;
    if segment.syn && from_originator {
        note(segment.ack, "connection_originator_SYN_ack");
    } else if segment.syn {
        let silent = matches!(receiver.state, State::Inactive | State::Partial);
        let reversed = receiver.state == State::SynAckSent && sender.started_at(segment);
        note(segment.ack && !silent && !receiver.has_reached(segment.acknowledgement), "bad_SYN_ack");
        note(!segment.ack && !reversed, "simultaneous_open");
        note(receiver.state == State::Inactive, "unsolicited_SYN_response");
    }
    note(segment.fin && !segment.syn && receiver.state != State::Partial, "spontaneous_FIN");
    let rejects = from_originator && receiver.state == State::Established;
    note(segment.rst && !rejects && receiver.state == State::Inactive, "spontaneous_RST");
}

/// A segment of an end that has sent its SYN and seen no answer.
fn of_opening(
    sender: &Peer,
    receiver: &Peer,
    side: Side,
    segment: &Segment,
    note: &mut dyn FnMut(bool, &'static str),
) {
    let alone = !segment.fin && !segment.rst;
    if segment.syn && side == Side::Originator {
        note(segment.ack && alone && sender.state != State::SynAckSent, "repeated_SYN_with_ack");
    } else if segment.syn {
        note(!segment.ack && sender.state != State::SynSent, "repeated_SYN_reply_wo_ack");
    }
    let unanswered = matches!(receiver.state, State::Inactive | State::SynSent);
    note(segment.fin && unanswered, "inappropriate_FIN");
    note(segment.length > 0 && !segment.rst, "data_before_established");
}
