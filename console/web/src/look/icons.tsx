/** The icons of the rail and the bars: 20 px, one stroke, drawn here. */
const PATHS = {
  overview: 'M3 16V9M8 16V4M13 16v-6M18 16V7',
  alerts: 'M10 3v9M10 15.5v.5M10 1.5 19 17.5H1Z',
  incidents: 'M4 18V2.5M4 3.5h12l-3 4 3 4H4',
  hunt: 'M9 2.5a6 6 0 1 0 .01 0M13.5 13l4.5 4.5M9 5.5v6M6 8.5h6',
  sensors: 'M10 12v6M10 8.5a1.7 1.7 0 1 0 .01 0M5.8 14.2a6 6 0 0 1 0-8.4M14.2 5.8a6 6 0 0 1 0 8.4M3 17a10 10 0 0 1 0-14M17 3a10 10 0 0 1 0 14',
  rules: 'M4 2.5h9l3 3v12H4zM7 8h6M7 11h6M7 14h4',
  admin: 'M10 7a3 3 0 1 0 .01 0M10 1.5v3M10 15.5v3M1.5 10h3M15.5 10h3M4 4l2.1 2.1M13.9 13.9 16 16M16 4l-2.1 2.1M6.1 13.9 4 16',
  dark: 'M16.5 12.5A7 7 0 0 1 7.5 3.5a7 7 0 1 0 9 9Z',
  light: 'M10 6a4 4 0 1 0 .01 0M10 1v2M10 17v2M1 10h2M17 10h2M3.6 3.6 5 5M15 15l1.4 1.4M16.4 3.6 15 5M5 15l-1.4 1.4',
  person: 'M10 3a3.5 3.5 0 1 0 .01 0M3 18c.6-4 3.4-6 7-6s6.400 2 7 6',
  keys: 'M2 5h16v10H2zM5 8h1M8 8h1M11 8h1M14 8h1M6 12h8',
  include: 'M10 4v12M4 10h12',
  exclude: 'M4 10h12',
  copy: 'M7 7h10v10H7zM4 13H3V3h10v1',
  close: 'M5 5l10 10M15 5 5 15',
  expand: 'M12 3h5v5M17 3l-7 7M8 17H3v-5M3 17l7-7',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" style={{ flex: 'none' }}>
      <path d={PATHS[name]} />
    </svg>
  );
}
