/** How many events when; a brush over the axis narrows the time. */
import type { EChartsType } from 'echarts/core';
import { useEffect, useMemo, useRef } from 'react';

import type { EventHistogram } from '../../api/events';
import { useWords } from '../../i18n';
import { brief, clock, hour } from '../../i18n/format';
import { Chart, type Option } from '../../look/Chart';
import { FONT, PALETTES, useShade } from '../../look/theme';
import { filled } from './histogram';

export default function Histogram({ found, choose }: { found: EventHistogram; choose: (since: number, until: number) => void }) {
  const { t, number, language } = useWords();
  const { shade } = useShade();
  const spans = useMemo(() => filled(found), [found]);
  const days = found.until - found.since > 86_400_000;

  const option = useMemo<Option>(() => {
    const colours = PALETTES[shade];
    return {
      animation: false,
      textStyle: { fontFamily: FONT },
      grid: { left: 8, right: 12, top: 8, bottom: 2, containLabel: true },
      tooltip: {
        trigger: 'axis',
        renderMode: 'richText',
        confine: true,
        backgroundColor: colours.raised,
        borderColor: colours.line,
        textStyle: { color: colours.text, fontSize: 12, fontFamily: FONT },
        formatter: (points: unknown) => {
          const at = (points as { value: [number, number] }[])[0]?.value;
          return at === undefined ? '' : `${brief(at[0], Date.now(), language)} – ${clock(at[0] + found.step_ms)}\n${t('hunt.events', { n: at[1] })}`;
        },
      },
      xAxis: {
        type: 'time',
        min: found.since,
        max: found.until,
        axisLabel: { color: colours.faint, fontSize: 11, hideOverlap: true, formatter: (ms: number) => (days ? brief(ms, 0, language).slice(0, language === 'vi' ? 5 : 6) + (hour(ms) === '00:00' ? '' : ` ${hour(ms)}`) : hour(ms)) },
        axisLine: { lineStyle: { color: colours.line } },
        axisTick: { show: false },
        splitLine: { show: false },
      },
      yAxis: { type: 'value', minInterval: 1, splitNumber: 2, axisLabel: { color: colours.faint, fontSize: 11, formatter: (value: number) => number(value) }, splitLine: { lineStyle: { color: colours.line, opacity: 0.6 } } },
      brush: { xAxisIndex: 0, brushType: 'lineX', brushMode: 'single', toolbox: [], throttleType: 'debounce', throttleDelay: 120, outOfBrush: { colorAlpha: 0.35 }, brushStyle: { borderWidth: 1, color: `${colours.accent}22`, borderColor: colours.accent } },
      series: [{ type: 'line', step: 'end', symbol: 'none', lineStyle: { width: 0 }, itemStyle: { color: colours.accent }, areaStyle: { color: colours.accent, opacity: 0.85 }, data: [...spans, [found.until, spans.at(-1)?.[1] ?? 0]] }],
    };
  }, [spans, shade, found, days, number, language, t]);

  const drawn = useRef<EChartsType | null>(null);
  const told = useRef(choose);
  useEffect(() => {
    told.current = choose;
  });
  // The brush belongs to the time that was shown when it was drawn.
  useEffect(() => {
    drawn.current?.dispatchAction({ type: 'brush', areas: [] });
  }, [found.since, found.until]);
  const listen = (chart: EChartsType) => {
    drawn.current = chart;
    chart.dispatchAction({ type: 'takeGlobalCursor', key: 'brush', brushOption: { brushType: 'lineX', brushMode: 'single' } });
    chart.on('brushEnd', (event: unknown) => {
      const range = (event as { areas: { coordRange?: [number, number] }[] }).areas[0]?.coordRange;
      if (range !== undefined && range[1] - range[0] >= 1000) told.current(Math.floor(range[0]), Math.ceil(range[1]));
    });
  };
  return <Chart option={option} height={92} label={t('hunt.histogram')} ready={listen} />;
}
