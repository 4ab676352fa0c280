/** Times that people choose in a calendar are meant in Vietnam's time, whatever the zone of the computer. */
import dayjs from 'dayjs';

const ZONE = '+07:00';
const ZONE_MS = 7 * 3_600_000;

/** The moment that was chosen. */
export function inZone(chosen: dayjs.Dayjs): number {
  return Date.parse(`${chosen.format('YYYY-MM-DDTHH:mm:ss')}${ZONE}`);
}

/** A moment as a calendar shows it. */
export function zoned(at: number): dayjs.Dayjs {
  return dayjs(new Date(at + ZONE_MS).toISOString().slice(0, 19));
}
