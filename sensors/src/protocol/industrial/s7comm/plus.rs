//! S7comm-plus: version, opcode and function of a message; what is behind them is not read.

use dongson_event::Event;

use super::super::super::wire::Cursor;

const REQUEST: u8 = 0x31;

/// The head of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    version: u8,
    opcode: u8,
    function: u16,
    pub(super) sequence: u16,
}

impl Message {
    pub(super) fn is_request(self) -> bool {
        self.opcode == REQUEST
    }

    pub(super) fn describe(self, event: &mut Event) {
        event.set("dongson.s7comm.version", self.version);
        event.set("dongson.s7comm.rosctr", opcode(self.opcode));
        event.set("dongson.s7comm.reference", self.sequence);
        event.set("dongson.s7comm.function_code", self.function);
        if self.opcode != 0x33 {
            let name = function(self.function);
            event.set("dongson.s7comm.function", name.clone());
            event.set("event.action", name);
        }
    }
}

/// Behind the mark: version, length, in version 3 a digest with its length in front, opcode, function, sequence.
///
/// Only what begins a message is read: the packets that carry on one have no opcode where it is looked for.
pub(super) fn read(mut cursor: Cursor<'_>) -> Option<Message> {
    let version = cursor.u8().filter(|version| matches!(version, 1..=3))?;
    cursor.u16()?;
    if version == 3 {
        cursor.vec8().filter(|digest| digest.len() == 32)?;
    }
    let opcode = cursor.u8().filter(|opcode| matches!(opcode, 0x31..=0x33))?;
    cursor.u16()?;
    let function = cursor.u16()?;
    cursor.u16()?;
    Some(Message { version, opcode, function, sequence: cursor.u16()? })
}

fn opcode(code: u8) -> &'static str {
    match code {
        REQUEST => "request",
        0x32 => "response",
        _ => "notification",
    }
}

fn function(code: u16) -> String {
    let name = match code {
        0x04b1 => "error",
        0x04bb => "explore",
        0x04ca => "create_object",
        0x04d4 => "delete_object",
        0x04f2 => "set_variable",
        0x04fc => "get_variable",
        0x0506 => "add_link",
        0x051a => "remove_link",
        0x0524 => "get_link",
        0x0542 => "set_multi_variables",
        0x054c => "get_multi_variables",
        0x0556 => "begin_sequence",
        0x0560 => "end_sequence",
        0x056b => "invoke",
        0x057c => "set_variable_substreamed",
        0x0586 => "get_variable_substreamed",
        other => return format!("unknown-{other:#06x}"),
    };
    name.to_owned()
}
