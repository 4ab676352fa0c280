/** Words with numbers in them: `{name}` is put in as it is, `{n|one|many}` chooses a word by the number `n`. */

export type Language = 'vi' | 'en';
export type Values = Readonly<Record<string, string | number>>;

const SLOT = /\{(\w+)(?:\|([^|}]*)\|([^|}]*))?\}/g;

/** Fills the slots of `pattern`; a slot without a value stays visible, so that a test or a reader sees it. */
export function fill(pattern: string, values: Values, printNumber: (value: number) => string): string {
  return pattern.replace(SLOT, (slot: string, name: string, one?: string, many?: string) => {
    const value = values[name];
    if (value === undefined) return slot;
    if (one !== undefined && many !== undefined) return Number(value) === 1 ? one : many;
    return typeof value === 'number' ? printNumber(value) : value;
  });
}

/** The names of the slots of `pattern`, sorted, each once: both catalogues must agree on them. */
export function slots(pattern: string): string[] {
  return [...new Set([...pattern.matchAll(SLOT)].map((match) => match[1] ?? ''))].sort();
}
