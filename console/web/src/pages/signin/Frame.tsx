/** The page before the shell: the rings of the drum, the mark, one box. */
import { Button } from 'antd';
import type { ReactNode } from 'react';

import { useSession } from '../../api/session';
import { useWords } from '../../i18n';
import { Icon } from '../../look/icons';
import { STAR, starPath } from '../../look/star';
import { useShade } from '../../look/theme';

const BIG_STAR = starPath(14, 550, 132, 64);
const RINGS = [150, 156, 210, 216, 300, 306, 312, 420, 426, 530, 536];

/** Rows of small circles between two rings, joined by tangents as on the drums. */
const BEADS = [183, 258, 363, 480].flatMap((radius, row) => {
  const count = 28 + row * 14;
  return Array.from({ length: count }, (_, index) => {
    const angle = (2 * Math.PI * index) / count;
    return { x: 550 + radius * Math.cos(angle), y: 550 + radius * Math.sin(angle), key: `${row}-${index}` };
  });
});

function Drum() {
  return (
    <svg className="drum" viewBox="0 0 1100 1100" fill="none" stroke="currentColor" aria-hidden="true">
      <path d={BIG_STAR} />
      {RINGS.map((radius) => <circle key={radius} cx="550" cy="550" r={radius} />)}
      {BEADS.map((bead) => <circle key={bead.key} cx={bead.x.toFixed(1)} cy={bead.y.toFixed(1)} r="7" />)}
    </svg>
  );
}

export function Frame({ children }: { children: ReactNode }) {
  const { t, language } = useWords();
  const { chooseLanguage } = useSession();
  const { shade, setShade } = useShade();
  const other = shade === 'dark' ? 'light' : 'dark';
  return (
    <main className="signin">
      <Drum />
      <div className="switches">
        <Button type="text" data-test="language" title={t('shell.languageHint')} onClick={() => chooseLanguage(language === 'vi' ? 'en' : 'vi')}>{t('shell.language')}</Button>
        <Button type="text" data-test="theme" aria-label={t(`shell.${other}`)} title={t(`shell.${other}`)} icon={<Icon name={other} />} onClick={() => setShade(other)} />
      </div>
      <div className="box">
        <div className="name">
          <svg width="40" height="40" viewBox="0 0 24 24" aria-hidden="true"><path d={STAR} fill="currentColor" /></svg>
          <div><b>{t('app.name')}</b><span className="soft">{t('app.subtitle')}</span></div>
        </div>
        {children}
      </div>
    </main>
  );
}
