/** The legal clocks of an incident as the console counts them: how near, how full. */
import type { Deadline, Incident } from '../../api/types';

/** The running clock that ends first; null when none runs. */
export function nearest(incident: Pick<Incident, 'deadlines' | 'status'>): Deadline | null {
  if (incident.status === 'closed') return null;
  const running = incident.deadlines.filter((clock) => clock.met_at === null);
  return running.sort((one, other) => one.due - other.due)[0] ?? null;
}

export type Urgency = 'calm' | 'soon' | 'over' | 'done';

/** `soon` is the last quarter of the time; a clock that was met or whose incident is closed is `done`. */
export function urgency(clock: Deadline, stopped: boolean, now: number): Urgency {
  if (clock.met_at !== null || stopped) return 'done';
  if (now >= clock.due) return 'over';
  return clock.due - now <= (clock.due - clock.from) / 4 ? 'soon' : 'calm';
}

/** How full the bar is, 0 to 1. */
export function filled(clock: Deadline, now: number): number {
  const at = clock.met_at ?? now;
  if (clock.due <= clock.from) return 1;
  return Math.min(1, Math.max(0, (at - clock.from) / (clock.due - clock.from)));
}
