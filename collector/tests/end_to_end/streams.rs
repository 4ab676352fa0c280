//! Syslog over UDP, TCP and TLS, and RELP.

use crate::world::{World, edit};
use dongson_event::{TOPIC_EVENTS, TOPIC_UNPARSED};
use dongson_registry::SourceKind;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UdpSocket};

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_of_unknown_peers_are_unassigned_and_kept() {
    let world = World::new().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = world.at.syslog_udp.unwrap();
    socket
        .send_to(
            b"<38>Nov 23 09:00:01 web01 sshd[1]: Failed password for root from 203.0.113.5 port 9 ssh2",
            to,
        )
        .await
        .unwrap();
    socket.send_to(b"\xff\xfe\x00 no syslog", to).await.unwrap();
    let events = world.wait(TOPIC_EVENTS, 1).await;
    assert_eq!((events[0].dataset(), events[0].organization()), ("sshd", "unassigned"));
    assert_eq!(events[0].text("observer.name"), Some("127.0.0.1"));
    let unparsed = world.wait(TOPIC_UNPARSED, 1).await;
    assert_eq!(unparsed[0].text("dongson.unparsed.base64"), Some("//4AIG5vIHN5c2xvZw=="));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_framings_and_a_line_of_ten_mebibytes_on_one_connection() {
    let (world, source) = World::new().await.source(edit(SourceKind::Syslog)).await;
    let mut stream = TcpStream::connect(world.at.syslog_tcp.unwrap()).await.unwrap();
    let long = "<13>Nov 23 09:00:00 h p: ".to_owned() + &"ồ".repeat((10 << 20) / 3);
    let record = "<13>Nov 23 09:00:01 h p: two\nlines";
    stream
        .write_all(format!("<13>Nov 23 09:00:00 h p: one\r\n{long}\n{} {record}", record.len()).as_bytes())
        .await
        .unwrap();
    stream.write_all(b"<13>Nov 23 09:00:02 h p: last, without line feed").await.unwrap();
    stream.shutdown().await.unwrap();
    let events = world.wait(TOPIC_EVENTS, 3).await;
    let messages: Vec<_> = events.iter().map(|event| event.text("message").unwrap()).collect();
    assert_eq!(messages, ["one", "two\nlines", "last, without line feed"]);
    let cut: Vec<_> = events.iter().map(|event| event.get("dongson.record.cut").is_some()).collect();
    assert_eq!(cut, [false, false, true]);
    assert!(
        events
            .iter()
            .all(|event| event.organization() == "xa-a" && event.text("observer.name") == Some("gw-01"))
    );
    let parts = world.wait(TOPIC_UNPARSED, 20).await;
    let joined: String = parts.iter().map(|part| part.text("event.original").unwrap()).collect();
    assert!(joined == long, "{} of {} bytes", joined.len(), long.len());
    let last = parts.last().unwrap();
    assert_eq!(last.int("dongson.unparsed.length"), i64::try_from(long.len()).ok());
    assert_eq!(last.int("dongson.unparsed.parts"), i64::try_from(parts.len()).ok());
    // The registry learns how much came.
    loop {
        let source = world.registry.source(&dongson_registry::Scope::All, &source.id).await.unwrap();
        if (source.events, source.unparsed) == (4, 1) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_inside_which_the_connection_ends_is_kept_and_marked() {
    let world = World::new().await;
    let to = world.at.syslog_tcp.unwrap();
    let send = |text: String| async move {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    send("34 <13>Nov 23 09:00:00 h p: whole one2000 <13>Nov 23 09:00:00 h p: hal".to_owned()).await;
    let events = world.wait(TOPIC_EVENTS, 2).await;
    let found: Vec<_> = events
        .iter()
        .map(|event| (event.text("message").unwrap(), event.get("dongson.record.cut") == Some(&true.into())))
        .collect();
    assert_eq!(found, [("whole one", false), ("hal", true)]);
    // In the middle of a record that is too long for one event, and in one that no parser takes.
    send(format!("9000000 <13>Nov 23 09:00:00 h p: {}", "x".repeat(3 << 20))).await;
    let parts = world.wait(TOPIC_UNPARSED, 6).await;
    let marked: Vec<_> =
        parts.iter().filter(|part| part.get("dongson.record.cut") == Some(&true.into())).collect();
    assert_eq!(marked.len(), 1);
    assert_eq!(marked[0].int("dongson.unparsed.length"), Some((3 << 20) + 25));
    assert_eq!(marked[0].int("dongson.unparsed.parts"), i64::try_from(parts.len()).ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_names_the_source_over_tls() {
    let key = rcgen::KeyPair::generate().unwrap();
    let own =
        rcgen::CertificateParams::new(vec!["fw.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut wanted = edit(SourceKind::Syslog);
    wanted.address = None;
    wanted.certificate = Some(dongson_collector::authority::fingerprint(own.der()));
    let (world, _) = World::new().await.source(wanted).await;
    let mut roots = rustls::RootCertStore::empty();
    let authority = rustls_pki_types::pem::PemObject::from_pem_slice(world.authority_pem.as_bytes());
    roots.add(authority.unwrap()).unwrap();
    let secret = rustls_pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![own.der().clone()], secret)
            .unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let socket = TcpStream::connect(world.at.syslog_tls.unwrap()).await.unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), socket).await.unwrap();
    stream.write_all(b"33 <13>Nov 23 09:00:00 h p: over tls").await.unwrap();
    stream.shutdown().await.unwrap();
    let events = world.wait(TOPIC_EVENTS, 1).await;
    assert_eq!((events[0].organization(), events[0].text("message")), ("xa-a", Some("over tls")));
}

/// Sends `input`, reads until `answers` lines that begin with a number have come.
async fn relp(world: &World, input: &str, answers: usize) -> (Vec<String>, TcpStream) {
    let mut stream = TcpStream::connect(world.at.relp.unwrap()).await.unwrap();
    stream.write_all(input.as_bytes()).await.unwrap();
    let mut reader = BufReader::new(stream);
    let mut found = Vec::new();
    while found.len() < answers {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).await.unwrap() > 0, "closed after {found:?}");
        if line.contains(" rsp ") || line.contains("serverclose") {
            found.push(line.trim_end().to_owned());
        }
    }
    (found, reader.into_inner())
}

fn frame(number: u64, text: &str) -> String {
    format!("{number} syslog {} {text}\n", text.len())
}

fn open() -> String {
    let offers = "relp_version=0\nrelp_software=test,1,x\ncommands=syslog";
    format!("1 open {} {offers}\n", offers.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relp_transaction_that_is_sent_again_is_stored_once() {
    let mut world = World::new().await;
    let record = |second: u8| format!("<13>Nov 23 09:00:0{second} h p: r{second}");
    let first = open() + &frame(2, &record(1)) + &frame(3, &record(2)) + &frame(4, &record(2));
    let (answers, stream) = relp(&world, &first, 4).await;
    assert_eq!(answers[1..], ["2 rsp 6 200 OK", "3 rsp 6 200 OK", "4 rsp 6 200 OK"]);
    // The answers to 3 and 4 are lost with the connection; the client sends again with new numbers, then goes on.
    drop(stream);
    let again = open() + &frame(2, &record(2)) + &frame(3, &record(2)) + &frame(4, &record(3));
    drop(relp(&world, &again, 4).await);
    // The same after collector and bus were started again.
    world = world.restart().await;
    let (answers, mut stream) = relp(&world, &(again + "5 close 0\n"), 6).await;
    assert_eq!(answers[4..], ["5 rsp 0", "0 serverclose 0"]);
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    let events = world.read(TOPIC_EVENTS).await;
    let mut messages: Vec<_> = events.iter().map(|event| event.text("message").unwrap()).collect();
    messages.sort_unstable();
    assert_eq!(messages, ["r1", "r2", "r2", "r3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_relp_is_closed_with_a_word() {
    let world = World::new().await;
    let (answers, _) = relp(&world, "GET / HTTP/1.1\r\n\r\n", 1).await;
    assert_eq!(answers, ["0 serverclose 0"]);
    let (answers, _) = relp(&world, &(open() + "2 rsyslog 0\n"), 2).await;
    assert_eq!(answers[1], "2 rsp 25 500 command not supported");
}
