//! What the peers of a connection agree on: settings, windows, why it ends (RFC 9113, 6.5, 6.8 and 7).

use dongson_event::{Event, Timestamp};

/// Settings kept of one peer.
const MAX_SETTINGS: usize = 32;

/// Names of settings (RFC 9113, 6.5.2; RFC 8441; RFC 9218), from 1.
const SETTINGS: [&str; 9] = [
    "HEADER_TABLE_SIZE",
    "ENABLE_PUSH",
    "MAX_CONCURRENT_STREAMS",
    "INITIAL_WINDOW_SIZE",
    "MAX_FRAME_SIZE",
    "MAX_HEADER_LIST_SIZE",
    "",
    "ENABLE_CONNECT_PROTOCOL",
    "NO_RFC7540_PRIORITIES",
];

/// Names of errors (7), from 0.
const ERRORS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// The name of an error, or its number.
pub(super) fn error_name(code: u32) -> String {
    let name = usize::try_from(code).ok().and_then(|at| ERRORS.get(at));
    name.map_or_else(|| code.to_string(), |name| (*name).to_owned())
}

/// What one peer says of the connection.
#[derive(Debug, Default)]
pub(super) struct Peer {
    settings: Vec<String>,
    spoke: bool,
    window: Option<u32>,
    error: Option<u32>,
}

impl Peer {
    /// No settings were seen of it.
    pub(super) fn is_new(&self) -> bool {
        !self.spoke
    }

    pub(super) fn settings(&mut self, payload: &[u8]) {
        self.spoke = true;
        for pair in payload.as_chunks::<6>().0 {
            if self.settings.len() < MAX_SETTINGS {
                let [high, low, value @ ..] = *pair;
                let (number, value) = (u16::from_be_bytes([high, low]), u32::from_be_bytes(value));
                let name = known(number).map_or_else(|| number.to_string(), str::to_owned);
                self.settings.push(format!("{name}={value}"));
            }
        }
    }

    /// How much more a peer takes at once: the first update for the connection is a habit of its software.
    pub(super) fn window(&mut self, payload: &[u8]) {
        let step = payload.first_chunk().map(|step| u32::from_be_bytes(*step) & 0x7fff_ffff);
        self.window = self.window.or(step);
    }

    pub(super) fn goaway(&mut self, payload: &[u8]) {
        let code = payload.get(4..).and_then(<[u8]>::first_chunk).map(|code| u32::from_be_bytes(*code));
        self.error = code.or(self.error);
    }

    fn is_silent(&self) -> bool {
        !self.spoke && self.window.is_none() && self.error.is_none()
    }

    fn describe(&self, event: &mut Event, names: [&'static str; 3]) {
        let [settings, window, error] = names;
        if !self.settings.is_empty() {
            event.set(settings, self.settings.clone());
        }
        event.set_some(window, self.window.map(i64::from));
        event.set_some(error, self.error.map(error_name));
    }
}

fn known(number: u16) -> Option<&'static str> {
    let name = usize::from(number).checked_sub(1).and_then(|at| SETTINGS.get(at))?;
    Some(*name).filter(|name| !name.is_empty())
}

/// Whether these bytes are settings of known names, as far as they are there.
pub(super) fn are_settings(bytes: &[u8]) -> bool {
    bytes.chunks(6).all(|pair| match pair {
        [high, low, ..] => known(u16::from_be_bytes([*high, *low])).is_some(),
        [high] => *high == 0,
        [] => true,
    })
}

/// The event of a connection; `None` when neither peer said anything of it.
pub(super) fn describe(began: Timestamp, ended: Timestamp, client: &Peer, server: &Peer) -> Option<Event> {
    if client.is_silent() && server.is_silent() {
        return None;
    }
    let mut event = Event::of("sensor.http2", began);
    event.set("event.kind", "event");
    event.set("event.category", vec!["network", "web"]);
    event.set("event.type", vec!["connection", "protocol"]);
    event.set("network.protocol", "http2");
    event.set("event.duration", ended.nanos().saturating_sub(began.nanos()));
    event.set("dongson.http2.stream_id", 0);
    client.describe(
        &mut event,
        [
            "dongson.http2.request.settings",
            "dongson.http2.request.window_update",
            "dongson.http2.request.error_code",
        ],
    );
    server.describe(
        &mut event,
        [
            "dongson.http2.response.settings",
            "dongson.http2.response.window_update",
            "dongson.http2.response.error_code",
        ],
    );
    Some(event)
}
