/** Counts over time as a chart wants them: every span of the day, those without any as nought. */
import { LEVELS, type Level, type Overview } from '../../api/types';

/** For each level the pairs of a span's start and its count, from `since` to `until`, where the last one ends. */
export function spans(overview: Pick<Overview, 'since' | 'until' | 'series'>): Record<Level, [number, number][]> {
  const { step_ms: step, alerts } = overview.series;
  const first = overview.since - (overview.since % step);
  const count = Math.min(2_000, Math.max(0, Math.ceil((overview.until - first) / step)));
  const found = new Map(alerts.map((bucket) => [`${bucket.level} ${bucket.at}`, bucket.count]));
  const of = (level: Level) => {
    const points = Array.from({ length: count }, (_, index): [number, number] => {
      const at = first + index * step;
      return [at, found.get(`${level} ${at}`) ?? 0];
    });
    const last = points.at(-1);
    return last === undefined ? points : [...points, [overview.until, last[1]] as [number, number]];
  };
  return Object.fromEntries(LEVELS.map((level) => [level, of(level)])) as Record<Level, [number, number][]>;
}
