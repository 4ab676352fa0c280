/** The table of keys behind `?`. */
import { Modal } from 'antd';

import { useSession } from '../api/session';
import { useWords, type Key } from '../i18n';
import { KeyMark } from '../look/Text';

const LIST: readonly [string, Key][] = [
  ['j', 'keys.down'], ['k', 'keys.up'], ['x', 'keys.select'], ['Enter', 'keys.open'], ['o', 'keys.openPage'], ['a', 'keys.assign'],
  ['t', 'keys.acknowledge'], ['e', 'keys.close'], ['i', 'keys.raise'], ['u', 'keys.undo'], ['n', 'keys.refresh'], ['d', 'keys.drill'], ['Esc', 'keys.escape'],
];

/** Keys that change something: not for those who only read. */
const WRITING = new Set(['x', 'a', 't', 'e', 'i', 'u', 'c']);

function Group({ title, keys }: { title: string; keys: readonly (readonly [string, string])[] }) {
  return (
    <section className="section grow">
      <h2>{title}</h2>
      <dl className="facts" style={{ gap: '6px 16px' }}>
        {keys.map(([key, word]) => [<dt key={key}><KeyMark keys={key} /></dt>, <dd key={`${key} word`}>{word}</dd>])}
      </dl>
    </section>
  );
}

export function KeysHelp({ places, close }: { places: readonly { key: string; word: Key }[]; close: () => void }) {
  const { t } = useWords();
  const { mayWrite } = useSession();
  const may = (keys: readonly (readonly [string, string])[]) => keys.filter(([key]) => mayWrite || !WRITING.has(key));
  const everywhere: [string, string][] = [
    ['/', t('keys.search')],
    ['?', t('keys.help')],
    ...places.map((place): [string, string] => [t('keys.go', { key: place.key }), t(place.word)]),
  ];
  return (
    <Modal open title={t('keys.title')} footer={null} onCancel={close} width={640}>
      <div className="row" style={{ alignItems: 'flex-start', gap: 32 }}>
        <Group title={t('keys.list')} keys={may(LIST.map(([key, word]) => [key, t(word)] as const))} />
        <div className="stack grow">
          <Group title={t('keys.everywhere')} keys={everywhere} />
          <Group title={t('nav.hunt')} keys={[['j', t('keys.down')], ['k', t('keys.up')], ['Enter', t('keys.open')], ['r', t('keys.again')], ['d', t('keys.drill')], ['Esc', t('keys.closeEvent')]]} />
          {mayWrite && <Group title={t('keys.incident')} keys={[['c', t('keys.comment')], ['e', t('incident.close')], ['a', t('incident.takeOver')]]} />}
        </div>
      </div>
    </Modal>
  );
}
