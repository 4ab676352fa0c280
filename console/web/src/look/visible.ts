/**
 * Texts of the API come from attackers. React keeps them from being markup; this makes visible what would lie to the
 * eye: control signs, signs that turn the direction of writing, signs without width, and tag signs.
 */

/** A piece of a text; `escape` pieces are shown marked, because the text does not contain them as letters. */
export interface Piece {
  text: string;
  escape: boolean;
}

const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]|\p{Cs}/gu;

const SHORT: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r', '\0': '\\0' };

/** How one hidden sign is written: `\n`, `\u{202e}`. */
export function escape(sign: string): string {
  return SHORT[sign] ?? `\\u{${(sign.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}}`;
}

/** Cuts `text` into what can be shown as it is and what must be shown as an escape; their sum is the text, escaped. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > from) found.push({ text: text.slice(from, match.index), escape: false });
    found.push({ text: escape(match[0]), escape: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) found.push({ text: text.slice(from), escape: false });
  return found;
}

/** The same as one string, for attributes and the title of the window. */
export function visible(text: string): string {
  return text.replace(HIDDEN, escape);
}
