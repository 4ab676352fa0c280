/** What is asked for, and what of it did not come: the words of an order for packets. */
import type { PacketOrder } from '../../api/types';

export const MIB = 1 << 20;
/** Sizes an answer may be asked for, in MiB; the console takes 256 at most. */
export const SIZES = [1, 16, 64, 256] as const;

/** Seven days: the longest span that the console takes. */
export const LONGEST_MS = 7 * 24 * 3_600_000;
const AROUND_MS = 15 * 60_000;

/** A quarter of an hour before and after a moment, not beyond `now`. */
export function aroundMoment(at: number, now: number): [number, number] {
  const until = Math.min(at + AROUND_MS, now);
  return [Math.min(at, until) - AROUND_MS, until];
}

/** `1:` and the base64 of a SHA-1: what `network.community_id` looks like. */
export const COMMUNITY_ID = /^1:[A-Za-z0-9+/]{27}=$/;

/** What of an answer is missing, by name; nothing where it is whole. */
export function missing(account: PacketOrder['account']): { word: 'cut' | 'lost' | 'truncated'; n: number }[] {
  const read = (name: string): number => {
    const value = account?.[name];
    return typeof value === 'number' ? value : 0;
  };
  return [
    { word: 'cut' as const, n: read('cut_frames') },
    { word: 'lost' as const, n: read('lost_frames') },
    { word: 'truncated' as const, n: account?.['truncated'] === true ? 1 : 0 },
  ].filter(({ n }) => n > 0);
}
