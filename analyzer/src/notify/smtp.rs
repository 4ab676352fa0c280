//! Mail by SMTP: TLS from the start on port 465, STARTTLS required elsewhere; `"tls": "none"` for a relay on this
//! machine's own network must be said.

use dongson_registry::Alert;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde_json::Value;

use super::{NotifyError, TIMEOUT, required, text};

/// Sends one alert to every address of the channel.
pub(super) async fn send(settings: &Value, alert: &Alert, console: &str) -> Result<(), NotifyError> {
    let message = message(settings, alert, console)?;
    let transport = transport(settings)?;
    transport.send(message).await.map_err(|error| NotifyError::Refused(error.to_string()))?;
    Ok(())
}

fn message(settings: &Value, alert: &Alert, console: &str) -> Result<Message, NotifyError> {
    let mut builder = Message::builder().from(mailbox(required(settings, "from")?, "from")?);
    let recipients = settings.get("to").and_then(Value::as_array).filter(|list| !list.is_empty());
    for to in recipients.ok_or(NotifyError::Setting { name: "to", problem: "is not a list of addresses" })? {
        builder = builder.to(mailbox(to.as_str().unwrap_or_default(), "to")?);
    }
    builder
        .subject(text::subject(alert))
        .body(text::body(alert, console))
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
