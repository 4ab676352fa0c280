//! The words of a notification. Everything that came from outside is made harmless: one line, no control signs, no
//! signs that turn the direction of writing or have no width.

use dongson_registry::{Alert, Level};

/// One line of text from outside: control, bidirectional and zero-width signs become their code, length is bounded.
pub(super) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(400));
    for sign in text.chars().take(300) {
        if sign.is_control() || is_invisible(sign) {
            out.extend(sign.escape_unicode());
        } else {
            out.push(sign);
        }
    }
    out
}

fn is_invisible(sign: char) -> bool {
    matches!(sign, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

/// The Vietnamese word of a level.
pub(super) const fn level_vi(level: Level) -> &'static str {
    match level {
        Level::Informational => "Thông tin",
        Level::Low => "Thấp",
        Level::Medium => "Trung bình",
        Level::High => "Cao",
        Level::Critical => "Nghiêm trọng",
    }
}

/// The subject: level, what, where; a drill says so first.
pub(super) fn subject(alert: &Alert) -> String {
    let drill = if alert.drill { "[DIỄN TẬP] " } else { "" };
    format!("{drill}[{}] {} ({})", level_vi(alert.level), line(&alert.title_vi), line(&alert.organization))
}

/// The subject of a test.
pub(super) const TEST_SUBJECT: &str = "[GỬI THỬ] Kênh thông báo của Dongson";

/// The body of a test.
pub(super) fn test_body(channel: &str, page: Option<&str>) -> String {
    let link = page.map(|page| format!("\n{page}\n")).unwrap_or_default();
    format!(
        "Đây là tin gửi thử của kênh thông báo \"{}\". Nhận được tin này nghĩa là kênh hoạt động; không cần xử lý gì.\n\
         (English: this is a test message; nothing has to be done.)\n{link}",
        line(channel)
    )
}

/// The body, in Vietnamese with the English title beside.
pub(super) fn body(alert: &Alert, console: &str) -> String {
    format!(
        "Cảnh báo: {}\nMức độ: {}\nĐơn vị: {}\nĐối tượng: {} = {}\nSố lần: {}\nLuật: {}\n(English: {})\n\nXem và xử lý: {console}/alerts/{}\n",
        line(&alert.title_vi),
        level_vi(alert.level),
        line(&alert.organization),
        line(&alert.entity_type),
        line(&alert.entity_value),
        alert.count,
        line(&alert.rule_id),
        line(&alert.title_en),
        alert.id,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_has_a_link_or_none() {
        assert!(test_body("c", Some("https://soc.vn")).ends_with("done.)\n\nhttps://soc.vn\n"));
        assert!(test_body("c", None).ends_with("done.)\n"));
    }

    #[test]
    fn a_line_stays_one_harmless_line() {
        assert_eq!(line("a\r\nBcc: x@y"), "a\\u{d}\\u{a}Bcc: x@y");
        assert_eq!(line("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        assert_eq!(line("Đăng nhập"), "Đăng nhập");
    }
}
