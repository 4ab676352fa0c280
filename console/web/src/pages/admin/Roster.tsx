/** A list of the administration: head, the button that adds, the table, its empty state. */
import { Button } from 'antd';
import type { Key, ReactNode } from 'react';

import { useWords } from '../../i18n';
import { Empty, Loaded } from '../../look/States';

export interface Column<Item> {
  title: string;
  width?: number | string;
  number?: boolean;
  cell: (item: Item) => ReactNode;
}

interface Props<Item> {
  query: { data: Item[] | undefined; error: unknown; refetch: () => unknown };
  columns: readonly Column<Item>[];
  keyOf: (item: Item) => Key;
  empty: string;
  add?: { word: string; open: () => void };
}

export function Roster<Item>({ query, columns, keyOf, empty, add }: Props<Item>) {
  const { t } = useWords();
  return (
    <section className="panel">
      {add !== undefined && <header><span className="grow" /><Button size="small" type="primary" onClick={add.open} data-test="add">{add.word}</Button></header>}
      <div className="flush">
        <Loaded query={query} lines={8}>
          {(items) => (items.length === 0 ? <Empty text={empty} /> : (
            <table className="list fixed" aria-label={t('admin.title')}>
              <thead>
                <tr>{columns.map((column, index) => <th key={`${column.title}${index}`} className={column.number === true ? 'number' : ''} style={column.width === undefined ? undefined : { width: column.width }}>{column.title}</th>)}</tr>
              </thead>
              <tbody>
                {items.map((item) => (
                  <tr key={keyOf(item)}>{columns.map((column, index) => <td key={`${column.title}${index}`} className={column.number === true ? 'number' : ''}>{column.cell(item)}</td>)}</tr>
                ))}
              </tbody>
            </table>
          ))}
        </Loaded>
      </div>
    </section>
  );
}
