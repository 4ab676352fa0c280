/** Details at the right of the queue; the list stays in use, `j` and `k` take the drawer along. */
import { Button } from 'antd';
import { useEffect, useState } from 'react';
import { useNavigate } from 'react-router';

import { useWhy } from '../../api/alerts';
import { useSession } from '../../api/session';
import type { Alert } from '../../api/types';
import { useWords } from '../../i18n';
import { DrawerFrame } from '../../look/DrawerFrame';
import { Icon } from '../../look/icons';
import { Severity } from '../../look/Severity';
import { Loaded } from '../../look/States';
import { Outside } from '../../look/Text';
import { Actions } from '../alert/Actions';
import { Entities, Exceptions, Facts, Others, Techniques } from '../alert/Beside';
import { Raw, Record, Response, RuleFold, Sentence } from '../alert/Reason';

/** The alert that stays under the hand for a moment: running through the list asks the console nothing. */
function useSettled(id: string): string {
  const [settled, setSettled] = useState(id);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(id), 120);
    return () => clearTimeout(timer);
  }, [id]);
  return settled;
}

function Reasons({ alert }: { alert: Alert }) {
  const why = useWhy(alert.id);
  return (
    <Loaded query={why} lines={12}>
      {(found) => (
        <>
          <Sentence alert={alert} why={found} />
          <Response why={found} />
          <Facts alert={alert} />
          <Record why={found} />
          <Raw why={found} />
          <RuleFold alert={alert} why={found} />
          <Entities alert={alert} why={found} />
          <Techniques alert={alert} />
          <Others why={found} />
          <Exceptions why={found} />
        </>
      )}
    </Loaded>
  );
}

export function Drawer({ alert, close }: { alert: Alert; close: () => void }) {
  const { t, pick } = useWords();
  const navigate = useNavigate();
  const { mayWrite } = useSession();
  const settled = useSettled(alert.id);
  return (
    <DrawerFrame label={t('alert.why')} test="drawer">
      <header>
        <div className="row">
          <Severity level={alert.level} />
          {alert.drill && <span className="tag drill">{t('common.drill')}</span>}
          <span className="grow" />
          <Button size="small" type="text" title={`${t('alert.openPage')} (o)`} aria-label={t('alert.openPage')} icon={<Icon name="expand" size={16} />} onClick={() => void navigate(`/alerts/${encodeURIComponent(alert.id)}`)} />
          <Button size="small" type="text" title={`${t('alert.closeDrawer')} (Esc)`} aria-label={t('alert.closeDrawer')} icon={<Icon name="close" size={16} />} onClick={close} />
        </div>
        <b style={{ fontSize: 15, lineHeight: '22px', overflowWrap: 'anywhere' }}><Outside text={pick(alert.title_vi, alert.title_en)} /></b>
      </header>
      <div className="scroll">
        <Reasons key={settled} alert={settled === alert.id ? alert : { ...alert, id: settled }} />
      </div>
      {mayWrite && <footer><Actions alert={alert} /></footer>}
    </DrawerFrame>
  );
}
