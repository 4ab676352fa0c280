//! Mail by SMTP: TLS from the start on port 465, STARTTLS required elsewhere; `"tls": "none"` for a relay on this
//! machine's own network must be said.

use lettre::address::Envelope;
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde_json::Value;

use super::{NotifyError, TIMEOUT, required};

/// Sends a message to every address of the channel.
pub(super) async fn send(settings: &Value, subject: String, body: String) -> Result<(), NotifyError> {
    let message = message(settings, subject, body)?;
    let transport = transport(settings)?;
    let envelope = message.envelope();
    let raw = message.formatted();
    let (mut refused, mut sent) = (Vec::new(), false);
    // One after the other: an address that the server refuses does not keep the message from the others.
    for to in envelope.to() {
        let one = Envelope::new(envelope.from().cloned(), vec![to.clone()])
            .map_err(|error| NotifyError::Refused(error.to_string()))?;
        match transport.send_raw(&one, &raw).await {
            Ok(_) => sent = true,
            // Without an answer from the server the others would not fare better.
            Err(error) if error.status().is_none() => return Err(NotifyError::Refused(error.to_string())),
            Err(error) => refused.push(format!("{to}: {error}")),
        }
    }
    match (sent, refused.is_empty()) {
        (_, true) => Ok(()),
        (true, false) => {
            tracing::warn!(refused = refused.join("; "), "the mail server refused some addresses");
            Ok(())
        }
        (false, false) => Err(NotifyError::Refused(refused.join("; "))),
    }
}

/// A message of one part: plain text in UTF-8 (RFC 2045), with an id of its own under the sender's domain (RFC 5322,
/// 3.6.4); the subject is encoded (RFC 2047).
fn message(settings: &Value, subject: String, body: String) -> Result<Message, NotifyError> {
    let from = mailbox(required(settings, "from")?, "from")?;
    let id = format!("<{}@{}>", uuid::Uuid::now_v7(), from.email.domain());
    let mut builder = Message::builder().from(from).message_id(Some(id));
    let recipients = settings.get("to").and_then(Value::as_array).filter(|list| !list.is_empty());
    for to in recipients.ok_or(NotifyError::Setting { name: "to", problem: "is not a list of addresses" })? {
        builder = builder.to(mailbox(to.as_str().unwrap_or_default(), "to")?);
    }
    builder
        .subject(subject)
        .singlepart(SinglePart::plain(body))
        .map_err(|error| NotifyError::Refused(error.to_string()))
}

fn mailbox(address: &str, name: &'static str) -> Result<Mailbox, NotifyError> {
    address.parse().map_err(|_| NotifyError::Setting { name, problem: "is not a mail address" })
}

fn transport(settings: &Value) -> Result<AsyncSmtpTransport<Tokio1Executor>, NotifyError> {
    type Transport = AsyncSmtpTransport<Tokio1Executor>;
    let host = required(settings, "host")?;
    let port = settings.get("port").and_then(Value::as_u64).unwrap_or(587);
    let port =
        u16::try_from(port).map_err(|_| NotifyError::Setting { name: "port", problem: "is not a port" })?;
    let plain = settings.get("tls").and_then(Value::as_str) == Some("none");
    let refused = |error: lettre::transport::smtp::Error| NotifyError::Refused(error.to_string());
    let mut builder = match port {
        _ if plain => Transport::builder_dangerous(host),
        465 => Transport::relay(host).map_err(refused)?,
        _ => Transport::starttls_relay(host).map_err(refused)?,
    };
    if let Some(user) = settings.get("username").and_then(Value::as_str).filter(|user| !user.is_empty()) {
        builder = builder
            .credentials(Credentials::new(user.to_owned(), required(settings, "password")?.to_owned()));
    }
    Ok(builder.port(port).timeout(Some(TIMEOUT)).build())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    use serde_json::json;

    use super::*;

    /// Takes one message as a server does and answers what came between DATA and the dot.
    fn server() -> (u16, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let take = move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let answer = |text: &str| (&stream).write_all(format!("{text}\r\n").as_bytes()).unwrap();
            answer("220 test");
            let (mut data, mut inside) = (String::new(), false);
            loop {
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                match line.trim_end() {
                    "." if inside => {
                        answer("250 taken");
                        return data;
                    }
                    _ if inside => data.push_str(&line),
                    "DATA" => {
                        inside = true;
                        answer("354 go on");
                    }
                    _ => answer("250 fine"),
                }
            }
        };
        (port, std::thread::spawn(take))
    }

    #[tokio::test]
    async fn a_message_is_whole_on_the_wire() {
        let (port, taken) = server();
        let settings = json!({
            "host": "127.0.0.1", "port": port, "tls": "none",
            "from": "Đông Sơn <soc@example.vn>", "to": ["truc@example.vn"],
        });
        send(&settings, "[Cao] Dò mật khẩu SSH (so-yte)".to_owned(), "Cảnh báo: dò mật khẩu\n".to_owned())
            .await
            .unwrap();
        let data = taken.join().unwrap();
        let header = |name: &str| {
            let found = data.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")));
            found.unwrap_or_else(|| panic!("no {name} in {data}")).to_owned()
        };
        assert_eq!(header("mime-version"), "MIME-Version: 1.0");
        assert_eq!(header("content-type"), "Content-Type: text/plain; charset=utf-8");
        assert!(header("message-id").ends_with("@example.vn>"), "{data}");
        assert!(header("subject").contains("=?utf-8?b?"), "{data}");
        assert!(header("date").len() > 20 && header("to").contains("truc@example.vn"));
        assert!(data.is_ascii(), "eight bits without SMTPUTF8: {data}");
    }
}
