/** The exact command that enrols a sensor. */
import type { EnrolmentToken } from '../../api/types';

const COLLECTOR_PORT = 8444;

/** What the console wrote, or the same built here from the name by which this page was reached. */
export function enrolCommand(token: Pick<EnrolmentToken, 'command' | 'secret'>, host: string): string {
  if (token.command !== null && token.command !== '') return token.command;
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return `dongson-sensor enrol https://${name}:${COLLECTOR_PORT} ${token.secret} --data /var/lib/dongson-sensor`;
}
