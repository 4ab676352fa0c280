/**
 * How numbers, times and sizes are written. Times come as milliseconds since 1970 UTC and are shown in Vietnam's
 * time (UTC+7, no daylight saving), whatever the zone of the computer is.
 */
import type { Language } from './translate';

const ZONE_MS = 7 * 3_600_000;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const two = (value: number): string => String(value).padStart(2, '0');

/** `1.234,5` in Vietnamese, `1,234.5` in English; at most `digits` places after the mark. */
export function number(value: number, language: Language, digits = 1): string {
  const text = Math.abs(value).toFixed(digits).replace(/\.?0+$/, '');
  const [whole = '0', part] = (digits === 0 ? Math.abs(value).toFixed(0) : text).split('.');
  const [group, mark] = language === 'vi' ? ['.', ','] : [',', '.'];
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, group);
  const sign = value < 0 && Number(text) !== 0 ? '−' : '';
  return sign + (part === undefined ? grouped : grouped + mark + part);
}

/** Below this many a percentage says nothing: one alert more would be a leap. */
const LEAST_BASE = 50;

/** A change such as `+12,5 %`, from tenfold on `×12`; null where the base is too small for either. */
export function change(value: number, before: number | null, language: Language): string | null {
  if (before === null || before < LEAST_BASE) return null;
  if (value >= 10 * before) return `×${number(value / before, language, 0)}`;
  const percent = ((value - before) / before) * 100;
  const text = number(percent, language, Math.abs(percent) < 10 ? 1 : 0);
  return `${percent > 0 ? '+' : ''}${text} %`;
}

/** `09:05:12`. */
export function clock(ms: number): string {
  const date = new Date(ms + ZONE_MS);
  return `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
}

/** `09:05`. */
export function hour(ms: number): string {
  return clock(ms).slice(0, 5);
}

/** `23/11/2026` in Vietnamese, `23 Nov 2026` in English. */
export function day(ms: number, language: Language): string {
  const date = new Date(ms + ZONE_MS);
  const [days, month, year] = [two(date.getUTCDate()), date.getUTCMonth(), date.getUTCFullYear()];
  return language === 'vi' ? `${days}/${two(month + 1)}/${year}` : `${days} ${MONTHS[month] ?? ''} ${year}`;
}

/** `23/11/2026 09:05:12` in Vietnamese, `23 Nov 2026 09:05:12` in English. */
export function moment(ms: number, language: Language): string {
  return `${day(ms, language)} ${clock(ms)}`;
}

/** `09:05:12` for today, `23/11 09:05` for another day of this year, else the whole date: for narrow columns. */
export function brief(ms: number, now: number, language: Language): string {
  if (day(ms, language) === day(now, language)) return clock(ms);
  const date = new Date(ms + ZONE_MS);
  const dayAndMonth = language === 'vi'
    ? `${two(date.getUTCDate())}/${two(date.getUTCMonth() + 1)}`
    : `${two(date.getUTCDate())} ${MONTHS[date.getUTCMonth()] ?? ''}`;
  const sameYear = date.getUTCFullYear() === new Date(now + ZONE_MS).getUTCFullYear();
  return sameYear ? `${dayAndMonth} ${hour(ms)}` : day(ms, language);
}

/** `2026-11-23T02:05:12.000Z`: the form that is copied; an impossible time is printed as its number. */
export function iso(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}

/** Day, hour, minute, second as they stand behind a number. */
const UNITS: Readonly<Record<Language, readonly [string, string, string, string]>> = {
  vi: ['ngày', 'giờ', 'phút', 'giây'],
  en: ['d', 'h', 'min', 's'],
};

/** Hours and minutes of a span, `26 giờ 05 phút` or `26 h 05 min`; below a minute the seconds, from four days on days and hours. */
export function span(ms: number, language: Language): string {
  const [day, hour, minute, second] = UNITS[language];
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} ${second}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} ${minute}`;
  const hours = Math.floor(minutes / 60);
  if (hours < 96) return `${hours} ${hour} ${two(minutes % 60)} ${minute}`;
  return `${Math.floor(hours / 24)} ${day} ${hours % 24} ${hour}`;
}
