/** What a new password must be; the console decides, this only says it before the round trip. */
import type { Key } from '../../i18n';

export const PASSWORD_LENGTH = 14;

/** Small letter, capital letter, digit, other sign: as the console asks for. */
const KINDS = [/\p{Ll}/u, /\p{Lu}/u, /\p{N}/u, /[^\p{L}\p{N}]/u];

/** The key of what is wrong, or null. Letters are counted as people count them, not in UTF-16 halves. */
export function passwordProblem(current: string | undefined, wanted: string): Key | null {
  if (Array.from(wanted).length < PASSWORD_LENGTH) return 'password.short';
  if (KINDS.some((kind) => !kind.test(wanted))) return 'password.kinds';
  return wanted === current ? 'password.same' : null;
}
