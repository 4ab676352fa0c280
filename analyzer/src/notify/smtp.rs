//! Mail by SMTP. The setting `tls` decides how: `tls` from the first byte (RFC 8314), `starttls` required (RFC 3207),
//! `none` in the clear, which must be said. Where it is not given, port 465 means `tls` and every other `starttls`.

use lettre::address::Envelope;
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde_json::Value;

use super::{NotifyError, Roots, Sent, TIMEOUT, ascii_host, required};

/// The port of mail that is encrypted from the first byte.
const TLS_PORT: u16 = 465;
/// The port of mail from a client otherwise.
const SUBMISSION_PORT: u16 = 587;

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protection {
    Tls,
    StartTls,
    Plain,
}

/// Sends a message to every address of the channel; answers which of them were refused, where others were not.
pub(super) async fn send(settings: &Value, roots: &Roots, subject: String, body: String) -> Sent {
    let message = message(settings, subject, body)?;
    let transport = transport(settings, roots)?;
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
            Err(error) if error.status().is_none() && !sent => {
                return Err(NotifyError::Refused(error.to_string()));
            }
            Err(error) => refused.push(format!("{to}: {error}")),
        }
    }
    let refused = (!refused.is_empty()).then(|| refused.join("; "));
    match refused {
        Some(refused) if !sent => Err(NotifyError::Refused(refused)),
        refused => Ok(refused),
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

/// An address; a host with other letters than ASCII's in the form that every server takes.
fn mailbox(text: &str, name: &'static str) -> Result<Mailbox, NotifyError> {
    let wrong = || NotifyError::Setting { name, problem: "is not a mail address" };
    let Mailbox { name: words, email } = text.trim().parse().map_err(|_| wrong())?;
    if !email.user().is_ascii() {
        return Err(NotifyError::Setting { name, problem: "has letters with diacritics before the @" });
    }
    let host = ascii_host(email.domain(), name)?;
    Ok(Mailbox::new(words, Address::new(email.user(), host).map_err(|_| wrong())?))
}

fn port(settings: &Value) -> Result<Option<u16>, NotifyError> {
    let wrong = NotifyError::Setting { name: "port", problem: "is not a port" };
    match settings.get("port").filter(|port| !port.is_null()) {
        None => Ok(None),
        Some(port) => port.as_u64().and_then(|port| u16::try_from(port).ok()).map(Some).ok_or(wrong),
    }
}

fn protection(settings: &Value, port: Option<u16>) -> Result<Protection, NotifyError> {
    match settings.get("tls").and_then(Value::as_str).unwrap_or_default() {
        "tls" => Ok(Protection::Tls),
        "none" => Ok(Protection::Plain),
        "" if port == Some(TLS_PORT) => Ok(Protection::Tls),
        "starttls" | "" => Ok(Protection::StartTls),
        _ => Err(NotifyError::Setting { name: "tls", problem: "is neither starttls, tls nor none" }),
    }
}

fn transport(settings: &Value, roots: &Roots) -> Result<AsyncSmtpTransport<Tokio1Executor>, NotifyError> {
    let host = ascii_host(required(settings, "host")?, "host")?;
    let given = port(settings)?;
    let protection = protection(settings, given)?;
    let usual = if protection == Protection::Tls { TLS_PORT } else { SUBMISSION_PORT };
    let tls = match protection {
        Protection::Tls => Tls::Wrapper(parameters(&host, roots)?),
        Protection::StartTls => Tls::Required(parameters(&host, roots)?),
        Protection::Plain => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).tls(tls);
    if let Some(user) = settings.get("username").and_then(Value::as_str).filter(|user| !user.is_empty()) {
        builder = builder.credentials(Credentials::new(user.to_owned(), password(settings)?));
    }
    Ok(builder.port(given.unwrap_or(usual)).timeout(Some(TIMEOUT)).build())
}

/// As it was given: white space may be part of it.
fn password(settings: &Value) -> Result<String, NotifyError> {
    let text = settings.get("password").and_then(Value::as_str).filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or(NotifyError::Setting { name: "password", problem: "is missing" })
}

/// TLS to `host` with the authorities of this machine and our own.
fn parameters(host: &str, roots: &Roots) -> Result<TlsParameters, NotifyError> {
    let wrong = |error: lettre::transport::smtp::Error| NotifyError::Refused(error.to_string());
    let mut builder = TlsParameters::builder(host.to_owned());
    for root in roots.own() {
        builder = builder.add_root_certificate(Certificate::from_der(root.to_vec()).map_err(wrong)?);
    }
    builder.build().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::thread::{JoinHandle, spawn};

    use serde_json::json;

    use super::*;

    /// What a server took: of each message its commands and its text.
    type Taken = Vec<(Vec<String>, String)>;

    fn listen() -> (u16, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        (listener.local_addr().unwrap().port(), listener)
    }

    /// Takes `times` messages as a server does; an address with `refused` in it is refused.
    fn server(times: usize) -> (u16, JoinHandle<Taken>) {
        let (port, listener) = listen();
        let all = move || (0..times).map(|_| conversation(&listener.accept().unwrap().0)).collect();
        (port, spawn(all))
    }

    fn conversation(stream: &TcpStream) -> (Vec<String>, String) {
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let answer = |text: &str| (&*stream).write_all(format!("{text}\r\n").as_bytes()).unwrap();
        answer("220 test");
        let (mut commands, mut data, mut inside) = (Vec::new(), String::new(), false);
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap_or(0) == 0 {
                return (commands, data);
            }
            match line.trim_end() {
                "." if inside => {
                    inside = false;
                    answer("250 taken");
                }
                _ if inside => data.push_str(&line),
                "DATA" => {
                    inside = true;
                    answer("354 go on");
                }
                command => {
                    commands.push(command.to_owned());
                    answer(if command.contains("refused") { "550 no such user" } else { "250 fine" });
                }
            }
        }
    }

    fn settings(port: u16, to: &[&str]) -> Value {
        json!({
            "host": "127.0.0.1", "port": port, "tls": "none", "from": "Đông Sơn <soc@example.vn>", "to": to,
        })
    }

    #[tokio::test]
    async fn a_message_is_whole_on_the_wire() {
        let (port, taken) = server(1);
        let (subject, body) =
            ("[Cao] Dò mật khẩu SSH (so-yte)".to_owned(), "Cảnh báo: dò mật khẩu\n".to_owned());
        let settings = settings(port, &["truc@máy.vn"]);
        assert_eq!(send(&settings, &Roots::default(), subject, body).await.unwrap(), None);
        let (commands, data) = taken.join().unwrap().remove(0);
        assert!(commands.contains(&"RCPT TO:<truc@xn--my-mia.vn>".to_owned()), "{commands:?}");
        let header = |name: &str| {
            let found = data.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")));
            found.unwrap_or_else(|| panic!("no {name} in {data}")).to_owned()
        };
        assert_eq!(header("mime-version"), "MIME-Version: 1.0");
        assert_eq!(header("content-type"), "Content-Type: text/plain; charset=utf-8");
        assert!(header("message-id").ends_with("@example.vn>"), "{data}");
        assert!(header("subject").contains("=?utf-8?b?"), "{data}");
        assert!(header("date").len() > 20 && header("to").contains("truc@xn--my-mia.vn"), "{data}");
        assert!(data.is_ascii(), "eight bits without SMTPUTF8: {data}");
    }

    #[tokio::test]
    async fn one_refused_address_keeps_nothing_from_the_others() {
        let (port, taken) = server(3);
        let settings = settings(port, &["an@example.vn", "refused@example.vn", "binh@example.vn"]);
        let told =
            send(&settings, &Roots::default(), "s".to_owned(), "b\n".to_owned()).await.unwrap().unwrap();
        assert!(told.contains("refused@example.vn") && told.contains("no such user"), "{told}");
        assert!(!told.contains("an@example.vn:") && !told.contains("binh"), "{told}");
        let got = taken.join().unwrap();
        let bodies: Vec<bool> = got.iter().map(|(_, data)| !data.is_empty()).collect();
        assert_eq!(bodies, [true, false, true], "{got:?}");
        let (port, _taken) = server(1);
        let nobody = self::settings(port, &["refused@example.vn"]);
        assert!(send(&nobody, &Roots::default(), "s".to_owned(), "b\n".to_owned()).await.is_err());
    }

    #[tokio::test]
    async fn the_setting_decides_and_not_the_port() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (port, listener) = listen();
        let first = spawn(move || {
            let mut first = [0; 1];
            listener.accept().unwrap().0.read_exact(&mut first).unwrap();
            first[0]
        });
        let mut settings = settings(port, &["an@example.vn"]);
        settings["tls"] = "tls".into();
        assert!(send(&settings, &Roots::default(), String::new(), String::new()).await.is_err());
        assert_eq!(first.join().unwrap(), 22, "a TLS record of a handshake comes before the server speaks");
        let (port, taken) = server(1);
        settings["port"] = port.into();
        settings["tls"] = "starttls".into();
        assert!(send(&settings, &Roots::default(), String::new(), String::new()).await.is_err());
        let (commands, data) = taken.join().unwrap().remove(0);
        assert!(data.is_empty() && !commands.iter().any(|one| one.starts_with("MAIL")), "{commands:?}");
    }

    #[test]
    fn without_the_setting_the_port_decides() {
        for (settings, expected) in [
            (json!({ "port": 465 }), Protection::Tls),
            (json!({ "port": 587 }), Protection::StartTls),
            (json!({}), Protection::StartTls),
            (json!({ "port": 465, "tls": "starttls" }), Protection::StartTls),
            (json!({ "port": 465, "tls": "none" }), Protection::Plain),
            (json!({ "port": 587, "tls": "tls" }), Protection::Tls),
        ] {
            let found = protection(&settings, port(&settings).unwrap()).unwrap();
            assert_eq!(found, expected, "{settings}");
        }
        assert!(protection(&json!({ "tls": "maybe" }), None).is_err());
        assert!(port(&json!({ "port": 70_000 })).is_err());
    }

    #[test]
    fn addresses_that_no_server_takes_are_told() {
        assert!(mailbox("trực@example.vn", "to").is_err());
        assert!(mailbox("a@x, b@y", "from").is_err());
        assert_eq!(mailbox("a@MÁY.vn", "to").unwrap().email.domain(), "xn--my-mia.vn");
    }
}
