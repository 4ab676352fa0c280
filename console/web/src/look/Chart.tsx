/** Apache ECharts with only what the page draws; loaded apart, on the pages that have a chart. */
import { LineChart, ScatterChart } from 'echarts/charts';
import { BrushComponent, DataZoomComponent, GridComponent, MarkLineComponent, TooltipComponent } from 'echarts/components';
import { init, use as register, type EChartsType } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { useEffect, useRef } from 'react';

register([LineChart, ScatterChart, GridComponent, TooltipComponent, DataZoomComponent, BrushComponent, MarkLineComponent, SVGRenderer]);

export type Option = Parameters<EChartsType['setOption']>[0];

interface Props {
  option: Option;
  height: number;
  label: string;
  /** Called once with the chart, after it is drawn for the first time, to listen to it. */
  ready?: (chart: EChartsType) => void;
}

export function Chart({ option, height, label, ready }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const shown = useRef<EChartsType | null>(null);
  const told = useRef(ready);
  useEffect(() => {
    told.current = ready;
  });
  useEffect(() => {
    if (box.current === null) return;
    const made = init(box.current, null, { renderer: 'svg' });
    chart.current = made;
    const watch = new ResizeObserver(() => made.resize());
    watch.observe(box.current);
    return () => {
      watch.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, []);
  useEffect(() => {
    const drawn = chart.current;
    if (drawn === null) return;
    const first = shown.current !== drawn;
    shown.current = drawn;
    drawn.setOption(option);
    if (first) told.current?.(drawn);
  }, [option]);
  return <div ref={box} role="img" aria-label={label} style={{ height, width: '100%' }} />;
}
