/** What is kept out of the queue, why, by whom and until when. */
import { Button } from 'antd';

import { post } from '../../api/http';
import { usePersonName } from '../../api/people';
import { useExceptions, useOrganizationName, useRules } from '../../api/places';
import type { Exception } from '../../api/types';
import { useWords } from '../../i18n';
import { useConfirm } from '../../look/Confirm';
import { Cut, Time } from '../../look/Text';
import { Roster } from './Roster';
import { useAct } from './useAct';

export function Exceptions() {
  const { t, pick, number, language } = useWords();
  const exceptions = useExceptions();
  const rules = useRules();
  const agency = useOrganizationName();
  const person = usePersonName();
  const confirm = useConfirm();
  const act = useAct('exceptions');
  const rule = (id: string | null) => {
    if (id === null) return t('common.all');
    const found = rules.data?.find((one) => one.id === id);
    return found === undefined ? id : pick(found.title_vi, found.title);
  };
  const end = (exception: Exception) => confirm({
    title: t('admin.removeException'),
    effect: t('admin.removeExceptionEffect'),
    act: t('admin.endException'),
    run: () => act(() => post(`/exceptions/${encodeURIComponent(exception.id)}/end`, { version: exception.version }), 'common.saved'),
  });
  const running = (exception: Exception) => exception.ended_at === null && exception.expires_at > Date.now();
  return (
    <Roster
      query={exceptions}
      keyOf={(exception) => exception.id}
      empty={t('admin.emptyExceptions')}
      columns={[
        { title: t('admin.rule'), cell: (exception) => <Cut text={rule(exception.rule_id)} /> },
        { title: t('admin.entity'), width: '14%', cell: (exception) => <Cut text={exception.entity_value ?? t('common.all')} mono /> },
        { title: t('admin.agency'), width: '14%', cell: (exception) => <Cut text={exception.organization === null ? t('admin.scopeAll') : agency(exception.organization, language)} /> },
        { title: t('admin.reason'), cell: (exception) => <Cut text={exception.reason} /> },
        { title: t('admin.owner'), width: 130, cell: (exception) => <Cut text={person(exception.owner)} /> },
        { title: t('admin.hits'), width: 110, number: true, cell: (exception) => number(exception.hits) },
        { title: t('admin.expires'), width: 150, cell: (exception) => <span className={running(exception) ? '' : 'faint'}><Time at={exception.ended_at ?? exception.expires_at} brief /></span> },
        { title: '', width: 108, cell: (exception) => running(exception) && <Button size="small" type="text" onClick={() => end(exception)}>{t('admin.endException')}</Button> },
      ]}
    />
  );
}
