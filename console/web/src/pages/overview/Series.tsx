/** Alerts by severity over the day, stacked; a brush over the axis opens the queue for that time. */
import { Button } from 'antd';
import type { EChartsType } from 'echarts/core';
import { useMemo, useState } from 'react';
import { useNavigate } from 'react-router';

import type { Drill } from '../../api/alerts';
import { LEVELS, type Level, type Overview } from '../../api/types';
import { useWords } from '../../i18n';
import { brief, clock, hour } from '../../i18n/format';
import { Chart, type Option } from '../../look/Chart';
import { Severity } from '../../look/Severity';
import { FONT, PALETTES, useShade } from '../../look/theme';
import { ANY, encode } from '../alerts/view';
import { spans } from './spans';

/** The worst at the bottom of the stack, where its height can be read. */
const STACK: readonly Level[] = LEVELS;

interface Axis {
  axisValue: number;
  seriesName: string;
  value: [number, number];
}

export default function Series({ overview, drill }: { overview: Overview; drill: Drill }) {
  const { t, name, number, language } = useWords();
  const { shade } = useShade();
  const navigate = useNavigate();
  const [chosen, setChosen] = useState<[number, number] | null>(null);
  const points = useMemo(() => spans(overview), [overview]);

  const option = useMemo<Option>(() => {
    const colours = PALETTES[shade];
    return {
      animation: false,
      textStyle: { fontFamily: FONT },
      grid: { left: 8, right: 12, top: 10, bottom: 4, containLabel: true },
      tooltip: {
        trigger: 'axis',
        renderMode: 'richText',
        backgroundColor: colours.raised,
        borderColor: colours.line,
        textStyle: { color: colours.text, fontSize: 12, fontFamily: FONT },
        formatter: (points: unknown) => {
          const rows = points as Axis[];
          const head = rows[0] === undefined ? '' : clock(rows[0].axisValue);
          return [head, ...rows.map((row) => `${row.seriesName}: ${number(row.value[1])}`)].join('\n');
        },
      },
      xAxis: {
        type: 'time',
        min: overview.since,
        max: overview.until,
        axisLabel: { color: colours.faint, fontSize: 11, formatter: (ms: number) => hour(ms), hideOverlap: true },
        axisLine: { lineStyle: { color: colours.line } },
        axisTick: { show: false },
        splitLine: { show: false },
      },
      yAxis: {
        type: 'value',
        minInterval: 1,
        axisLabel: { color: colours.faint, fontSize: 11, formatter: (value: number) => number(value) },
        splitLine: { lineStyle: { color: colours.line, opacity: 0.6 } },
      },
      brush: { xAxisIndex: 0, brushType: 'lineX', brushMode: 'single', toolbox: [], throttleType: 'debounce', throttleDelay: 120, outOfBrush: { colorAlpha: 0.35 }, brushStyle: { borderWidth: 1, color: `${colours.accent}22`, borderColor: colours.accent } },
      series: STACK.map((level) => ({
        type: 'line',
        name: name('level', level),
        stack: 'alerts',
        step: 'end',
        symbol: 'none',
        lineStyle: { width: 0 },
        itemStyle: { color: colours.level[level] },
        areaStyle: { color: colours.level[level], opacity: shade === 'dark' ? 0.75 : 0.8 },
        data: points[level],
      })),
    };
  }, [points, shade, name, number, overview.since, overview.until]);

  const listen = (chart: EChartsType) => {
    chart.dispatchAction({ type: 'takeGlobalCursor', key: 'brush', brushOption: { brushType: 'lineX', brushMode: 'single' } });
    chart.on('brushEnd', (event: unknown) => {
      const range = (event as { areas: { coordRange?: [number, number] }[] }).areas[0]?.coordRange;
      setChosen(range === undefined ? null : [Math.round(range[0]), Math.round(range[1])]);
    });
  };

  return (
    <div className="stack" style={{ gap: 8 }}>
      <div className="row wrap" style={{ gap: 16, minHeight: 24, fontSize: 12 }}>
        {LEVELS.map((level) => <Severity key={level} level={level} />)}
        <span className="grow" />
        {chosen === null
          ? <span className="faint">{t('overview.brush')}</span>
          : (
            <Button size="small" onClick={() => void navigate(`/alerts?${encode({ ...ANY, drill, range: `${chosen[0]}-${chosen[1]}` })}`)}>
              {t('overview.brushed', { from: brief(chosen[0], Date.now(), language), to: brief(chosen[1], Date.now(), language) })}
            </Button>
          )}
      </div>
      <Chart option={option} height={160} label={t('overview.series')} ready={listen} />
    </div>
  );
}
