//! Ports that servers answer on: when a flow is picked up in the middle, they say who began it.

/// TCP ports on which a listener is likely.
const TCP: &[u16] = &[
    21, 22, 23, 25, 43, 53, 79, 80, 81, 88, 102, 110, 111, 119, 135, 137, 139, 143, 179, 389, 443, 445, 465,
    502, 514, 515, 548, 554, 563, 585, 587, 614, 631, 636, 873, 902, 989, 990, 992, 993, 995, 1080, 1433,
    1434, 1521, 1723, 1883, 2049, 2222, 2375, 2404, 3000, 3128, 3268, 3269, 3306, 3389, 4840, 5000, 5060,
    5061, 5222, 5223, 5269, 5432, 5601, 5672, 5900, 5985, 5986, 6379, 6443, 6666, 6667, 6668, 6669, 6697,
    7001, 8000, 8008, 8080, 8081, 8086, 8088, 8443, 8883, 8888, 9000, 9042, 9090, 9092, 9200, 9300, 9418,
    10250, 11211, 20000, 27017, 44818, 47808, 50000,
];

/// UDP ports on which a listener is likely.
const UDP: &[u16] = &[
    53, 67, 69, 88, 111, 123, 137, 161, 162, 389, 443, 464, 500, 502, 514, 1194, 1434, 1645, 1646, 1701,
    1812, 1813, 1900, 2049, 2123, 2152, 3389, 3478, 3544, 3702, 4500, 4789, 5060, 5061, 5072, 5353, 5355,
    5683, 6081, 8472, 11211, 20000, 44818, 47808, 51820,
];

/// True when a TCP server is likely on `port`.
pub(crate) fn likely_tcp_server(port: u16) -> bool {
    TCP.binary_search(&port).is_ok()
}

/// True when a UDP server is likely on `port`.
pub(crate) fn likely_udp_server(port: u16) -> bool {
    UDP.binary_search(&port).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        assert!(TCP.is_sorted() && UDP.is_sorted());
        assert!(likely_tcp_server(443) && !likely_tcp_server(49_152));
        assert!(likely_udp_server(53) && !likely_udp_server(53_000));
    }
}
