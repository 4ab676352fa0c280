//! The Vietnamese beside the English of every error: by code, by reason, by thing.

/// Code, Vietnamese, English.
const CODES: &[(&str, &str, &str)] = &[
    ("not_found", "Không tìm thấy.", "Not found."),
    (
        "unauthenticated",
        "Bạn chưa đăng nhập hoặc phiên đã hết hạn. Hãy đăng nhập lại.",
        "Sign in first; the session may have expired.",
    ),
    (
        "sign_in_refused",
        "Tên đăng nhập hoặc mật khẩu không đúng, hoặc tài khoản đang bị khóa 15 phút sau 5 lần sai.",
        "Wrong name or password, or the account is locked for 15 minutes after 5 failures.",
    ),
    (
        "too_many_tries",
        "Đăng nhập quá nhiều lần từ địa chỉ này. Hãy thử lại sau 5 phút.",
        "Too many sign-ins from this address. Try again in 5 minutes.",
    ),
    (
        "password_change_required",
        "Hãy đổi mật khẩu trước khi làm việc khác.",
        "Change the password before anything else.",
    ),
    (
        "csrf",
        "Yêu cầu thiếu mã xác nhận phiên. Hãy tải lại trang.",
        "The request lacks the session's token. Reload the page.",
    ),
    (
        "request_timeout",
        "Yêu cầu mất quá nhiều thời gian. Hãy thử lại.",
        "The request took too long. Try again.",
    ),
    (
        "too_many_streams",
        "Tài khoản này đang mở quá nhiều trang cùng lúc. Hãy đóng bớt.",
        "This account has too many pages open. Close some.",
    ),
    ("forbidden", "Vai trò của bạn không được làm việc này.", "Your role does not allow this."),
    (
        "stale",
        "Người khác vừa thay đổi mục này. Hãy tải lại rồi làm lại.",
        "Somebody else has just changed this. Load it again and repeat.",
    ),
    ("taken", "Tên này đã được dùng.", "This name is in use already."),
    (
        "not_signed",
        "Không ký được cho cảm biến: văn bản gốc tin cậy không cho phép hoặc đã hết hạn (xem `dongson admin trust show`).",
        "It could not be signed for sensors: the root document does not allow it or has ended (see `dongson admin trust show`).",
    ),
    ("bad_request", "Yêu cầu không đúng dạng.", "The request cannot be read."),
    ("too_large", "Yêu cầu quá lớn.", "The request is too large."),
    (
        "media_type",
        "Nội dung phải là JSON (content-type: application/json).",
        "The body must be JSON (content-type: application/json).",
    ),
    ("method_not_allowed", "Phương thức không được phép ở địa chỉ này.", "The method is not allowed here."),
    (
        "authority_unknown",
        "Bộ thu thập chưa công bố chứng thư gốc. Hãy khởi động bộ thu thập rồi thử lại.",
        "The collector has not published its authority yet. Start the collector and try again.",
    ),
    (
        "collector_unknown",
        "Chưa cấu hình địa chỉ của bộ thu thập cho cảm biến.",
        "No address of the collector is configured for sensors.",
    ),
    (
        "test_failed",
        "Không gửi được tin thử. Máy chủ hoặc mạng trả lời ở phần chi tiết.",
        "The test message could not be sent. What the server or the network said stands in `detail`.",
    ),
    (
        "bad_question",
        "Kho sự kiện không nhận câu hỏi này: hãy thu hẹp khoảng thời gian hoặc điều kiện.",
        "The event store does not take this question: narrow the time or the conditions.",
    ),
    (
        "search_too_slow",
        "Tìm kiếm quá thời gian cho phép. Hãy thu hẹp khoảng thời gian hoặc thêm điều kiện rồi thử lại.",
        "The search took longer than is allowed. Narrow the time or add conditions, then try again.",
    ),
    (
        "store_unavailable",
        "Kho sự kiện chưa trả lời. Hãy thử lại sau ít giây.",
        "The event store does not answer. Try again in a few seconds.",
    ),
    (
        "disk_full",
        "Không ghi được vào thư mục dữ liệu {folder}: ổ đĩa đã đầy hoặc gặp lỗi. Chưa có gì thay đổi; việc xem vẫn \
         hoạt động. Hãy giải phóng dung lượng ổ đĩa rồi làm lại, không cần khởi động lại.",
        "The data folder {folder} cannot be written: its disk is full or fails. Nothing was changed, and reading goes \
         on. Free some space, then repeat this; a restart is not needed.",
    ),
    (
        "database_away",
        "Máy chủ cơ sở dữ liệu không trả lời hoặc không ghi được. Chưa có gì thay đổi. Hãy thử lại sau ít phút; nếu vẫn vậy, \
         hãy báo quản trị.",
        "The database server does not answer, or cannot write. Nothing was changed. Try again in a few minutes; if it stays \
         so, tell the administrator.",
    ),
    (
        "internal",
        "Lỗi bên trong hệ thống. Hãy báo mã yêu cầu cho quản trị.",
        "Internal error. Tell the administrator the request id.",
    ),
];

/// English reason, Vietnamese.
const REASONS: &[(&str, &str)] = &[
    ("has more than 10000 runs", "có hơn 10000 đoạn"),
    ("has too many gaps to be accounted for", "có quá nhiều chỗ trống để đối soát"),
    ("has a run whose last is before its first", "có một đoạn mà số cuối đứng trước số đầu"),
    ("has a class or reason that is not known", "có loại hoặc lý do không được biết"),
    ("has too many gone runs to be accounted for", "có quá nhiều đoạn đã mất để đối soát"),
    (
        "there is none: make it with `dongson admin trust init`",
        "chưa có: hãy tạo bằng lệnh `dongson admin trust init`",
    ),
    (
        "does not let this centre's key sign this alone: sign a root document that does (dongson admin trust)",
        "không cho phép khóa của trung tâm tự ký việc này: hãy ký văn bản gốc mới (dongson admin trust)",
    ),
    ("the sensor has 64 open requests already", "cảm biến đã có 64 yêu cầu chưa trả lời"),
    (
        "has this version or a newer one already: versions only go up",
        "đã có phiên bản này hoặc mới hơn: phiên bản chỉ được tăng",
    ),
    ("must be verify or ignore", "phải là verify hoặc ignore"),
    ("is no filter: `detail` says why", "không phải là bộ lọc hợp lệ: xem lý do ở phần chi tiết"),
    (
        "must be at most 4096 bytes without control characters",
        "phải dài tối đa 4096 byte và không chứa ký tự điều khiển",
    ),
    (
        "must be some of conn, dns, http, tls, x509, file and services",
        "phải gồm các loại trong conn, dns, http, tls, x509, file và services",
    ),
    ("must be 1000 to 100000000", "phải từ 1000 đến 100000000"),
    (
        "must be 1 to 200 characters without control characters",
        "phải dài 1 đến 200 ký tự và không chứa ký tự điều khiển",
    ),
    ("must be 16 to 1048576", "phải từ 16 đến 1048576"),
    ("must not be empty", "không được để trống"),
    ("must not be empty when there is a password", "không được để trống khi đã có mật khẩu"),
    ("is too long", "quá dài"),
    ("must not hold control characters", "không được chứa ký tự điều khiển"),
    ("must be 1 to 64 of a-z, 0-9, -, _ and .", "phải gồm 1 đến 64 ký tự a-z, 0-9, -, _ và ."),
    ("must be 1 to 5", "phải từ 1 đến 5"),
    ("would make a loop", "tạo thành vòng lặp đơn vị cấp trên"),
    (
        "must be informational, low, medium, high or critical",
        "phải là informational, low, medium, high hoặc critical",
    ),
    ("must cut the time into at most 2000 spans", "phải chia thời gian thành tối đa 2000 khoảng"),
    (
        "is not understood: take it from `next` of the last page",
        "không hiểu được: hãy lấy giá trị `next` của trang trước trong chính danh sách này",
    ),
    ("must be 1 to 500", "phải từ 1 đến 500"),
    ("must be 60 to 86400", "phải từ 60 đến 86400 giây"),
    ("must be 1 to 25", "phải từ 1 đến 25"),
    ("must be 1 to 744", "phải từ 1 đến 744 giờ"),
    ("must be a whole number", "phải là số nguyên"),
    ("must hold at most 16 words", "tối đa 16 từ"),
    ("must have 1 to 256 bytes", "phải dài từ 1 đến 256 byte"),
    ("must be 1 to 60", "phải từ 1 đến 60"),
    ("must be 2 to 120", "phải từ 2 đến 120"),
    ("must name 1 to 500 alerts", "phải nêu từ 1 đến 500 cảnh báo"),
    ("must be at most 500", "tối đa 500"),
    ("must be more than zero and at most seven days", "phải lớn hơn 0 và tối đa bảy ngày"),
    ("was used already", "đã được dùng"),
    ("was withdrawn", "đã bị thu hồi"),
    ("has expired", "đã hết hạn"),
    (
        "name a rule or an entity: an exception cannot hide everything",
        "phải nêu luật hoặc đối tượng: ngoại lệ không được ẩn tất cả",
    ),
    ("type and value of the entity go together", "loại và giá trị của đối tượng phải đi cùng nhau"),
    ("must lie in the future, at most a year ahead", "phải ở tương lai, tối đa một năm"),
    ("name one agency of yours", "phải nêu một đơn vị thuộc phạm vi của bạn"),
    ("has ended already", "đã kết thúc"),
    (
        "closing needs verdict, cause and lesson",
        "đóng sự cố cần kết luận, nguyên nhân và bài học kinh nghiệm",
    ),
    ("is closed; open it again first", "đã đóng; hãy mở lại trước"),
    ("is closed already", "đã đóng"),
    ("belongs to another agency than the incident", "thuộc đơn vị khác với sự cố"),
    ("belongs to another incident", "đã thuộc sự cố khác"),
    (
        "is real and the incident belongs to a drill: raise an incident of its own",
        "là cảnh báo thật, còn sự cố thuộc diễn tập: hãy lập sự cố riêng cho cảnh báo này",
    ),
    ("must lie between the year 2000 and now", "phải từ năm 2000 đến hiện tại"),
    ("give an address or a host", "phải có địa chỉ hoặc tên máy"),
    ("is no address or network", "không phải địa chỉ hoặc dải mạng"),
    ("must be at most 100,000", "tối đa 100.000"),
    ("choose at least one agency", "hãy chọn ít nhất một đơn vị"),
    (
        "is no parser: leave it out, so that it is found by content",
        "không phải bộ phân tích nào: để trống để nhận dạng theo nội dung",
    ),
    (
        "is no listener: leave it out, so that every listener counts",
        "không phải cổng nhận nào: để trống để nhận ở mọi cổng",
    ),
    ("needs a letter or a digit", "cần có chữ cái hoặc chữ số"),
    ("must be after since, by at most seven days", "phải sau since, cách nhau tối đa bảy ngày"),
    (
        "must be given, or a filter: not everything is asked for",
        "phải có, hoặc nêu filter: không thể lấy toàn bộ gói tin",
    ),
    (
        "is no Community ID, as in 1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
        "không phải Community ID, ví dụ 1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
    ),
    ("must be 1024 to 268435456", "phải từ 1024 đến 268435456 byte"),
    ("must be 1 to 168", "phải từ 1 đến 168 giờ"),
    ("is decided already", "đã được quyết định"),
    ("must be approved by somebody else than who asked", "phải do người khác với người yêu cầu phê duyệt"),
    (
        "has no room: discard packets that are not needed any more",
        "không còn chỗ lưu: hãy xóa các gói tin không cần nữa",
    ),
    ("is over already", "đã kết thúc"),
    ("has no packets", "không có gói tin"),
    ("has more bytes than were asked for", "có nhiều byte hơn mức được yêu cầu"),
    ("does not fit its SHA-256", "không khớp mã băm SHA-256"),
    ("is no agency of yours", "không phải đơn vị thuộc phạm vi của bạn"),
    ("is no setting of this kind of channel", "không phải thiết lập của loại kênh này"),
    ("must be text", "phải là chuỗi ký tự"),
    ("must be a list of texts", "phải là danh sách chuỗi ký tự"),
    (
        "give the secret itself: *** stands for one that is stored",
        "hãy nhập chính giá trị bí mật: *** chỉ thay cho giá trị đã lưu",
    ),
    ("give it again: it was given for another server", "hãy nhập lại: giá trị này đã nhập cho máy chủ khác"),
    ("must be one mail address, without a comma", "phải là một địa chỉ thư, không có dấu phẩy"),
    ("must have only letters without diacritics before the @", "chỉ được dùng chữ không dấu trước ký tự @"),
    ("must be an object", "phải là một đối tượng JSON"),
    ("is not the name or address of a server", "không phải tên hoặc địa chỉ máy chủ"),
    ("must be 1 to 65535", "phải từ 1 đến 65535"),
    ("must be starttls, tls or none", "phải là starttls, tls hoặc none"),
    ("is not a mail address", "không phải địa chỉ thư điện tử"),
    ("is not the address of a page", "không phải địa chỉ web (URL) hợp lệ"),
    ("url must begin with https:// or http://", "url phải bắt đầu bằng https:// hoặc http://"),
    (
        "must not hold a user name or password: give a secret instead",
        "không được chứa tên đăng nhập hoặc mật khẩu: hãy dùng thiết lập secret",
    ),
    ("are longer than 16 KiB", "dài hơn 16 KiB"),
    ("is longer than 64 KiB", "dài hơn 64 KiB"),
    ("is revoked", "đã bị thu hồi"),
    ("is revoked already", "đã bị thu hồi"),
    ("give an address, listener or certificate", "phải có địa chỉ, cổng nhận hoặc chứng thư số"),
    (
        "must be given: a source over HTTP is known by its key",
        "phải có: nguồn gửi qua HTTP được nhận biết bằng khóa API",
    ),
    (
        "tells nothing of a source over HTTP: leave it out",
        "không dùng để nhận biết nguồn gửi qua HTTP: hãy để trống",
    ),
    ("is only shown over syslog with TLS: leave it out", "chỉ có khi gửi syslog qua TLS: hãy để trống"),
    ("is for sources over HTTP only: leave it out", "chỉ dùng cho nguồn gửi qua HTTP: hãy để trống"),
    ("is no API key of this agency", "không phải khóa API của đơn vị này"),
    (
        "takes another kind of source: leave it out, so that every listener counts",
        "không nhận loại nguồn này: để trống để nhận ở mọi cổng",
    ),
    (
        "is no SHA-256 fingerprint: 64 hexadecimal digits, colons may stand between the bytes",
        "không phải vân tay SHA-256: cần 64 chữ số thập lục phân, có thể có dấu hai chấm giữa các byte",
    ),
    ("must be at most 366 days, forward or back", "tối đa 366 ngày, về trước hoặc về sau"),
    ("must be 1 second to 366 days", "phải từ 1 giây đến 366 ngày"),
    ("must be 1 to 1,000,000,000", "phải từ 1 đến 1.000.000.000"),
    ("is not a name of the time zone database", "không phải tên múi giờ"),
    ("a source stays with its agency", "nguồn nhật ký không chuyển sang đơn vị khác"),
    ("is no account that may work on this", "không phải tài khoản được xử lý việc này"),
    ("is the last administrator", "là quản trị cuối cùng"),
    ("is wrong", "không đúng"),
    ("must be vi or en", "phải là vi hoặc en"),
    ("must not be longer than 31 days", "không được dài quá 31 ngày"),
    ("must end after it begins", "phải kết thúc sau khi bắt đầu"),
    ("is not one of the values", "không phải một trong các giá trị cho phép"),
    (
        "is not a list of conditions",
        "phải là danh sách điều kiện, mỗi điều kiện gồm field, operator và value",
    ),
    ("must be an object of field, operator and value", "phải là đối tượng gồm field, operator và value"),
    ("holds something besides field, operator and value", "có mục khác ngoài field, operator và value"),
    ("must be text of 1 to 256 bytes", "phải là chuỗi ký tự dài từ 1 đến 256 byte"),
    ("must be is, is_not, contains, exists or absent", "phải là is, is_not, contains, exists hoặc absent"),
    ("must be given for this operator", "phải có với phép so sánh này"),
    ("must not be given for this operator", "không được có với phép so sánh này"),
    ("must be text, a number, true or false", "phải là chuỗi ký tự, số, true hoặc false"),
    ("must have at most 4000 characters", "tối đa 4000 ký tự"),
    ("is no parameter here", "không phải tham số của địa chỉ này"),
    ("must be given", "phải có"),
    ("is no field here", "không phải trường của yêu cầu này"),
    ("has a value of the wrong kind", "giá trị không đúng kiểu dữ liệu"),
    ("must be given once", "chỉ được nêu một lần"),
    ("must be true or false", "phải là true hoặc false"),
    ("must hold at most 20 conditions", "tối đa 20 điều kiện"),
    (
        "names a field that only the centre's people may see",
        "nêu trường dữ liệu mà chỉ người của trung tâm được xem",
    ),
];

/// Why a password is too easy to guess: as the registry says it, Vietnamese, English.
const PASSWORDS: &[(&str, &str, &str)] = &[
    (
        "it has fewer than 14 characters",
        "Mật khẩu phải có ít nhất 14 ký tự.",
        "The password must have at least 14 characters.",
    ),
    (
        "it has more than 200 characters",
        "Mật khẩu không được quá 200 ký tự.",
        "The password must have at most 200 characters.",
    ),
    (
        "it needs small letters, capital letters, digits and other signs",
        "Mật khẩu cần có chữ thường, chữ hoa, chữ số và ký tự khác.",
        "The password needs small letters, capital letters, digits and other signs.",
    ),
    (
        "it holds the login name",
        "Mật khẩu không được chứa tên đăng nhập.",
        "The password must not hold the login name.",
    ),
    (
        "it is the present password",
        "Mật khẩu mới phải khác mật khẩu hiện tại.",
        "The new password must differ from the present one.",
    ),
];

/// English name of a thing, Vietnamese.
const THINGS: &[(&str, &str)] = &[
    ("spool", "Bộ đệm lưu tạm"),
    ("root document", "Văn bản gốc tin cậy"),
    ("request", "Yêu cầu tới cảm biến"),
    ("pack", "Gói nội dung"),
    ("enrolment token", "Mã đăng ký"),
    ("sensor", "Cảm biến"),
    ("api key", "Khóa API"),
    ("alert", "Cảnh báo"),
    ("incident", "Sự cố"),
    ("exception", "Ngoại lệ"),
    ("packet order", "Yêu cầu gói tin"),
    ("account", "Tài khoản"),
    ("present password", "Mật khẩu hiện tại"),
];

/// Vietnamese and English of a code.
pub(crate) fn of_code(code: &str) -> (&'static str, &'static str) {
    CODES.iter().find(|(known, ..)| *known == code).map_or(("Lỗi.", "Error."), |(_, vi, en)| (vi, en))
}

/// Vietnamese of a reason, or the reason itself.
pub(crate) fn of_reason(reason: &str) -> &str {
    REASONS.iter().find(|(known, _)| *known == reason).map_or(reason, |(_, vi)| vi)
}

/// Vietnamese and English of why a password is too easy to guess.
pub(crate) fn of_password(weak: &str) -> (&'static str, &'static str) {
    let unknown = ("Mật khẩu quá dễ đoán.", "The password is too easy to guess.");
    PASSWORDS.iter().find(|(known, ..)| *known == weak).map_or(unknown, |(_, vi, en)| (vi, en))
}

/// Vietnamese of a thing, or its name itself.
pub(crate) fn of_thing(thing: &str) -> &str {
    THINGS.iter().find(|(known, _)| *known == thing).map_or(thing, |(_, vi)| vi)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// All texts in the registry's and our sources that stand between `before` and the next quote.
    fn texts(before: &str) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = Vec::new();
        for folder in ["registry/src", "registry/src/trust", "src", "src/api"].map(|folder| root.join(folder))
        {
            for file in fs::read_dir(folder).unwrap() {
                let path = file.unwrap().path();
                if path.extension().is_none_or(|extension| extension != "rs") || path.ends_with("words.rs") {
                    continue;
                }
                let source = fs::read_to_string(path).unwrap();
                let code = source.split("#[cfg(test)]").next().unwrap();
                found.extend(
                    code.split(before)
                        .skip(1)
                        .filter_map(|rest| rest.split_once('"'))
                        .map(|(text, _)| text.to_owned()),
                );
            }
        }
        assert!(!found.is_empty(), "nothing found after {before}");
        found
    }

    /// Why settings of channels are refused: the last text of each `wrong(...)`.
    fn of_settings() -> Vec<String> {
        let source = include_str!("../registry/src/channel_check.rs");
        let code = source.split("#[cfg(test)]").next().unwrap();
        let last = |rest: &str| rest.lines().next()?.rsplit('"').nth(1).map(str::to_owned);
        let found: Vec<String> = code.split(" wrong(").skip(1).filter_map(last).collect();
        assert!(found.len() > 12, "{found:?}");
        found
    }

    #[test]
    fn every_reason_and_thing_has_its_vietnamese() {
        let missing: Vec<String> = texts("reason: \"")
            .into_iter()
            .filter(|text| of_reason(text) == text && !text.contains("test"))
            .collect();
        assert_eq!(missing, Vec::<String>::new());
        let missing: Vec<String> = of_settings().into_iter().filter(|text| of_reason(text) == text).collect();
        assert_eq!(missing, Vec::<String>::new());
        let missing: Vec<String> =
            texts("Refused { what: \"").into_iter().filter(|text| of_thing(text) == text).collect();
        assert_eq!(missing, Vec::<String>::new());
        let missing: Vec<String> = texts("#[error(\"it ")
            .into_iter()
            .filter(|text| of_password(&format!("it {text}")).1.contains("easy"))
            .collect();
        assert_eq!(missing, Vec::<String>::new());
    }
}
