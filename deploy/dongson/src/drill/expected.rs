//! The alerts that the drill must raise.

/// One alert that must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Stage of the attack.
    pub(crate) stage: &'static str,
    /// Id of the rule.
    pub(crate) rule: &'static str,
    /// The agency.
    pub(crate) organization: &'static str,
}

/// The made-up commune.
pub(crate) const COMMUNE: &str = "dien-tap-xa";
/// The made-up public-service portal.
pub(crate) const PORTAL: &str = "dien-tap-dvc";

/// All of them, in the order of the attack.
pub(crate) const EXPECTED: &[Expected] = &[
    Expected { stage: "scan: ports", rule: "8c9dc982-2168-431f-a6fe-a0a74ff2c46e", organization: PORTAL },
    Expected {
        stage: "scan: hidden pages",
        rule: "16d24ee7-c29e-4bf7-895e-d2046dbc2f12",
        organization: PORTAL,
    },
    Expected {
        stage: "scan: the scanner's own name",
        rule: "945cd047-c2f5-431c-8568-407291c62aa7",
        organization: PORTAL,
    },
    Expected {
        stage: "web exploit: SQL injection",
        rule: "3a3048f2-8ac0-47d1-bb5a-3f8a253df218",
        organization: PORTAL,
    },
    Expected {
        stage: "web exploit: script uploaded",
        rule: "019155a4-0263-4824-9d49-1c81eaca7613",
        organization: PORTAL,
    },
    Expected {
        stage: "webshell: commands",
        rule: "8397d33d-f0f4-4dd2-9a31-507270ceffb7",
        organization: PORTAL,
    },
    Expected {
        stage: "webshell: the web server starts a shell",
        rule: "f7b474eb-3b90-4801-a6e7-79dce8136fd9",
        organization: PORTAL,
    },
    Expected {
        stage: "credential theft: SSH passwords tried",
        rule: "b7847156-6482-4161-9e56-27b40045efbf",
        organization: PORTAL,
    },
    Expected {
        stage: "credential theft: password hashes read",
        rule: "189f50ac-80f7-4757-928c-7e8653a91a28",
        organization: PORTAL,
    },
    Expected {
        stage: "credential theft: memory of LSASS dumped",
        rule: "05a145f2-e0e9-44fd-a2e8-527b43bfedb7",
        organization: COMMUNE,
    },
    Expected {
        stage: "credential theft: LSASS opened",
        rule: "f97370ca-303d-46db-9b93-2165734f4306",
        organization: COMMUNE,
    },
    Expected {
        stage: "execution: encoded PowerShell",
        rule: "86dc0b4d-6974-4622-bbd1-cf28e091b015",
        organization: COMMUNE,
    },
    Expected {
        stage: "lateral movement: remote service",
        rule: "c689f8f0-54f6-48e9-8367-9397057b2d00",
        organization: COMMUNE,
    },
    Expected {
        stage: "traces removed: event log cleared",
        rule: "802b940c-8ddc-444c-beea-e46c33545b5c",
        organization: COMMUNE,
    },
    Expected {
        stage: "C2 beacon: self-signed certificate",
        rule: "f0a25f0f-650f-4aeb-b1c6-e1da37735be0",
        organization: COMMUNE,
    },
    Expected {
        stage: "C2 beacon: no server name on an odd port",
        rule: "05eb4af0-52c6-4179-9e5f-a6a45ff3bbd1",
        organization: COMMUNE,
    },
    Expected {
        stage: "DNS exfiltration: many long names",
        rule: "5a39c388-8b09-40ff-979d-f60f355e88fb",
        organization: COMMUNE,
    },
    Expected {
        stage: "DNS exfiltration: burst of TXT",
        rule: "6d52698b-9093-4a5b-99b1-e84c35e2bc52",
        organization: COMMUNE,
    },
];
