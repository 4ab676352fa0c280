/** The clocks as bars that fill toward their deadline, with the hour written. */
import { Button, Popconfirm } from 'antd';
import { useEffect, useState } from 'react';

import type { Deadline, Incident } from '../../api/types';
import { useWords } from '../../i18n';
import { moment } from '../../i18n/format';
import { Time } from '../../look/Text';
import { filled, urgency } from './clocks';

/** The present, every half minute: a clock that is read in hours need not move more often. */
export function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 30_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** What is left of a clock, as a word for a column. */
export function ClockWord({ clock }: { clock: Deadline | null }) {
  const { t, language, span } = useWords();
  const now = useNow();
  if (clock === null) return <span className="faint">–</span>;
  const state = urgency(clock, false, now);
  const word = state === 'over' ? t('incident.overdue', { span: span(now - clock.due) }) : t('incident.left', { span: span(clock.due - now) });
  const colour = state === 'over' ? 'critical' : state === 'soon' ? 'high' : '';
  return <span className={colour} title={t('incident.clockUntil', { time: moment(clock.due, language) })}>{word}</span>;
}

function Bar({ clock, stopped, now, sent }: { clock: Deadline; stopped: boolean; now: number; sent: (() => void) | null }) {
  const { t, language } = useWords();
  const state = urgency(clock, stopped, now);
  const atOnce = clock.due === clock.from;
  const title = clock.kind === 'report' ? t('incident.clock72') : atOnce ? t('incident.clock0') : t('incident.clock24');
  return (
    <div className={`clockbar ${state}`} data-test="clock-bar" title={`${t('incident.basis')} (${clock.source})`}>
      <div className="row">
        <span className="grow cut">{title}</span>
        <span className="left">
          {clock.met_at !== null ? t('incident.clockMet', { time: moment(clock.met_at, language) }) : stopped ? t('incident.clockStopped') : <ClockWord clock={clock} />}
        </span>
      </div>
      <div className="track"><i style={{ width: `${filled(clock, now) * 100}%` }} /></div>
      <div className="row faint" style={{ fontSize: 12, minHeight: 24 }}>
        <Time at={clock.from} />
        <span className="grow" />
        {sent !== null && clock.met_at === null && (
          <Popconfirm title={t('incident.markSentTitle')} description={t('incident.markSentEffect')} onConfirm={sent} okText={t('incident.markSent')} cancelText={t('common.cancel')}>
            <Button size="small" type="text">{t('incident.markSent')}</Button>
          </Popconfirm>
        )}
        {!atOnce && <Time at={clock.due} />}
      </div>
    </div>
  );
}

/** `markSent` records that a notice or report went out now; null where the person may not. */
export function Clocks({ incident, markSent }: { incident: Incident; markSent: ((kind: Deadline['kind']) => void) | null }) {
  const now = useNow();
  const stopped = incident.status === 'closed';
  return (
    <div className="clocks">
      {incident.deadlines.map((clock) => (
        <Bar key={clock.kind} clock={clock} stopped={stopped} now={now} sent={markSent === null || stopped ? null : () => markSent(clock.kind)} />
      ))}
    </div>
  );
}
