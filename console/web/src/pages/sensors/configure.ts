/** Settings of sensors as a form shows them: absent is empty, and what the form does not show stays as it was. */

/** The kinds of events that a sensor can be told to leave out. */
export const KINDS = ['conn', 'dns', 'http', 'tls', 'x509', 'file', 'services'] as const;

export interface SettingsForm {
  filter?: string;
  without?: string[];
  checksums?: 'verify' | 'ignore' | null;
  max_flows?: number | null;
  spool_mib?: number | null;
}

const NAMES = ['filter', 'without', 'checksums', 'max_flows', 'spool_mib'] as const;

/** What the form begins with. */
export function shown(settings: Readonly<Record<string, unknown>>): SettingsForm {
  return Object.fromEntries(NAMES.filter((name) => settings[name] !== undefined).map((name) => [name, settings[name]]));
}

/** The settings as a whole, with what the form says; an empty field leaves the setting to the wider target. */
export function edited(settings: Readonly<Record<string, unknown>>, form: SettingsForm): Record<string, unknown> {
  const others = Object.entries(settings).filter(([name]) => !(NAMES as readonly string[]).includes(name));
  const said = NAMES.map((name): [string, unknown] => {
    const value = form[name];
    return [name, typeof value === 'string' ? value.trim() : value];
  }).filter(([, value]) => value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0));
  return Object.fromEntries([...others, ...said]);
}
