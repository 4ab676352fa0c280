/** The line to the console is cut and comes back: what is old says how old, and mends itself. Over the stand-in, which can be cut. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { shot } from './browser.mjs';
import { begin, REAL } from './begin.mjs';

let at;
let page;

before(async () => {
  if (REAL) return;
  at = await begin();
  ({ page } = at);
});
after(() => at?.end());

test('a cut line is said with the age of what is shown, and comes back by itself', { skip: REAL }, async () => {
  await page.goto(`${at.base}/alerts`);
  await page.locator('[data-test=row]').first().waitFor();
  const seen = await page.locator('[data-test=row]').first().getAttribute('data-id');

  await at.stand.cut();
  await page.locator('.offline').waitFor();
  await page.locator('[data-test=stale]').waitFor();
  const age = () => page.locator('[data-test=stale]').textContent();
  const before = await age();
  await page.waitForFunction((text) => document.querySelector('[data-test=stale]')?.textContent !== text, before);
  assert.ok((await page.locator('[data-test=row]').count()) > 0, 'the page stays readable');
  await shot(page, 'offline');

  at.stand.arrive();
  await at.stand.mend();
  await page.locator('.offline').waitFor({ state: 'detached' });
  await page.locator('[data-test=stale]').waitFor({ state: 'detached' });
  // What came while the line was cut waits, and the list does not jump.
  await page.locator('[data-test=fresh]').waitFor();
  assert.equal(await page.locator('[data-test=row]').first().getAttribute('data-id'), seen);
});

test('figures that cannot be read again carry their age', { skip: REAL }, async () => {
  await page.goto(`${at.base}/sensors`);
  await page.locator('table.list').waitFor();
  await page.route('**/api/v1/sensors', (route) => route.fulfill({ status: 503, contentType: 'application/json', body: '{"status":503,"code":"unavailable","message_vi":"Kho chưa trả lời.","message_en":"The store does not answer.","request_id":"r1"}' }));
  await page.locator('.stale-note').waitFor({ timeout: 40_000 });
  assert.equal(await page.locator('table.list tbody tr').count() > 0, true);
  await shot(page, 'stale');
  await page.unroute('**/api/v1/sensors');
  await page.locator('.stale-note button').click();
  await page.locator('.stale-note').waitFor({ state: 'detached' });
});
