/** Keys of a page: single letters and `g` followed by a letter; silent while somebody types or a dialogue is open. */
import { useEffect, useRef } from 'react';

/** Names as in `KeyboardEvent.key`, or `g o` for a sequence. */
export type Keys = Readonly<Record<string, (event: KeyboardEvent) => void>>;

const SEQUENCE_MS = 1_000;

/** True when the key belongs to a field, a menu or a dialogue and not to the page. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.closest('input:not([type=checkbox], [type=radio]), textarea, select, [role=dialog], [role=menu], [role=listbox], [role=combobox]') !== null;
}

/** The name to look up: after `g` within a second the pair, else the key alone. */
export function keyName(key: string, before: { key: string; at: number } | null, now: number): string {
  const name = key.length === 1 ? key.toLowerCase() : key;
  return before !== null && before.key === 'g' && now - before.at <= SEQUENCE_MS ? `g ${name}` : name;
}

export function useKeys(keys: Keys): void {
  const latest = useRef(keys);
  useEffect(() => {
    latest.current = keys;
  });
  useEffect(() => {
    let before: { key: string; at: number } | null = null;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented || isTyping(event.target)) return;
      if (document.querySelector('.ant-modal-wrap:not([style*="display: none"])') !== null) return;
      const name = keyName(event.key, before, event.timeStamp);
      before = { key: event.key, at: event.timeStamp };
      const call = latest.current[name];
      // A button that has the focus keeps its own Enter and space.
      if (call === undefined || (name === 'Enter' && event.target instanceof HTMLElement && event.target.closest('button, a') !== null)) return;
      event.preventDefault();
      call(event);
    };
    window.addEventListener('keydown', press);
    return () => window.removeEventListener('keydown', press);
  }, []);
}
