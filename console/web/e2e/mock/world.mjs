/** A made-up province for looking at the page without a console: fixed seed, documentation addresses only. */

/** A small generator of numbers with a fixed seed, so that every run shows the same. */
export function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

const HOUR = 3_600_000;

export const agencies = [
  ['ubnd-tinh', 'Văn phòng UBND tỉnh', 'Office of the Provincial People’s Committee', 3], ['so-yte', 'Sở Y tế', 'Department of Health', 2],
  ['so-taichinh', 'Sở Tài chính', 'Department of Finance', 3], ['so-gddt', 'Sở Giáo dục và Đào tạo', 'Department of Education and Training', 2],
  ['so-nnmt', 'Sở Nông nghiệp và Môi trường', 'Department of Agriculture and Environment', 2], ['dvc', 'Cổng dịch vụ công tỉnh', 'Provincial public-service portal', 3],
  ['kkt-nghison', 'Ban Quản lý KKT Nghi Sơn và các khu công nghiệp', 'Nghi Son Economic Zone Authority', 3], ['p-hamrong', 'UBND phường Hàm Rồng', 'Ham Rong Ward', 2],
  ['x-muonglat', 'UBND xã Mường Lát', 'Muong Lat Commune', 1], ['bv-dakhoa', 'Bệnh viện Đa khoa tỉnh', 'Provincial General Hospital', 3],
].map(([id, name, name_en, level]) => ({ id, name, name_en, level, parent: id === 'ubnd-tinh' ? null : 'ubnd-tinh', created_at: 0, version: 1 }));

const RULES = [
  ['Dò mật khẩu SSH từ một địa chỉ', 'SSH password guessing from one address', 'high', 'attack.t1110.001', 'source.ip', 'linux', null, 'sshd'],
  ['Tải tệp webshell lên cổng dịch vụ công', 'Webshell uploaded to the public-service portal', 'critical', 'attack.t1505.003', 'source.ip', null, 'webserver', null],
  ['Tiến trình máy chủ web mở dòng lệnh', 'Web server process starts a shell', 'critical', 'attack.t1059.004', 'host.name', 'linux', 'process_creation', null],
  ['Truy vấn DNS dài bất thường, nghi trích xuất dữ liệu', 'Unusually long DNS queries, possible exfiltration', 'high', 'attack.t1048.003', 'host.name', 'dongson', null, 'sensor.dns'],
  ['Dò quét nhiều cổng trong thời gian ngắn', 'Many ports scanned in a short time', 'medium', 'attack.t1046', 'source.ip', 'dongson', null, 'sensor.conn'],
  ['Mật khẩu gửi không mã hóa qua HTTP', 'Password sent in clear over HTTP', 'medium', 'attack.t1040', 'source.ip', 'dongson', null, 'sensor.http'],
  ['Chứng thư số tự ký trên cổng lạ', 'Self-signed certificate on an unusual port', 'low', 'attack.t1573.002', 'destination.ip', 'dongson', null, 'sensor.tls'],
  ['Nguồn nhật ký im lặng', 'Log source is silent', 'low', '', 'observer.name', 'dongson', null, 'health'],
  ['Truy cập bộ nhớ LSASS', 'LSASS memory access', 'critical', 'attack.t1003.001', 'host.name', 'windows', 'process_access', null],
  ['Công cụ quét lỗ hổng trong User-Agent', 'Vulnerability scanner in the user agent', 'informational', 'attack.t1595.002', 'source.ip', null, 'webserver', null],
];
export const rules = RULES.map(([title_vi, title, level, tag, , product, category, service], index) => ({
  id: `5a7e3c10-0000-4000-8000-00000000000${index}`, title, title_vi,
  description: `${title}. Compare with what the operator of the system knows, then close or raise an incident.`,
  description_vi: `${title_vi}. Đối chiếu với đơn vị vận hành hệ thống trước khi đóng hoặc tạo sự cố.`,
  response: 'Ask the operator of the system whether this is known work; if not, isolate the machine and keep the scene.',
  response_vi: 'Hỏi đơn vị vận hành xem đây có phải công việc đã biết; nếu không, cô lập máy và bảo vệ hiện trường.',
  level, status: 'stable', author: 'Dongson', tags: tag === '' ? [] : [tag], logsource: { product, category, service },
  falsepositives: ['Kiểm tra định kỳ của đơn vị vận hành'], file: `rule-${index}.yml`,
  source: `title: ${title}\nid: 5a7e3c10-0000-4000-8000-00000000000${index}\nlogsource:\n  product: ${product}\ndetection:\n  selection:\n    event.outcome: failure\n    source.ip|cidr: 203.0.113.0/24\n  condition: selection\nlevel: ${level}\n`,
}));

export const people = [
  { id: 'u-admin', login: 'admin', full_name: 'Quản trị hệ thống', role: 'administrator', organizations: null },
  { id: 'u-lan', login: 'lan.nt', full_name: 'Nguyễn Thị Lan', role: 'analyst', organizations: null },
  { id: 'u-hung', login: 'hung.lv', full_name: 'Lê Văn Hùng', role: 'analyst', organizations: null },
  { id: 'u-mai', login: 'mai.tt', full_name: 'Trịnh Thị Mai', role: 'agency_viewer', organizations: ['so-yte'] },
].map((one) => ({ ...one, language: 'vi', must_change_password: one.login === 'admin', locked_until: null, disabled: false, created_at: 0, password_changed_at: 0, last_sign_in_at: Date.now() - 7e6, version: 1 }));

const HOSTS = ['may-ketoan-07', 'web-dvc-01', 'db-hosobenhan', 'gw-muonglat', 'pc-vanthu-02'];

export function alertAt(index, random, now) {
  const [title_vi, title_en, level, tag, entity_type] = RULES[Math.floor(random() ** 1.6 * RULES.length)];
  const rule = rules.find((one) => one.title_vi === title_vi);
  const last_seen = Math.round(now - random() ** 2 * 26 * HOUR);
  const state = random() < 0.62 ? 'new' : random() < 0.5 ? 'acknowledged' : random() < 0.5 ? 'in_progress' : 'closed';
  const owner = state === 'new' ? null : people[1 + Math.floor(random() * 2)].id;
  let entity_value = entity_type.endsWith('ip') ? `203.0.113.${Math.floor(random() * 254) + 1}` : HOSTS[Math.floor(random() * HOSTS.length)];
  if (index === 3) entity_value = 'may-\u202eexe.tahc\u200b-01';
  const rank = { critical: 88, high: 66, medium: 44, low: 22, informational: 8 }[level];
  return {
    id: `a${String(index).padStart(31, '0')}`, organization: agencies[Math.floor(random() ** 1.5 * agencies.length)].id, node: 'nut-01', rule_id: rule.id, rule_version: '1',
    title_vi, title_en, level, entity_type, entity_value, first_seen: last_seen - Math.floor(random() * 40 * 60_000), last_seen, event_id: `e${index}`,
    count: Math.ceil(random() ** 4 * 1800), risk: Math.min(100, rank + Math.floor(random() * 12)), tags: tag === '' ? [] : ['attack.initial-access', tag], drill: index % 9 === 0,
    state, owner, verdict: state === 'closed' ? 'false_positive' : null, reason: state === 'closed' ? 'Quét định kỳ' : null, incident: null,
    created_at: last_seen, triaged_at: null, closed_at: null, version: 1,
  };
}

export function eventOf(alert) {
  const raw = `<38>Nov 23 09:05:12 web-dvc-01 sshd[2211]: Failed password for invalid user admin from ${alert.entity_value} port 51234 ssh2`;
  return {
    '@timestamp': new Date(alert.first_seen).toISOString(), 'event.id': alert.event_id, 'event.dataset': 'system.auth', 'event.action': 'ssh_login', 'event.outcome': 'failure',
    'source.ip': alert.entity_type === 'source.ip' ? alert.entity_value : '203.0.113.9', 'source.port': 51234, 'destination.ip': '10.20.4.11', 'destination.port': 22,
    'host.name': 'web-dvc-01', 'user.name': 'admin', 'process.name': 'sshd', 'process.pid': 2211, 'organization.id': alert.organization, 'observer.name': 'cong-dich-vu-cong-01',
    'log.syslog.priority': 38, 'event.ingested': new Date(alert.first_seen + 900).toISOString(), 'dongson.asset.level': 3, message: raw.slice(42), 'event.original': raw,
  };
}
