/** Packets that were asked of sensors for an incident: who asked, who approved, what came, and the file. */
import { useQueryClient } from '@tanstack/react-query';
import { App, Button } from 'antd';
import { useState } from 'react';

import * as api from '../../api/packets';
import { usePersonName } from '../../api/people';
import { useSensors } from '../../api/places';
import { useSession } from '../../api/session';
import type { Incident, PacketOrder } from '../../api/types';
import { useWords, type Key } from '../../i18n';
import { useConfirm } from '../../look/Confirm';
import { Empty, Loaded, useFailure } from '../../look/States';
import { Cut, Outside, Time } from '../../look/Text';
import { AskPackets } from './AskPackets';
import { MIB, missing } from './packets';

const EVERY_MS = 60_000;

/** What came: frames, size, hash, and what is missing of it. */
function Answer({ order }: { order: PacketOrder }) {
  const { t, number } = useWords();
  const hash = order.account?.['sha256'];
  return (
    <>
      <div>{t('packets.came', { frames: Number(order.account?.['frames'] ?? 0), mib: number(order.received_bytes / MIB, 2) })}</div>
      {missing(order.account).map(({ word, n }) => <div key={word} className="high">{t(`packets.${word}`, { n })}</div>)}
      {typeof hash === 'string' && <div className="faint mono" title={hash}><Outside text={t('packets.hash', { hash: `${hash.slice(0, 16)}…` })} /></div>}
    </>
  );
}

function State({ order }: { order: PacketOrder }) {
  const { t } = useWords();
  const person = usePersonName();
  const words = order.words === null || order.words === '' ? null : order.words;
  return (
    <>
      <div data-test="packets-state">{t(order.discarded_at === null ? `packets.state.${order.state}` : 'packets.discarded')}</div>
      {order.decided_by !== null && <div className="faint">{person(order.decided_by)}</div>}
      {words !== null && <div className="soft"><Outside text={words} /></div>}
      {api.isOpen(order) && order.expires_at !== null && <div className="faint">{t('packets.until')} <Time at={order.expires_at} brief /></div>}
    </>
  );
}

interface RowProps {
  order: PacketOrder;
  node: string;
  acts: boolean;
  run: (work: () => Promise<unknown>, done: Key) => Promise<void>;
}

function Row({ order, node, acts, run }: RowProps) {
  const { t } = useWords();
  const { me } = useSession();
  const person = usePersonName();
  const confirm = useConfirm();
  const own = order.asked_by === me?.id;
  const takeBack = () => confirm({
    title: t(own ? 'packets.withdrawTitle' : 'packets.declineTitle'),
    effect: t('packets.declineEffect'),
    act: t(own ? 'packets.withdraw' : 'packets.decline'),
    asksReason: true,
    run: (reason) => run(() => api.decline(order.id, reason), 'packets.declined'),
  });
  return (
    <tr data-test="packets-row">
      <td><Cut text={node} mono /><div className="faint"><Time at={order.since} brief /> – <Time at={order.until} brief /></div></td>
      <td><Cut text={order.community_id ?? order.filter ?? ''} mono /><div className="soft"><Outside text={order.reason} /></div></td>
      <td>{person(order.asked_by)}<div className="faint"><Time at={order.asked_at} brief /></div></td>
      <td>{order.state === 'answered' && order.discarded_at === null ? <Answer order={order} /> : <State order={order} />}</td>
      {acts && (
        <td>
          <div className="row" style={{ justifyContent: 'flex-end' }}>
            {order.state === 'asked' && !own && <Button size="small" type="primary" onClick={() => void run(() => api.approve(order.id), 'packets.approved')}>{t('packets.approve')}</Button>}
            {api.isOpen(order) && <Button size="small" onClick={takeBack}>{t(own ? 'packets.withdraw' : 'packets.decline')}</Button>}
            {order.state === 'answered' && order.discarded_at === null && <Button size="small" href={api.fileAddress(order.id)} download={`${order.id}.pcapng`}>{t('packets.take')}</Button>}
          </div>
        </td>
      )}
    </tr>
  );
}

export function Packets({ incident }: { incident: Incident }) {
  const { t } = useWords();
  const { message } = App.useApp();
  const { mayWrite } = useSession();
  const queries = useQueryClient();
  const words = useFailure();
  const orders = api.usePacketOrders(incident.id);
  const sensors = useSensors(EVERY_MS, incident.drill ? 'include' : 'exclude');
  const [asking, setAsking] = useState(false);
  const again = () => queries.invalidateQueries({ queryKey: ['incident', incident.id] });
  const run = async (work: () => Promise<unknown>, done: Key) => {
    try {
      await work();
      void message.success(t(done));
    } catch (error) {
      void message.error(words(error), 6);
    }
    await again();
  };
  const node = (id: string) => sensors.data?.find((sensor) => sensor.id === id)?.node ?? id;
  const asks = mayWrite && incident.status !== 'closed';
  const button = <Button onClick={() => setAsking(true)} data-test="ask-packets">{t('packets.ask')}</Button>;
  return (
    <div className="stack">
      <Loaded query={orders} lines={4}>
        {(found) => found.length === 0
          ? <Empty text={t('packets.none')}>{asks && button}</Empty>
          : (
            <>
              {asks && <div className="row">{button}</div>}
              <table className="list fixed tall">
                <thead>
                  <tr>
                    <th style={{ width: '20%' }}>{t('packets.sensor')}</th><th>{t('packets.which')}</th><th style={{ width: 150 }}>{t('packets.askedBy')}</th>
                    <th style={{ width: '22%' }}>{t('packets.outcome')}</th>{mayWrite && <th style={{ width: 190 }} />}
                  </tr>
                </thead>
                <tbody>{found.map((order) => <Row key={order.id} order={order} node={node(order.sensor)} acts={mayWrite} run={run} />)}</tbody>
              </table>
            </>
          )}
      </Loaded>
      {asking && <AskPackets incident={incident} close={() => setAsking(false)} asked={again} />}
    </div>
  );
}
