/** What a panel shows instead of data: not yet, nothing, or a failure that says what to do. */
import { Button } from 'antd';
import { useEffect, useState, type ReactNode } from 'react';

import { ApiError } from '../api/http';
import { useWords } from '../i18n';
import { Age } from './Age';

/** Grey lines, only when the wait is longer than 150 ms: a fast answer does not flicker. */
export function Skeleton({ lines = 5 }: { lines?: number }) {
  const { t } = useWords();
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), 150);
    return () => clearTimeout(timer);
  }, []);
  if (!shown) return <div style={{ minHeight: lines * 20 }} />;
  return (
    <div className="skeleton" role="status" aria-label={t('common.loading')}>
      {Array.from({ length: lines }, (_, index) => <i key={index} style={{ width: `${90 - ((index * 17) % 45)}%` }} />)}
    </div>
  );
}

export function Empty({ text, children }: { text: string; children?: ReactNode }) {
  return <div className="empty"><span>{text}</span>{children}</div>;
}

/** The words of a failure in the language of the page. */
export function useFailure() {
  const { t, pick } = useWords();
  return (error: unknown): string => {
    if (!(error instanceof ApiError)) return t('error.network');
    if (error.messageVi === '' && error.messageEn === '') {
      return error.status === 0 ? t('error.network') : t('error.unknown', { status: error.status });
    }
    return pick(error.messageVi, error.messageEn);
  };
}

/** What failed, why, what was kept, the request's id and the way to try again. */
export function Failed({ error, retry, what }: { error: unknown; retry: () => void; what?: string }) {
  const { t } = useWords();
  const words = useFailure();
  const id = error instanceof ApiError ? error.requestId : '';
  return (
    <div className="failed" role="alert">
      <b>{t('error.title', { what: what ?? t('error.load') })}</b>
      <span>{words(error)}</span>
      {id !== '' && <span className="faint mono">{t('error.requestId', { id })}</span>}
      <Button size="small" onClick={retry}>{t('common.retry')}</Button>
    </div>
  );
}

/** The states of a query around what is drawn from its data: what could not be read again carries its age. */
export function Loaded<Data>(props: {
  query: { data: Data | undefined; error: unknown; refetch: () => unknown; dataUpdatedAt?: number };
  lines?: number;
  children: (data: Data) => ReactNode;
}) {
  const { t } = useWords();
  const { data, error, refetch, dataUpdatedAt } = props.query;
  if (data !== undefined) {
    const stale = error !== null && error !== undefined && dataUpdatedAt !== undefined && dataUpdatedAt > 0;
    return (
      <>
        {stale && <div className="stale-note" role="status"><span><Age word="common.stale" at={dataUpdatedAt} /></span><Button size="small" type="text" onClick={() => void refetch()}>{t('common.retry')}</Button></div>}
        {props.children(data)}
      </>
    );
  }
  // What is not there, or not ours to see, is not mended by trying again.
  if (error instanceof ApiError && error.status === 404) return <Empty text={t('error.notFound')} />;
  if (error !== null && error !== undefined) return <Failed error={error} retry={() => void refetch()} />;
  return <Skeleton lines={props.lines ?? 5} />;
}
