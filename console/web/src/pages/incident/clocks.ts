/** The legal clocks of an incident (decree 331/2026, article 31.2.d), counted from detection. */
import type { Incident } from '../../api/types';

export interface LegalClock {
  kind: 'first_notice' | 'report';
  from: number;
  due: number;
  /** When the notice or report was sent; null: not yet. */
  met: number | null;
  /** The incident was closed, so the clock no longer runs. */
  stopped: boolean;
}

const HOUR_MS = 3_600_000;

type Clocked = Pick<Incident, 'legal_category' | 'detected_at' | 'first_notice_at' | 'report_at' | 'status'>;

/** The clocks of this incident: none or 24 h or at once for the first notice, 72 h for the report. */
export function clocks(incident: Clocked): LegalClock[] {
  const from = incident.detected_at;
  const stopped = incident.status === 'closed';
  const report: LegalClock = { kind: 'report', from, due: from + 72 * HOUR_MS, met: incident.report_at, stopped };
  if (incident.legal_category === 'thuong') return [report];
  const hours = incident.legal_category === 'nghiem_trong' ? 24 : 0;
  return [{ kind: 'first_notice', from, due: from + hours * HOUR_MS, met: incident.first_notice_at, stopped }, report];
}

/** The running clock that ends first; null when none runs. */
export function nearest(incident: Clocked): LegalClock | null {
  const running = clocks(incident).filter((clock) => clock.met === null && !clock.stopped);
  return running.sort((one, other) => one.due - other.due)[0] ?? null;
}

export type Urgency = 'calm' | 'soon' | 'over' | 'done';

/** `soon` is the last quarter of the time. */
export function urgency(clock: LegalClock, now: number): Urgency {
  if (clock.met !== null || clock.stopped) return 'done';
  if (now >= clock.due) return 'over';
  return clock.due - now <= (clock.due - clock.from) / 4 ? 'soon' : 'calm';
}

/** How full the bar is, 0 to 1. */
export function filled(clock: LegalClock, now: number): number {
  const at = clock.met ?? now;
  if (clock.due <= clock.from) return 1;
  return Math.min(1, Math.max(0, (at - clock.from) / (clock.due - clock.from)));
}
