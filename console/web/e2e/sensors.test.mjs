/** Settings of a sensor are signed on the page, and those of its agency apart. Over the stand-in. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { shot } from './browser.mjs';
import { ask, begin, REAL } from './begin.mjs';

let at;
let page;

const modal = () => page.locator('.ant-modal:visible').last();

before(async () => {
  if (REAL) return;
  at = await begin();
  ({ page } = at);
});
after(() => at?.end());

test('settings are wanted of one sensor, and of its agency', { skip: REAL }, async () => {
  await page.goto(`${at.base}/sensors`);
  await page.locator('[data-test=sensor]').first().click();
  await page.locator('[data-test=configure]').click();
  await modal().locator('#filter').fill('not tcp port 22');
  await shot(page, 'configure');
  await modal().locator('button[type=submit]').click();
  await page.locator('.ant-modal form').waitFor({ state: 'detached' });

  await page.locator('[data-test=configure]').click();
  await page.waitForFunction(() => document.querySelector('.ant-modal #filter')?.value === 'not tcp port 22');
  // The agency's own settings are others.
  await modal().locator('.ant-segmented-item').nth(1).click();
  await page.waitForFunction(() => document.querySelector('.ant-modal #filter')?.value === '');
  await modal().locator('#spool_mib').fill('512');
  await modal().locator('button[type=submit]').click();
  await page.locator('.ant-modal form').waitFor({ state: 'detached' });
  const sensors = (await ask(page, 'GET', '/sensors')).body.sensors;
  const wanted = await Promise.all(sensors.map(async (one) => (await ask(page, 'GET', `/desired/organization:${one.organization}`)).body.configuration));
  assert.ok(wanted.some((settings) => settings.spool_mib === 512 && settings.filter === undefined));
  assert.deepEqual(at.faults, []);
});
