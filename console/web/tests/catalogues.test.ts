/** The two catalogues hold the same keys with the same slots, and nothing is empty. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { en } from '../src/i18n/en';
import { fill, slots } from '../src/i18n/translate';
import { vi } from '../src/i18n/vi';
import * as types from '../src/api/types';

const SOURCE = join(import.meta.dirname, '..', 'src');

function sources(): string[] {
  return readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file) && !file.startsWith('i18n'))
    .map((file) => readFileSync(join(SOURCE, file), 'utf8'));
}

describe('catalogues', () => {
  test('have the same keys', () => {
    expect(Object.keys(en).sort()).toEqual(Object.keys(vi).sort());
  });

  test('have the same slots', () => {
    for (const key of Object.keys(vi) as (keyof typeof vi)[]) expect([key, ...slots(en[key])]).toEqual([key, ...slots(vi[key])]);
  });

  test('hold no empty text and no text that was left in the other language', () => {
    const same = Object.keys(vi).filter((key) => {
      const [one, other] = [vi[key as keyof typeof vi], en[key as keyof typeof vi]];
      expect(one.trim() + other.trim()).not.toBe('');
      return one === other && /\p{L}{3,}/u.test(one.replace(/\{[^}]*\}/g, ''));
    });
    // Names of things that are the same in both languages.
    expect(same.sort()).toEqual(['admin.smtpStartTls', 'admin.smtpTlsOn', 'alert.attack', 'alerts.colAttack', 'app.name', 'channelKind.webhook', 'rules.attack', 'shell.utc7', 'sourceKind.http', 'sourceKind.relp', 'sourceKind.syslog']);
  });

  test('are composed Unicode (NFC)', () => {
    for (const text of Object.values(vi)) expect(text).toBe(text.normalize('NFC'));
  });

  test('hold a word for every value of the API', () => {
    const wanted = [
      ...types.LEVELS.map((value) => `level.${value}`), ...types.ALERT_STATES.map((value) => `state.${value}`), ...types.ROLES.map((value) => `role.${value}`),
      ...types.INCIDENT_STATUSES.map((value) => `status.${value}`), ...types.CATEGORIES.map((value) => `category.${value}`), ...types.CLASSES.map((value) => `class.${value}`),
      ...types.VERDICTS.map((value) => `verdict.${value}`),
    ];
    for (const key of wanted) expect(vi).toHaveProperty([key]);
  });

  test('hold no key that nobody uses', () => {
    const all = sources().join('\n');
    const groups = [...all.matchAll(/(?:name\('|`)([a-zA-Z]+)(?:'|\.\$)/g)].map((match) => match[1]);
    const unused = Object.keys(vi).filter((key) => !all.includes(`'${key}'`) && !all.includes(`"${key}"`) && !groups.includes(key.split('.')[0] ?? ''));
    expect(unused).toEqual([]);
  });
});

describe('fill', () => {
  const plain = (value: number) => `<${value}>`;

  test.each([
    ['{n} cảnh báo', { n: 12 }, '<12> cảnh báo'],
    ['{n} {n|alert|alerts}', { n: 1 }, '<1> alert'],
    ['{n} {n|alert|alerts}', { n: 2 }, '<2> alerts'],
    ['{who} vắng', {}, '{who} vắng'],
    ['{text}', { text: '{n}' }, '{n}'],
  ])('%s', (pattern, values, expected) => {
    expect(fill(pattern, values as Record<string, string | number>, plain)).toBe(expected);
  });
});
