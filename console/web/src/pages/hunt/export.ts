/** What is shown, as a file: JSON lines as they are, or a table whose cells no spreadsheet takes for a formula. */
import type { Fields } from '../../api/types';
import { text } from '../alert/record';

/** A spreadsheet reads a cell that begins so as a formula; a leading apostrophe makes it text. */
const FORMULA = /^[\s]*[=+\-@|%]|^[\t\r\n]/;

/** One cell: harmless, quoted. Plain numbers stay numbers. */
export function cell(value: string): string {
  const number = /^-?\d+(?:\.\d+)?$/.test(value);
  const safe = !number && FORMULA.test(value) ? `'${value}` : value;
  return `"${safe.replaceAll('"', '""')}"`;
}

/** The table with a head; the mark at its start tells spreadsheets that it is UTF-8. */
export function csv(events: readonly Fields[], columns: readonly string[]): string {
  // The sign before the name of the time would make it a formula.
  const head = columns.map((name) => (name === '@timestamp' ? 'timestamp' : name));
  const lines = [head, ...events.map((event) => columns.map((name) => text(event[name])))];
  return `\ufeff${lines.map((line) => line.map(cell).join(',')).join('\r\n')}\r\n`;
}

/** Every event whole, one a line. */
export function jsonLines(events: readonly Fields[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join('');
}

/** Hands `content` to the browser as a file. */
export function download(name: string, type: string, content: string): void {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
