/** The page asks only what the console's document (`console/openapi.json`) describes, and reads only fields that it promises. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

interface Schema {
  $ref?: string;
  allOf?: Schema[];
  properties?: Record<string, unknown>;
}

const document = JSON.parse(readFileSync(join(ROOT, '..', 'openapi.json'), 'utf8')) as {
  paths: Record<string, Record<string, unknown>>;
  components: { schemas: Record<string, Schema> };
};

/** The names of the fields of a schema, those of its parts included. */
function fields(schema: Schema | undefined): string[] {
  if (schema === undefined) return [];
  const referred = schema.$ref === undefined ? [] : fields(document.components.schemas[schema.$ref.split('/').at(-1) ?? '']);
  return [...referred, ...(schema.allOf ?? []).flatMap(fields), ...Object.keys(schema.properties ?? {})];
}

/** Our interfaces whose name differs from the schema's. */
const NAMES: Readonly<Record<string, string>> = {
  Me: 'Account', Rule: 'RuleInfo', SourceChoices: 'SourceList', Incident: 'IncidentView', Sensor: 'SensorView', AuditRecord: 'NamedEntry', StatusFigures: 'StatusLine',
};

const types = readFileSync(join(ROOT, 'src', 'api', 'types.ts'), 'utf8');
const interfaces = [...types.matchAll(/^export interface (\w+) \{\n([\s\S]*?)^\}/gm)].map((match): [string, string[]] => [
  match[1] ?? '',
  [...(match[2] ?? '').matchAll(/^ {2}(\w+)\??:/gm)].map((field) => field[1] ?? ''),
]);

const CALL = /\b(get|poll|post|put|patch|remove)(?:<[^(]*>)?\(\s*(?:'(\/[^']*)'|`(\/[^`]*)`)/g;
const METHODS: Readonly<Record<string, string>> = { poll: 'get', remove: 'delete' };

const calls = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.tsx?$/.test(file))
  .flatMap((file) => [...readFileSync(join(ROOT, 'src', file), 'utf8').matchAll(CALL)])
  .map((match) => `${METHODS[match[1] ?? ''] ?? match[1] ?? ''} ${(match[2] ?? match[3] ?? '').replace(/\$\{(?:[^{}]|\{[^}]*\})*\}/g, '{}')}`);

const known = Object.entries(document.paths).flatMap(([path, operations]) =>
  Object.keys(operations).map((method) => `${method} ${path.replace('/api/v1', '').replace(/\{\w+\}/g, '{}')}`));

describe('the console’s document', () => {
  test('was found, and the page was read', () => {
    expect(known.length).toBeGreaterThan(40);
    expect(new Set(calls).size).toBeGreaterThan(25);
    expect(interfaces.length).toBeGreaterThan(20);
  });

  test.each([...new Set(calls)].sort())('describes %s', (call) => {
    expect(known).toContain(call);
  });

  test.each(interfaces)('promises the fields of %s', (name, ours) => {
    const theirs = fields(document.components.schemas[NAMES[name] ?? name]);
    expect(ours.filter((field) => !theirs.includes(field))).toEqual([]);
  });
});
