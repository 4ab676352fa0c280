/** The exact command that enrols a sensor. */

/** Where the collector takes sensors unless its configuration says otherwise. */
const COLLECTOR_PORT = 9443;

/** `text` is the token as the sensor wants it; `host` the name by which this page was reached. */
export function enrolCommand(text: string, host: string): string {
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return `dongson-sensor enrol https://${name}:${COLLECTOR_PORT} ${text} --data /var/lib/dongson-sensor`;
}
