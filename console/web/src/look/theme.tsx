/** Dark and light: one table of colours for the style sheet (`theme.css`), the component library and the charts. */
import { ConfigProvider, theme as antd, type ThemeConfig } from 'antd';
import enGB from 'antd/locale/en_GB';
import viVN from 'antd/locale/vi_VN';
import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';

import type { Level } from '../api/types';
import { useWords } from '../i18n';

export type Shade = 'dark' | 'light';

interface Palette {
  page: string;
  panel: string;
  raised: string;
  line: string;
  text: string;
  soft: string;
  faint: string;
  accent: string;
  level: Record<Level, string>;
}

/** The same values as in `theme.css`; every text colour keeps 4.5:1 on page, panel and raised (a test computes it). */
export const PALETTES: Record<Shade, Palette> = {
  dark: {
    page: '#0f1418',
    panel: '#151b21',
    raised: '#1d252d',
    line: '#2a343e',
    text: '#dfe5ea',
    soft: '#a9b5c0',
    faint: '#8b99a6',
    accent: '#c6964a',
    level: { critical: '#ff6b81', high: '#f98e45', medium: '#e0b33a', low: '#42b8ad', informational: '#94a2ae' },
  },
  light: {
    page: '#f3f5f7',
    panel: '#ffffff',
    raised: '#e9edf1',
    line: '#d5dce2',
    text: '#17202a',
    soft: '#45535f',
    faint: '#566472',
    accent: '#8a5a14',
    level: { critical: '#b3122f', high: '#a84300', medium: '#7d5a00', low: '#0a6862', informational: '#51606d' },
  },
};

export const FONT = "Figures, 'Be Vietnam Pro', system-ui, sans-serif";
export const MONO = "'JetBrains Mono', monospace";

function config(shade: Shade): ThemeConfig {
  const { page, panel, raised, line, text, soft, faint, accent, level } = PALETTES[shade];
  return {
    algorithm: shade === 'dark' ? antd.darkAlgorithm : antd.defaultAlgorithm,
    token: {
      colorPrimary: accent,
      colorInfo: accent,
      colorLink: accent,
      colorError: level.critical,
      colorWarning: level.medium,
      colorSuccess: level.low,
      colorBgBase: page,
      colorBgLayout: page,
      colorBgContainer: panel,
      colorBgElevated: shade === 'dark' ? raised : panel,
      colorBorder: line,
      colorBorderSecondary: line,
      colorBorderDisabled: line,
      colorTextDisabled: soft,
      colorBgContainerDisabled: page,
      colorText: text,
      colorTextSecondary: soft,
      colorTextTertiary: faint,
      colorTextPlaceholder: faint,
      colorTextDescription: faint,
      fontFamily: FONT,
      fontFamilyCode: MONO,
      fontSize: 13,
      lineHeight: 1.45,
      borderRadius: 4,
      borderRadiusLG: 4,
      borderRadiusSM: 4,
      borderRadiusXS: 2,
      fontSizeSM: 12,
      fontSizeLG: 14,
      controlHeight: 28,
      controlHeightSM: 24,
      controlHeightLG: 34,
      padding: 12,
      paddingLG: 20,
      paddingContentHorizontalLG: 20,
      motionDurationMid: '0.08s',
      motionDurationSlow: '0.12s',
      motionDurationFast: '0.05s',
      wireframe: false,
    },
    components: {
      Button: { primaryShadow: 'none', defaultShadow: 'none', dangerShadow: 'none', primaryColor: shade === 'dark' ? '#14100a' : '#ffffff' },
      Table: { cellFontSize: 12, headerBg: page, headerColor: faint, headerSplitColor: 'transparent', rowHoverBg: raised, cellPaddingBlock: 6, cellPaddingInline: 8 },
      Tabs: { itemColor: soft, itemSelectedColor: text, itemHoverColor: text, inkBarColor: accent, horizontalItemPadding: '8px 0', titleFontSize: 13 },
      Modal: { titleFontSize: 15 },
      Form: { itemMarginBottom: 14, verticalLabelPadding: '0 0 4px' },
      Tooltip: { colorBgSpotlight: shade === 'dark' ? '#303b46' : '#26313b' },
    },
  };
}

const Context = createContext<{ shade: Shade; setShade: (shade: Shade) => void } | null>(null);
const KEPT_AS = 'dongson.shade';

export function ThemeProvider({ children }: { children: ReactNode }) {
  const { language } = useWords();
  const [shade, setShade] = useState<Shade>(() => (localStorage.getItem(KEPT_AS) === 'light' ? 'light' : 'dark'));
  useEffect(() => {
    localStorage.setItem(KEPT_AS, shade);
    document.documentElement.dataset['theme'] = shade;
  }, [shade]);
  const value = useMemo(() => ({ shade, setShade }), [shade]);
  const look = useMemo(() => config(shade), [shade]);
  return (
    <Context.Provider value={value}>
      <ConfigProvider
        theme={look}
        locale={language === 'vi' ? viVN : enGB}
        button={{ autoInsertSpace: false }}
        wave={{ disabled: true }}
        componentSize="middle"
      >
        {children}
      </ConfigProvider>
    </Context.Provider>
  );
}

export function useShade() {
  const value = useContext(Context);
  if (value === null) throw new Error('useShade outside ThemeProvider');
  return value;
}
