/** The column at the right of a list: its width is pulled by the hand or the arrow keys, and remembered. */
import { useRef, useState, type PointerEvent, type ReactNode } from 'react';

import { useWords } from '../i18n';

const KEPT_AS = 'dongson.drawer';
const [NARROW, WIDE] = [360, 900];

function keptWidth(): number {
  const kept = Number(localStorage.getItem(KEPT_AS));
  return kept >= NARROW && kept <= WIDE ? kept : 480;
}

export function DrawerFrame({ label, test, children }: { label: string; test: string; children: ReactNode }) {
  const { t } = useWords();
  const [width, setWidth] = useState(keptWidth);
  const drag = useRef<{ from: number; width: number } | null>(null);
  const resize = (wanted: number) => {
    const next = Math.round(Math.min(Math.max(wanted, NARROW), WIDE, window.innerWidth - 480));
    setWidth(next);
    localStorage.setItem(KEPT_AS, String(next));
  };
  const pull = (event: PointerEvent<HTMLButtonElement>) => {
    if (drag.current !== null) resize(drag.current.width + drag.current.from - event.clientX);
  };
  return (
    <aside className="drawer" style={{ width }} aria-label={label} data-test={test}>
      <button
        type="button"
        className="grip"
        aria-label={t('alert.resize')}
        title={t('alert.resize')}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          drag.current = { from: event.clientX, width };
        }}
        onPointerMove={pull}
        onPointerUp={() => {
          drag.current = null;
        }}
        onKeyDown={(event) => {
          if (event.key === 'ArrowLeft') resize(width + 20);
          if (event.key === 'ArrowRight') resize(width - 20);
        }}
      />
      {children}
    </aside>
  );
}
