/** One alert on a page of its own: why, what happened around it, who took part, what to do. */
import { lazy, Suspense } from 'react';
import { Link, useNavigate, useParams } from 'react-router';

import { drillBeside, useAlert, useWhy } from '../../api/alerts';
import type { Alert } from '../../api/types';
import { useWords } from '../../i18n';
import { Panel } from '../../look/Panel';
import { Severity } from '../../look/Severity';
import { Loaded, Skeleton } from '../../look/States';
import { Outside } from '../../look/Text';
import { useKeys } from '../../shell/keyboard';
import { useTriage } from '../alerts/triage';
import { around, huntLink, type Filter } from '../hunt/query';
import { Actions } from './Actions';
import { Entities, Exceptions, Facts, Others, Techniques } from './Beside';
import { entityParts } from './record';
import { Raw, Record, Response, RuleFold, Sentence } from './Reason';

const Around = lazy(() => import('./Around'));

/** How far the hunt looks before and after: as far as the time line beside it. */
const AROUND_MS = 5 * 60_000;

/** The alert's entity and agency as conditions of a hunt. */
function entityFilters(alert: Alert): Filter[] {
  const entity = entityParts(alert.entity_type, alert.entity_value).map(({ kind, value }): Filter => ({ field: kind, operator: 'is', value }));
  return [{ field: 'organization.id', operator: 'is', value: alert.organization }, ...entity];
}

function One({ alert }: { alert: Alert }) {
  const { t, pick } = useWords();
  const navigate = useNavigate();
  const triage = useTriage();
  const why = useWhy(alert.id);
  useKeys({
    a: () => void triage.assignToMe([alert]),
    t: () => void triage.acknowledge([alert]),
    e: () => triage.ask('close', [alert]),
    i: () => triage.ask('raise', [alert]),
    u: () => void triage.undo(),
    // Back to the list as it was; straight to the queue when the page was opened by its address.
    Escape: () => {
      const place = (window.history.state as { idx?: number } | null)?.idx ?? 0;
      void (place > 0 ? navigate(-1) : navigate('/alerts'));
    },
  });
  return (
    <div className="page">
      <div className="head" style={{ alignItems: 'center' }}>
        <Link to="/alerts" className="soft">{t('nav.alerts')}</Link>
        <span className="faint">/</span>
        <Severity level={alert.level} />
        <h1 className="grow" style={{ minWidth: 280 }}><Outside text={pick(alert.title_vi, alert.title_en)} /></h1>
        {alert.drill && <span className="tag drill">{t('common.drill')}</span>}
        <div className="row wrap"><Actions alert={alert} /></div>
      </div>
      <Loaded query={why} lines={14}>
        {(found) => (
          <div className="alert-page">
            <div className="stack">
              <Panel title={t('alert.why')}>
                <div className="stack"><Sentence alert={alert} why={found} /><Record why={found} /></div>
              </Panel>
              <Response why={found} panel />
              <Raw why={found} panel />
              <Panel title={t('alert.rule')}><RuleFold alert={alert} why={found} /></Panel>
            </div>
            <div className="stack middle">
              <Panel title={t('alert.around')} extra={<Link to={huntLink({ drill: drillBeside(alert.drill), range: around(alert.first_seen, alert.last_seen, AROUND_MS), filters: entityFilters(alert) })} data-test="pivot">{t('hunt.aroundAlert')}</Link>}>
                <Suspense fallback={<Skeleton lines={8} />}><Around alert={alert} why={found} /></Suspense>
              </Panel>
            </div>
            <div className="stack right">
              <Panel title={t('alerts.colState')}><div className="stack"><Facts alert={alert} /><Techniques alert={alert} /></div></Panel>
              <Panel title={t('alert.entities')}><Entities alert={alert} why={found} /></Panel>
              <Panel title={t('alert.others')}><div className="stack"><Others why={found} /><Exceptions why={found} /></div></Panel>
            </div>
          </div>
        )}
      </Loaded>
    </div>
  );
}

export default function AlertPage() {
  const { id = '' } = useParams();
  const alert = useAlert(id);
  return <Loaded query={alert} lines={14}>{(found) => <One key={found.id} alert={found} />}</Loaded>;
}
