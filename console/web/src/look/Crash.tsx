/** A mistake in the page itself: said plainly, with a way out, instead of a white screen. */
import { Component, type ReactNode } from 'react';

import { useWords } from '../i18n';

function Words() {
  const { t } = useWords();
  return (
    <div className="failed" role="alert">
      <span>{t('error.crash')}</span>
      <button type="button" onClick={() => window.location.reload()}>{t('error.reload')}</button>
    </div>
  );
}

export class Crash extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    return this.state.failed ? <Words /> : this.props.children;
  }
}
