/** The small decisions of the page. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { NO_FILTER } from '../src/api/alerts';
import { gather } from '../src/api/live';
import { LEVELS, type Alert, type Deadline, type Level, type Source } from '../src/api/types';
import { PALETTES } from '../src/look/theme';
import { starPath } from '../src/look/star';
import { toBody, toFields } from '../src/pages/admin/channel';
import { body as sourceBody, initial as sourceFields, type Fields as SourceFields } from '../src/pages/admin/source';
import { cited, entityParts, eventTime, matchedNames, rows, summary } from '../src/pages/alert/record';
import { incidentClass, incidentTitle, legalCategory, techniques, worst } from '../src/pages/alerts/classify';
import { news } from '../src/pages/alerts/news';
import { replaced } from '../src/pages/alerts/triage';
import { filled, nearest, urgency } from '../src/pages/incident/clocks';
import { spans } from '../src/pages/overview/spans';
import { logsource, matches } from '../src/pages/rules/search';
import { accountWord, configurationWord, packVersions, queueLosses, reading, relayInputs, sensorState } from '../src/pages/sensors/state';
import { passwordProblem } from '../src/pages/signin/password';
import { keyName } from '../src/shell/keyboard';

const alert = (fields: Partial<Alert>): Alert => ({
  id: 'a', organization: 'dvc', node: null, rule_id: 'r', title_vi: '', title_en: '', level: 'high', entity_type: 'source.ip', entity_value: '192.0.2.1', first_seen: 0, last_seen: 0, count: 1,
  risk: 1, tags: [], drill: false, state: 'new', owner: null, verdict: null, reason: null, incident: null, created_at: 0, event_id: 'e', version: 1, ...fields,
});

describe('the sentence of why', () => {
  test.each([
    ['4.6944672061462684', 4.6944672061462684, '4,694', '4.694'],
    ['4.6944672061462684', undefined, '4,694', '4.694'],
    ['-0.5', -0.5, '−0,5', '−0.5'],
    ['10.19045', '10.19045', '10.19045', '10.19045'],
    ['1.10', undefined, '1.10', '1.10'],
    ['1443', 1443, '1443', '1443'],
    ['10.0.0.1', undefined, '10.0.0.1', '10.0.0.1'],
  ])('cites %s, which is %s', (value, held, vi, en) => {
    expect([cited(value, held, 'vi'), cited(value, held, 'en')]).toEqual([vi, en]);
  });
});

describe('classify', () => {
  test('an incident is called by its alert and the parts of the entity', () => {
    const beacon = alert({ entity_type: 'source.ip+dns.question.name', entity_value: '192.168.10.21|cdn-sync.example' });
    expect(incidentTitle('Kết nối đều đặn', beacon)).toBe('Kết nối đều đặn: 192.168.10.21 · cdn-sync.example');
    expect(incidentTitle('x'.repeat(300), beacon)).toHaveLength(200);
  });

  test.each([[['attack.t1486'], 'TT'], [['attack.T1110.001'], 'BF'], [['attack.initial-access', 'attack.t1190'], 'XN'], [['attack.exfiltration'], 'LL'], [['attack.t1595.002'], 'DQ'], [[], 'KH']])('%j', (tags, code) => {
    expect(incidentClass([{ tags }])).toBe(code);
  });

  test('the worst level leads, never below low', () => {
    expect(worst([{ level: 'low' }, { level: 'critical' }])).toBe('critical');
    expect(worst([{ level: 'informational' }])).toBe('low');
    expect(legalCategory('critical')).toBe('nghiem_trong');
  });

  test('techniques are written as people write them, each once', () => {
    expect(techniques(['attack.t1071.004', 'attack.t1071.004', 'attack.command-and-control', 'cve.2021-44228', 'attack.ta0011'])).toEqual(['T1071.004', 'TA0011']);
  });
});

describe('clocks', () => {
  const clock = (fields: Partial<Deadline>): Deadline => ({ kind: 'report', from: 0, due: 72, met_at: null, source: '', ...fields });

  test('urgency', () => {
    expect(urgency(clock({}), false, 10)).toBe('calm');
    expect(urgency(clock({}), false, 54)).toBe('soon');
    expect(urgency(clock({}), false, 72)).toBe('over');
    expect(urgency(clock({ met_at: 5 }), false, 100)).toBe('done');
    expect(urgency(clock({}), true, 100)).toBe('done');
    expect(urgency(clock({ due: 0 }), false, 0)).toBe('over');
  });

  test('the bar stays between empty and full', () => {
    expect(filled(clock({}), -5)).toBe(0);
    expect(filled(clock({}), 36)).toBe(0.5);
    expect(filled(clock({}), 500)).toBe(1);
    expect(filled(clock({ due: 0 }), 0)).toBe(1);
  });

  test('the nearest runs', () => {
    const deadlines = [clock({}), clock({ kind: 'first_notice', due: 24, met_at: 3 })];
    expect(nearest({ deadlines, status: 'open' })?.kind).toBe('report');
    expect(nearest({ deadlines, status: 'closed' })).toBeNull();
  });
});

describe('news', () => {
  test('only younger alerts that fit the list are news', () => {
    const shown = [alert({ id: 'old', created_at: 10 })];
    const fresh = gather(new Map(), [alert({ id: 'old', created_at: 10 }), alert({ id: 'new', created_at: 11 }), alert({ id: 'before', created_at: 3 }), alert({ id: 'low', level: 'low', created_at: 12 })]);
    expect(news(fresh, shown, NO_FILTER)).toBe(2);
    expect(news(fresh, shown, { ...NO_FILTER, level: ['high'] })).toBe(1);
    expect(news(gather(fresh, [alert({ id: 'new', state: 'closed' })]), shown, { ...NO_FILTER, level: ['high'] })).toBe(0);
  });

  test('a change leaves every row in its place', () => {
    const page = { alerts: [alert({ id: 'a' }), alert({ id: 'b' })], total: 2, drills: 0, next: null, facets: null };
    const after = replaced({ pages: [page], pageParams: [null] }, [alert({ id: 'b', state: 'closed' })]);
    expect(after?.pages[0]?.alerts.map((one) => `${one.id} ${one.state}`)).toEqual(['a new', 'b closed']);
  });
});

describe('record', () => {
  test('what matched comes first, the raw record apart', () => {
    const found = rows({ zeta: 1, 'source.ip': '192.0.2.1', 'event.original': 'raw', 'user.name': ['a', 'b'], 'x.y': { deep: true } }, ['user.name']);
    expect(found.map((row) => row.name)).toEqual(['user.name', 'source.ip', 'x.y', 'zeta']);
    expect(found[0]).toMatchObject({ value: 'a, b', matched: true, main: true });
    expect(found[2]).toMatchObject({ value: '{"deep":true}', main: false });
  });

  test('the fields of the alert’s own signal are marked', () => {
    const signal = (event_id: string, field: string | null) => ({ event_id, at: 0, rule_id: 'r', fields: [{ field, value: 'v', selection: 's' }] });
    expect(matchedNames({ alert: alert({ event_id: 'e2' }), signals: [signal('e1', 'one'), signal('e2', 'two')] })).toEqual(['two']);
    expect(matchedNames({ alert: alert({}), signals: [signal('x', null)] })).toEqual([]);
    expect(matchedNames({ alert: alert({}), signals: [] })).toEqual([]);
  });

  test('an entity of several parts', () => {
    expect(entityParts('host.name+user.name', 'web01|an')).toEqual([{ kind: 'host.name', value: 'web01' }, { kind: 'user.name', value: 'an' }]);
    expect(entityParts('url.path', '/a|b')).toEqual([{ kind: 'url.path', value: '/a|b' }]);
    expect(entityParts('a+b', 'x|y|z')).toEqual([{ kind: 'a+b', value: 'x|y|z' }]);
  });

  test('an event in one line', () => {
    expect(summary({ 'source.ip': '192.0.2.1', 'destination.ip': '198.51.100.2', 'destination.port': 53, 'dns.question.name': 'x.example' })).toBe('192.0.2.1 → 198.51.100.2:53 x.example');
    expect(summary({})).toBe('');
    expect(eventTime({ '@timestamp': 'never' })).toBe(0);
  });
});

describe('overview', () => {
  test('spans without alerts are nought, none is missing', () => {
    const found = spans({ since: 105, until: 150, series: { step_ms: 10, events: [], alerts: [{ at: 120, level: 'high', count: 3 }] } });
    expect(found.high).toEqual([[100, 0], [110, 0], [120, 3], [130, 0], [140, 0], [150, 0]]);
    expect(found.low.every(([, count]) => count === 0)).toBe(true);
  });
});

describe('rules', () => {
  const rule = { id: 'r1', title: 'Password guessing', title_vi: 'Dò mật khẩu', tags: ['attack.t1110'], logsource: { product: 'linux', category: null, service: 'sshd' } };

  test('are found with or without diacritics', () => {
    for (const text of ['do mat khau', 'DÒ', 't1110 sshd', 'guess', '']) expect(matches(rule, text)).toBe(true);
    expect(matches(rule, 'dns')).toBe(false);
    expect(logsource(rule)).toBe('linux sshd');
  });
});

describe('sensors', () => {
  test('the account says the worst first', () => {
    const none = { assigned: 9, received: 9, held: 0, gone: 0, gone_events: {}, unaccounted: 0 };
    expect(accountWord(none)).toEqual({ word: 'sensors.complete', n: 0 });
    expect(accountWord({ ...none, held: 2 })).toEqual({ word: 'sensors.held', n: 2 });
    expect(accountWord({ ...none, held: 2, gone: 1, gone_events: { file: 3, conn: 4 } })).toEqual({ word: 'sensors.gone', n: 7 });
    expect(accountWord({ ...none, gone: 1, gone_events: { file: 3 }, unaccounted: 5 })).toEqual({ word: 'sensors.unaccounted', n: 5 });
  });

  test('what it tells of queues, packs and its relay, and what it does not tell', () => {
    const health = {
      kept_packets: { queue_lost: 7, disk_lost: 0 },
      desired: { packs: { indicators: 12 } },
      relay: { firewall: { on: true, records: 9, dropped: 2, problem: null }, suricata: { on: false, problem: 'no file' } },
    };
    expect(queueLosses(health)).toEqual([{ word: 'sensors.queueLost', n: 7 }, { word: 'sensors.diskLost', n: 0 }]);
    expect(packVersions(health)).toEqual(['indicators 12']);
    expect(relayInputs(health)).toEqual([
      { name: 'firewall', on: true, records: 9, dropped: 2, problem: null },
      { name: 'suricata', on: false, records: 0, dropped: 0, problem: 'no file' },
    ]);
    for (const none of [null, {}, { relay: [1], desired: 'x', kept_packets: null }]) {
      expect([queueLosses(none), packVersions(none)]).toEqual([[], []]);
    }
    expect(relayInputs(null)).toEqual([]);
  });

  test('states', () => {
    expect(sensorState({ revoked_at: 1, online: true, last_seen: 1 })).toBe('revoked');
    expect(sensorState({ revoked_at: null, online: false, last_seen: null })).toBe('waiting');
    expect(sensorState({ revoked_at: null, online: false, last_seen: 1 })).toBe('silent');
  });

  test('what is wanted beside what is in force', () => {
    const word = (wanted: number, applied: number | null, trial = false) => configurationWord({ wanted, applied, trial, why_not: null }).word;
    expect(word(0, null)).toBe('sensors.configurationNone');
    expect(word(3, null)).toBe('sensors.configurationUntold');
    expect(word(3, 2)).toBe('sensors.configurationBehind');
    expect(word(3, 3, true)).toBe('sensors.configurationTrial');
    expect(word(3, 3)).toBe('sensors.configurationSame');
  });

  test('readings are numbers or nothing', () => {
    expect(reading({ drops: 'many', dropped: 4 }, ['drops', 'dropped'])).toBe(4);
    expect(reading(null, ['drops'])).toBeNull();
  });
});

describe('channels', () => {
  test('a form goes out and comes back', () => {
    const fields = { name: ' Trực ban ', kind: 'smtp' as const, organization: null, min_level: 'high' as const, enabled: true, host: 'mail.example', port: 587, tls: 'tls', from: 'a@example', to: 'b@example, c@example', username: '', password: '***' };
    const body = toBody(fields);
    expect(body.settings).toEqual({ host: 'mail.example', port: 587, tls: 'tls', from: 'a@example', to: ['b@example', 'c@example'], password: '***' });
    expect(toFields({ ...body, id: 'c', version: 1 })).toMatchObject({ name: 'Trực ban', to: 'b@example, c@example', password: '***' });
    const stored = (settings: Record<string, unknown>) => toFields({ ...body, settings, id: 'c', version: 1 });
    expect(stored({ port: 465 })).toMatchObject({ tls: 'tls', port: 465 });
    expect(stored({})).toMatchObject({ tls: 'starttls', port: 587 });
    expect(stored({ tls: 'tls' })).toMatchObject({ tls: 'tls', port: 465 });
    expect(stored({ tls: 'none', port: 25 })).toMatchObject({ tls: 'none', port: 25 });
    expect(toBody({ ...fields, kind: 'webhook', url: ' https://hook.example ' }).settings).toEqual({ url: 'https://hook.example' });
  });
});

describe('sources', () => {
  test('a stored source opens and saves unchanged', () => {
    const stored = {
      organization: 'a', name: 'fw', kind: 'syslog', address: '192.0.2.10', listener: null, certificate: null, api_key: null, parser: null,
      time_zone: 'UTC', clock_offset_ms: -1500, expected_per_hour: null, silence_after_seconds: 100, owner: null,
    };
    expect(sourceBody(sourceFields(stored as Source) as SourceFields)).toEqual(stored);
    const never = { ...stored, silence_after_seconds: null };
    expect(sourceBody(sourceFields(never as Source) as SourceFields)).toEqual(never);
  });
});

describe('keys and passwords', () => {
  test('g waits a second for its letter', () => {
    expect(keyName('A', { key: 'g', at: 0 }, 900)).toBe('g a');
    expect(keyName('a', { key: 'g', at: 0 }, 1_100)).toBe('a');
    expect(keyName('Enter', null, 0)).toBe('Enter');
  });

  test.each([['short', 'password.short'], ['onlysmallletters', 'password.kinds'], ['Mat-khau-cu-2026', 'password.same'], ['Trong-dong-Dong-Son-14', null]])('%s', (wanted, expected) => {
    expect(passwordProblem('Mat-khau-cu-2026', wanted)).toBe(expected);
  });
});

describe('look', () => {
  test.each(['dark', 'light'] as const)('%s: the style sheet has the colours of the table', (shade) => {
    const sheet = readFileSync(join(import.meta.dirname, '..', 'src', 'look', 'theme.css'), 'utf8');
    const block = sheet.split(`:root[data-theme='${shade}'] {`)[1]?.split('}')[0] ?? '';
    const { level, ...rest } = PALETTES[shade];
    for (const [name, colour] of Object.entries({ ...rest, ...level })) expect(block).toContain(`--${name}: ${colour};`);
  });

  test('the star has fourteen points', () => {
    expect(starPath(14, 12, 11, 5).match(/L/g)).toHaveLength(27);
  });

  /** Relative luminance as WCAG 2 defines it. */
  const luminance = (colour: string) => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one: string, other: string) => {
    const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((first, second) => second - first);
    return (light + 0.05) / (dark + 0.05);
  };

  test.each(['dark', 'light'] as const)('%s: every text keeps 4.5:1 on every surface', (shade) => {
    const colours = PALETTES[shade];
    const texts = [colours.text, colours.soft, colours.faint, colours.accent, ...LEVELS.map((level: Level) => colours.level[level])];
    for (const surface of [colours.page, colours.panel, colours.raised]) {
      for (const text of texts) expect(contrast(text, surface), `${text} on ${surface}`).toBeGreaterThanOrEqual(4.5);
    }
  });
});
