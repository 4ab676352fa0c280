/** The bars of the histogram: the console leaves out empty spans, the axis does not. */
import type { EventHistogram } from '../../api/events';

/** More bars than pixels say nothing. */
const MOST = 400;

/** `[start of the span, count]` of each span of the asked time, empty ones included. */
export function filled({ since, until, step_ms, buckets }: EventHistogram): [number, number][] {
  if (step_ms <= 0) return [];
  const counts = new Map(buckets.map((bucket) => [bucket.at, bucket.count]));
  const first = buckets[0] === undefined ? since : since - ((((since - buckets[0].at) % step_ms) + step_ms) % step_ms);
  const spans: [number, number][] = [];
  for (let at = first; at < until && spans.length < MOST; at += step_ms) spans.push([at, counts.get(at) ?? 0]);
  return spans;
}

/** How many events there are in all. */
export function total(found: EventHistogram): number {
  return found.buckets.reduce((sum, bucket) => sum + bucket.count, 0);
}
