//! One stream: a request and its response (RFC 9113, 8), or a call of gRPC.

use dongson_event::{Event, Timestamp};

use super::super::body::Body;
use super::super::head::Request;
use super::super::{Transaction, content, event};
use super::connection::error_name;
use super::headers::Fields;
use crate::protocol::wire::text;
use crate::protocol::{Options, Side};

/// A stream whose end was not seen.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: u32,
    transaction: Transaction,
    scheme: Option<String>,
    /// The server asked in the client's place.
    pub(super) pushed: bool,
    request_headers: Vec<String>,
    response_headers: Vec<String>,
    /// What client and server have ended.
    ended: [bool; 2],
    /// Why client or server broke it off.
    errors: [Option<u32>; 2],
    grpc_status: Option<i64>,
    grpc_message: Option<String>,
}

impl Open {
    pub(super) fn new(id: u32, at: Timestamp, depth: u32) -> Self {
        Self {
            id,
            transaction: Transaction::new(at, depth),
            scheme: None,
            pushed: false,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            ended: [false; 2],
            errors: [None; 2],
            grpc_status: None,
            grpc_message: None,
        }
    }

    /// Takes over a request of HTTP/1, which was whole.
    pub(super) fn adopt(&mut self, mut request: Request) {
        "2".clone_into(&mut request.shared.version);
        let host = request.host.clone().unwrap_or_default();
        let pseudo = [(":method", &request.method), (":path", &request.target), (":authority", &host)];
        self.request_headers = pseudo.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        self.transaction.request = Some(request);
        self.transaction.request_body.complete = true;
        self.ended = [true, false];
    }

    /// The body of client or server.
    pub(super) fn body(&mut self, by_client: bool) -> &mut Body {
        if by_client { &mut self.transaction.request_body } else { &mut self.transaction.response_body }
    }

    /// A header list of the client: the request, or what follows its body.
    pub(super) fn request(
        &mut self,
        options: &Options,
        client: Side,
        at: Timestamp,
        fields: &Fields,
        ends: bool,
    ) {
        if self.transaction.request.is_some()
            || !fields.is_request() && self.transaction.request_body.wire_bytes() > 0
        {
            return;
        }
        let mut request = fields.request(&options.secret_key);
        request.seal_uris(&options.secret_key);
        self.scheme = fields.get(":scheme").map(|scheme| text(scheme, 16));
        self.request_headers = fields.told(&options.secret_key);
        let wanted = !ends && request.method != "CONNECT" && !is_grpc(request.shared.content_type.as_deref());
        let depth = self.transaction.depth;
        let file = wanted
            .then(|| content("http2", options, &request.shared, &request.target, client, at, depth))
            .flatten();
        self.transaction.request_body = Body::new(request.shared.content_encoding.as_deref(), file);
        self.transaction.request = Some(request);
    }

    /// A header list of the server: an interim response, the response, or what follows its body.
    pub(super) fn response(
        &mut self,
        options: &Options,
        server: Side,
        at: Timestamp,
        fields: &Fields,
        ends: bool,
    ) {
        self.grpc(fields);
        let Some(status) = fields.status().filter(|_| self.transaction.response.is_none()) else { return };
        let response = fields.response(status, &options.secret_key);
        if (100..200).contains(&status) && !ends {
            self.transaction.interim = Some((status, String::new()));
            return;
        }
        self.response_headers = fields.told(&options.secret_key);
        let method = self.transaction.method();
        let tunnel = method == "CONNECT" && (200..300).contains(&status);
        let wanted =
            !ends && method != "HEAD" && !tunnel && !is_grpc(response.shared.content_type.as_deref());
        let target = self.transaction.request.as_ref().map_or("", |request| request.target.as_str());
        let depth = self.transaction.depth;
        let file =
            wanted.then(|| content("http2", options, &response.shared, target, server, at, depth)).flatten();
        self.transaction.response_body = Body::new(response.shared.content_encoding.as_deref(), file);
        self.transaction.response = Some(response);
    }

    /// How a call ended, mostly behind the body (gRPC over HTTP2, "Responses").
    fn grpc(&mut self, fields: &Fields) {
        let status =
            fields.get("grpc-status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        self.grpc_status = status.or(self.grpc_status);
        let message = fields.get("grpc-message").filter(|message| !message.is_empty());
        self.grpc_message = message.map(|message| text(message, 512)).or(self.grpc_message.take());
    }

    /// Client or server has said all; true when both have.
    pub(super) fn end(&mut self, by_client: bool) -> bool {
        self.body(by_client).complete = true;
        let [client, server] = &mut self.ended;
        *(if by_client { client } else { server }) = true;
        self.ended == [true; 2]
    }

    /// Client or server breaks it off.
    pub(super) fn reset(&mut self, by_client: bool, code: u32) {
        let [client, server] = &mut self.errors;
        *(if by_client { client } else { server }) = Some(code);
    }

    /// The events of the stream and of the files in it.
    pub(super) fn describe(self, out: &mut Vec<Event>) {
        let at = out.len();
        let grpc = self.transaction.request.as_ref().and_then(|request| {
            let path = request
                .target
                .strip_prefix('/')
                .filter(|_| is_grpc(request.shared.content_type.as_deref()))?;
            let (service, method) = path.rsplit_once('/')?;
            Some((service.to_owned(), method.to_owned()))
        });
        event::describe(self.transaction, out);
        for event in out.iter_mut().skip(at).filter(|event| event.dataset() != "sensor.weird") {
            event.set("network.protocol", "http2");
        }
        let Some(event) = out.get_mut(at) else { return };
        event.set("dongson.http2.stream_id", i64::from(self.id));
        event.set_some("url.scheme", self.scheme);
        if self.pushed {
            event.set("dongson.http2.pushed", true);
        }
        let [client, server] = self.errors;
        event.set_some("dongson.http2.request.error_code", client.map(error_name));
        event.set_some("dongson.http2.response.error_code", server.map(error_name));
        let lists = [
            ("dongson.http.request.headers", self.request_headers),
            ("dongson.http.response.headers", self.response_headers),
        ];
        for (name, list) in lists {
            if !list.is_empty() {
                event.set(name, list);
            }
        }
        if let Some((service, method)) = grpc {
            event.set("dongson.grpc.service", service);
            event.set("dongson.grpc.method", method);
        }
        event.set_some("dongson.grpc.status", self.grpc_status);
        event.set_some("dongson.grpc.message", self.grpc_message);
    }
}

fn is_grpc(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|kind| kind.starts_with("application/grpc"))
}
