//! The tags of rules as MITRE ATT&CK names them.

/// A tactic of ATT&CK.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tactic {
    /// As Sigma tags it, with `-`.
    pub(super) tag: &'static str,
    /// English name.
    pub(super) en: &'static str,
    /// Vietnamese name.
    pub(super) vi: &'static str,
}

const fn tactic(tag: &'static str, en: &'static str, vi: &'static str) -> Tactic {
    Tactic { tag, en, vi }
}

/// All tactics in the order of ATT&CK; the last is for rules without one.
pub(super) const TACTICS: [Tactic; 17] = [
    tactic("reconnaissance", "Reconnaissance", "Trinh sát"),
    tactic("resource-development", "Resource Development", "Chuẩn bị nguồn lực"),
    tactic("initial-access", "Initial Access", "Xâm nhập ban đầu"),
    tactic("execution", "Execution", "Thực thi"),
    tactic("persistence", "Persistence", "Duy trì hiện diện"),
    tactic("privilege-escalation", "Privilege Escalation", "Leo thang đặc quyền"),
    tactic("defense-evasion", "Defense Evasion", "Né tránh phòng thủ"),
    tactic("stealth", "Stealth", "Ẩn mình"),
    tactic("defense-impairment", "Defense Impairment", "Vô hiệu hóa phòng thủ"),
    tactic("credential-access", "Credential Access", "Đánh cắp thông tin xác thực"),
    tactic("discovery", "Discovery", "Thăm dò"),
    tactic("lateral-movement", "Lateral Movement", "Lây lan nội bộ"),
    tactic("collection", "Collection", "Thu thập dữ liệu"),
    tactic("command-and-control", "Command and Control", "Điều khiển từ xa"),
    tactic("exfiltration", "Exfiltration", "Chuyển dữ liệu ra ngoài"),
    tactic("impact", "Impact", "Gây tác động"),
    tactic("", "No tactic", "Không gắn chiến thuật"),
];

/// The tactics of a rule with these tags, in the order of ATT&CK.
pub(super) fn tactics(tags: &[String]) -> Vec<&'static Tactic> {
    numbers(tags).into_iter().filter_map(|number| TACTICS.get(number)).collect()
}

/// Places in [`TACTICS`] of the tactics of a rule with these tags.
pub(super) fn numbers(tags: &[String]) -> Vec<usize> {
    let words: Vec<String> = tags
        .iter()
        .filter_map(|tag| tag.strip_prefix("attack."))
        .map(|word| word.replace('_', "-"))
        .collect();
    let given = |tactic: &Tactic| words.iter().any(|word| word == tactic.tag);
    TACTICS.iter().enumerate().filter(|(_, tactic)| given(tactic)).map(|(number, _)| number).collect()
}

/// The techniques of a rule with these tags: `T1059.001`.
pub(super) fn techniques(tags: &[String]) -> Vec<String> {
    let words = tags.iter().filter_map(|tag| tag.strip_prefix("attack.t"));
    words
        .filter(|word| word.starts_with(|sign: char| sign.is_ascii_digit()))
        .map(|word| format!("T{word}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_old_and_new() {
        let tags = [
            "attack.t1059.001",
            "attack.credential_access",
            "attack.execution",
            "cve.2021-1",
            "attack.g0016",
        ];
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let names: Vec<&str> = tactics(&tags).iter().map(|tactic| tactic.en).collect();
        assert_eq!(names, ["Execution", "Credential Access"]);
        assert_eq!(techniques(&tags), ["T1059.001"]);
        assert!(tactics(&[]).is_empty());
    }
}
