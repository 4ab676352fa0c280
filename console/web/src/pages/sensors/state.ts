/** What state a sensor is in, and what its last health report says. */
import type { Sensor } from '../../api/types';

export type SensorState = 'online' | 'silent' | 'waiting' | 'revoked';

/** A sensor that was never heard is waiting; one that the console marked silent is silent. */
export function sensorState(sensor: Pick<Sensor, 'revoked_at' | 'silent_since' | 'last_seen'>): SensorState {
  if (sensor.revoked_at !== null) return 'revoked';
  if (sensor.last_seen === null) return 'waiting';
  return sensor.silent_since === null ? 'online' : 'silent';
}

/** A number of the health report, whatever it is called among `names`; null when it is not there. */
export function reading(health: Record<string, unknown> | null, names: readonly string[]): number | null {
  for (const name of names) {
    const value = health?.[name];
    if (typeof value === 'number' && Number.isFinite(value)) return value;
  }
  return null;
}
