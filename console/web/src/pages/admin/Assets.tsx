/** The inventory: which systems there are, at which level, by whom they are owned; read from a file as a whole. */
import { useQueryClient } from '@tanstack/react-query';
import { App, Form, Input, Select } from 'antd';
import { useState } from 'react';

import { post } from '../../api/http';
import { useAssets, useOrganizationName } from '../../api/places';
import { useWords } from '../../i18n';
import { FormDialogue, useRequired } from '../../look/FormDialogue';
import { Cut } from '../../look/Text';
import { Roster } from './Roster';

interface Fields {
  format: 'csv' | 'toml';
  text: string;
}

/** The head of a file as the console reads it. */
const EXAMPLE = 'organization,name,address,host,level,owner';

function Import({ close }: { close: () => void }) {
  const { t } = useWords();
  const { message } = App.useApp();
  const queries = useQueryClient();
  const required = useRequired();
  const submit = async (fields: Fields) => {
    await post('/assets/import', fields);
    void message.success(t('common.saved'));
    await queries.invalidateQueries({ queryKey: ['assets'] });
  };
  return (
    <FormDialogue<Fields> title={t('admin.importAssets')} act={t('admin.importAct')} close={close} initial={{ format: 'csv' }} submit={submit}>
      <Form.Item name="format" label={t('admin.kind')}><Select options={['csv', 'toml'].map((format) => ({ value: format, label: format.toUpperCase() }))} /></Form.Item>
      <Form.Item name="text" label={t('admin.fileText')} extra={t('admin.importHint')} rules={[required]}>
        <Input.TextArea className="mono" placeholder={EXAMPLE} autoSize={{ minRows: 8, maxRows: 16 }} spellCheck={false} />
      </Form.Item>
    </FormDialogue>
  );
}

export function Assets() {
  const { t, language } = useWords();
  const assets = useAssets();
  const agency = useOrganizationName();
  const [reading, setReading] = useState(false);
  return (
    <>
      <Roster
        query={assets}
        keyOf={(asset) => asset.id}
        empty={t('admin.emptyAssets')}
        add={{ word: t('admin.importAssets'), open: () => setReading(true) }}
        columns={[
          { title: t('admin.name'), cell: (asset) => <Cut text={asset.name} /> },
          { title: t('admin.agency'), cell: (asset) => <Cut text={agency(asset.organization, language)} /> },
          { title: t('admin.assetAddress'), width: '16%', cell: (asset) => <Cut text={asset.address ?? ''} mono /> },
          { title: t('admin.host'), width: '16%', cell: (asset) => <Cut text={asset.host ?? ''} mono /> },
          { title: t('admin.systemLevel'), width: 84, number: true, cell: (asset) => String(asset.level) },
          { title: t('admin.owner'), width: '18%', cell: (asset) => <Cut text={asset.owner ?? ''} /> },
        ]}
      />
      {reading && <Import close={() => setReading(false)} />}
    </>
  );
}
