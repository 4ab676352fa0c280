/** The events five minutes before and after, on a line that can be zoomed and as a list. */
import { useMemo } from 'react';

import { useAround } from '../../api/alerts';
import type { Alert, Fields, Why } from '../../api/types';
import { useWords } from '../../i18n';
import { clock } from '../../i18n/format';
import { Chart, type Option } from '../../look/Chart';
import { Empty, Loaded } from '../../look/States';
import { Cut, Time } from '../../look/Text';
import { FONT, MONO, PALETTES, useShade } from '../../look/theme';
import { visible } from '../../look/visible';
import { eventTime, summary, text } from './record';

const SHOWN = 200;

/** How far the console looks before and after. */
const AROUND_MS = 5 * 60_000;

/** At most `SHOWN` points, those nearest to `at`, in the order of time. */
function nearest(points: readonly Point[], at: number): Point[] {
  const near = [...points].sort((one, other) => Math.abs(one.at - at) - Math.abs(other.at - at)).slice(0, SHOWN);
  return near.sort((one, other) => one.at - other.at);
}

interface Point {
  id: string;
  at: number;
  dataset: string;
  summary: string;
  /** It belongs to the alert. */
  matched: boolean;
}

/** The events as points; those of the alert itself are marked. */
function pointsOf(events: readonly Fields[], why: Why): Point[] {
  const own = new Set([why.alert.event_id, ...why.signals.map((signal) => signal.event_id)]);
  return events.map((event) => {
    const id = text(event['event.id']);
    return { id, at: eventTime(event), dataset: text(event['event.dataset']), summary: summary(event), matched: own.has(id) };
  });
}

export default function Around({ alert, why }: { alert: Alert; why: Why }) {
  const found = useAround(alert.id);
  return <Loaded query={found} lines={8}>{(answer) => <Line alert={alert} around={pointsOf(answer.events, why)} cut={answer.cut} />}</Loaded>;
}

function Line({ alert, around, cut }: { alert: Alert; around: Point[]; cut: boolean }) {
  const { t } = useWords();
  const { shade } = useShade();
  const at = alert.first_seen;
  const option = useMemo<Option>(() => {
    const colours = PALETTES[shade];
    const kinds = [...new Set(around.map((event) => event.dataset))].sort();
    return {
      animation: false,
      textStyle: { fontFamily: FONT },
      grid: { left: 8, right: 16, top: 12, bottom: 52, containLabel: true },
      tooltip: {
        trigger: 'item',
        renderMode: 'richText',
        backgroundColor: colours.raised,
        borderColor: colours.line,
        textStyle: { color: colours.text, fontSize: 12, fontFamily: MONO },
        formatter: (point: unknown) => {
          const event = around[(point as { value: [number, number, number] }).value[2]];
          return event === undefined ? '' : `${clock(event.at)}  ${visible(event.dataset)}\n${visible(event.summary).slice(0, 160)}`;
        },
      },
      xAxis: {
        type: 'time',
        min: alert.first_seen - AROUND_MS,
        max: alert.last_seen + AROUND_MS,
        axisLabel: { color: colours.faint, fontSize: 11, formatter: (ms: number) => clock(ms), hideOverlap: true },
        axisLine: { lineStyle: { color: colours.line } },
        splitLine: { show: true, lineStyle: { color: colours.line, opacity: 0.5 } },
      },
      yAxis: { type: 'category', data: kinds.map((kind) => visible(kind)), axisLabel: { color: colours.soft, fontSize: 11 }, axisLine: { show: false }, axisTick: { show: false } },
      dataZoom: [
        { type: 'inside' },
        { type: 'slider', height: 18, bottom: 8, borderColor: colours.line, fillerColor: `${colours.accent}33`, handleStyle: { color: colours.accent }, textStyle: { color: colours.faint, fontSize: 10 }, labelFormatter: (ms: number) => clock(ms), brushSelect: false },
      ],
      series: [{
        type: 'scatter',
        symbolSize: 8,
        data: around.map((event, index) => ({
          value: [event.at, kinds.indexOf(event.dataset), index],
          itemStyle: { color: event.matched ? colours.accent : colours.faint, opacity: event.matched ? 1 : 0.7 },
        })),
        markLine: { silent: true, symbol: 'none', label: { show: false }, lineStyle: { color: colours.level[alert.level], type: 'solid', width: 1 }, data: [{ xAxis: at }] },
      }],
    };
  }, [around, shade, alert.level, alert.first_seen, alert.last_seen, at]);

  if (around.length === 0) return <Empty text={t('alert.aroundEmpty')} />;
  const kinds = new Set(around.map((event) => event.dataset)).size;
  const nearby = nearest(around, at);
  return (
    <div className="stack">
      <Chart option={option} height={Math.min(110 + kinds * 26, 320)} label={t('alert.around')} />
      {(cut || around.length > SHOWN) && <p className="faint">{t('alert.aroundMore', { n: SHOWN })}</p>}
      <div style={{ maxHeight: 420, overflow: 'auto' }}>
        <table className="list fixed">
          <thead><tr><th style={{ width: 84 }}>{t('alert.colTime')}</th><th style={{ width: 132 }}>{t('alert.colDataset')}</th><th>{t('alert.colSummary')}</th></tr></thead>
          <tbody>
            {nearby.map((event) => (
              <tr key={event.id} style={event.matched ? { background: 'var(--mark)' } : undefined}>
                <td><Time at={event.at} brief /></td>
                <td><Cut text={event.dataset} mono /></td>
                <td><Cut text={event.summary} mono /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
