/** A range of time as it stands in the address bar: a usual name, or `since-until` in milliseconds. */

/** The two ends of a range chosen by hand. */
export function bounds(range: string): [number, number] | null {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(range);
  if (match === null) return null;
  const [since, until] = [Number(match[1]), Number(match[2])];
  return since < until ? [since, until] : null;
}
