/** The events five minutes before and after, on a line that can be zoomed and as a list. */
import { useMemo } from 'react';

import type { Alert, Why } from '../../api/types';
import { useWords } from '../../i18n';
import { clock } from '../../i18n/format';
import { Chart, type Option } from '../../look/Chart';
import { Empty } from '../../look/States';
import { Cut, Time } from '../../look/Text';
import { MONO, PALETTES, useShade } from '../../look/theme';
import { visible } from '../../look/visible';

const SHOWN = 200;

export default function Around({ alert, around }: { alert: Alert; around: Why['around'] }) {
  const { t } = useWords();
  const { shade } = useShade();
  const at = alert.first_seen;
  const option = useMemo<Option>(() => {
    const colours = PALETTES[shade];
    const kinds = [...new Set(around.map((event) => event.dataset))].sort();
    return {
      animation: false,
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
        axisLabel: { color: colours.faint, fontSize: 11, formatter: (ms: number) => clock(ms), hideOverlap: true },
        axisLine: { lineStyle: { color: colours.line } },
        splitLine: { show: true, lineStyle: { color: colours.line, opacity: 0.5 } },
      },
      yAxis: { type: 'category', data: kinds.map(visible), axisLabel: { color: colours.soft, fontSize: 11 }, axisLine: { show: false }, axisTick: { show: false } },
      dataZoom: [
        { type: 'inside' },
        { type: 'slider', height: 18, bottom: 8, borderColor: colours.line, fillerColor: `${colours.accent}33`, handleStyle: { color: colours.accent }, textStyle: { color: colours.faint, fontSize: 10 }, labelFormatter: (ms: number) => clock(ms), brushSelect: false },
      ],
      series: [{
        type: 'scatter',
        symbolSize: 8,
        data: around.map((event, index) => ({
          value: [event.at, kinds.indexOf(event.dataset), index],
          itemStyle: { color: event.related ? colours.accent : colours.faint, opacity: event.related ? 1 : 0.7 },
        })),
        markLine: { silent: true, symbol: 'none', label: { show: false }, lineStyle: { color: colours.level[alert.level], type: 'solid', width: 1 }, data: [{ xAxis: at }] },
      }],
    };
  }, [around, shade, alert.level, at]);

  if (around.length === 0) return <Empty text={t('alert.aroundEmpty')} />;
  const kinds = new Set(around.map((event) => event.dataset)).size;
  return (
    <div className="stack">
      <Chart option={option} height={Math.min(110 + kinds * 26, 320)} label={t('alert.around')} />
      {around.length > SHOWN && <p className="faint">{t('alert.aroundMore', { n: SHOWN })}</p>}
      <div style={{ maxHeight: 420, overflow: 'auto' }}>
        <table className="list fixed">
          <thead><tr><th style={{ width: 84 }}>{t('alert.colTime')}</th><th style={{ width: 132 }}>{t('alert.colDataset')}</th><th>{t('alert.colSummary')}</th></tr></thead>
          <tbody>
            {around.slice(0, SHOWN).map((event) => (
              <tr key={event.id} style={event.related ? { background: 'var(--mark)' } : undefined}>
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
