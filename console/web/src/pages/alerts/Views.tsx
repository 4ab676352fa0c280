/** Saved views as tabs: the usual ones, and those that the person named. */
import { App, Button, Input, Popover } from 'antd';
import { useState } from 'react';

import { useWords } from '../../i18n';
import { DrillSwitch } from '../../look/DrillSwitch';
import { Range } from '../../look/Range';
import { Order } from './Filters';
import { ANY, encode, decode, keepViews, OPEN, RANGES, savedViews, type View } from './view';

export function Views(props: { view: View; setView: (view: View) => void; me: string; total: number | null; drills: number }) {
  const { t, number } = useWords();
  const { message } = App.useApp();
  const [saved, setSaved] = useState(savedViews);
  const [naming, setNaming] = useState(false);
  const { drill } = props.view;
  const search = encode(props.view);
  // The usual views are the same for real alerts and for a drill's: the switch beside them stays as it is.
  const usual: [string, View][] = [
    [t('alerts.viewOpen'), OPEN],
    [t('alerts.viewMine'), { ...OPEN, owner: [props.me] }],
    [t('alerts.viewSevere'), { ...OPEN, level: ['critical', 'high'], sort: 'risk' }],
    [t('alerts.viewUnassigned'), { ...OPEN, owner: ['none'] }],
    [t('alerts.viewAll'), ANY],
  ];
  const tabs = [
    ...usual.map(([name, view]) => ({ name, search: encode({ ...view, drill }), own: false })),
    ...saved.map((view) => ({ ...view, search: encode(decode(view.search)), own: true })),
  ];
  const known = tabs.some((tab) => tab.search === search);
  const keep = (views: typeof saved) => {
    keepViews(views);
    setSaved(views);
  };
  return (
    <div className="views">
      <div className="tabs" role="tablist">
        {tabs.map((tab) => (
          <button
            key={`${String(tab.own)} ${tab.name}`}
            type="button"
            role="tab"
            aria-selected={tab.search === search}
            className={`plain view ${tab.search === search ? 'active' : ''}`}
            onClick={() => props.setView(decode(tab.search))}
          >
            {tab.name}
            {tab.own && tab.search === search && (
              <span
                role="button"
                tabIndex={0}
                className="faint"
                title={t('alerts.removeView')}
                aria-label={t('alerts.removeView')}
                onClick={(event) => {
                  event.stopPropagation();
                  keep(saved.filter((view) => view.name !== tab.name));
                  void message.success(t('common.deleted'));
                }}
              >
                ✕
              </span>
            )}
          </button>
        ))}
      </div>
      <span className="grow" />
      {!known && (
        <Popover
          open={naming}
          onOpenChange={setNaming}
          trigger="click"
          placement="bottomRight"
          content={(
            <Input.Search
              autoFocus
              maxLength={40}
              placeholder={t('alerts.viewName')}
              enterButton={t('common.save')}
              onSearch={(name) => {
                if (name.trim() === '') return;
                keep([...saved.filter((view) => view.name !== name.trim()), { name: name.trim(), search }]);
                setNaming(false);
              }}
            />
          )}
        >
          <Button size="small" type="text" style={{ alignSelf: 'center' }}>{t('alerts.saveView')}</Button>
        </Popover>
      )}
      <div className="row">
        <DrillSwitch
          drill={drill}
          choose={(mode) => props.setView({ ...props.view, drill: mode })}
          beside={props.drills > 0 && <> <span className="faint">{number(props.drills)}</span></>}
        />
        {props.total !== null && <span className="soft number total" data-test="total">{t('alerts.total', { n: props.total })}</span>}
        <Range value={props.view.range} usual={RANGES} choose={(range) => props.setView({ ...props.view, range })} />
        <Order view={props.view} setView={props.setView} />
      </div>
    </div>
  );
}
