/** Made-up events for the hunt: the same shapes as the console's answers, everything in memory. */
import { agencies, eventOf, generator } from './world.mjs';

const KINDS = ['system.auth', 'sensor.conn', 'sensor.dns', 'nginx.access', 'auditd.log'];
const NAMES = [
  ['@timestamp', '', 'Thời điểm xảy ra', 'When it happened'], ['event.dataset', '', 'Định dạng và loại bản ghi', 'Which format and kind of record'],
  ['source.ip', '', 'Địa chỉ nguồn', 'Who began the exchange'], ['source.port', '', 'Cổng nguồn', 'Port of the source'], ['destination.ip', '', 'Địa chỉ đích', 'To whom'],
  ['destination.port', '', 'Cổng đích', 'Port of the destination'], ['user.name', '', 'Tài khoản', 'The account'], ['host.name', '', 'Tên máy', 'The machine'],
  ['organization.id', '', 'Đơn vị', 'The agency'], ['observer.name', '', 'Đầu mối giám sát', 'The monitored node'], ['event.duration', 'ns', 'Thời gian từ đầu đến cuối', 'Time between start and end'], ['message', '', 'Nội dung bản ghi', 'The text of the record'],
];

export function makeEvents(alerts, now) {
  const random = generator(7);
  return Array.from({ length: 2600 }, (_, index) => {
    const alert = alerts[Math.floor(random() * alerts.length)];
    const at = now - random() ** 2 * 3 * 86_400_000;
    const kind = KINDS[Math.floor(random() * KINDS.length)];
    const event = { ...eventOf(alert), 'event.id': `h${index}`, '@timestamp': new Date(at).toISOString(), 'event.dataset': kind, 'organization.id': agencies[Math.floor(random() * agencies.length)].id, 'user.name': ['admin', 'root', 'ketoan', 'vanthu'][Math.floor(random() * 4)] };
    if (index % 9 === 0) event['dongson.drill'] = 'd1';
    if (kind === 'sensor.dns') Object.assign(event, { 'dns.question.name': `n${index % 37}.example`, 'dns.resolved_ip': ['192.0.2.1', '192.0.2.2'] });
    return event;
  }).sort((one, other) => other['@timestamp'].localeCompare(one['@timestamp']));
}

const texts = (value) => (Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)]);

const HOLDS = {
  is: (found, value) => found.includes(value),
  is_not: (found, value) => found.length > 0 && !found.includes(value),
  contains: (found, value) => found.some((one) => one.toLowerCase().includes(value.toLowerCase())),
  exists: (found) => found.length > 0,
  absent: (found) => found.length === 0,
};

/** The answer to a question about events, or undefined for a part that the console does not have. */
export function answerEvents(events, part, query) {
  if (part === 'fields') return { fields: NAMES.map(([name, unit, meaning_vi, meaning_en]) => ({ name, unit, meaning_vi, meaning_en })) };
  const [since, until] = [Number(query.get('since')), Number(query.get('until'))];
  const filters = JSON.parse(query.get('filter') ?? '[]');
  const found = events.filter((event) => {
    const at = Date.parse(event['@timestamp']);
    if (at < since || at >= until) return false;
    const drill = query.get('drill') ?? 'exclude';
    if (drill !== 'include' && (event['dongson.drill'] !== undefined) !== (drill === 'only')) return false;
    if (query.has('organization') && event['organization.id'] !== query.get('organization')) return false;
    if (query.has('q') && !JSON.stringify(event).toLowerCase().includes(query.get('q').toLowerCase())) return false;
    return filters.every(({ field, operator, value }) => HOLDS[operator](texts(event[field]), value));
  });
  if (part === undefined) {
    const from = Number(query.get('cursor') ?? 0);
    const limit = Number(query.get('limit'));
    return { events: found.slice(from, from + limit), next: from + limit < found.length ? String(from + limit) : null };
  }
  if (part === 'histogram') {
    const step_ms = Math.max(1000, Math.round((until - since) / 96));
    const counts = new Map();
    for (const event of found) {
      const at = since + Math.floor((Date.parse(event['@timestamp']) - since) / step_ms) * step_ms;
      counts.set(at, (counts.get(at) ?? 0) + 1);
    }
    return { since, until, step_ms, buckets: [...counts].map(([at, count]) => ({ at, count })).sort((one, other) => one.at - other.at) };
  }
  if (part === 'values') {
    const counts = new Map();
    for (const event of found) for (const value of texts(event[query.get('field')])) counts.set(value, (counts.get(value) ?? 0) + 1);
    return { values: [...counts].map(([value, count]) => ({ value, count, exact: true })).sort((one, other) => other.count - one.count).slice(0, 10) };
  }
  return undefined;
}
