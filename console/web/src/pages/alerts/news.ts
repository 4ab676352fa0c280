/** Which of the alerts that the stream told of would be new in the list that stands under the hand. */
import type { AlertFilter } from '../../api/alerts';
import type { Alert } from '../../api/types';

/** Whether an alert fits what the list is narrowed to, as far as that can be told here: words are the console's matter. */
function fits(alert: Alert, filter: AlertFilter): boolean {
  const among = (values: readonly string[], value: string) => values.length === 0 || values.includes(value);
  return among(filter.state, alert.state)
    && among(filter.level, alert.level)
    && among(filter.organization, alert.organization)
    && among(filter.rule, alert.rule_id)
    && among(filter.owner, alert.owner ?? '')
    && (filter.drill === 'include' || (filter.drill === 'only') === alert.drill)
    && (filter.entity === '' || filter.entity === alert.entity_value)
    && filter.until === null
    && filter.q === '';
}

/** How many alerts wait: younger than everything in the list, so that a further match of an old one is no news. */
export function news(fresh: ReadonlyMap<string, Alert>, shown: readonly Alert[], filter: AlertFilter): number {
  const youngest = shown.reduce((latest, alert) => Math.max(latest, alert.created_at), 0);
  const known = new Set(shown.map((alert) => alert.id));
  return [...fresh.values()].filter((alert) => !known.has(alert.id) && alert.created_at >= youngest && fits(alert, filter)).length;
}
