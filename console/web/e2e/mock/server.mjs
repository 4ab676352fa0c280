/**
 * A stand-in for the console, for looking at the page while the console cannot run: the same shapes, everything in
 * memory, nothing checked. It serves `dist/` and is no part of it. `node e2e/mock/server.mjs [PORT]` prints its address.
 */
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

import { answerEvents, makeEvents } from './events.mjs';
import { agencies, alertAt, eventOf, generator, people, rules } from './world.mjs';

const DIST = join(fileURLToPath(new URL('.', import.meta.url)), '..', '..', 'dist');
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.woff': 'font/woff' };
const HOUR = 3_600_000;
const LEVELS = ['informational', 'low', 'medium', 'high', 'critical'];

export function start(port = 0) {
  const random = generator(2026);
  const now = Date.now();
  const alerts = Array.from({ length: 1400 }, (_, index) => alertAt(index, random, now));
  const events = makeEvents(alerts, now);
  const incidents = [];
  const entries = new Map();
  const undos = new Map();
  const streams = new Set();
  const lists = { assets: [], exceptions: [], channels: [], api_keys: [], sources: [] };
  let me = null;
  let password = 'first-Password-1';

  const sensors = agencies.flatMap((agency, index) => [0, 1].slice(0, index % 2 ? 1 : 2).map((part) => ({
    id: `s${index}${part}`, organization: agency.id, node: `${agency.id}-0${part + 1}`, serial: '01', fingerprint: 'f'.repeat(64), not_after: now + 70 * 24 * HOUR, enrolled_at: now - 20 * 24 * HOUR,
    revoked_at: null, last_seen: index === 8 ? now - 5 * HOUR : now - 4000, quiet_after_seconds: 300, owner: index === 0 ? 'Phòng CNTT' : null, drill: false, silent_since: index === 8 ? now - 5 * HOUR : null, online: index !== 8,
    health: { packets_per_second: 1200 + index * 731, drops: index === 8 ? 1204 : 0, spool_events: index === 8 ? 88012 : 0, blind_percent: index === 8 ? 12.28 : 0, gaps_percent: 0.4, clock_offset_ms: 3 - index, version: '0.1.0' }, version: 1,
    account: { assigned: 5120, received: 5100, held: index === 8 ? 14 : 20, gone: index === 8 ? 6 : 0, gone_events: index === 8 ? { file: 1804 } : {}, unaccounted: 0 },
    configuration: { wanted: index === 0 ? 3 : 0, applied: index === 0 ? 2 : 0, trial: false, why_not: index === 0 ? 'the filter hides 95 % of the frames' : null },
  })));

  const deadlines = (incident) => {
    const clock = (kind, hours, met_at) => ({ kind, from: incident.detected_at, due: incident.detected_at + hours * HOUR, met_at, source: 'NĐ 331/2026/NĐ-CP Đ31.2.d' });
    const report = clock('report', 72, incident.report_at);
    if (incident.legal_category === 'thuong') return [report];
    return [clock('first_notice', incident.legal_category === 'nghiem_trong' ? 24 : 0, incident.first_notice_at), report];
  };
  const view = (incident) => ({ ...incident, deadlines: deadlines(incident) });
  const write = (incident, kind, text = '', data = null) => {
    const list = entries.get(incident.id) ?? [];
    list.push({ sequence: list.length + 1, at: Date.now(), who: me?.id ?? 'u-lan', kind, text, data, previous: '0', hash: 'ab'.repeat(32) });
    entries.set(incident.id, list);
  };
  const raise = (body, detected_at = Date.now()) => {
    const linked = alerts.filter((alert) => body.alerts.includes(alert.id));
    const organization = new Set(linked.map((alert) => alert.organization)).size === 1 ? linked[0].organization : null;
    const incident = {
      id: `i${incidents.length + 1}`, number: `SC-2026-${String(incidents.length + 1).padStart(4, '0')}`, agency_number: null, organization, title: body.title, class: body.class, severity: body.severity,
      legal_category: body.legal_category, status: 'open', owner: me?.id ?? 'u-lan', detected_at, first_notice_at: null, report_at: null, created_at: Date.now(), created_by: 'u-lan', updated_at: Date.now(),
      closed_at: null, verdict: null, cause: null, lesson: null, drill: false, version: 1,
    };
    incidents.push(incident);
    write(incident, 'created', body.title);
    for (const alert of linked) Object.assign(alert, { incident: incident.id, state: 'in_progress', owner: alert.owner ?? incident.owner, version: alert.version + 1 });
    return incident;
  };
  raise({ title: 'Mã độc tống tiền tại máy chủ hồ sơ bệnh án', class: 'TT', severity: 'critical', legal_category: 'nghiem_trong', alerts: [alerts[1].id, alerts[2].id] }, now - 21 * HOUR);
  raise({ title: 'Trang của phường bị thay đổi giao diện', class: 'DF', severity: 'high', legal_category: 'thuong', alerts: [alerts[5].id] }, now - 80 * HOUR);
  write(incidents[0], 'comment', 'Đã liên hệ đơn vị vận hành, cô lập máy chủ khỏi mạng nội bộ.\nGiữ nguyên hiện trạng để lấy chứng cứ.');
  write(incidents[0], 'changed', '', { status: ['open', 'in_progress'], legal_category: ['thuong', 'nghiem_trong'] });
  incidents[0].status = 'in_progress';

  const LISTS = { state: 'state', level: 'level', organization: 'organization', rule: 'rule_id', owner: 'owner' };
  const narrow = (query, except) => alerts.filter((alert) => {
    for (const [name, column] of Object.entries(LISTS)) {
      const wanted = query.get(name);
      if (wanted === null || name === except) continue;
      if (!wanted.split(',').map((value) => (value === 'me' ? me?.id : value)).includes(alert[column] ?? '')) return false;
    }
    const drill = query.get('drill') ?? 'exclude';
    if (drill !== 'include' && alert.drill !== (drill === 'only')) return false;
    if (query.has('entity') && alert.entity_value !== query.get('entity')) return false;
    if (query.has('since') && alert.last_seen < Number(query.get('since'))) return false;
    if (query.has('until') && alert.last_seen >= Number(query.get('until'))) return false;
    return !query.has('q') || `${alert.title_vi} ${alert.title_en} ${alert.entity_value}`.toLowerCase().includes(query.get('q').toLowerCase());
  });
  const facets = (query) => Object.fromEntries(Object.entries(LISTS).map(([name, column]) => {
    const counted = new Map();
    for (const alert of narrow(query, name)) counted.set(alert[column] ?? '', (counted.get(alert[column] ?? '') ?? 0) + 1);
    return [name, [...counted].map(([value, count]) => ({ value, count })).sort((one, other) => other.count - one.count)];
  }));
  const listAlerts = (query) => {
    const sort = query.get('sort') ?? 'last_seen';
    const value = (alert) => (sort === 'level' ? LEVELS.indexOf(alert.level) : alert[sort]);
    const found = narrow(query).sort((one, other) => value(other) - value(one));
    const from = Number(query.get('cursor') ?? 0);
    const limit = Number(query.get('limit') ?? 100);
    return { alerts: found.slice(from, from + limit), total: found.length, drills: narrow(new URLSearchParams([...query].filter(([name]) => name !== 'drill').concat([['drill', 'only']]))).length, next: from + limit < found.length ? String(from + limit) : null, facets: query.get('facets') === 'true' ? facets(query) : null };
  };
  const triage = (body) => {
    const before = [];
    const [changed, conflicts] = [[], []];
    for (const { id, version } of body.alerts) {
      const alert = alerts.find((one) => one.id === id);
      if (alert.version !== version) {
        conflicts.push(alert);
        continue;
      }
      before.push({ ...alert });
      alert.version += 1;
      if (body.action === 'assign') Object.assign(alert, { owner: body.owner, state: alert.state === 'new' ? 'acknowledged' : alert.state });
      if (body.action === 'acknowledge') alert.state = 'acknowledged';
      if (body.action === 'close') Object.assign(alert, { state: 'closed', verdict: body.verdict, reason: body.reason });
      if (body.action === 'reopen') Object.assign(alert, { state: 'acknowledged', verdict: null, reason: null });
      changed.push({ ...alert });
    }
    const undo = `undo${undos.size}`;
    undos.set(undo, before);
    return { changed, conflicts, missing: [], undo };
  };
  const undo = (token) => {
    const changed = (undos.get(token) ?? []).map((before) => {
      const alert = alerts.find((one) => one.id === before.id);
      Object.assign(alert, before, { version: alert.version + 1 });
      return { ...alert };
    });
    undos.delete(token);
    return { changed, conflicts: [], missing: [], undo: null };
  };
  const why = (alert) => ({
    alert, rule: rules.find((rule) => rule.id === alert.rule_id), store_available: true, event: eventOf(alert),
    signals: [{ event_id: alert.event_id, at: alert.first_seen, rule_id: alert.rule_id, fields: [{ field: 'event.outcome', value: 'failure', selection: 'selection' }, { field: 'source.ip', value: eventOf(alert)['source.ip'], selection: 'selection' }] }],
    related: alerts.filter((one) => one.entity_value === alert.entity_value && one.id !== alert.id).slice(0, 20), exceptions: lists.exceptions.filter((one) => one.rule_id === alert.rule_id),
  });
  const around = (alert) => {
    const made = generator(Number(alert.id.slice(1)));
    const kinds = ['system.auth', 'dongson.conn', 'dongson.dns', 'nginx.access', 'auditd.log'];
    const events = Array.from({ length: 140 }, (_, index) => ({
      ...eventOf(alert), 'event.id': index === 70 ? alert.event_id : `x${index}`, '@timestamp': new Date(alert.first_seen - 300_000 + made() * 600_000).toISOString(), 'event.dataset': kinds[Math.floor(made() * kinds.length)],
    }));
    return { events: events.sort((one, other) => one['@timestamp'].localeCompare(other['@timestamp'])), cut: false };
  };
  const share = (key, name, item) => {
    const found = alerts.filter((alert) => !alert.drill && alert[key] === item.id);
    return { id: item.id, ...name(item), alerts: found.length, open: found.length, severe: found.filter((alert) => ['critical', 'high'].includes(alert.level)).length, risk: Math.max(0, ...found.map((alert) => alert.risk)) };
  };
  const overview = (drill) => {
    const taken = (alert) => drill === 'include' || alert.drill === (drill === 'only');
    const until = Date.now();
    const since = until - 24 * HOUR;
    const step = HOUR / 4;
    const day = alerts.filter((alert) => taken(alert) && alert.first_seen >= since);
    const buckets = new Map();
    for (const alert of day) {
      const key = `${alert.first_seen - (alert.first_seen % step)} ${alert.level}`;
      buckets.set(key, (buckets.get(key) ?? 0) + 1);
    }
    const open = alerts.filter((alert) => taken(alert) && alert.state !== 'closed');
    const severe = (list) => list.filter((alert) => ['critical', 'high'].includes(alert.level));
    const figure = (value, before = null) => ({ value, before });
    return {
      since, until, store_available: true, coverage: { online: sensors.filter((sensor) => sensor.online).length, total: sensors.length },
      figures: { events: figure(18_482_113, 16_901_772), alerts: figure(day.length, 1120), severe: figure(severe(day).length, 431), open_alerts: figure(open.length), open_incidents: figure(incidents.filter((one) => one.status !== 'closed').length), sensors_online: figure(sensors.filter((sensor) => sensor.online).length) },
      series: { step_ms: step, events: [], alerts: [...buckets].map(([key, count]) => ({ at: Number(key.split(' ')[0]), level: key.split(' ')[1], count })) },
      organizations: agencies.map((agency) => share('organization', ({ name, name_en }) => ({ name, name_en }), agency)).sort((one, other) => other.risk - one.risk || other.alerts - one.alerts),
      rules: rules.map((rule) => share('rule_id', ({ title, title_vi }) => ({ name: title_vi, name_en: title }), rule)).sort((one, other) => other.alerts - one.alerts),
      newest: severe(open).sort((one, other) => other.last_seen - one.last_seen).slice(0, 10),
      incidents: incidents.filter((one) => one.status !== 'closed' && taken(one)).map((incident) => ({ incident, deadline: deadlines(incident).filter((clock) => clock.met_at === null).sort((one, other) => one.due - other.due)[0] ?? null })),
    };
  };
  const session = () => ({ account: me, csrf_token: 'token', expires_at: Date.now() + HOUR });
  const tell = (kind, data) => {
    for (const stream of streams) stream.write(`event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  const figures = () => ({ events_last_minute: 128_411, sensors_online: sensors.filter((sensor) => sensor.online).length, sensors_total: sensors.length, open_alerts: alerts.filter((alert) => !alert.drill && alert.state !== 'closed').length, version: '0.1.0' });
  const fault = (status, code, message_vi, message_en, field = '') => ({ fault: { status, code, message_vi, message_en, field, request_id: '019aa000-0000-7000-8000-000000000000' } });

  /** The answer to one request, as an object; `undefined` is 204. */
  function answer(method, path, query, body) {
    const [resource, id, part, last] = path;
    const key = `${method} ${resource}`;
    if (key === 'POST session' && id === undefined) {
      const account = people.find((one) => one.login === body.login);
      if (account === undefined || body.password !== password) return fault(401, 'sign_in_refused', 'Tên đăng nhập hoặc mật khẩu không đúng.', 'Wrong user name or password.');
      me = account;
      return session();
    }
    if (me === null) return fault(401, 'unauthenticated', 'Chưa đăng nhập.', 'Not signed in.');
    if (key === 'POST session' && id === 'password') {
      if (body.present !== password) return fault(422, 'invalid', 'Mật khẩu hiện tại không đúng.', 'The present password is wrong.');
      password = body.new;
      me.must_change_password = false;
      return session();
    }
    if (key === 'DELETE session') {
      me = null;
      return undefined;
    }
    if (resource === 'session') return session();
    if (resource === 'events') return answerEvents(events, id, query) ?? fault(404, 'not_found', 'Không tìm thấy.', 'Not found.');
    if (resource === 'overview') return overview(query.get('drill') ?? 'exclude');
    if (key === 'GET alerts') {
      if (id === undefined) return listAlerts(query);
      const alert = alerts.find((one) => one.id === id);
      if (alert === undefined) return fault(404, 'not_found', 'Không tìm thấy.', 'Not found.');
      return part === 'why' ? why(alert) : part === 'around' ? around(alert) : alert;
    }
    if (key === 'POST alerts') return id === 'undo' ? undo(body.undo) : triage(body);
    if (resource === 'incidents') return incidentAnswer(method, id, part, last, body);
    if (resource === 'packets') return packetAnswer(method, id, part, query, body);
    if (resource === 'agencies') {
      if (method === 'POST') agencies.push({ ...body, version: 1 });
      return { agencies };
    }
    if (resource === 'people') return { people: people.map(({ id: one, login, full_name, role }) => ({ id: one, login, full_name, role, assignable: role !== 'agency_viewer' })) };
    if (key === 'GET users') return { users: people };
    if (key === 'POST users') return { account: { ...people[1], ...body }, password: 'Xe-dap-mau-xanh-47' };
    if (key === 'PATCH sensors') {
      const sensor = sensors.find((one) => one.id === id);
      if (body.quiet_after_seconds < 60) return fault(422, 'invalid', 'quiet_after_seconds: phải từ 60 đến 86400', 'quiet_after_seconds: must be 60 to 86400');
      return Object.assign(sensor, { owner: body.owner === '' ? null : body.owner, quiet_after_seconds: body.quiet_after_seconds, version: sensor.version + 1 });
    }
    if (resource === 'desired') {
      const now = desired.get(id) ?? { target: id, version: 0, configuration: {}, set_at: 0, set_by: '' };
      if (method === 'PUT') desired.set(id, { ...now, version: now.version + 1, configuration: body.configuration, set_at: Date.now(), set_by: me.id });
      return desired.get(id) ?? now;
    }
    if (resource === 'sensors') return { sensors, at: Date.now() };
    if (resource === 'enrolment-tokens') return { token: { id: 't1', organization: body.organization, node: body.node, expires_at: Date.now() + body.minutes * 60_000 }, secret: 'k3', collector_urls: ['https://soc.example:9443'], authority_fingerprint: '5nM2x8Qw3eR7tY1uI9oP4aS6dF0gH2jK5lZ8xC1vB3n', enrol_command: 'dongson-sensor enrol https://soc.example:9443 dst1.Zk3mQ9vT2xN8rB5wL1cY7hP4sD6gJ0aF.5nM2x8Qw3eR7tY1uI9oP4aS6dF0gH2jK5lZ8xC1vB3n --data /var/lib/dongson-sensor', run_command: 'dongson-sensor run --interface eth0 --data /var/lib/dongson-sensor', text: 'dst1.Zk3mQ9vT2xN8rB5wL1cY7hP4sD6gJ0aF.5nM2x8Qw3eR7tY1uI9oP4aS6dF0gH2jK5lZ8xC1vB3n' };
    if (resource === 'rules') return id === undefined ? { rules: rules.map((rule) => ({ ...rule, source: '' })) } : rules.find((rule) => rule.id === id);
    if (resource === 'audit') return { entries: Array.from({ length: 30 }, (_, index) => ({ sequence: 30 - index, at: now - index * 60_000, who: 'u-admin', address: '192.0.2.7', action: 'sign_in', kind: 'account', object: 'u-admin', organization: null, actor_name: 'Quản trị hệ thống (admin)', object_name: 'Quản trị hệ thống (admin)', object_name_en: null, organization_name: null, organization_name_en: null, before: null, after: null, previous: '', hash: '' })) };
    const name = { 'api-keys': 'api_keys', notifications: 'channels' }[resource] ?? resource;
    if (resource === 'notifications' && part === 'test') return lists.channels.find((one) => one.id === id).kind === 'smtp' ? fault(502, 'test_failed', 'Không gửi được thông báo thử.', 'The test message could not be sent.') : { sent: true };
    if (lists[name] !== undefined) {
      if (method === 'GET') return { [name]: lists[name], ...(name === 'sources' ? { parsers: ['sshd', 'suricata', 'zeek'], listeners: ['udp', 'tcp', 'tls', 'relp'] } : {}) };
      const made = { ...body, id: `${name}${lists[name].length}`, created_at: Date.now(), created_by: me.id, owner: me.id, revoked_at: null, last_used_at: null, last_seen: null, silent_since: null, events: 0, unparsed: 0, hits: 0, ended_at: null, version: 1, drill: false };
      if (method === 'POST' && id === undefined) lists[name].push(made);
      return name === 'api_keys' ? { key: made, secret: 'dsk_7f2a9c4e1b8d' } : made;
    }
    return fault(404, 'not_found', 'Không tìm thấy.', 'Not found.');
  }

  const desired = new Map();
  const orders = [];
  const ORDER = { decided_by: null, decided_at: null, words: null, expires_at: null, received_bytes: 0, account: null, ended_at: null, discarded_at: null };

  /** Orders for packets: somebody else's are approved, and a sensor answers at once. */
  function packetAnswer(method, id, part, query, body) {
    if (method === 'GET') return { orders: orders.filter((order) => order.incident === query.get('incident')), next: null };
    if (id === undefined) {
      if (body.community_id === null && !/^(host|net|tcp|udp|port)\b/.test(body.filter)) return fault(422, 'invalid', 'filter: không hiểu bộ lọc này', 'filter: this is no filter', 'filter');
      const sensor = sensors.find((one) => one.id === body.sensor);
      orders.unshift({ ...ORDER, ...body, id: `p${orders.length}`, organization: sensor.organization, state: 'asked', asked_by: me.id, asked_at: Date.now() });
      // A colleague asks for the same of another hour.
      orders.unshift({ ...orders[0], id: `p${orders.length}`, asked_by: people.find((one) => one.id !== me.id).id });
      return orders[0];
    }
    const order = orders.find((one) => one.id === id);
    Object.assign(order, { decided_by: me.id, decided_at: Date.now() }, part === 'decline'
      ? { state: 'declined', words: body.reason }
      : { state: 'answered', ended_at: Date.now(), received_bytes: 3_145_728, account: { sha256: 'b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c', frames: 4211, cut_frames: 12 } });
    return order;
  }

  function incidentAnswer(method, id, part, last, body) {
    if (id === undefined) return method === 'POST' ? view(raise(body)) : { incidents: [...incidents].reverse().map(view), next: null };
    const incident = incidents.find((one) => one.id === id);
    if (incident === undefined) return fault(404, 'not_found', 'Không tìm thấy.', 'Not found.');
    if (part === 'timeline') return { entries: entries.get(id) ?? [], unbroken: true };
    if (part === 'alerts' && method === 'GET') return { alerts: alerts.filter((alert) => alert.incident === id) };
    if (part === 'alerts') Object.assign(alerts.find((alert) => alert.id === last), { incident: null });
    if (part === 'comments') write(incident, 'comment', body.text);
    if (part === 'close') {
      Object.assign(incident, { status: 'closed', verdict: body.verdict, cause: body.cause, lesson: body.lesson, closed_at: Date.now() });
      write(incident, 'closed');
    }
    if (method === 'PATCH') {
      const changes = Object.fromEntries(Object.entries(body).filter(([name]) => name !== 'version').map(([name, value]) => [name, [incident[name], value]]));
      write(incident, 'changed', '', changes);
      Object.assign(incident, body);
    }
    incident.version += 1;
    return view(incident);
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    if (!url.pathname.startsWith('/api/v1/')) return serveFile(url.pathname, response);
    const path = url.pathname.slice('/api/v1/'.length).split('/').map(decodeURIComponent);
    if (path[0] === 'stream') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      streams.add(response);
      request.on('close', () => streams.delete(response));
      response.write(`event: figures\ndata: ${JSON.stringify(figures())}\n\n`);
      return undefined;
    }
    let text = '';
    for await (const chunk of request) text += chunk;
    const result = answer(request.method, path, url.searchParams, text === '' ? {} : JSON.parse(text));
    const status = result === undefined ? 204 : (result.fault?.status ?? 200);
    response.writeHead(status, { 'content-type': 'application/json' });
    return response.end(result === undefined ? '' : JSON.stringify(result.fault ?? result));
  });

  /** Twelve alerts come in while somebody looks. */
  const arrive = () => {
    const made = Array.from({ length: 12 }, () => ({ ...alertAt(alerts.length + 1, random, Date.now()), id: `a${String(alerts.length + Math.floor(Math.random() * 1e9)).padStart(31, '0')}`, state: 'new', owner: null, last_seen: Date.now(), first_seen: Date.now(), created_at: Date.now() + 1000, drill: false, incident: null }));
    alerts.push(...made);
    tell('alerts', { alerts: made });
  };

  const stop = () => new Promise((done) => {
    server.close(done);
    server.closeAllConnections();
  });
  const listen = (on) => new Promise((done) => {
    server.listen(on, '127.0.0.1', () => done(server.address().port));
  });
  // The line is cut and mended at the same address.
  return listen(port).then((on) => ({ url: `http://127.0.0.1:${on}`, arrive, cut: stop, mend: () => listen(on), stop }));
}

function serveFile(path, response) {
  const wanted = normalize(join(DIST, path));
  const file = wanted.startsWith(DIST) && extname(wanted) !== '' && existsSync(wanted) ? wanted : join(DIST, 'index.html');
  response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'" });
  createReadStream(file).pipe(response);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await start(Number(process.argv[2] ?? 8080));
  console.log(url);
}
