/** The settings of a notification channel, between the form and the console. */
import type { Channel, Level } from '../../api/types';

export interface ChannelFields {
  name: string;
  kind: Channel['kind'];
  organization?: string | null;
  min_level: Level;
  enabled: boolean;
  host?: string;
  port?: number;
  /** `tls` from the first byte, `starttls`, or `none`. */
  tls?: string;
  from?: string;
  to?: string;
  username?: string;
  password?: string;
  url?: string;
  secret?: string;
}

/** How mail is protected when the setting is not given: by its port, as the sender does. */
const usual = (port: unknown): string => (port === 465 ? 'tls' : 'starttls');

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** The form of a stored channel; secrets come as `***` and go back as such, which keeps them. */
export function toFields(channel: Channel): ChannelFields {
  const { settings } = channel;
  const to = settings['to'];
  return {
    name: channel.name, kind: channel.kind, organization: channel.organization, min_level: channel.min_level, enabled: channel.enabled,
    host: text(settings['host']), port: Number(settings['port'] ?? (settings['tls'] === 'tls' ? 465 : 587)), tls: text(settings['tls']) || usual(settings['port']),
    from: text(settings['from']), to: Array.isArray(to) ? to.map(text).join(', ') : text(to),
    username: text(settings['username']), password: text(settings['password']), url: text(settings['url']), secret: text(settings['secret']),
  };
}

/** The body for the console: only the settings of the chosen kind, and of those only what is filled. */
export function toBody(fields: ChannelFields) {
  const all: Record<string, unknown> = fields.kind === 'smtp'
    ? {
        host: fields.host?.trim(), port: fields.port, tls: fields.tls, from: fields.from?.trim(),
        to: (fields.to ?? '').split(',').map((address) => address.trim()).filter((address) => address !== ''),
        username: fields.username?.trim(), password: fields.password,
      }
    : { url: fields.url?.trim(), secret: fields.secret };
  const settings = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value !== ''));
  return { name: fields.name.trim(), kind: fields.kind, organization: fields.organization ?? null, min_level: fields.min_level, enabled: fields.enabled, settings };
}
