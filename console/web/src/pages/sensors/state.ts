/** What state a sensor is in, and what its last health report says. */
import type { Sensor, SpoolSummary } from '../../api/types';

import type { Key } from '../../i18n';

/** The numbers of a health report that are shown, under the names that sensors give them. */
export const FIGURES = [
  { word: 'sensors.packets', names: ['packets_per_second', 'packets'] },
  { word: 'sensors.drops', names: ['drops', 'packets_dropped', 'dropped'] },
  { word: 'sensors.spool', names: ['spool_events', 'spool_batches', 'spool_bytes'] },
] as const satisfies readonly { word: Key; names: readonly string[] }[];

/** How well it sees and how right its clock is: for the drawer. */
export const SIGHT = [
  { word: 'sensors.blind', name: 'blind_percent', digits: 2 },
  { word: 'sensors.gaps', name: 'gaps_percent', digits: 2 },
  { word: 'sensors.clock', name: 'clock_offset_ms', digits: 0 },
  { word: 'sensors.budget', name: 'budget_spent', digits: 0 },
] as const satisfies readonly { word: Key; name: string; digits: number }[];

/** What the account of a sensor comes to, the worst first: nobody knows of some, some will never come, nothing is missing. */
export function accountWord({ unaccounted, gone, gone_events, held }: SpoolSummary): { word: Key; n: number } {
  const lost = Object.values(gone_events).reduce((sum, events) => sum + events, 0);
  if (unaccounted > 0) return { word: 'sensors.unaccounted', n: unaccounted };
  if (gone > 0 || lost > 0) return { word: 'sensors.gone', n: lost };
  return held > 0 ? { word: 'sensors.held', n: held } : { word: 'sensors.complete', n: 0 };
}

export type SensorState = 'online' | 'silent' | 'waiting' | 'revoked';

/** The console says who is online; one that was never heard is waiting, not silent. */
export function sensorState(sensor: Pick<Sensor, 'revoked_at' | 'online' | 'last_seen'>): SensorState {
  if (sensor.revoked_at !== null) return 'revoked';
  if (sensor.online) return 'online';
  return sensor.last_seen === null ? 'waiting' : 'silent';
}

/** A number of the health report, whatever it is called among `names`; null when it is not there. */
export function reading(health: Record<string, unknown> | null, names: readonly string[]): number | null {
  for (const name of names) {
    const value = health?.[name];
    if (typeof value === 'number' && Number.isFinite(value)) return value;
  }
  return null;
}

type Json = Record<string, unknown>;

const object = (value: unknown): Json | null => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null);

/** What the rolling capture of a sensor lost; nothing where it keeps no packets. */
export function queueLosses(health: Json | null): { word: Key; n: number }[] {
  const kept = object(health?.kept_packets);
  const losses = [['sensors.queueLost', 'queue_lost'], ['sensors.diskLost', 'disk_lost']] as const;
  return losses.flatMap(([word, name]) => {
    const n = reading(kept, [name]);
    return n === null ? [] : [{ word, n }];
  });
}

/** The packs in force, each with its version. */
export function packVersions(health: Json | null): string[] {
  const packs = object(object(health?.desired)?.packs) ?? {};
  return Object.entries(packs).map(([name, version]) => `${name} ${String(version)}`);
}

export interface RelayInput {
  name: string;
  on: boolean;
  records: number;
  dropped: number;
  problem: string | null;
}

/** What the inputs of a sensor's relay have done; none where it relays nothing. */
export function relayInputs(health: Json | null): RelayInput[] {
  return Object.entries(object(health?.relay) ?? {}).map(([name, told]) => {
    const input = object(told);
    const problem = input?.problem;
    return {
      name,
      on: input?.on === true,
      records: reading(input, ['records']) ?? 0,
      dropped: reading(input, ['dropped']) ?? 0,
      problem: typeof problem === 'string' ? problem : null,
    };
  });
}

/** How a sensor stands to what the centre wants of it: the word, and whether somebody should look. */
export function configurationWord({ wanted, applied, trial }: Sensor['configuration']): { word: Key; odd: boolean } {
  if (wanted === 0) return { word: 'sensors.configurationNone', odd: false };
  if (applied === null) return { word: 'sensors.configurationUntold', odd: true };
  if (applied !== wanted) return { word: 'sensors.configurationBehind', odd: true };
  return { word: trial ? 'sensors.configurationTrial' : 'sensors.configurationSame', odd: false };
}
